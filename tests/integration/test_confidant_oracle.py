"""The environment equals what `confidant-format` of confidant-client 2.7.1 exports: its last release, for which pods were configured.

Its known crashes and the differences that are meant, each shown below:
- a value that is no string stops it (TypeError, no output at all); here numbers and booleans become their JSON text;
- a key with `.` or `-`, or a leading digit, is skipped, although the variable is legal; here it arrives, as from a Secret;
- a variable that is there already wins, even over a secret; here the credential wins, as a pod's injected value does;
- of two values for one variable the first one wins in silence; here that is exit 65;
- a service that does not exist is success with no output; here it is exit 66;
- a refused token is a traceback (JSONDecodeError); here it is exit 77;
- it needs the module `pipes`, which Python 3.13 no longer has; this test gives it a stand-in there.
"""

import fcntl
import os
import random
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from lyftlearn_local.confidant.venv import cache_directory
from lyftlearn_local.platform import AUTH_CONTEXT, AUTH_KEY, REGION, Platform
from tests.integration.job import Job

pytest_plugins = ["tests.integration.platform_fixture"]

CLIENT = "confidant-client==2.7.1"
# Asks as the documented idiom does, without the token cache that every user of the machine could read.
ASK = """
import json, sys
from confidant_client import ConfidantClient
url, key, context, service, region = sys.argv[1:]
client = ConfidantClient(url=url, auth_key=key, auth_context={"from": service, "to": context, "user_type": "service"}, token_lifetime=10,
                         token_cache_file="", region=region, config_files=["/nonexistent"])
print(json.dumps(client.get_service(service, decrypt_blind=True)))
"""
FORMAT = """
import shlex, sys, types, warnings
if sys.version_info >= (3, 13):
    sys.modules["pipes"] = types.ModuleType("pipes")
    sys.modules["pipes"].quote = shlex.quote
warnings.simplefilter("ignore")
from confidant_client.formatter import main
main()
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def client() -> str:
    """The interpreter of the client's own virtual environment, built once and cached beside Confidant's."""
    place = cache_directory(dict(os.environ)) / f"client-2.7.1-python{sys.version_info[0]}.{sys.version_info[1]}"
    done = place / ".complete"
    if not done.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{place}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(place, ignore_errors=True)
                subprocess.run([sys.executable, "-m", "venv", str(place)], check=True, capture_output=True)
                pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
                subprocess.run([*pip, CLIENT, "kmsauth==0.6.3", "cryptography>=42"], check=True, capture_output=True)
                done.touch()
    return str(place / "bin/python")


@pytest.fixture
def oracle(client: str, platform: Platform, tmp_path: Path) -> Run:
    environ = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": platform.aws_url,
        "AWS_ACCESS_KEY_ID": "client",
        "AWS_SECRET_ACCESS_KEY": "client",
        "NO_PROXY": "127.0.0.1",
    }

    def ask(service: str) -> "subprocess.CompletedProcess[str]":
        words = [client, "-c", ASK, platform.confidant.url, AUTH_KEY, AUTH_CONTEXT, service, REGION]
        return subprocess.run(words, env=environ, capture_output=True, text=True, check=False)

    def run(service: str, prefix: str = "CREDENTIALS_") -> "subprocess.CompletedProcess[str]":
        words = [client, "-c", FORMAT, "--out-format", "env_export", "--env-export-prefix", prefix]
        asked = ask(service)
        assert asked.returncode == 0, asked.stderr
        return subprocess.run(words, env=environ, input=asked.stdout, capture_output=True, text=True, check=False)

    run.ask = ask  # type: ignore[attr-defined]
    return run


def sourced(script: str, **environ: str) -> dict[str, str]:
    """What bash has after sourcing the script, but for its own names."""
    words = ["bash", "--norc", "-c", 'eval "$(cat)"; exec env -0']
    done = subprocess.run(words, env={"PATH": "/usr/bin:/bin", **environ}, input=script, capture_output=True, text=True, check=True)
    pairs = dict(entry.partition("=")[::2] for entry in done.stdout.split("\0") if entry)
    return {name: value for name, value in pairs.items() if name not in ("PATH", "PWD", "OLDPWD", "SHLVL", "_")}


def settings(platform: Platform, credentials: list[str], blind: "list[str] | None" = None) -> tuple[str, dict[str, str]]:
    name = "oracle-" + uuid.uuid4().hex[:8]
    platform.confidant.service(name, credentials, blind or [])
    return name, {key: value for key, value in platform.pointers(name).items() if key.startswith("LYFTLEARN_CONFIDANT")}


def added(job: Job, given: dict[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    env = job.start(**given).env
    return {name: value for name, value in env.items() if name.startswith(prefixes) and name not in job.environ}


VALUES = (
    "plain",
    "",
    " ",
    "a b",
    "it's",
    'say "x"',
    "$HOME `id` $(id)",
    "back\\slash\\n",
    "line\nline\n",
    "}{${x}",
    "é \N{ROCKET}",
    "*?[a]~",
    "a=b;c&d|e<f>",
    "\t\x01\x7f",
    "!!",
    "-n",
)


@pytest.mark.parametrize("seed", range(4))
def test_generated_services_give_the_same_environment(job: Job, platform: Platform, oracle: Run, seed: int) -> None:
    chance = random.Random(seed)
    confidant = platform.confidant
    prefixes = ("", "OWN_", "lower_", "x9_")
    credentials, blind = [], []
    for number in range(8):
        pairs = {
            f"{chance.choice(['key', 'Pass_word', '_x', 'A'])}_{number}_{n}": chance.choice(VALUES) * chance.choice([1, 1, 40])
            for n in range(4)
        }
        credentials.append(confidant.credential({**pairs}, chance.choice(prefixes)))
    for number in range(3):
        pairs = {f"Blind_{number}_{n}": chance.choice(VALUES) for n in range(4)}
        metadata: dict[str, str] = chance.choice([{}, {"env_var_prefix": "own_"}, {"env_var_prefix": ""}])
        blind.append(confidant.blind_credential({**pairs}, {"group": "shop"}, metadata=metadata))
    name, given = settings(platform, credentials, blind)
    prefix = chance.choice(["CREDENTIALS_", "secrets_"])
    said = oracle(name, prefix)
    assert said.returncode == 0, said.stderr
    expected = sourced(said.stdout)
    assert len(expected) == 8 * 4 + 3 * 4
    starts = ("CREDENTIALS_", "SECRETS_", "OWN_", "LOWER_", "X9_", "BLIND_")
    assert added(job, {**given, "LYFTLEARN_CREDENTIALS_PREFIX": prefix}, starts) == expected


def test_crash_on_values_that_are_no_strings(job: Job, platform: Platform, oracle: Run) -> None:
    name, given = settings(platform, [platform.confidant.credential({"a": "1", "b": 5, "c": True})])
    said = oracle(name)
    assert (said.returncode != 0, "TypeError" in said.stderr, said.stdout) == (True, True, "")
    assert added(job, given, ("CREDENTIALS_",)) == {"CREDENTIALS_A": "1", "CREDENTIALS_B": "5", "CREDENTIALS_C": "true"}


def test_difference_names_that_it_skips(job: Job, platform: Platform, oracle: Run) -> None:
    name, given = settings(platform, [platform.confidant.credential({"a": "1", "b.c": "2", "d-e": "3", "1f": "4"})])
    assert sourced(oracle(name).stdout) == {"CREDENTIALS_A": "1"}
    names = {"CREDENTIALS_A": "1", "CREDENTIALS_B.C": "2", "CREDENTIALS_D-E": "3", "CREDENTIALS_1F": "4"}
    assert added(job, given, ("CREDENTIALS_",)) == names


def test_difference_a_variable_that_is_there(job: Job, platform: Platform, oracle: Run) -> None:
    name, given = settings(platform, [platform.confidant.credential({"a": "secret"})])
    assert sourced(oracle(name).stdout, CREDENTIALS_A="image") == {"CREDENTIALS_A": "image"}
    assert job.start(**given, CREDENTIALS_A="image").env["CREDENTIALS_A"] == "secret"
    assert job.start(**given, CREDENTIALS_A="image", LYFTLEARN_ENV_KEEP="*").env["CREDENTIALS_A"] == "image"


def test_difference_two_values_for_one_variable(job: Job, platform: Platform, oracle: Run) -> None:
    one, two = platform.confidant.credential({"b_c": "1"}, "a_"), platform.confidant.credential({"c": "2"}, "a_b_")
    name, given = settings(platform, [one, two])
    assert sourced(oracle(name).stdout)["A_B_C"] in ("1", "2")
    assert job.start(**given).code == 65


def test_crashes_on_answers_that_are_not_200(job: Job, platform: Platform, oracle: Run) -> None:
    name, given = settings(platform, [])
    absent = name + "-absent"
    assert (oracle(absent).returncode, oracle(absent).stdout) == (0, "")
    assert job.start(**{**given, "LYFTLEARN_CONFIDANT_SERVICE": absent}).code == 66
