"""The matrix: each image in every place, held against the pod; every difference explained, and no explanation that nothing needs.

The page is kept where LYFTLEARN_TEST_PARITY names a directory.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from lyftlearn_entrypoint.snapshot import schema
from lyftlearn_local.demo import inputs
from tests.images.conftest import tag
from tests.images.every_image import EVERY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="lyftlearn local parity needs root")]

CONTEXTS = {
    "pod": "kubernetes",
    "training": "sagemaker-training",
    "processing": "sagemaker-processing",
    "transform": "sagemaker-transform",
    "endpoint": "sagemaker-endpoint",
    "studio": "studio",
}
KEPT = os.environ.get("LYFTLEARN_TEST_PARITY", "")


def matrix(name: str, image: str, out: Path) -> "subprocess.CompletedProcess[str]":
    command = "from lyftlearn_entrypoint.cli import main; main()"
    words = [sys.executable, "-c", command, "local", "parity", name, "--tag", image, "--out", str(out)]
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1500, check=False)


@pytest.mark.parametrize("name", EVERY)
def test_no_program_can_tell(name: str, tmp_path: Path, client: Any) -> None:
    out = Path(KEPT) / name if KEPT else tmp_path
    done = matrix(name, tag(name), out)
    assert done.returncode == 0, done.stdout + done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("pod and training, processing, transform, endpoint, studio: ")
    assert first.endswith(" explained, 0 not explained")
    assert "<h1>Every difference is explained</h1>" in (out / "index.html").read_text(encoding="utf-8")

    digest = client.images.get(tag(name)).id
    values = [value for value in inputs.environment().values() if len(value) > 10]
    for place, context in CONTEXTS.items():
        text = (out / f"{place}.json").read_text()
        document = json.loads(text)
        jsonschema.validate(document, schema.load())
        assert (document["context"], document["incomplete"], document["facts"]["image"]["digest"]) == (context, [], digest)
        assert not [value for value in values if value in text]
        # What the whole is for: all of the team's variables, hyperparameters and secrets, and somebody who takes its metrics.
        facts = document["facts"]
        assert len([name for name in facts["variables"] if name.startswith(("SCREENING_", "screening."))]) == inputs.VARIABLES
        assert len([path for path in facts["files"] if path.startswith("hyperparameters/")]) == inputs.HYPERPARAMETERS
        assert len([path for path in facts["files"] if path.startswith("credentials/")]) == 7
        assert "udp 127.0.0.1:8125" in facts["listening"]
        assert facts["capabilities"]["effective"] == []
        assert facts["user"]["home_usable"] is True


@pytest.fixture
def broken(client: Any) -> "Iterator[Callable[..., str]]":
    """`broken(NAME=value)` makes an image FROM base with these variables, and gives its tag."""
    made: list[str] = []

    def make(**environ: str) -> str:
        name = f"lyftlearn-parity-test:{os.getpid()}"
        container = client.containers.create(tag("base"))
        try:
            container.commit(*name.split(":"), changes=[f"ENV {key}={value}" for key, value in environ.items()])
        finally:
            container.remove()
        made.append(name)
        return name

    yield make
    for name in made:
        client.images.remove(name)


@pytest.mark.image
def test_an_image_that_lets_a_program_tell_fails(broken: "Callable[..., str]", tmp_path: Path) -> None:
    image = broken(LYFTLEARN_ENV_KEEP="SCREENING_GREETING", SCREENING_GREETING="of-the-image")
    done = matrix("base", image, tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].endswith(" explained, 1 not explained")
    [row] = [line for line in done.stdout.splitlines() if line.startswith("    variables[SCREENING_GREETING]")]
    assert row.count(" !") == 5
    assert "of-the-image" not in done.stdout + (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<h1>1 difference nobody explains</h1>" in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.image
def test_without_the_image_it_says_so(tmp_path: Path) -> None:
    done = matrix("base", "lyftlearn-no-such-image:1", tmp_path / "out")
    assert done.returncode == 1
    assert "there is no image lyftlearn-no-such-image:1" in done.stderr
    assert not (tmp_path / "out").exists()
