"""All of an image's programs in all places, compared with the pod."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lyftlearn_local.container import Container
from lyftlearn_local.demo.opening import Opened, opened
from lyftlearn_local.demo.places import KERNEL, OWN, PLACES, POD, TERMINAL, TOGETHER, Places
from tests.parity.canary import contract, running
from tests.parity.canary.programs import DIRECTORY, Program

if TYPE_CHECKING:
    from tests.parity.canary.contract import Output, Rule

_LAST = 10  # lines of what the pod said on stderr

Alter = Callable[[str, Container], None]


class Seen:
    """What was seen: `outputs[place][program's name]`."""

    def __init__(self, outputs: "dict[str, dict[str, Output]]", rules: "dict[str, list[Rule]]") -> None:
        self.outputs = outputs
        self._rules = rules

    def differences(self, program: Program) -> "list[str]":
        """In what a program's output differs from the pod's, with the places; none where the contract says it all.

        The pod's own is looked at too: a program that fails there as everywhere shows nothing.
        """
        pod, told = self.outputs[POD][program.name], []
        if pod["code"] != str(program.code):
            told = [f"{program.name} in the pod: exit code {pod['code']}, and not {program.code}"]
            told += ["    " + line for line in pod.get("stderr", "").splitlines()[-_LAST:]]
        for place, outputs in self.outputs.items():
            if place != POD and program.name in outputs:
                lines = contract.differences(place, pod, outputs[program.name], self._rules.get(program.name, []))
                told += [f"{program.name} in {place}:", *("    " + line for line in lines)] if lines else []
        return told


@contextlib.contextmanager
def scene(say: Callable[[str], None], environ: "dict[str, str]", tag: str, directory: Path = DIRECTORY) -> Iterator[Opened]:
    """A scene whose containers have the programs. Raises what `opened` raises."""

    def fill(code: Path) -> None:
        shutil.copytree(directory, code, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(Path(__file__).with_name(running.RUNNER), code / running.RUNNER)

    with opened(say, environ, tag, fill) as made:
        yield made


def see(made: Opened, programs: "list[Program]", wanted: "tuple[str, ...]" = PLACES, alter: Alter = lambda place, made: None) -> Seen:
    """Runs them. `wanted` are the places beside the pod; `alter` breaks a place on purpose (places.Places)."""
    places = Places(made, alter)
    sharing, alone = [one for one in programs if not one.own], [one for one in programs if one.own]
    outputs: dict[str, dict[str, Output]] = {place: {} for place in PLACES if place in wanted or place == POD}
    if sharing:
        for place in [place for place in TOGETHER if place in outputs and place not in (KERNEL, TERMINAL)]:
            outputs[place].update(running.together(places, place, sharing))
        if {KERNEL, TERMINAL} <= outputs.keys():
            for place, seen in running.in_studio(places, sharing).items():
                outputs[place].update(seen)
        else:
            for place in outputs.keys() & {KERNEL, TERMINAL}:
                outputs[place].update(running.together(places, place, sharing))
    todo = [(place, one) for one in alone for place in OWN if place in outputs and place != one.not_in]
    for place, seen in running.of_their_own(places, todo).items():
        outputs[place].update(seen)
    return Seen({place: seen for place, seen in outputs.items() if seen}, contract.load(PLACES))
