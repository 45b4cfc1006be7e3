"""Spark Connect by one setting: a notebook whose program says nothing of it works on a real server, which is a container of this image."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lyftlearn_local.container import STUDIO, Passed
from tests.images.conftest import Start, remove_network
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import PATIENCE, PROGRAMS, facts, line_of, only

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]

# As Spark's documentation starts it ("Spark Connect Overview"); --wait keeps it in the foreground.
SERVER = ["/opt/spark/sbin/start-connect-server.sh", "--wait", "--conf", "spark.master=local[2]"]


@pytest.fixture
def network(client: Any) -> "Iterator[str]":
    made = client.networks.create("lyftlearn-" + uuid.uuid4().hex[:8], driver="bridge", internal=True)
    yield str(made.name)
    remove_network(made)


def test_a_program_that_says_nothing_of_it(network: str, start: Start, client: Any, distributed: str, tmp_path: Path) -> None:
    only(line_of(client, distributed), "4")  # pip's Spark 3.5 brings no server
    at = {"network": network, "network_mode": None}
    names = {network: client.api.create_endpoint_config(aliases=["connect"])}
    server = start(*SERVER, image=distributed, networking_config=names, **at)
    server.until("Spark Connect server started at", PATIENCE)
    given = {"LYFTLEARN_SPARK_CONNECT": "sc://connect:15002", "LYFTLEARN_LOG_LEVEL": "info"}
    app = Mounted(readable(tmp_path / "app"), STUDIO, Passed(given, {}, []))
    notebook = start("python", "/code/connected.py", image=distributed, user="1000:100", **app.options(PROGRAMS, environment=given), **at)
    found = facts(notebook)
    assert found["client"] == "pyspark.sql.connect.session"
    assert (found["sum"], found["sql"]) == (999_000, [500])
    assert set(found["refused"]) == {"sparkContext", "rdd", "master"}
    # The log says beforehand what will be refused.
    assert "there is no sparkContext (no RDDs, no addPyFile of its own), and .master() is refused" in notebook.log
