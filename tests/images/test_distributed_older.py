"""The image with Spark 3.5, of the same Dockerfile: those of the other tests that tell whether a line of Spark works here at all.

    lyftlearn image build distributed --build-arg SPARK=3.5 --tag lyftlearn-distributed:3.5

All of tests/images/test_distributed_*.py run on it with LYFTLEARN_TEST_IMAGE_DISTRIBUTED=lyftlearn-distributed:3.5.
"""

import os
from typing import Any

import docker.errors
import pytest

from tests.images.conftest import tag
from tests.images.spark.jobs import line_of
from tests.images.test_distributed_executor import cluster, driver, test_a_job
from tests.images.test_distributed_kubernetes import notebook, secured, test_a_notebook
from tests.images.test_distributed_s3a import line, storage, test_every_provider_of_credentials_can_be_made, test_reading_and_writing
from tests.images.test_distributed_session import test_a_training_job

__all__ = ["cluster", "driver", "line", "notebook", "secured", "storage"]  # fixtures, whose `distributed` is the one below
__all__ += ["test_a_job", "test_a_notebook", "test_a_training_job"]
__all__ += ["test_every_provider_of_credentials_can_be_made", "test_reading_and_writing"]

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow, pytest.mark.thorough]


@pytest.fixture(scope="module")
def distributed(client: Any) -> str:
    """The id of the image with Spark 3.5."""
    name = os.environ.get("LYFTLEARN_TEST_IMAGE_DISTRIBUTED_OLDER") or tag("distributed").partition(":")[0] + ":3.5"
    try:
        return str(client.images.get(name).id)
    except docker.errors.ImageNotFound:
        pytest.skip(f"no image {name} (lyftlearn image build distributed --build-arg SPARK=3.5 --tag {name})")


def test_it_is_the_older_line(client: Any, distributed: str) -> None:
    assert line_of(client, distributed) == "3.5"
