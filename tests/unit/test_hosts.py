"""A training job's hosts, from SageMaker's resourceconfig.json to the variables that torch reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.adapt.environment import Environment
from lyftlearn_entrypoint.adapt.hosts import Hosts, read
from lyftlearn_entrypoint.context import RESOURCE_CONFIG
from tests.unit.helpers import tree

ALL = {
    "MASTER_ADDR": "algo-1",
    "MASTER_PORT": "23456",
    "WORLD_SIZE": "2",
    "RANK": "1",
    "PET_MASTER_ADDR": "algo-1",
    "PET_MASTER_PORT": "23456",
    "PET_NNODES": "2",
    "PET_NODE_RANK": "1",
    "PET_NPROC_PER_NODE": "auto",
}


def config(*hosts: str, current: str = "", **more: Any) -> "dict[str, Any]":
    """resourceconfig.json as a job of December 2025 had it."""
    names = sorted(hosts)
    group = {"hosts": names, "instance_group_name": "homogeneousCluster", "instance_type": "ml.g5.xlarge"}
    return {
        "current_group_name": "homogeneousCluster",
        "current_host": current or names[0],
        "current_instance_type": "ml.g5.xlarge",
        "hosts": names,
        "instance_groups": [group],
        "network_interface_name": "eth0",
        "topology": None,
        **more,
    }


def machine(root: Path, document: "dict[str, Any] | str | bytes", *devices: str, **files: str) -> "Hosts | None":
    """What is read of a machine that has the file, the network interface eth0, and RDMA devices (`vendor:device`, PCI ids)."""
    world: dict[str, Any] = {RESOURCE_CONFIG: document, "/sys/class/net/eth0/": "", **files}
    for number, device in enumerate(devices):
        vendor, _, kind = device.partition(":")
        place = f"/sys/class/infiniband/rdmap{number}s1/device/"
        world |= {place + "vendor": vendor + "\n", place + "device": kind + "\n"}
    return read(tree(root, world), "auto")


def filled(hosts: "Hosts | None", **present: str) -> "tuple[dict[str, str], list[str], list[str]]":
    """(variables that were added, notes, warnings)."""
    assert hosts is not None
    environment = Environment(present, set())
    notes: list[str] = []
    warnings: list[str] = []
    hosts.fill(environment, notes, warnings)
    assert {name: environment.variables[name] for name in present} == present
    return {name: value for name, value in environment.variables.items() if name not in present}, notes, warnings


# The variables ------------------------------------------------------------------------------------------------------------------


def test_a_host_of_two_has_what_a_pod_of_a_pytorchjob_has(tmp_path: Path) -> None:
    added, notes, warnings = filled(machine(tmp_path, config("algo-1", "algo-2", current="algo-2")))
    assert added == {**ALL, "NCCL_SOCKET_IFNAME": "=eth0", "GLOO_SOCKET_IFNAME": "eth0"}
    assert notes == ["torch: algo-2 is host 1 of 2, master algo-1:23456"]
    assert warnings == []


def test_the_order_is_that_of_text(tmp_path: Path) -> None:
    """SageMaker sorts so, and the rank is the place in the list, not the number in the name."""
    names = [f"algo-{number}" for number in range(1, 12)]
    ranks = {}
    for current in names:
        added, _, _ = filled(machine(tmp_path, config(*names, current=current)))
        assert added["MASTER_ADDR"] == "algo-1"
        assert added["WORLD_SIZE"] == added["PET_NNODES"] == "11"
        assert added["RANK"] == added["PET_NODE_RANK"]
        ranks[current] = int(added["RANK"])
    assert ranks["algo-10"] == 1
    assert ranks["algo-2"] == 3
    assert sorted(ranks.values()) == list(range(11))


def test_a_file_that_is_not_sorted_gives_every_host_the_same_order(tmp_path: Path) -> None:
    hosts = ["algo-2", "algo-3", "algo-1"]
    ranks = {}
    for current in hosts:
        added, _, _ = filled(machine(tmp_path, {"hosts": hosts, "current_host": current}))
        ranks[current] = (added["RANK"], added["MASTER_ADDR"])
    assert ranks == {"algo-1": ("0", "algo-1"), "algo-2": ("1", "algo-1"), "algo-3": ("2", "algo-1")}


def test_an_older_file_has_two_keys(tmp_path: Path) -> None:
    assert filled(machine(tmp_path, {"hosts": ["a", "b"], "current_host": "a"}))[0] == {
        **ALL,
        "MASTER_ADDR": "a",
        "PET_MASTER_ADDR": "a",
        "RANK": "0",
        "PET_NODE_RANK": "0",
    }


def test_instance_groups_are_one_world(tmp_path: Path) -> None:
    groups = [
        {"hosts": ["algo-1"], "instance_group_name": "master", "instance_type": "ml.c5.xlarge"},
        {"hosts": ["algo-2"], "instance_group_name": "workers", "instance_type": "ml.g5.xlarge"},
    ]
    added, notes, _ = filled(machine(tmp_path, config("algo-1", "algo-2", current_group_name="master", instance_groups=groups)))
    assert (added["WORLD_SIZE"], added["RANK"]) == ("2", "0")
    assert notes == ["torch: algo-1 is host 0 of 2, master algo-1:23456; the instance groups master, workers are one world"]


# What is there already ----------------------------------------------------------------------------------------------------------


def test_torchrun_gets_the_master_that_the_user_named(tmp_path: Path) -> None:
    added, notes, _ = filled(machine(tmp_path, config("algo-1", "algo-2")), MASTER_ADDR="algo-2", MASTER_PORT="29400")
    assert (added["PET_MASTER_ADDR"], added["PET_MASTER_PORT"]) == ("algo-2", "29400")
    assert notes == ["torch: algo-1 is host 0 of 2, master algo-2:29400; as they were: MASTER_ADDR, MASTER_PORT"]


@pytest.mark.parametrize(
    ("name", "with_it"), [("WORLD_SIZE", "RANK"), ("RANK", "WORLD_SIZE"), ("PET_NNODES", "PET_NODE_RANK"), ("PET_NODE_RANK", "PET_NNODES")]
)
def test_a_rank_means_nothing_in_a_world_of_another_size(tmp_path: Path, name: str, with_it: str) -> None:
    added, notes, _ = filled(machine(tmp_path, config("algo-1", "algo-2")), **{name: "7"})
    assert with_it not in added
    assert set(ALL) - set(added) == {name, with_it}
    assert notes[0].endswith(f"; as they were: {name}")


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    theirs = {"NCCL_SOCKET_IFNAME": "^lo", "GLOO_SOCKET_IFNAME": "lo", "FI_PROVIDER": "tcp", "PET_NPROC_PER_NODE": "4"}
    added, notes, _ = filled(machine(tmp_path, config("algo-1", "algo-2", current="algo-2"), "0x1d0f:0xefa1"), **theirs)
    assert added == {name: value for name, value in ALL.items() if name not in theirs}
    assert notes[0].endswith("; as they were: PET_NPROC_PER_NODE, NCCL_SOCKET_IFNAME, GLOO_SOCKET_IFNAME, FI_PROVIDER")


# One host -----------------------------------------------------------------------------------------------------------------------


def test_one_host_is_told_nothing(tmp_path: Path) -> None:
    """Programs that see RANK look for LOCAL_RANK too; a job that was no PyTorchJob had neither."""
    assert machine(tmp_path, config("algo-1")) is None


def test_one_host_where_the_job_wants_it(tmp_path: Path) -> None:
    hosts = read(tree(tmp_path, {RESOURCE_CONFIG: config("algo-1"), "/sys/class/net/eth0/": ""}), "on")
    added, notes, warnings = filled(hosts)
    one = {"MASTER_ADDR": "127.0.0.1", "PET_MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "1", "PET_NNODES": "1"}
    assert added == {**ALL, **one, "RANK": "0", "PET_NODE_RANK": "0"}
    assert (notes, warnings) == ([], [])


# Network ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["eth1", "", None, 7, "../../class/net/eth0", "eth0/../eth0", ".", "..", "eth0\n", "et\u0068\u00e4", "x" * 300]
)
def test_an_interface_that_is_not_here_is_not_named(tmp_path: Path, name: object) -> None:
    """Gloo fails on one that it does not find, where it would have found its way alone."""
    assert filled(machine(tmp_path, config("algo-1", "algo-2", current="algo-2", network_interface_name=name)))[0] == ALL


@pytest.mark.parametrize("device", ["0x1d0f:0xefa0", "0x1d0f:0xefa3", "0x1d0f:0xefa4"])
def test_efa(tmp_path: Path, device: str) -> None:
    added, _, warnings = filled(machine(tmp_path, config("algo-1", "algo-2"), device))
    assert added["FI_PROVIDER"] == "efa"
    assert warnings == []  # no GPU, so nobody uses NCCL


@pytest.mark.parametrize("device", ["0x15b3:0x101e", "0x1d0f:0xec20", "0x15b3:0xefa0", "0xefa0:0x1d0f"])
def test_another_rdma_device_is_no_efa(tmp_path: Path, device: str) -> None:
    assert "FI_PROVIDER" not in filled(machine(tmp_path, config("algo-1", "algo-2"), device))[0]


def test_nothing_for_efa_on_a_host_alone(tmp_path: Path) -> None:
    assert machine(tmp_path, config("algo-1"), "0x1d0f:0xefa0") is None


def with_gpus(root: Path, *plugins: str, library_path: str = "", **present: str) -> "list[str]":
    """The warnings of a host with two EFA devices and GPUs; `plugins` are files that are there."""
    machine(root, config("algo-1", "algo-2"), "0x1d0f:0xefa1", "0x1d0f:0xefa1")
    files = tree(root, {"/dev/nvidiactl": "", **dict.fromkeys(plugins, "")})
    return filled(read(files, "auto", library_path), **present)[2]


def test_efa_that_nccl_cannot_use_is_said(tmp_path: Path) -> None:
    (warning,) = with_gpus(tmp_path, "/opt/amazon/ofi-nccl/lib64/libnccl-tuner.so")
    assert warning.startswith("this host has 2 EFA devices and the image no libnccl-net.so for them, so NCCL uses TCP")


@pytest.mark.parametrize(
    "plugin", ["/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu/libnccl-net.so", "/opt/amazon/aws-ofi-nccl/lib/libnccl-net.so.0"]
)
def test_efa_with_its_plugin(tmp_path: Path, plugin: str) -> None:
    assert with_gpus(tmp_path, plugin) == []


def test_a_plugin_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "plugin").mkdir()
    path = f"relative:/nowhere:{tmp_path}/plugin"
    assert with_gpus(tmp_path, library_path=path) != []
    (tmp_path / "plugin/libnccl-net.so").touch()
    assert with_gpus(tmp_path, library_path=path) == []
    assert with_gpus(tmp_path, NCCL_NET_PLUGIN="aws-ofi") == []


# Files that are not what they should be -----------------------------------------------------------------------------------------


def test_no_file_is_no_job(tmp_path: Path) -> None:
    assert read(tree(tmp_path, {"/opt/": ""}), "on") is None


BAD = [
    {},
    [],
    "algo-1",
    {"hosts": ["a", "b"]},
    {"hosts": "ab", "current_host": "a"},
    {"hosts": [], "current_host": "a"},
    {"hosts": ["a", 2], "current_host": "a"},
    {"hosts": ["a", ["b"]], "current_host": "a"},
    {"hosts": ["a", ""], "current_host": "a"},
    {"hosts": ["a", "a"], "current_host": "a"},
    {"hosts": ["a", "b c"], "current_host": "a"},
    {"hosts": ["a", "b/c"], "current_host": "a"},
    {"hosts": ["a", "b\nforged line"], "current_host": "a"},
    {"hosts": ["a", "b"], "current_host": "c"},
    {"hosts": ["a", "b"], "current_host": ["a"]},
]


@pytest.mark.parametrize("document", BAD, ids=[json.dumps(bad)[:50] for bad in BAD])
def test_a_file_that_names_no_hosts_leaves_the_job_as_it_is(tmp_path: Path, document: Any) -> None:
    added, notes, warnings = filled(machine(tmp_path, json.dumps(document)))
    assert (added, notes) == ({}, [])
    assert warnings == [
        f"{RESOURCE_CONFIG} does not say who the hosts are and which one this is: torch is told nothing of this job's hosts [LL1041]"
    ]


def test_a_file_that_is_not_json(tmp_path: Path) -> None:
    added, _, (warning,) = filled(machine(tmp_path, b"{'hosts'"))
    assert added == {}
    assert warning.startswith(f"{RESOURCE_CONFIG} is not JSON (")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    added, _, (warning,) = filled(read(tree(tmp_path, {RESOURCE_CONFIG + "/": ""}), "auto"))
    assert added == {}
    assert warning.startswith(f"{RESOURCE_CONFIG} cannot be read (Is a directory)")


@pytest.mark.parametrize("groups", [None, 3, [3, {}], [{"instance_group_name": 3}], [{"instance_group_name": "a b"}]])
def test_odd_groups_are_passed_over(tmp_path: Path, groups: object) -> None:
    _, (note,), _ = filled(machine(tmp_path, config("algo-1", "algo-2", instance_groups=groups)))
    assert note == "torch: algo-1 is host 0 of 2, master algo-1:23456"
