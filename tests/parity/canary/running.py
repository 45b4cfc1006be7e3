"""Runs programs in a place: those that share a container, and those that have a start of their own."""

import contextlib
import hashlib
import io
import shlex
import tarfile
import time
from typing import TYPE_CHECKING, Any

from lyftlearn_local.containers.running import CannotRun
from lyftlearn_local.containers.surroundings import CODE, STUDIO_HOME
from lyftlearn_local.demo.container_scene import HEALTHY_SECONDS
from lyftlearn_local.demo.jupyter import Jupyter
from lyftlearn_local.demo.places import KERNEL, POD, STUDIO, TERMINAL, Places, model
from tests.parity.canary.contract import Output
from tests.parity.canary.programs import Program

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNNER, LIST = "together.sh", "together.list"
_SECONDS, _GRACE = 2400.0, 300.0  # a machine may have much else to do
_AT_ONCE = 3  # containers with a start of their own
_LARGE = 1 << 20  # characters, from which on a text is compared by its digest
_OURS = "lyftlearn-entrypoint: "  # what the entrypoint says is not the program's

Outputs = dict[str, Output]


def together(places: Places, place: str, programs: "list[Program]") -> Outputs:
    """Each program's output, in one container."""
    names = [program.name for program in programs]
    if place in (KERNEL, TERMINAL):
        return _in_studio(places, (place,), names)[place]
    archive = f"{'/opt/ml/output' if place != POD else model(POD)}/canary.tar"
    around = places.surround(place, f"canary {place}", ["bash", f"{CODE}/{RUNNER}", archive])
    _write_list(places, names)
    with _network(places, place) as beside:
        running = places.scene.start(f"canary {place}", around, beside)
        try:
            running.succeed(_SECONDS)
            places.scene.warnings(running)
            return _with_counts(places, _unpack(running.read(archive), names))
        finally:
            places.scene.engine.remove(running)


def in_studio(places: Places, programs: "list[Program]") -> "dict[str, Outputs]":
    """Of the kernel and of the terminal, in one JupyterLab."""
    return _in_studio(places, (KERNEL, TERMINAL), [program.name for program in programs])


def _in_studio(places: Places, wanted: "tuple[str, ...]", names: "list[str]") -> "dict[str, Outputs]":
    _write_list(places, names)
    app = places.scene.start("canary studio", places.surround(STUDIO, "canary studio", []))
    found: dict[str, Outputs] = {}
    try:
        jupyter = Jupyter(f"http://{app.address}:8888/jupyterlab/default")
        app.until(jupyter.healthy, "answer to GET /jupyterlab/default/api/status", HEALTHY_SECONDS)
        for place in wanted:
            archive = f"{STUDIO_HOME}/{place}.tar"
            words = ["bash", f"{CODE}/{RUNNER}", archive]
            try:
                if place == KERNEL:
                    jupyter.run("canary.ipynb", [f"import subprocess\nsubprocess.run({words}, check=True)"], _SECONDS)
                else:
                    jupyter.terminal(shlex.join(words), _SECONDS)
            except (OSError, ValueError) as error:
                raise app.failed(f"{place}: {error}") from None
            found[place] = _with_counts(places, _unpack(app.read(archive), names))
        places.scene.warnings(app)
        return found
    finally:
        places.scene.engine.remove(app)


def of_their_own(places: Places, todo: "list[tuple[str, Program]]") -> "dict[str, Outputs]":
    """Each program's output in each place, in containers of their own, some at once."""
    found: dict[str, Outputs] = {place: {} for place, _ in todo}
    waiting, going = list(todo), list[_Start]()
    with _network(places, POD) as beside:
        while waiting or going:
            if waiting and len(going) < _AT_ONCE:
                place, program = waiting.pop(0)
                going.append(_Start(places, place, program, beside if place == POD else {}))
            for start in [start for start in going if start.over()]:
                going.remove(start)
                found[start.place][start.program.name] = start.output()
                places.scene.engine.remove(start.running)
            time.sleep(0.05)
    return found


class _Start:
    """One container that runs one program. Stopped, once it says that it is ready, where the program is to be stopped."""

    def __init__(self, places: Places, place: str, program: Program, beside: "dict[str, Any]") -> None:
        self.place = place
        self.program = program
        name = f"canary {place} {program.name}"
        around = places.surround(place, name, program.words(CODE))
        self.running = places.scene.start(name, around, {**beside, **program.limits})
        self._began = time.monotonic()
        self._stopped = 0.0

    def over(self) -> bool:
        """Whether it has ended; what has to be done until then is done. Raises CannotRun where it does not end."""
        if self.running.ended:
            return True
        now = time.monotonic()
        if self.program.stop and not self._stopped and self.program.stop in self.running.log(stderr=False).splitlines():
            self.running.handle.kill(signal="SIGTERM")
            self._stopped = now
        elif self._stopped and now > self._stopped + _GRACE:
            with contextlib.suppress(Exception):  # it may have ended by now
                self.running.handle.kill()
            self._stopped = now
        if now > self._began + _SECONDS:
            raise self.running.failed("it does not end")
        return False

    def output(self) -> Output:
        handle = self.running.handle
        said = [_text(handle.logs(stdout=out, stderr=not out)) for out in (True, False)]
        own = "".join(line for line in said[1].splitlines(keepends=True) if not line.startswith(_OURS))
        told = {"stdout": said[0], "stderr": own, "code": str(handle.attrs["State"]["ExitCode"])}
        if self.program.left:
            try:
                told["left"] = _text(self.running.read(f"{model(self.place)}/{self.program.left}"))
            except CannotRun:
                told["left"] = "(not there)"
        return told


@contextlib.contextmanager
def _network(places: Places, place: str) -> "Iterator[dict[str, Any]]":
    """Options for a pod's containers, beside its sidecar; none for others."""
    if place != POD:
        yield {}
        return
    with places.scene.sidecar("canary pod") as (_, beside):
        yield beside


def _write_list(places: Places, names: "list[str]") -> None:
    """Which programs are to run. In a file: a command of many words is more than an API takes."""
    (places.scene.code / LIST).write_text("".join(name + "\n" for name in names))


def _with_counts(places: Places, outputs: Outputs) -> Outputs:
    """What the gateway counted meanwhile belongs to the programs by the second word of the metrics' names: `screening.PROGRAM.x`."""
    for name, count in sorted(places.scene.counts().metrics.items()):
        program = name.split(".")[1] + ".py"
        if program in outputs:
            outputs[program]["statsd"] = outputs[program].get("statsd", "") + f"{name} {count}\n"
    return outputs


def _unpack(packed: bytes, names: "list[str]") -> Outputs:
    found: Outputs = {name: {} for name in names}
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            name, _, stream = member.name.removeprefix("./").rpartition(".")
            file = archive.extractfile(member)
            if name in found and file is not None:
                found[name][stream] = _text(file.read())
    for output in found.values():
        output["code"] = output.get("code", "(none)").strip()
    return found


def _text(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace")
    return text if len(text) < _LARGE else f"{len(data)} bytes, {data.count(10)} lines, sha256 {hashlib.sha256(data).hexdigest()}\n"
