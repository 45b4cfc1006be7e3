"""What the first lines of a canary say, and that those of ours say it."""

from pathlib import Path

import pytest

from lyftlearn_local.demo.places import PLACES
from tests.parity.canary.contract import load as load_contract
from tests.parity.canary.programs import Program, Unreadable, load, read


def program(directory: Path, text: str, name: str = "it.py") -> Program:
    (directory / name).write_text(text)
    return read(directory / name)


def test_the_least_that_a_program_says(tmp_path: Path) -> None:
    made = program(tmp_path, "# canary: a tool\nimport sys  # start: own\n")
    assert made == Program("it.py", "a tool")
    assert made.words("/code") == ["python", "/code/it.py"]


def test_all_that_it_may_say(tmp_path: Path) -> None:
    text = '#!/bin/bash\n# canary: a tool\n# images: base dl\n# start: own\n# args: ["a b", ""]\n# code: 3\n# stop: READY\n'
    text += "# left: a.json\n# not in: studio: it cannot\n# cpus: 1.5\n# memory: 1g\necho\n# code: 4\n"
    made = program(tmp_path, text, "it.sh")
    limits = {"nano_cpus": 1_500_000_000, "mem_limit": "1g"}
    assert made == Program("it.sh", "a tool", ("base", "dl"), True, ("a b", ""), 3, "READY", "a.json", "studio", limits)
    assert made.words("/code") == ["bash", "/code/it.sh", "a b", ""]


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        ("print()\n", "it.py", "no line `# canary"),
        ("# canary: x\n", "it.pl", "no line `# canary"),
        ("# canary: x\n# stoop: y\n", "it.py", "stoop: unknown"),
        ("# canary: x\n# stop: y\n", "it.py", "are for `start: own`"),
        ("# canary: x\n# start: alone\n", "it.py", "no other value"),
        ("# canary: x\n# images: base gpu\n", "it.py", "images: some of base distributed dl"),
        ("# canary: x\n# start: own\n# not in: studio\n", "it.py", "a colon and the reason"),
    ],
)
def test_what_it_may_not_say(tmp_path: Path, text: str, name: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        program(tmp_path, text, name)


def test_ours_can_be_read_and_no_rule_is_for_a_program_that_is_not_there() -> None:
    programs = load()
    assert len([made for made in programs if "base" in made.images]) >= 50
    assert {image for made in programs for image in made.images} == {"base", "distributed", "dl"}
    assert {made.not_in for made in programs} <= {"", *PLACES}
    assert load_contract(PLACES).keys() <= {made.name for made in programs}
