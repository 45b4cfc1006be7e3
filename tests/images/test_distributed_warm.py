"""Spark's packages in two jobs of one warm pool: the second finds what the first downloaded, and asks no repository."""

import functools
import hashlib
import http.server
import threading
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lyftlearn_local.platform import Platform
from tests.images.conftest import Start
from tests.images.spark.jobs import PROGRAMS
from tests.images.test_base_warm import Instance, end_of, pointers

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image("distributed"), pytest.mark.slow]
pytest_plugins = ["tests.integration.platform_fixture"]

POM = (
    "<project><modelVersion>4.0.0</modelVersion>"
    "<groupId>com.example</groupId><artifactId>words</artifactId><version>1.0</version></project>"
)


@pytest.fixture
def repository(tmp_path: Path) -> "Iterator[tuple[str, list[str]]]":
    """The URL of a Maven repository with one package, on loopback, and what it was asked for."""
    place = tmp_path / "maven/com/example/words/1.0"
    place.mkdir(parents=True)
    (place / "words-1.0.pom").write_text(POM)
    with zipfile.ZipFile(place / "words-1.0.jar", "w") as jar:
        jar.writestr("words.txt", "said by the package\n")
    for path in list(place.iterdir()):
        Path(f"{path}.sha1").write_text(hashlib.sha1(path.read_bytes()).hexdigest())
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, code: "int | str" = "-", size: "int | str" = "-") -> None:
            asked.append(f"{self.command} {self.path}")

    handler = functools.partial(Handler, directory=tmp_path / "maven")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked
        server.shutdown()


def test_the_second_job_downloads_no_package(
    start: Start, tmp_path: Path, platform: Platform, distributed: str, repository: "tuple[str, list[str]]"
) -> None:
    instance = Instance(start, tmp_path)
    platform.confidant.service("warm-spark", [platform.confidant.credential({"pool_key": uuid.uuid4().hex + uuid.uuid4().hex}, "")])
    given = {
        **pointers(platform, "warm-spark"),
        "LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_POOL_KEY",
        "LYFTLEARN_IMAGE_DIGEST": distributed,
    }
    url, asked = repository
    program = (PROGRAMS / "packages.py").read_text()
    first, job = instance.job(program, given, words=(url, "wait"), image=distributed, network_mode="host")
    first.until("said by the package")
    end_of(first, instance.pool)
    (job.ml / "output/saved").write_bytes(b"")
    assert first.wait() == 0, first.log
    assert "GET /com/example/words/1.0/words-1.0.jar" in asked
    asked.clear()
    second, _ = instance.job(program, given, words=(url,), image=distributed, network_mode="host")
    assert second.wait() == 0, second.log
    assert "said by the package" in second.stdout
    assert "from the warm pool" in second.log
    assert asked == []
