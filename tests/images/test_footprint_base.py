"""What starts of the base image touch: the entrypoint keeps out of the large layers, and the budget holds."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from lyftlearn_entrypoint.cli.footprint import layers as footprint_layers
from lyftlearn_entrypoint.cli.footprint import starts as footprint_starts
from lyftlearn_entrypoint.cli.image import footprint as image_footprint
from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.footprint import footprint
from tests.images.conftest import tag

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.footprint.account import Account

pytestmark = [pytest.mark.image, pytest.mark.skipif(not shutil.which("strace"), reason="no strace on PATH")]

ROOT = Path(__file__).parents[2]
OWN = "/opt/lyftlearn/lib/lyftlearn_entrypoint/"
LAUNCHER = "/opt/lyftlearn/bin/lyftlearn-entrypoint"
# Parts of the system that the entrypoint's starts may read. Anything else, the users' Python first of all, has no business there.
SYSTEM = ("/etc/", "/usr/bin/", "/usr/lib/", "/usr/share/zoneinfo/", "/usr/share/ca-certificates/")


@pytest.fixture(scope="module")
def accounts(client: Any, base: str) -> "dict[str, Account]":
    made = client.images.get(base)
    image = footprint_layers.read(stored.read(client, made))
    starts = footprint_starts.of(["base"], ("python", "entrypoint", "train", "fetch", "kernel"))
    return {each.name: each.account for each in image_footprint.measure(client, made, image, starts)}


@pytest.mark.parametrize("start", ["entrypoint", "train", "fetch"])
def test_the_entrypoint_touches_the_system_and_itself_alone(accounts: "dict[str, Account]", start: str) -> None:
    paths = [use.file.path for use in accounts[start].uses]
    assert LAUNCHER in paths
    assert [path for path in paths if not path.startswith((*SYSTEM, OWN)) and path != LAUNCHER] == []
    assert [path for path in paths if path.startswith(OWN) and not path.endswith((".pyc", "/start.cpython-311"))] == []


# The program that the jobs run: theirs, not the entrypoint's.
PROGRAM = "/usr/bin/true"


@pytest.mark.parametrize("start", ["entrypoint", "train", "fetch"])
def test_all_that_the_entrypoint_touches_is_pulled_with_the_image(accounts: "dict[str, Account]", start: str) -> None:
    """It lies in layers so small that a lazy pull fetches them whole, and nothing of it in one that is fetched as it is read."""
    account = accounts[start]
    cold = [use.file.path for use in account.uses if not account.image.weights[use.file.layer].eager]
    assert cold == [PROGRAM]
    small = {account.image.layers[use.file.layer].name for use in account.uses if account.image.weights[use.file.layer].eager}
    assert small == {"COPY /parts/start/ /", "COPY /rootfs/ /"}


@pytest.mark.parametrize("layer", ["COPY /science/", "COPY /operator/"])
def test_a_kernel_reads_nothing_of_what_no_notebook_needs(accounts: "dict[str, Account]", layer: str) -> None:
    account = accounts["kernel"]
    assert [use.file.path for use in account.uses if account.image.layers[use.file.layer].name.startswith(layer)] == []


def test_an_entrypoint_with_nothing_to_do_reads_one_file_of_its_own(accounts: "dict[str, Account]") -> None:
    """The bundle. A job's start reads further modules, since it does more."""
    own = {name: [use.file.path for use in accounts[name].uses if use.file.path.startswith(OWN)] for name in ("entrypoint", "fetch")}
    assert own["entrypoint"] == [OWN + "start.cpython-311"]
    assert {path.rpartition("/")[2].partition(".")[0] for path in own["fetch"]} >= {
        "start",
        "gather",
        "confidant",
        "staged",
        "tls",
        "sigv4",
    }


def test_what_the_entrypoint_adds_to_pythons_own_start_is_small(accounts: "dict[str, Account]") -> None:
    over = {name: sum(use.file.size for use in accounts[name].without(accounts["python"])) for name in ("entrypoint", "train", "fetch")}
    assert 100_000 < over["entrypoint"] < 400_000
    assert over["entrypoint"] < over["train"] < 600_000
    # OpenSSL's libraries are 5.4 MB of it.
    assert over["train"] < over["fetch"] < 7_500_000


def test_no_start_compiles_what_the_image_has_compiled(accounts: "dict[str, Account]") -> None:
    stale = {name: [file.path for file in account.recompiled] for name, account in accounts.items()}
    assert not any(stale.values()), {name: f"{len(paths)}, first {paths[:3]}" for name, paths in stale.items() if paths}


def test_two_starts_touch_the_same(client: Any, base: str, accounts: "dict[str, Account]") -> None:
    made = client.images.get(base)
    (again,) = image_footprint.measure(client, made, accounts["fetch"].image, footprint_starts.of(["base"], ("fetch",)))
    # What is predicted may differ by a few pages: where in memory a library lies is random.
    once, twice = ({use.file: (use.least, use.most) for use in each.uses} for each in (accounts["fetch"], again.account))
    assert once == twice


def test_a_program_on_the_users_python_is_seen(client: Any, base: str, accounts: "dict[str, Account]") -> None:
    """The measure sees what it is there to see: a program that does read the users' Python is caught."""
    image = accounts["train"].image
    start = footprint_starts.training("mine", "", "python -c 'import six'")
    (found,) = image_footprint.measure(client, client.images.get(base), image, [start])
    paths = {use.file.path: use.file for use in found.account.uses}
    (six,) = [path for path in paths if path.endswith("site-packages/__pycache__/six.cpython-311.pyc")]
    assert "/opt/venv/pyvenv.cfg" in paths
    assert image.layers[paths[six].layer].name.startswith("COPY")


# It maps a library of 25 MB and more, looks at its first page and at one in its middle, and ends before Python itself unmaps it.
LOOKS = """\
import glob, mmap, os
(path,) = glob.glob("/opt/venv/lib/python3*/site-packages/numpy.libs/libscipy_openblas*.so")
with open(path, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
mapped[0], mapped[len(mapped) // 2]
os._exit(0)
"""


def test_what_is_predicted_of_a_mapped_library_is_what_is_looked_at(client: Any, base: str, accounts: "dict[str, Account]") -> None:
    image = accounts["train"].image
    start = footprint_starts.Start("mine", "", ("python", "-c", LOOKS))
    (found,) = image_footprint.measure(client, client.images.get(base), image, [start])
    assert found.account.looked
    (library,) = [use for use in found.account.uses if "/numpy.libs/libscipy_openblas" in use.file.path]
    assert library.most == ((0, library.file.size),)
    first, second = library.predicted
    middle = library.file.size // 2
    assert first[0] == 0
    assert second[0] < middle < second[1]
    # 64 KiB on each side, and at most the 64 KiB that it lies in.
    assert max(end - begin for begin, end in (first, second)) <= (64 + 64 + 64) * 1024


def test_what_is_predicted_lies_between_the_bounds(client: Any, base: str, accounts: "dict[str, Account]") -> None:
    image = accounts["train"].image
    start = footprint_starts.training("mine", "", "python -c 'import numpy'")
    (found,) = image_footprint.measure(client, client.images.get(base), image, [start])
    for use in found.account.uses:
        assert pages(use.least) <= pages(use.predicted) <= pages(use.most), use.file.path
    least, predicted, most = (sum(part.fetched[at].size for part in found.account.parts) for at in range(3))
    assert least < predicted < most


def pages(ranges: "tuple[tuple[int, int], ...]") -> "set[int]":
    return {number for start, end in ranges for number in range(start // 4096, -(-end // 4096))}


def test_the_budget_holds_and_says_who_breaks_it(tmp_path: Path) -> None:
    def check(root: Path) -> Any:
        return CliRunner().invoke(footprint, ["base", "--checkout", str(root), "--tag", tag("base"), "--start", "train", "--check"])

    done = check(ROOT)
    assert done.exit_code == 0, done.output
    committed = json.loads((ROOT / "images/base/footprint.json").read_text())
    limits = committed["train"]
    limits["total"] -= limits["packages"].pop("debian python3.11-minimal")
    (tmp_path / "images/base").mkdir(parents=True)
    (tmp_path / "images/base/Dockerfile").write_text((ROOT / "images/base/Dockerfile").read_text())
    (tmp_path / "images/base/footprint.json").write_text(json.dumps(committed))
    done = check(tmp_path)
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if "over its budget" in line]
    assert line.startswith("lyftlearn image: train opens ")
    assert ": debian python3.11-minimal (+6.8 MB, new)" in line
