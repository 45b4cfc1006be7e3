"""The two settings of images/dl in a start's plan, and the size of shared memory."""

import os
from pathlib import Path

import pytest

from lyftlearn_entrypoint.adapt.hosts import Hosts
from lyftlearn_entrypoint.adapt.memory import lacking, parse_size, show
from lyftlearn_entrypoint.context import CONTEXTS, KUBERNETES, LOCAL, STUDIO, TRAINING
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.files import Files
from tests.unit.helpers import refused, settings, tree
from tests.unit.launch_world import World, inputs

MEBI = 1 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("64m", 64 * MEBI),
        ("64M", 64 * MEBI),
        ("64Mi", 64 * MEBI),
        ("64MiB", 64 * MEBI),
        ("64mb", 64 * MEBI),
        ("3k", 3072),
        ("1G", 1 << 30),
        ("2T", 2 << 40),
        ("512b", 512),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "b", "i", "-1", "0", "0G", "1.5G", "1 G", "1GG", "1P", "\u0663G", "9" * 16])
def test_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size such as"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [(1, "1 bytes"), (1024, "1 KiB"), (64 * MEBI, "64 MiB"), (1 << 30, "1 GiB"), (3 << 29, "1.5 GiB"), (1 << 40, "1024 GiB")],
)
def test_sizes_as_text(size: int, text: str) -> None:
    assert show(size) == text


def test_a_bad_size_is_a_bad_setting(tmp_path: Path) -> None:
    error = refused(BadSettings, lambda: settings(tmp_path, shared_memory_min="much"))
    assert str(error).startswith("LYFTLEARN_SHARED_MEMORY_MIN: 'much' is not a size such as 512M or 1G")


def test_the_hosts_setting_is_a_switch(tmp_path: Path) -> None:
    error = refused(BadSettings, lambda: settings(tmp_path, torch_hosts="torch"))
    assert str(error).startswith("LYFTLEARN_TORCH_HOSTS: 'torch' is none of auto, on, off")


def size_of(path: Path) -> int:
    found = os.statvfs(path)
    return found.f_frsize * found.f_blocks


def test_enough_is_enough_and_one_byte_less_is_not(tmp_path: Path) -> None:
    files = tree(tmp_path, {"/dev/shm/": ""})
    size = size_of(tmp_path)
    assert lacking(str(size), files, LOCAL) == []
    (warning,) = lacking(str(size + 1), files, LOCAL)
    assert warning.startswith("/dev/shm has ")


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_remedy_is_that_of_the_place(tmp_path: Path, context: str) -> None:
    (warning,) = lacking("1Gi", Files(str(tmp_path)), context)
    assert warning.startswith(
        "/dev/shm is missing, LYFTLEARN_SHARED_MEMORY_MIN wants 1 GiB: where it is full, DataLoader workers die "
        '(bus error, "No space left on device"). '
    )
    remedy = {
        KUBERNETES: "Mount an emptyDir with medium Memory on /dev/shm",
        LOCAL: "Start the container with --shm-size=1g",
    }.get(context, "SageMaker gives more with a larger instance type; else use fewer workers (num_workers) or smaller batches")
    assert warning.endswith(" " + remedy + " [LL1031]")


def test_what_was_found_of_the_machine_is_in_the_plan(tmp_path: Path) -> None:
    given = inputs()
    given.warnings = ["/dev/shm is small"]
    assert World(tmp_path).launch(given, {}, STUDIO).warnings == ["/dev/shm is small"]


def test_hosts_fill_gaps_of_the_whole_environment(tmp_path: Path) -> None:
    """A staged document's value and a credential's come before; where a value is from can be asked."""
    given = inputs({"MASTER_PORT": "29500"}, {"NCCL_SOCKET_IFNAME": "eth7"})
    given.hosts = Hosts(["algo-2", "algo-1"], "algo-2", "eth0")
    launch = World(tmp_path).launch(given, {"PET_NPROC_PER_NODE": "2"}, TRAINING)
    found = {name: (launch.env[name], launch.origins[name]) for name in ("MASTER_ADDR", "MASTER_PORT", "PET_MASTER_PORT", "RANK")}
    assert found == {
        "MASTER_ADDR": ("algo-1", "hosts of the job"),
        "MASTER_PORT": ("29500", "staged environment"),
        "PET_MASTER_PORT": ("29500", "hosts of the job"),
        "RANK": ("1", "hosts of the job"),
    }
    assert launch.env["NCCL_SOCKET_IFNAME"] == "eth7"
    assert launch.env["PET_NPROC_PER_NODE"] == "2"
    assert (
        "torch: algo-2 is host 1 of 2, master algo-1:29500; as they were: MASTER_PORT, PET_NPROC_PER_NODE, NCCL_SOCKET_IFNAME"
        in launch.notes
    )


def test_without_hosts_nothing_is_said(tmp_path: Path) -> None:
    launch = World(tmp_path).launch(inputs(), {}, TRAINING)
    assert not {name for name in launch.env if name.startswith(("MASTER", "PET_", "RANK", "WORLD", "NCCL", "GLOO", "FI_"))}
