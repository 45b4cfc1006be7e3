"""Credentials from the real Confidant server, as the user's program sees them."""

import os
import shutil
import stat
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_entrypoint.volume import on_tmpfs
from lyftlearn_local.platform import Platform
from tests.integration.job import Job

pytest_plugins = ["tests.integration.platform_fixture"]

Need = Callable[[object, str], None]
Service = Callable[..., dict[str, str]]


def make(platform: Platform, credentials: list[str], blind: "list[str] | None" = None, enabled: bool = True) -> dict[str, str]:
    """A service of these credentials, and the settings that point at it."""
    name = "shop-" + uuid.uuid4().hex[:8]
    platform.confidant.service(name, credentials, blind or [], enabled)
    return {key: value for key, value in platform.pointers(name).items() if key.startswith("LYFTLEARN_CONFIDANT")}


def seen(job: Job, settings: dict[str, str]) -> dict[str, str]:
    """The variables that a start added."""
    env = job.start(**settings).env
    return {name: value for name, value in env.items() if name not in job.environ and name not in ("LYFTLEARN_CONTEXT", *DERIVED)}


DERIVED = (
    "AWS_DEFAULT_REGION",
    "LYFTLEARN_HYPERPARAMETERS_FILE",
    "USER",
    "LOGNAME",
    "STATSD_HOST",
    "STATSD_PORT",
    "STATSD_ADDR",
    "DD_AGENT_HOST",
    "DD_DOGSTATSD_PORT",
    "DD_DOGSTATSD_URL",
    "LC_CTYPE",
)


def test_values_arrive_as_they_were_stored(job: Job, platform: Platform) -> None:
    text = "p&ss <word> 'quoted' \"twice\" $HOME `id` \\ é \N{ROCKET} \t end "
    pairs: dict[str, str | int | float | bool | None] = {
        "text": text,
        "lines": "-----BEGIN-----\nabc\n-----END-----\n",
        "empty": "",
        "whole": 5,
        "part": 2.5,
        "yes": True,
        "no": False,
        "nothing": None,
    }
    settings = make(platform, [platform.confidant.credential(pairs)])
    assert seen(job, settings) == {
        "CREDENTIALS_TEXT": text,
        "CREDENTIALS_LINES": "-----BEGIN-----\nabc\n-----END-----\n",
        "CREDENTIALS_EMPTY": "",
        "CREDENTIALS_WHOLE": "5",
        "CREDENTIALS_PART": "2.5",
        "CREDENTIALS_YES": "true",
        "CREDENTIALS_NO": "false",
    }
    warned = job.start(**settings).err
    assert "warning: credential " in warned
    assert "nothing is null in Confidant and is left out" in warned


def test_prefixes_of_credentials_and_blind_credentials(job: Job, platform: Platform) -> None:
    confidant = platform.confidant
    body = {"name": uuid.uuid4().hex, "credential_pairs": {"c": "3"}, "metadata": {"env_var_prefix": ""}, "enabled": True}
    settings = make(
        platform,
        [
            confidant.credential({"a": "1"}),
            confidant.credential({"b": "2"}, "db_"),
            str(confidant.call("POST", "/v1/credentials", body)["id"]),
        ],
        [
            confidant.blind_credential({"d": "4"}, {"group": "shop"}),
            confidant.blind_credential({"e": "5"}, {"group": "shop"}, metadata={"env_var_prefix": "own_"}),
            confidant.blind_credential({"F": "6"}, {"group": "shop"}, metadata={"env_var_prefix": ""}),
        ],
    )
    # An empty env_var_prefix means the default, but for a blind credential it means none: as confidant-format has it.
    common = {"DB_B": "2", "OWN_E": "5", "F": "6"}
    assert seen(job, settings) == {"CREDENTIALS_A": "1", "CREDENTIALS_C": "3", "CREDENTIALS_D": "4", **common}
    assert seen(job, {**settings, "LYFTLEARN_CREDENTIALS_PREFIX": "s_"}) == {"S_A": "1", "S_C": "3", "S_D": "4", **common}


def test_disabled_ones_are_given_as_confidants_own_client_gives_them(job: Job, platform: Platform) -> None:
    settings = make(platform, [platform.confidant.credential({"old": "still here"}, enabled=False)], enabled=False)
    assert seen(job, settings) == {"CREDENTIALS_OLD": "still here"}


def test_a_service_without_credentials_is_no_error(job: Job, platform: Platform) -> None:
    assert seen(job, make(platform, [])) == {}


def test_credentials_win_over_the_image_and_keep_wins_over_them(job: Job, service: Service) -> None:
    settings = service({"a": "fetched-a", "b": "fetched-b"})
    ended = job.start(**settings, CREDENTIALS_A="image-a", CREDENTIALS_B="image-b", LYFTLEARN_ENV_KEEP="CREDENTIALS_B,OTHER")
    assert (ended.env["CREDENTIALS_A"], ended.env["CREDENTIALS_B"]) == ("fetched-a", "image-b")
    assert "overwritten: CREDENTIALS_A" in ended.err
    for word in ("fetched-a", "fetched-b", "image-a", "image-b"):
        assert word not in ended.err


def test_the_program_does_not_see_the_pointers_of_what_ran(job: Job, service: Service) -> None:
    env = job.start(**service({"a": "1"})).env
    assert [name for name in env if name.startswith("LYFTLEARN_CONFIDANT")] == []
    assert env["LYFTLEARN_CONTEXT"] == "sagemaker-training"


def test_the_same_value_twice_is_no_conflict(job: Job, platform: Platform) -> None:
    one = platform.confidant.credential({"b_c": "same"}, "a_")
    two = platform.confidant.credential({"c": "same"}, "a_b_")
    assert seen(job, make(platform, [one, two])) == {"A_B_C": "same"}


def test_two_values_for_one_variable_name_both_ids(job: Job, platform: Platform) -> None:
    """Confidant compares stored names, before prefixes: it takes these two."""
    one = platform.confidant.credential({"b_c": "first-value"}, "a_")
    two = platform.confidant.credential({"c": "second-value"}, "a_b_")
    ended = job.start(**make(platform, [one, two]))
    assert ended.code == 65
    for word in (one, two, "A_B_C"):
        assert word in ended.line
        assert word in job.failure
    assert "-value" not in ended.err + job.failure


def test_a_blind_credential_collides_by_case(job: Job, platform: Platform) -> None:
    one = platform.confidant.credential({"api_key": "first-value"})
    two = platform.confidant.blind_credential({"API_KEY": "second-value"}, {"group": "shop"})
    ended = job.start(**make(platform, [one], [two]))
    assert ended.code == 65
    assert one in ended.line
    assert two in ended.line
    assert "CREDENTIALS_API_KEY" in ended.line


def test_names_that_a_pod_takes_are_taken(job: Job, platform: Platform) -> None:
    blind = platform.confidant.blind_credential(
        {"1st": "a", "my.key": "b", "my-key": "c"}, {"group": "shop"}, metadata={"env_var_prefix": ""}
    )
    assert seen(job, make(platform, [], [blind])) == {"1ST": "a", "MY.KEY": "b", "MY-KEY": "c"}


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ({"a=b": "hidden-value"}, "its name holds ="),
        ({"nul": "hidden-\0value"}, "its value holds a NUL"),
        ({"surrogate": "hidden-\ud800value"}, "lone surrogate"),
        ({"large": "hidden-value" * 11000}, "the kernel takes 131072"),
    ],
)
def test_what_exec_cannot_carry_is_named_and_nothing_is_applied(job: Job, platform: Platform, pairs: dict[str, str], says: str) -> None:
    before = job.left_behind()
    ended = job.start(**make(platform, [platform.confidant.credential({**pairs})]), LYFTLEARN_CREDENTIALS_DIR="/secrets")
    assert ended.code == 65
    assert says in ended.line
    assert "CREDENTIALS_" + next(iter(pairs)).upper() in ended.line
    assert "hidden" not in ended.err + job.failure
    assert job.left_behind() - before == {"opt/ml/output/failure"}


@pytest.mark.parametrize(
    ("key", "prefix"),
    [("preload", "LD_"), ("path", "python"), ("path", ""), ("env", "bash_"), ("env", ""), ("IFS", "")],
)
def test_loader_and_interpreter_names_are_refused(job: Job, platform: Platform, key: str, prefix: str) -> None:
    blind = platform.confidant.blind_credential({key: "/tmp/evil.so"}, {"group": "shop"}, metadata={"env_var_prefix": prefix})
    ended = job.start(**make(platform, [], [blind]))
    assert ended.code == 65
    assert blind in ended.line
    assert (prefix + key).upper() in ended.line
    assert "evil" not in ended.err


# As files ------------------------------------------------------------------------------------------------------------


def test_files_have_the_layout_of_a_secret_volume(job: Job, service: Service) -> None:
    settings = service({"api.key": "s3cret\n", "empty": "", "port": 5432, "gone": None})
    read = 'cd "$0" && for name in *; do printf \'%s=\' "$name"; cat "$name"; printf \';\'; done'
    place = job.path("/secrets/shop")
    ended = job.start("/bin/sh", "-c", read, str(place), **settings, LYFTLEARN_CREDENTIALS_DIR="/secrets/shop")
    assert (ended.code, ended.out) == (0, "api.key=s3cret\n;empty=;port=5432;")
    data = (place / "..data").readlink()
    assert str(data).startswith("..20")
    assert {path.name for path in place.iterdir()} == {"..data", str(data), "api.key", "empty", "port"}
    for name in ("api.key", "empty", "port"):
        assert (place / name).readlink() == Path("..data", name)
        assert stat.S_IMODE((place / name).stat().st_mode) == 0o400


def test_starting_twice_leaves_one_set_of_files(job: Job, service: Service) -> None:
    first = job.start(**service({"a": "1", "b": "2"}), LYFTLEARN_CREDENTIALS_DIR="/secrets")
    second = job.start(**service({"b": "3"}), LYFTLEARN_CREDENTIALS_DIR="/secrets")
    assert (first.code, second.code) == (0, 0)
    place = job.path("/secrets")
    assert {path.name for path in place.iterdir()} == {"b", "..data", str((place / "..data").readlink())}
    assert (place / "b").read_text() == "3"


def test_files_of_one_key_with_two_values_collide(job: Job, platform: Platform) -> None:
    """The variables differ by prefix, the files do not."""
    one = platform.confidant.credential({"key": "first-value"}, "a_")
    two = platform.confidant.blind_credential({"key": "second-value"}, {"group": "shop"}, metadata={"env_var_prefix": "b_"})
    name = "shop-" + uuid.uuid4().hex[:8]
    try:
        platform.confidant.service(name, [one], [two])
    except OSError:  # the server sees this one, unless the blind credential keeps its keys to itself
        document = platform.confidant.call("GET", "/v1/blind_credentials/" + two)
        platform.confidant.call("PUT", "/v1/blind_credentials/" + two, {**document, "credential_keys": []})
        platform.confidant.service(name, [one], [two])
    settings = {key: value for key, value in platform.pointers(name).items() if key.startswith("LYFTLEARN_CONFIDANT")}
    assert seen(job, settings) == {"A_KEY": "first-value", "B_KEY": "second-value"}
    ended = job.start(**settings, LYFTLEARN_CREDENTIALS_DIR="/secrets")
    assert ended.code == 65
    for word in (one, two, "the file key"):
        assert word in ended.line


def test_files_go_to_memory_where_there_is_some(platform: Platform, job: Job, service: Service, need: Need) -> None:
    """Without LYFTLEARN_ROOT, which would move /dev/shm too."""
    need(on_tmpfs("/dev/shm"), "/dev/shm is no tmpfs here")
    place = job.path("/secrets")
    need(not on_tmpfs(str(place)), "the temporary directory is a tmpfs itself")
    settings = {**service({"a": "s3cret"}), "LYFTLEARN_CONTEXT": "sagemaker-training", "LYFTLEARN_STEPS": "credentials"}
    targets = set()
    try:
        for _ in range(2):  # the second start uses the place of the first
            ended = job.start(**settings, LYFTLEARN_CREDENTIALS_DIR=str(place), LYFTLEARN_ROOT=None)
            assert ended.code == 0, ended.err
            assert "on tmpfs" in ended.err
            assert (place / "a").read_text() == "s3cret"
            targets.add(place.readlink())
            assert (place / "a").stat().st_dev == os.stat("/dev/shm").st_dev
        assert len(targets) == 1
    finally:
        for target in targets:
            shutil.rmtree(target)


def test_files_belong_to_the_user_who_runs(job: Job, service: Service, need: Need, tmp_path: Path) -> None:
    need(os.geteuid() == 0, "only root can switch user")
    for place in (tmp_path, *tmp_path.parents):  # pytest's directories are root's alone
        if place.stat().st_mode & 0o005 != 0o005 and "pytest" in str(place):
            place.chmod(place.stat().st_mode | 0o055)
    look = 'stat -L -c "%u:%g %a" "$0"/a; cat "$0"/a'
    settings = {**service({"a": "s3cret"}), "LYFTLEARN_CREDENTIALS_DIR": "/secrets", "LYFTLEARN_USER": "12345:23456"}
    ended = job.start("/bin/sh", "-c", look, str(job.path("/secrets")), **settings)
    assert (ended.code, ended.out) == (0, "12345:23456 400\ns3cret"), ended.err
