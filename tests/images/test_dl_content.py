"""What is in the layers of the image with PyTorch, and what must not be."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.image import size as image_size
from tests.images.conftest import Start

pytestmark = pytest.mark.image("dl")

PROGRAMS = Path(__file__).parent / "dl"
SITE = "/opt/venv/lib/python3.11/site-packages"
# Libraries that are loaded by name where their network, or the driver, is there; each needs that of the host or of a team's image.
PLUGINS = {
    r"nvidia/cu13/lib/libcufile_rdma\.so\.1": {"libmlx5.so.1", "librdmacm.so.1", "libibverbs.so.1"},
    r"nvidia/nvshmem/lib/nvshmem_bootstrap_\w+\.so\.\d+": {"libmpi.so.40", "libpmix.so.2", "liboshmem.so.40"},
    r"nvidia/nvshmem/lib/nvshmem_transport_\w+\.so\.\d+": {"libmlx5.so.1", "libfabric.so.1", "libucs.so.0", "libucp.so.0"},
    r".*": {"libcuda.so.1", "libnvidia-ml.so.1"},
}


def environment(client: Any, image: str) -> "dict[str, str]":
    return dict(variable.split("=", 1) for variable in client.images.get(image).attrs["Config"]["Env"])


@pytest.mark.image("base")
def test_it_shares_every_layer_of_the_base_image(client: Any, base: str, dl: str) -> None:
    below = client.images.get(base).attrs["RootFS"]["Layers"]
    all_of_it = client.images.get(dl).attrs["RootFS"]["Layers"]
    assert all_of_it[: len(below)] == below
    assert len(all_of_it) == len(below) + 3


@pytest.mark.image("base")
def test_how_it_starts(client: Any, base: str, dl: str) -> None:
    """As the base image, with what GPUs need, here and nowhere else."""
    ours, theirs = client.images.get(dl).attrs["Config"], client.images.get(base).attrs["Config"]
    for key in ("Entrypoint", "Cmd", "User", "WorkingDir", "ExposedPorts"):
        assert ours[key] == theirs[key], key
    here, below = environment(client, dl), environment(client, base)
    assert {name: value for name, value in here.items() if below.get(name) != value} == {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "PATH": below["PATH"] + ":/usr/local/nvidia/bin",
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib64",
        "LYFTLEARN_TORCH_HOSTS": "auto",
        "LYFTLEARN_SHARED_MEMORY_MIN": "1G",
    }
    assert not [name for name in below if name.startswith(("NVIDIA", "LD_"))]
    labels = ours["Labels"]
    assert labels["org.opencontainers.image.title"] == "lyftlearn-dl"
    for name in ("description", "licenses", "version", "revision", "base.name"):
        assert labels["org.opencontainers.image." + name]


@pytest.mark.slow
def test_every_library_finds_what_it_needs(start: Start, dl: str) -> None:
    """NVIDIA's own packages take the place of a CUDA base image: nothing is missing but the driver, and networks that are not there."""
    volumes = {str(PROGRAMS): {"bind": "/code", "mode": "ro"}}
    container = start("python", "/code/libraries.py", image=dl, shm_size="1g", volumes=volumes)
    assert container.wait() == 0, container.log
    found = json.loads(container.stdout)
    assert found["seen"] > 100
    unexpected = {}
    for path, names in found["missing"].items():
        allowed = set().union(*(extra for pattern, extra in PLUGINS.items() if re.fullmatch(pattern, path)))
        if lost := set(names) - allowed:
            unexpected[path] = sorted(lost)
    assert unexpected == {}


@pytest.mark.slow
@pytest.mark.image("base")
def test_the_packages_agree_and_are_the_locked_ones(start: Start, base: str, dl: str) -> None:
    """pip is content, finds each file that RECORD names, and no package of the base image is another one."""
    program = (
        "import csv, glob, os\n"
        f"for record in sorted(glob.glob('{SITE}/*.dist-info/RECORD')):\n"
        "  for row in csv.reader(open(record, newline='')):\n"
        f"    path = os.path.join('{SITE}', row[0])\n"
        "    if not os.path.lexists(path) and not path.endswith('.pyc'): print(record, row[0])\n"
    )
    steps = f'pip check && python -c "{program}" && pip list --format=freeze'
    here = start("sh", "-c", steps, image=dl, user="1000:100", shm_size="1g")
    below = start("pip", "list", "--format=freeze", image=base, user="1000:100")
    assert (here.wait(), below.wait()) == (0, 0), here.log + below.log
    said, *packages = here.stdout.splitlines()
    assert said == "No broken requirements found."
    assert not [line for line in packages if "==" not in line]
    assert set(below.stdout.splitlines()) <= set(packages)
    text = (Path(__file__).parents[2] / "images/dl/requirements.txt").read_text()
    wanted = {
        match[1].replace("-", "_").lower() + "==" + match[2] for match in re.finditer(r"^([a-z][a-z0-9.-]*)==(\S+)", text, re.MULTILINE)
    }
    assert wanted <= {line.replace("-", "_").lower() for line in packages}


FILES = """
import importlib.util, os, stat
wrong, right = [], 0
epoch = os.stat("/opt/venv").st_mtime  # SOURCE_DATE_EPOCH of the build
for directory, _, names in os.walk("/opt/venv"):
    found = os.lstat(directory)
    if found.st_gid != 100 or found.st_mode & 0o2070 != 0o2070: wrong.append(directory)
    for name in names:
        path = os.path.join(directory, name)
        found = os.lstat(path)
        if found.st_gid != 100 or found.st_mtime > epoch: wrong.append(path)
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o060 != 0o060: wrong.append(path)
        if name.endswith(".a") and "/numpy/" not in path: wrong.append(path)  # numpy's two are for C extensions, 0.1 MB
        if name.endswith(".py"):
            cached = importlib.util.cache_from_source(path)
            if os.path.exists(cached) and open(cached, "rb").read(8)[4:] == bytes([1, 0, 0, 0]): right += 1
            else: wrong.append(path)
for top in ("/usr", "/opt", "/etc", "/var"):
    for directory, _, names in os.walk(top):
        for name in names:
            found = os.lstat(os.path.join(directory, name))
            if stat.S_ISREG(found.st_mode) and found.st_mode & 0o6000: wrong.append("set-user-id " + os.path.join(directory, name))
            if found.st_uid > 65535 or found.st_gid > 65535: wrong.append("id " + os.path.join(directory, name))
print(right > 8000, wrong)
"""


def test_its_files_are_as_in_the_base_image(start: Start, dl: str) -> None:
    """Group 100 may write, .pyc are believed without a look at the source, nothing is younger than the build's date, no static library.

    One module of torch is in the syntax of Python 3.12, which 3.11 cannot compile; nothing imports it there.
    """
    container = start("python", "-c", FILES, image=dl, shm_size="1g")
    assert container.wait() == 0, container.log
    assert container.stdout == f"True ['{SITE}/torch/testing/_internal/py312_intrinsics.py']\n"


@pytest.mark.slow
def test_a_notebooks_user_can_take_torch_away_again(start: Start, dl: str) -> None:
    """pip knows of each of its files, stripped ones included, and may write where they lie."""
    steps = f"pip uninstall -qy torchvision triton && ! test -e {SITE}/triton && ! python -c 'import torchvision' 2>/dev/null && echo gone"
    container = start("sh", "-c", steps, image=dl, user="1000:100", shm_size="1g")
    assert container.wait() == 0, container.log
    assert container.stdout == "gone\n"


def test_it_is_within_its_budget(client: Any, dl: str) -> None:
    budget = json.loads((Path(__file__).parents[2] / "images/dl/budget.json").read_text())
    made = image_size.layers(client.api.history(dl))
    for name in budget:
        assert name == "total" or any(layer.name.startswith(name) for layer in made), f"no layer {name!r}: {made}"
    assert image_size.over_budget(made, client.images.get(dl).attrs["Size"], budget) == []
