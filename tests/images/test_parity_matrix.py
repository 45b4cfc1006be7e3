"""The matrix: each image in every place, held against the pod; every difference explained, and no explanation that nothing needs.

The page is kept where LYFTLEARN_TEST_PARITY names a directory.
"""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lyftlearn_entrypoint.snapshot import schema
from lyftlearn_local.demo import inputs
from tests.images.alone import alone
from tests.images.conftest import tag
from tests.images.every_image import EVERY
from tests.images.parity_matrix import matrix

__all__ = ["alone"]  # a fixture

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
