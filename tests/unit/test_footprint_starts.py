"""The table of starts, this machine's strace, and the command where it needs no engine."""

import ast
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lyftlearn_entrypoint.cli.footprint import budget as footprint_budget
from lyftlearn_entrypoint.cli.footprint import starts as footprint_starts
from lyftlearn_entrypoint.cli.footprint import tool as footprint_tool
from lyftlearn_entrypoint.cli.image.footprint import footprint
from lyftlearn_entrypoint.context import STUDIO, TRAINING, detect
from lyftlearn_entrypoint.files import Files


def test_an_image_has_the_starts_of_those_it_is_built_on() -> None:
    names = {image: [start.name for start in footprint_starts.of(images)] for image, images in IMAGES.items()}
    known = ["python", "entrypoint", "train", "fetch", "sklearn", "fit", "job", "kernel", "jupyterlab", "lab", "serve"]
    held = ["forest", "cluster", "boost", "parquet", "notebook", "served"]
    assert names == {
        "base": [*known, *held],
        "distributed": [*known, "spark", "frame", "session", "executor", *held, "udf", "submit"],
        "dl": [*known, "torch", "step", "vision", *held, "conv", "encoder"],
    }


@pytest.mark.parametrize(
    ("image", "held"),
    [("base", {}), ("distributed", {"udf": "frame", "submit": "frame"}), ("dl", {"conv": "vision", "encoder": "step"})],
)
def test_what_is_held_out_is_judged_by_a_start_that_the_hot_list_is_made_from(image: str, held: "dict[str, str]") -> None:
    starts = {start.name: start for start in footprint_starts.of(IMAGES[image])}
    judged = {start.name: starts[start.held] for start in starts.values() if start.held}
    assert set(judged) == {"forest", "cluster", "boost", "parquet", "notebook", "served", *held}
    assert {name: judged[name].name for name in held} == dict(held)
    assert all(not start.held for start in judged.values())


def test_a_check_runs_what_it_can_judge() -> None:
    """What is held out has a budget in compressed bytes alone, and only where its kind has a promise of them."""
    starts = footprint_starts.of(["base"])
    made_from = [start for start in starts if not start.held]
    promised = {"sklearn": {"gzip": 1}, "jupyterlab": {"over_python": 1}}
    assert footprint_budget.judged(starts, promised, False) == made_from
    assert footprint_budget.judged(starts, {}, True) == made_from
    found = footprint_budget.judged(starts, promised, True)
    assert [start.name for start in found if start.held] == ["forest", "cluster", "boost", "parquet", "notebook"]


@pytest.mark.parametrize("image", ["base", "distributed", "dl"])
def test_every_start_of_an_image_has_a_budget_and_each_that_is_held_out_a_promise(image: str) -> None:
    starts = footprint_starts.of(IMAGES[image])
    committed = json.loads((Path(__file__).parents[2] / "images" / image / "footprint.json").read_text())
    assert set(committed) == {start.name for start in starts if not start.held}
    assert footprint_budget.judged(starts, committed, True) == starts
    assert {name for name, limits in committed.items() if "over_python" in limits} == {"entrypoint", "train", "fetch"}


IMAGES = {"base": ["base"], "distributed": ["distributed", "base"], "dl": ["dl", "base"]}


def test_starts_by_name_keep_their_order() -> None:
    assert [start.name for start in footprint_starts.of(["base"], ("sklearn", "python"))] == ["python", "sklearn"]
    with pytest.raises(ValueError, match=r"no start spark, trian; there are python, entrypoint"):
        footprint_starts.of(["base"], ("trian", "spark"))


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("train", TRAINING),
        ("fetch", TRAINING),
        ("kernel", STUDIO),
        ("jupyterlab", STUDIO),
        ("serve", "kubernetes"),
        ("frame", TRAINING),
        ("session", STUDIO),
        ("step", TRAINING),
        ("conv", TRAINING),
    ],
)
def test_the_entrypoint_takes_a_start_for_what_it_is(tmp_path: Path, name: str, context: str) -> None:
    (start,) = footprint_starts.of(["base", "distributed", "dl"], (name,))
    for path, text in start.files.items():
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    assert detect(list(start.words), start.environment, Files(str(tmp_path))).name == context


def test_programs_of_the_table_can_be_compiled() -> None:
    for start in footprint_starts.of(["base", "distributed", "dl"]):
        for program in (start.until, start.peer, *(text for path, text in start.files.items() if path.endswith(".py"))):
            compile(program, start.name, "exec")


def test_strace_is_sent_with_its_libraries_and_run_by_its_own_loader(need: Callable[[object, str], None]) -> None:
    need(shutil.which("strace"), "no strace")
    tool = footprint_tool.tool()
    assert tool.files["strace"] == Path(shutil.which("strace") or "").read_bytes()
    listed = subprocess.run(["ldd", shutil.which("strace") or ""], stdout=subprocess.PIPE, text=True, check=False).stdout
    if "=>" in listed:
        assert "libc.so.6" in tool.files or any("musl" in name for name in tool.files)
        assert tool.command[0].startswith("/.lyftlearn-footprint/ld-")
        loader, python, strace = tool.command[0], "/.lyftlearn-footprint/bin/python3", "/.lyftlearn-footprint/strace"
        libraries = ("--library-path", "/.lyftlearn-footprint")
        assert tool.command[:4] == tool.look[:4] == (loader, *libraries, python)
        rest = tool.command[tool.command.index("--") + 1 :]
        assert rest[:4] == (loader, *libraries, strace)
    # Nobody's data is ever printed: an environment or a document may hold a secret.
    assert tool.command[tool.command.index("-s") + 1] == "0"


def test_python_is_sent_whole(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    """What is sent runs elsewhere, with no other module than those that were sent."""
    need(shutil.which("strace"), "no strace")
    tool = footprint_tool.tool()
    for name, data in tool.files.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o755)
    words = [word.replace(footprint_tool.PLACE, str(tmp_path)) for word in tool.look]
    assert subprocess.run([*words, "--", "/bin/sh", "-c", "exit 7"], check=False, timeout=60).returncode == 7
    program = "import sys; print([each.__file__ for each in sys.modules.values() if getattr(each, '__file__', None)])"
    (tmp_path / "pagemap.py").write_text("import socket, ctypes, json, mmap\n" + program)
    said = subprocess.run(words, check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout
    assert all(each.startswith(str(tmp_path)) for each in ast.literal_eval(said)), said


def test_a_machine_without_strace_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="no strace on PATH: install it"):
        footprint_tool.tool(str(tmp_path / "strace"))


def invoke(root: Path, *words: str) -> "tuple[int, str]":
    done = CliRunner().invoke(footprint, [*words, "--checkout", str(root)], env={"DOCKER_HOST": f"unix://{root}/none.sock"})
    return done.exit_code, done.output


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "images/base").mkdir(parents=True)
    (tmp_path / "images/base/Dockerfile").write_text("ARG BASE_IMAGE=debian\nFROM ${BASE_IMAGE}\n")
    return tmp_path


def test_mistakes_are_said_before_anything_runs(checkout: Path) -> None:
    assert invoke(checkout, "bas")[0] == 2
    code, said = invoke(checkout, "base", "--start", "spark")
    assert (code, "no start spark; there are python" in said) == (2, True)
    code, said = invoke(checkout, "base", "--check")
    assert (code, "has no footprint.json to check against" in said) == (2, True)
    code, said = invoke(checkout, "base")
    assert (code, "no Docker Engine answers" in said) == (1, True)


def test_the_committed_budget_is_one() -> None:
    budget = json.loads((Path(__file__).parents[2] / "images/base/footprint.json").read_text())
    assert set(budget) <= {start.name for start in footprint_starts.of(["base"])}
    for limits in budget.values():
        assert set(limits) - {"gzip", "over_python"} == {"opened", "total", "fetched", "packages"}
        assert sum(limits["packages"].values()) <= limits["total"]


def test_what_is_promised_of_a_lazy_pull_stays_promised() -> None:
    """And is well above none: each start that a held-out one is judged by has its promise."""
    budget = json.loads((Path(__file__).parents[2] / "images/base/footprint.json").read_text())
    assert {name: budget[name]["over_python"] for name in ("entrypoint", "train", "fetch")} == dict.fromkeys(
        ("entrypoint", "train", "fetch"), 12_000_000
    )
    assert (budget["jupyterlab"]["gzip"], budget["sklearn"]["gzip"], budget["fit"]["gzip"]) == (25_000_000, 105_000_000, 105_000_000)
    assert {start.held for start in footprint_starts.of(["base"]) if start.held} <= {name for name in budget if "gzip" in budget[name]}
    sizes = json.loads((Path(__file__).parents[2] / "images/base/budget.json").read_text())
    assert sizes["compressed"]["total"] == 320_000_000
    assert set(sizes["compressed"]) == set(sizes) - {"compressed"}
