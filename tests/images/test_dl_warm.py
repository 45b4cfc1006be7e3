"""torch.compile in two jobs of one warm pool: the second finds the kernels that the first compiled, with Inductor's own counters."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.platform import Platform
from tests.images.conftest import PATIENCE, Start
from tests.images.test_base_warm import Instance, end_of, pointers

pytestmark = [pytest.mark.image("dl"), pytest.mark.slow]
pytest_plugins = ["tests.integration.platform_fixture"]

PROGRAM = (Path(__file__).parent / "dl/warm.py").read_text()


def test_the_second_job_compiles_nothing(start: Start, tmp_path: Path, platform: Platform, dl: str) -> None:
    instance = Instance(start, tmp_path)
    platform.confidant.service("warm-dl", [platform.confidant.credential({"pool_key": uuid.uuid4().hex + uuid.uuid4().hex}, "")])
    given = {
        **pointers(platform, "warm-dl"),
        "LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_POOL_KEY",
        "LYFTLEARN_IMAGE_DIGEST": dl,
    }
    options: dict[str, Any] = {"image": dl, "network_mode": "host", "shm_size": "1g"}
    first, job = instance.job(PROGRAM, given, words=("wait",), **options)
    first.until("hits ", 2 * PATIENCE)
    end_of(first, instance.pool)
    (job.ml / "output/saved").write_bytes(b"")
    assert first.wait() == 0, first.log
    assert first.stdout.split()[:4] == ["hits", "0", "misses", "1"]
    second, _ = instance.job(PROGRAM, given, **options)
    assert second.wait(2 * PATIENCE) == 0, second.log
    assert second.stdout.split()[:4] == ["hits", "1", "misses", "0"]
    print(first.stdout, second.stdout, second.log)
