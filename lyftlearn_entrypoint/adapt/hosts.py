"""What torch reads where a training job has several hosts: the variables that a PyTorchJob's pod has on Kubernetes.

SageMaker starts one command on every host and says in resourceconfig.json who is there; nobody sets MASTER_ADDR. The names are
those of Kubeflow's training operator 1.9 (pkg/controller.v1/pytorch: envvar.go, master.go; defaults in
pkg/apis/kubeflow.org/v1/pytorch_defaults.go), for one process on each host, and no more than those: LOCAL_RANK or NODE_RANK
would tell Lightning and accelerate that somebody else has started a process for each GPU. docs/deep-learning.md has the reasons.
"""

import posix

from lyftlearn_entrypoint.context import RESOURCE_CONFIG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard

    from lyftlearn_entrypoint.adapt.environment import Environment
    from lyftlearn_entrypoint.files import Files

SETTING = "LYFTLEARN_TORCH_HOSTS"
PORT = "23456"  # the operator's PyTorchJobDefaultPort
ORIGIN = "hosts of the job"

INTERFACES = "/sys/class/net/"
# Each RDMA device is a directory here. EFA's PCI ids are 0x1d0f:0xefa0 and following (linux, drivers/infiniband/hw/efa/efa_main.c);
# its name is no evidence: udev calls it rdmap16s27 as well as efa_0.
RDMA_DEVICES = "/sys/class/infiniband"
AMAZON = b"0x1d0f"
EFA = b"0xefa"
GPU = "/dev/nvidiactl"  # NVIDIA's driver makes it, and its container toolkit passes it on
# Where the EFA installer puts NCCL's plugin (aws-ofi-nccl), on Debian and on Amazon Linux, today and before 2025.
PLUGIN_PLACES = tuple(
    "/opt/amazon/" + name + "/" + library
    for name in ("ofi-nccl", "aws-ofi-nccl")
    for library in ("lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")
)
PLUGIN = "libnccl-net.so"  # what NCCL looks for unless NCCL_NET_PLUGIN says otherwise


class Hosts:
    """The hosts of a job and what this one has. `names` are in SageMaker's order: sorted as text, so algo-10 comes before algo-2.

    `interface` is '' where the one that SageMaker names is not in this container; `efa` counts devices; `plugin` says whether NCCL
    could use them; `problem` says why nothing is known of the hosts.
    """

    __slots__ = ("current", "efa", "gpu", "groups", "interface", "names", "plugin", "problem")

    def __init__(
        self,
        names: "list[str]",
        current: str,
        interface: str = "",
        groups: "list[str] | None" = None,
        efa: int = 0,
        gpu: bool = False,
        plugin: bool = False,
        problem: str = "",
    ) -> None:
        self.names = sorted(names)
        self.current = current
        self.interface = interface
        self.groups = groups or []
        self.efa = efa
        self.gpu = gpu
        self.plugin = plugin
        self.problem = problem

    def variables(self, present: "dict[str, str]") -> "list[dict[str, str]]":
        """The variables, in groups: where one of a group is `present` the others stay out. Only for a `current` among `names`."""
        count, rank = str(len(self.names)), str(self.names.index(self.current))
        # One host need not resolve its own name.
        address = present.get("MASTER_ADDR") or (self.names[0] if len(self.names) > 1 else "127.0.0.1")
        port = present.get("MASTER_PORT") or PORT
        groups = [
            {"MASTER_ADDR": address},
            {"MASTER_PORT": port},
            # One process on each host: what SageMaker starts. torchrun sets both anew for those that it starts.
            {"WORLD_SIZE": count, "RANK": rank},
            # torchrun's own options (PyTorch, "torchrun": PET_ and the option's name).
            {"PET_MASTER_ADDR": address},
            {"PET_MASTER_PORT": port},
            {"PET_NNODES": count, "PET_NODE_RANK": rank},
            {"PET_NPROC_PER_NODE": "auto"},  # the operator's default: one for each GPU, without GPU one for each core
        ]
        if len(self.names) > 1:
            if self.interface:
                # Exactly this interface (NCCL, "Environment Variables": without = the name is a prefix). Gloo knows no other form.
                groups += [{"NCCL_SOCKET_IFNAME": "=" + self.interface}, {"GLOO_SOCKET_IFNAME": self.interface}]
            if self.efa:
                # Needed by aws-ofi-nccl up to 1.5 and by MPI; later ones choose it themselves (aws-ofi-nccl, doc/efa-env-var.md,
                # which also says why FI_EFA_USE_DEVICE_RDMA, FI_EFA_FORK_SAFE and RDMAV_FORK_SAFE are not set).
                groups.append({"FI_PROVIDER": "efa"})
        return groups

    def fill(self, environment: "Environment", notes: "list[str]", warnings: "list[str]") -> None:
        """Fill the gaps of an environment, and say in one line who this host is."""
        if self.problem:
            warnings.append(self.problem + ": torch is told nothing of this job's hosts [LL1041]")
            return
        kept = []
        for group in self.variables(environment.variables):
            there = [name for name in group if name in environment.variables]
            kept += there
            if not there:
                for name, value in group.items():
                    environment.fill(name, value, ORIGIN)
        if len(self.names) == 1:
            return
        master = environment.variables["MASTER_ADDR"] + ":" + environment.variables["MASTER_PORT"]
        note = (
            "torch: "
            + self.current
            + " is host "
            + str(self.names.index(self.current))
            + " of "
            + str(len(self.names))
            + ", master "
            + master
        )
        if len(self.groups) > 1:
            note += "; the instance groups " + ", ".join(self.groups) + " are one world"
        if kept:
            note += "; as they were: " + ", ".join(kept)
        notes.append(note)
        if self.efa and self.gpu and not self.plugin and "NCCL_NET_PLUGIN" not in environment.variables:
            warnings.append(
                "this host has " + str(self.efa) + " EFA devices and the image no " + PLUGIN + " for them, so NCCL uses TCP: "
                "docs/deep-learning.md says how to add it [LL1042]"
            )  # fmt: skip


def read(files: "Files", switch: str, library_path: str = "", path: str = RESOURCE_CONFIG) -> "Hosts | None":
    """What is known of the job's hosts; None where nobody need be told: no file, or one host and `switch` is not `on`.

    `library_path` is the program's LD_LIBRARY_PATH, where NCCL's plugin may lie too. Raises nothing.
    """
    from lyftlearn_entrypoint.documents import NotJson, parse

    try:
        data = files.read(path)
        if data is None:
            return None
        document = parse(data)
    except OSError as error:
        return Hosts([], "", problem=path + " cannot be read (" + (error.strerror or "error") + ")")
    except NotJson as error:
        return Hosts([], "", problem=path + " is not JSON (" + str(error) + ")")
    found: dict[str, Any] = document if isinstance(document, dict) else {}
    names, current = found.get("hosts"), found.get("current_host")
    if (
        not isinstance(names, list)
        or not all(_plain(name) for name in names)
        or len(set(names)) < len(names)
        or not _plain(current)
        or current not in names
    ):
        return Hosts([], "", problem=path + " does not say who the hosts are and which one this is")
    if len(names) == 1:
        return Hosts(names, current) if switch == "on" else None
    interface = found.get("network_interface_name")
    if not _plain(interface) or files.stat(INTERFACES + interface) is None:
        interface = ""
    groups = found.get("instance_groups")
    titles = [group.get("instance_group_name") for group in groups if isinstance(group, dict)] if isinstance(groups, list) else []
    efa = _efa_devices(files)
    places = [place for place in library_path.split(":") if place.startswith("/")] + [files.real(place) for place in PLUGIN_PLACES]
    return Hosts(
        names,
        current,
        interface,
        [title for title in titles if _plain(title)],
        efa,
        gpu=files.stat(GPU) is not None,
        plugin=efa > 0 and any(_has_plugin(place) for place in places),
    )


def _plain(name: object) -> "TypeGuard[str]":
    """True for what may be a host's, a group's or an interface's name: it goes into paths, variables and log lines."""
    return (
        isinstance(name, str) and 0 < len(name) <= 253 and all(c.isascii() and (c.isalnum() or c in "-._") for c in name) and name[0] != "."
    )


def _efa_devices(files: "Files") -> int:
    count = 0
    for device in _names(files.real(RDMA_DEVICES)):
        try:
            vendor = files.read(RDMA_DEVICES + "/" + device + "/device/vendor", 16) or b""
            number = files.read(RDMA_DEVICES + "/" + device + "/device/device", 16) or b""
        except OSError:
            continue
        count += vendor.strip() == AMAZON and number.startswith(EFA)
    return count


def _has_plugin(place: str) -> bool:
    return any(name.startswith(PLUGIN) for name in _names(place))


def _names(directory: str) -> "list[str]":
    try:
        return posix.listdir(directory)
    except OSError:
        return []
