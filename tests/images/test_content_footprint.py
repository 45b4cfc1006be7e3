"""How each image's layers are laid out, and what its starts fetch of them: images/NAME/hot.txt and footprint.json, held to the real image.

A few starts of each, in bytes unpacked: `lyftlearn image footprint NAME --compressed --check` runs all, for minutes.
"""

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from lyftlearn_entrypoint.cli.footprint.spans import SMALLEST
from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.commands import image
from lyftlearn_entrypoint.cli.image.common import keeps_manifests, lineage
from lyftlearn_entrypoint.cli.image.layout import hot_of
from lyftlearn_entrypoint.cli.layout import order, tape
from tests.images.conftest import missing, tag
from tests.images.every_image import ROOT, costly

if TYPE_CHECKING:
    from collections.abc import Callable

# Those that say most of each image; the last is held out: the layout knows nothing of it.
STARTS = {
    "base": ("python", "train", "sklearn", "jupyterlab", "forest"),
    "distributed": ("python", "train", "spark", "submit"),
    "dl": ("python", "train", "torch", "step", "conv"),
}
# How much more of a start that is held out than of its kind.
HELD = 1.15


@pytest.mark.parametrize("name", costly("distributed", "dl"))
def test_its_own_layers_are_laid_out(client: Any, name: str, need: "Callable[[object, str], None]") -> None:
    """Those that have hot files: these lie in front. What is of the image below stays as that has it (test_content_run.py)."""
    need(not keeps_manifests(client), "an engine without containerd's image store")
    parents = lineage(ROOT, name)[1:]
    if gone := [why for each in parents if (why := missing(each))]:
        pytest.skip("; ".join(gone))
    made = client.images.get(tag(name))
    below = len(client.images.get(tag(parents[0])).attrs["RootFS"]["Layers"]) if parents else 0
    hot = hot_of(ROOT / "images" / name, made.attrs["Architecture"])
    laid = 0
    with stored.opened(client, made) as (saved, tars):
        for layer in saved.layers[below:]:
            entries = tape.entries(tars[layer.key]) if tars[layer.key].seek(0, os.SEEK_END) >= SMALLEST else []
            paths = {entry.path for entry in entries}
            if any(path in paths for path in hot):
                assert order.ordered(entries, hot) == entries, layer.name
                laid += order.named(entries) != entries
    assert laid > 0


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace on PATH")
@pytest.mark.parametrize("name", costly("distributed", "dl"))
def test_its_budget_holds(name: str) -> None:
    starts = [word for start in STARTS[name] for word in ("--start", start)]
    done = CliRunner().invoke(image, ["footprint", name, "--checkout", str(ROOT), "--tag", tag(name), "--check", "--json", *starts])
    assert done.exit_code == 0, done.stderr
    found = {each["start"]: each for each in json.loads(done.stdout)["starts"]}
    assert tuple(found) == STARTS[name]
    budget = json.loads((ROOT / "images" / name / "footprint.json").read_text())
    assert set(found) - set(budget) == {STARTS[name][-1]}
    held = found[STARTS[name][-1]]
    assert held["fetched"]["most"]["bytes"] <= HELD * budget[held["held"]]["fetched"]
