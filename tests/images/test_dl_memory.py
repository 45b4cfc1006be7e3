"""Shared memory: what is too little is said at start, and what it would do is shown."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.images.conftest import Start

pytestmark = pytest.mark.image("dl")

WARNING = (
    "lyftlearn-entrypoint: warning: /dev/shm has 64 MiB, LYFTLEARN_SHARED_MEMORY_MIN wants 1 GiB: "
    'where it is full, DataLoader workers die (bus error, "No space left on device"). '
)
POD = {"KUBERNETES_SERVICE_HOST": "10.100.0.1"}
BIG = """
import torch
from torch.utils.data import DataLoader, Dataset
class Wide(Dataset):
    def __len__(self): return 8
    def __getitem__(self, index): return torch.zeros(40 << 20, dtype=torch.uint8)
if __name__ == "__main__":
    print(sum(batch.nbytes for batch in DataLoader(Wide(), batch_size=2, num_workers=1)))
"""


@pytest.mark.parametrize(
    ("environment", "remedy"),
    [
        pytest.param({}, "Start the container with --shm-size=1g", id="local"),
        pytest.param(POD, "Mount an emptyDir with medium Memory on /dev/shm", id="kubernetes"),
        pytest.param(
            {"SAGEMAKER_BATCH": "true"}, "SageMaker gives more with a larger instance type; else use fewer workers", id="sagemaker"
        ),
    ],
)
def test_dockers_default_is_too_little(start: Start, dl: str, environment: "dict[str, str]", remedy: str) -> None:
    container = start("true", image=dl, shm_size="64m", environment=environment).expect("/dev/shm has 64 MiB")
    assert container.wait() == 0
    assert WARNING + remedy in container.log
    assert container.log.count("/dev/shm") == (2 if "emptyDir" in remedy else 1)


def test_one_gibibyte_is_enough(start: Start, dl: str) -> None:
    container = start("true", image=dl, shm_size="1g", environment=POD)
    assert container.wait() == 0
    assert container.log == ""


@pytest.mark.parametrize(
    "chosen", [{"LYFTLEARN_SHARED_MEMORY_MIN": ""}, {"LYFTLEARN_SHARED_MEMORY_MIN": "32m"}, {"LYFTLEARN_STEPS": "none"}], ids=str
)
def test_the_platform_may_want_less(start: Start, dl: str, chosen: "dict[str, str]") -> None:
    container = start("true", image=dl, shm_size="64m", environment={**POD, **chosen})
    assert container.wait() == 0
    assert container.log == ""


@pytest.mark.image("base")
def test_other_images_do_not_ask(start: Start, base: str) -> None:
    container = start("true", image=base, shm_size="64m", environment=POD)
    assert container.wait() == 0
    assert container.log == ""


@pytest.mark.slow
@pytest.mark.parametrize(("size", "ends"), [("64m", 1), ("1g", 0)])
def test_what_it_is_about(start: Start, dl: str, tmp_path: Path, size: str, ends: int) -> None:
    """Batches of 80 MiB from one worker."""
    quiet: dict[str, Any] = {"environment": {**POD, "LYFTLEARN_SHARED_MEMORY_MIN": ""}}
    container = start("python", "-c", BIG, image=dl, shm_size=size, **quiet).expect("Traceback")
    assert container.wait() == ends, container.log
    assert bool(re.search("bus error|No space left on device", container.log, re.IGNORECASE)) == (ends == 1)
    assert (container.stdout == f"{8 * (40 << 20)}\n") == (ends == 0)
