"""Studio fails open: a notebook without its secrets is better than none, so long as it says so, and in time for Jupyter."""

import json
import os
from collections.abc import Callable

import pytest

from tests.fake_http import Hang, answer, serve
from tests.integration.job import Job, launcher

pytest_plugins = ["tests.integration.platform_fixture"]

Service = Callable[..., dict[str, str]]
NOTICE = "home/LYFTLEARN-WARNING.txt"


@pytest.fixture
def studio(job: Job) -> Job:
    return job.studio()


def test_a_kernel_that_waits_for_a_silent_server_goes_on(studio: Job, service: Service) -> None:
    with serve(lambda _: Hang()) as server:
        ended = studio.start("echo", "kernel", **{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url, "LYFTLEARN_DEADLINE": "1"})
        assert server.url in ended.err
    assert (ended.code, ended.out) == (0, "kernel\n")
    assert 1 <= ended.seconds < 13  # an answer is waited for 15 s
    assert "warning: this start goes on without it" in ended.err
    assert server.url in (studio.root / NOTICE).read_text()


@pytest.mark.parametrize(
    ("setting", "says"),
    [({}, "deadline of 20 s"), ({"LYFTLEARN_DEADLINE": "9"}, "deadline of 9 s"), ({"LYFTLEARN_DEADLINE": "29"}, "deadline of 29 s")],
    ids=["default", "9", "29"],
)
def test_a_kernel_gives_itself_a_third_of_jupyters_patience(studio: Job, service: Service, setting: dict[str, str], says: str) -> None:
    """A server that asks for 30 s shows at once how many there are."""
    with serve(lambda _: answer(503, b"", {"Retry-After": "30"})) as server:
        ended = studio.start("echo", "kernel", **{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url, **setting})
    assert (ended.code, ended.out) == (0, "kernel\n")
    assert says in ended.err
    assert ended.seconds < 9  # it does not wait for the nearest of these deadlines


def test_the_platforms_file_may_give_a_kernel_more(studio: Job, service: Service) -> None:
    studio.write("/etc/lyftlearn/platform.json", json.dumps({"deadline": 25}).encode())
    with serve(lambda _: answer(503, b"", {"Retry-After": "30"})) as server:
        ended = studio.start("echo", "kernel", **{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url})
    assert ended.code == 0
    assert "deadline of 25 s" in ended.err


def test_the_application_itself_has_the_usual_deadline(studio: Job, service: Service) -> None:
    """Without ARGs nothing but Studio waits."""
    program = studio.write("/bin/jupyter", b"#!/bin/sh\necho jupyter\n")
    program.chmod(0o755)
    environ = {**service({}), "PATH": f"{studio.root}/bin:/usr/bin:/bin"}
    with serve(lambda _: answer(503, b"", {"Retry-After": "60"})) as server:
        ended = studio.run(launcher(), **{**environ, "LYFTLEARN_CONFIDANT_URL": server.url})
    assert (ended.code, ended.out) == (0, "jupyter\n")
    assert "deadline of 60 s" in ended.err


def test_a_job_has_the_usual_deadline(job: Job, service: Service) -> None:
    with serve(lambda _: answer(503, b"", {"Retry-After": "60"})) as server:
        ended = job.start("echo", "ran", **{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url})
    assert ended.code == 69
    assert "deadline of 60 s" in ended.line


LARGE = {f"LARGE_{number}": "x" * 120_000 for number in range(60)}  # over the 6 MiB that any Linux takes


def test_an_environment_too_large_for_the_kernel_is_left_out(studio: Job) -> None:
    studio.channel(environment={**LARGE, "SMALL": "1"})
    ended = studio.start("sh", "-c", 'echo "kernel $SMALL$LARGE_1"')
    assert (ended.code, ended.out) == (0, "kernel \n")
    assert "warning: this start goes on without it: arguments and environment have" in ended.err
    assert "LARGE_" in (studio.root / NOTICE).read_text()
    assert "xxx" not in ended.err


def test_a_job_refuses_it(job: Job) -> None:
    job.channel(environment=LARGE)
    ended = job.start("echo", "ran")
    assert (ended.code, ended.out) == (65, "")
    assert "LARGE_" in ended.line


def test_a_staged_path_that_hides_the_command_is_left_out(studio: Job) -> None:
    studio.channel(environment={"PATH": "/no/such/place", "STAGED": "1"})
    ended = studio.start("sh", "-c", 'echo "kernel $STAGED $PATH"')
    assert (ended.code, ended.out) == (0, f"kernel  {studio.environ['PATH']}\n")
    assert "warning: this start goes on without it: sh: " in ended.err
    assert "/no/such/place" not in ended.err  # a staged value
    assert (studio.root / NOTICE).exists()


@pytest.mark.parametrize("document", [LARGE, {"PATH": "/no/such/place"}], ids=["too large", "hides the command"])
def test_credentials_stay_where_the_document_alone_is_at_fault(studio: Job, service: Service, document: dict[str, str]) -> None:
    studio.channel(environment=document)
    ended = studio.start("sh", "-c", 'echo "kernel ${#CREDENTIALS_PASSWORD} $LARGE_1"', **service({"password": "hunter2"}))
    assert (ended.code, ended.out) == (0, "kernel 7 \n")
    assert ended.err.count("this start goes on without it: ") == 1


def test_jupyterlab_finds_the_note_as_an_extension_and_loses_it_again(studio: Job, service: Service) -> None:
    """The form is that of jupyterlab_server.config.get_federated_extensions: package.json with `jupyterlab._build`."""
    with serve(lambda _: answer(403, b"")) as server:
        ended = studio.start("true", **{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url})
    assert ended.code == 0
    place = studio.root / "home/.local/share/jupyter/labextensions/lyftlearn-notice"
    package = json.loads((place / "package.json").read_text())
    script = (place / package["jupyterlab"]["_build"]["load"]).read_text()
    assert server.url in script
    assert package["name"] == place.name
    assert studio.start("true").code == 0
    assert not place.exists()
    assert not (studio.root / NOTICE).exists()


@pytest.mark.parametrize("name", ["JUPYTER_DATA_DIR", "XDG_DATA_HOME"])
def test_the_note_goes_where_the_user_told_jupyter_to_look(studio: Job, service: Service, name: str) -> None:
    there = studio.root / "elsewhere"
    with serve(lambda _: answer(403, b"")) as server:
        studio.start("true", **{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url, name: str(there)})
    below = there if name == "JUPYTER_DATA_DIR" else there / "jupyter"
    assert (below / "labextensions/lyftlearn-notice/package.json").exists()


def test_a_home_that_cannot_hold_the_note_stops_nothing(studio: Job, service: Service) -> None:
    studio.write("/home/.local", b"a file")
    with serve(lambda _: answer(403, b"")) as server:
        ended = studio.start("true", **{**service({}), "LYFTLEARN_CONFIDANT_URL": server.url})
    assert ended.code == 0
    assert (studio.root / NOTICE).exists()


def test_what_is_not_the_documents_fault_is_said_once(studio: Job) -> None:
    studio.channel(environment={"STAGED": "1"})
    ended = studio.start("no-such-program-" + os.urandom(4).hex())
    assert ended.code == 127
    assert "not found" in ended.line
    left = (studio.root / NOTICE).read_text()
    assert left.startswith("A start of this notebook or of one of its kernels failed:\n\n- no-such-program-")
    assert (studio.root / "home/.local/share/jupyter/labextensions/lyftlearn-notice/package.json").exists()
