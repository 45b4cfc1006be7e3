"""What holds for each image as the Engine describes it, and in a container of it."""

import json
import re
from itertools import pairwise
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.image import size as image_size
from lyftlearn_entrypoint.cli.image.common import lineage
from tests.images.conftest import Start, missing, tag
from tests.images.every_image import EVERY, ROOT

pytestmark = pytest.mark.parametrize("name", EVERY)


def test_labels(client: Any, name: str) -> None:
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in client.images.get(tag(name)).labels.items()}
    assert labels["title"] == f"lyftlearn-{name}"
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", labels["version"])
    assert re.fullmatch(r"[0-9a-f]{40}(-modified)?|unknown", labels["revision"])
    assert labels["description"]
    below = [*lineage(ROOT, name), "debian"][1]
    assert below in labels["base.name"]


def test_it_starts_the_entrypoint_as_root(client: Any, name: str) -> None:
    """SageMaker needs root; Studio and pods bring their own user."""
    config = client.images.get(tag(name)).attrs["Config"]
    assert config["Entrypoint"] == ["/usr/bin/tini", "-s", "--", "/opt/lyftlearn/bin/lyftlearn-entrypoint"]
    assert not config["Cmd"]
    assert config["User"] in {"", "root", "0"}
    assert config["WorkingDir"] == "/home/sagemaker-user"  # Studio's volume
    assert set(config["ExposedPorts"]) >= {"8080/tcp", "8888/tcp"}


def test_every_layer_of_the_image_below_is_shared(client: Any, name: str) -> None:
    """A node that has one of the images pulls only what another adds."""
    if gone := [why for each in lineage(ROOT, name)[1:] if (why := missing(each))]:
        pytest.skip("; ".join(gone))
    layers = [client.images.get(tag(each)).attrs["RootFS"]["Layers"] for each in lineage(ROOT, name)]
    for child, parent in pairwise(layers):
        assert child[: len(parent)] == parent
        assert len(child) > len(parent)


def test_it_is_within_its_budget(client: Any, name: str) -> None:
    image = client.images.get(tag(name))
    budget = json.loads((ROOT / "images" / name / "budget.json").read_text())
    made, total = image_size.measured(client, image)
    compressed = budget.pop("compressed", {})
    for start in {**budget, **compressed}:
        assert start == "total" or any(layer.name.startswith(start) for layer in made), f"no layer {start!r}: {made}"
    assert image_size.over_budget(made, total, budget) == []


def test_everything_is_compiled_for_good(start: Start, name: str) -> None:
    """Each .pyc is believed without a look at its source's time (PEP 552), so it serves on a read-only root, whenever it was built.

    A file for a newer Python, which packages bring and do not import, has none.
    """
    program = (
        "import importlib.util, os\n"
        "def is_for_another_python(path):\n"
        "  try: compile(open(path, 'rb').read(), path, 'exec', dont_inherit=True)\n"
        "  except SyntaxError: return True\n"
        "missing, other, right = [], [], 0\n"
        "for directory, _, files in os.walk('/opt'):\n"
        "  for name in files:\n"
        "    if not name.endswith('.py') or '/lib/' not in directory: continue\n"
        "    path = os.path.join(directory, name)\n"
        "    cached = importlib.util.cache_from_source(path)\n"
        "    if not os.path.exists(cached): is_for_another_python(path) or missing.append(path); continue\n"
        "    flags = int.from_bytes(open(cached, 'rb').read(8)[4:], 'little')\n"
        "    right += flags == 1\n"
        "    if flags != 1: other.append(cached)\n"
        "print(missing, other, right > 5000)"
    )
    container = start("/opt/venv/bin/python", "-c", program, image=tag(name), entrypoint=[])
    assert container.wait() == 0, container.log
    assert container.stdout == "[] [] True\n"


def test_a_notebooks_user_may_change_every_package(start: Start, name: str) -> None:
    """pip of 1000:100 replaces what another image's layer installed too. Nothing of the entrypoint's or the system's is open to it."""
    program = (
        "import os, stat\n"
        "closed = []\n"
        "for directory, folders, files in os.walk('/opt/venv'):\n"
        "  for name in [*folders, *files]:\n"
        "    path = os.path.join(directory, name)\n"
        "    found = os.lstat(path)\n"
        "    if not stat.S_ISLNK(found.st_mode) and (found.st_gid != 100 or not found.st_mode & 0o020): closed.append(path)\n"
        "tops = ('/opt/lyftlearn', '/etc', '/usr')\n"
        "print(closed[:9], [d for top in tops for d, _, _ in os.walk(top) if os.access(d, os.W_OK)])"
    )
    container = start("/opt/venv/bin/python", "-c", program, image=tag(name), entrypoint=[], user="1000:100")
    assert container.wait() == 0, container.log
    assert container.stdout == "[] []\n"
