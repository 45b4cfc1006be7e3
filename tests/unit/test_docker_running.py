"""What is told of a container that does not do what it should. The engine's handle is passed in, and plays the container."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.container import TRAINING, Passed, contain
from lyftlearn_local.containers.running import CannotRun, Running
from lyftlearn_local.containers.surroundings import Surroundings
from lyftlearn_local.demo.container_scene import Scene


class Handle:
    """As much of the SDK's container as is asked for. `statuses` is told one by one, the last for ever."""

    def __init__(self, statuses: "list[str]", log: str = "", code: int = 0) -> None:
        self._statuses = statuses
        self._log = log
        self.attrs: dict[str, Any] = {
            "Image": "sha256:abc",
            "State": {"Pid": 0, "ExitCode": code},
            "NetworkSettings": {"Networks": {"none": {"IPAddress": ""}}},
        }
        self.status = ""
        self.files: dict[str, bytes] = {}

    def reload(self) -> None:
        self.status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]

    def get_archive(self, path: str) -> "tuple[list[bytes], dict[str, Any]]":
        """As the engine gives a file: an archive in parts, whose only member has the last word of the path as its name."""
        import docker.errors

        if path not in self.files:
            raise docker.errors.NotFound("no such file")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo(path.rpartition("/")[2])
            member.size = len(self.files[path])
            archive.addfile(member, io.BytesIO(self.files[path]))
        return [packed.getvalue()[:700], packed.getvalue()[700:]], {}

    def logs(self, stdout: bool, stderr: bool) -> bytes:
        return self._log.encode() if stdout or stderr else b""


def running(*statuses: str, log: str = "", code: int = 0) -> Running:
    return Running("endpoint", Handle(["created", *statuses], log, code))


def test_a_bad_end_shows_the_last_lines_of_the_log() -> None:
    container = running("running", "exited", log="\n".join(f"line {n}" for n in range(40)), code=3)
    with pytest.raises(CannotRun) as error:
        container.succeed(10)
    lines = str(error.value).splitlines()
    assert lines[0] == "endpoint: exit code 3; the last lines of its log:"
    assert lines[1:] == [f"    line {n}" for n in range(25, 40)]


def test_an_empty_log_is_told_too() -> None:
    with pytest.raises(CannotRun, match=r"exit code 1; the last lines of its log:\n    \(nothing\)$"):
        running("exited", code=1).succeed(10)


def test_a_good_end_is_none_of_it() -> None:
    running("running", "exited").succeed(10)


def test_a_file_is_read_also_after_the_end() -> None:
    container = running("exited", log="the last line")
    container.handle.files["/opt/ml/model/model.json"] = b"x" * 2000
    assert container.read("/opt/ml/model/model.json") == b"x" * 2000
    with pytest.raises(CannotRun, match=r"endpoint: no file /opt/ml/model/none; .*\n    the last line"):
        container.read("/opt/ml/model/none")


def test_one_that_runs_on_is_given_up() -> None:
    with pytest.raises(CannotRun, match=r"endpoint: still running after 0.1 s; .*\n    busy"):
        running("running", log="busy").succeed(0.1)


def test_one_that_ends_before_it_is_healthy_is_not_waited_for() -> None:
    with pytest.raises(CannotRun, match=r"it ended with exit code 7 before GET /ping; .*\n    no model"):
        running("running", "exited", log="no model", code=7).until(lambda: False, "GET /ping", 60)


def test_one_that_is_never_healthy_is_given_up() -> None:
    with pytest.raises(CannotRun, match=r"not healthy after 0.1 s: no GET /ping"):
        running("running").until(lambda: False, "GET /ping", 0.1)


def test_health_is_waited_for() -> None:
    answers = iter([False, False, True])
    assert 0.1 < running("running").until(lambda: next(answers), "GET /ping", 60) < 10


def test_the_start_is_what_the_entrypoint_says() -> None:
    assert running("exited", log="lyftlearn-entrypoint: start: python as (1000:100) in studio after 127 ms\n").started_in == 0.127
    assert running("exited", log="auc=0.9\n").started_in is None


def test_without_a_network_there_is_no_address() -> None:
    with pytest.raises(CannotRun, match="it has no address"):
        _ = running("exited").address


class Engine:
    """Starts what it was made with, whatever it is asked for."""

    def __init__(self, started: Running) -> None:
        self._started = started

    def start(self, name: str, image: str, words: "list[str]", options: "dict[str, Any]") -> Running:
        return self._started


def test_a_container_of_another_image_is_found(tmp_path: Path) -> None:
    nothing: Any = None
    made = contain(TRAINING, "job", Passed({}, {}, ["train"]), {}, "", 0)
    for image, wrong in (("sha256:abc", False), ("sha256:def", True)):
        engine: Any = Engine(running("running"))
        said: list[str] = []
        scene = Scene(engine, nothing, nothing, "service", tmp_path, tmp_path, "team:1", image, said.append)
        around = Surroundings(made, tmp_path / image[-3:], tmp_path)
        if wrong:
            with pytest.raises(CannotRun, match=r"^training job: team:1 was sha256:def, and the container is made from sha256:abc$"):
                scene.start("training job", around)
        else:
            assert scene.start("training job", around).image == image
        assert said == ["training job: docker run --init IMAGE train"]
