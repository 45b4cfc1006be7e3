"""scripts/demo: what it sets up before it runs the demo, and what it leaves alone. The programs that it calls write down their words."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/demo"
TOLD = '#!/bin/sh\necho "${0##*/} $*" >>"$TOLD"\n'


class Checkout:
    """A checkout with the real scripts/demo, and stand-ins beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told = root / "told"
        for directory in ("scripts", "venv/bin", "bin"):
            (root / directory).mkdir(parents=True)
        shutil.copy(SCRIPT, root / "scripts/demo")
        self.program("scripts/setup", f"echo something else; echo {root}/venv\n")
        self.program("scripts/engine", f"echo {root}/bin/docker\n")
        self.program("scripts/images", "echo progress\n")
        self.program("venv/bin/python", "exit 7\n")
        self.program("bin/docker", 'test "$3" = "$THERE"\n')

    def program(self, path: str, more: str) -> None:
        (self.root / path).write_text(TOLD + more)
        (self.root / path).chmod(0o755)

    def run(self, *words: str, there: str = "", **environ: str) -> "tuple[list[str], subprocess.CompletedProcess[str]]":
        """What was called, in order; and the script's end. `there` is the image that the engine has."""
        settled = {"PATH": os.environ["PATH"], "TOLD": str(self.told), "THERE": there, **environ}
        done = subprocess.run([self.root / "scripts/demo", *words], env=settled, capture_output=True, text=True, timeout=60, check=False)
        return self.told.read_text().splitlines(), done


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


DEMO = "python -I -m lyftlearn_local.demo --examples examples"


def test_without_docker_no_engine_is_asked_for(checkout: Checkout) -> None:
    told, done = checkout.run("--no-mounts")
    assert told == ["setup ", f"{DEMO} --no-mounts"]
    assert done.returncode == 7  # the demo's own


def test_an_image_that_is_there_is_not_built(checkout: Checkout) -> None:
    told, _ = checkout.run("--docker", there="lyftlearn-base:latest")
    assert told == ["setup ", "engine ", "docker image inspect lyftlearn-base:latest", f"{DEMO} --docker"]


def test_an_image_that_is_missing_is_built_and_that_is_said(checkout: Checkout) -> None:
    told, done = checkout.run("--docker")
    assert told == [
        "setup ",
        "engine ",
        "docker image inspect lyftlearn-base:latest",
        "images base",
        f"{DEMO} --docker",
    ]
    assert "there is no image lyftlearn-base:latest yet: building it" in done.stderr
    assert done.stdout == ""  # which is the demo's alone


@pytest.mark.parametrize("words", [["--docker", "--image", "team:1"], ["--image=team:1", "--docker"]])
def test_an_image_of_your_own_is_never_built(checkout: Checkout, words: "list[str]") -> None:
    told, _ = checkout.run(*words)
    assert told == ["setup ", "engine ", f"{DEMO} {' '.join(words)}"]


@pytest.mark.parametrize("part", ["scripts/engine", "scripts/images"])
def test_what_cannot_be_set_up_ends_it(checkout: Checkout, part: str) -> None:
    checkout.program(part, "exit 3\n")
    told, done = checkout.run("--docker")
    assert done.returncode == 3
    assert not any(line.startswith("python") for line in told)
