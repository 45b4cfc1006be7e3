"""Each image's bill of materials names all that the image's own tools say is there, and every licence is known."""

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from lyftlearn_entrypoint.cli.image import sbom as image_sbom
from tests.images.conftest import Start, tag
from tests.images.every_image import ROOT, costly

if TYPE_CHECKING:
    from pathlib import Path

# What Python says is installed, in the environment that runs this.
DISTRIBUTIONS = (
    "import importlib.metadata as m, re\n"
    "for d in m.distributions(): print(re.sub(r'[-_.]+', '-', d.metadata['Name']).lower() + '@' + d.version)"
)


@pytest.mark.slow
@pytest.mark.parametrize("name", costly("dl"))
def test_everything_is_in_it(client: Any, start: Start, tmp_path: "Path", name: str) -> None:
    image = client.images.get(tag(name))
    image_sbom.write(client, image, ROOT, name, tmp_path)
    text = (tmp_path / f"{name}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["metadata"]["component"]["name"] == f"lyftlearn-{name}"
    urls = {each.get("purl", "") for each in document["components"]}

    def printed(*command: str, **options: Any) -> "set[str]":
        container = start(*command, image=image.id, entrypoint=[], **options)
        assert container.wait() == 0, container.log
        return set(container.stdout.split())

    debian = printed("dpkg-query", "-W", "-f", "${Package}@${Version}\n")
    plain = {re.sub(r"\?.*", "", url.removeprefix("pkg:deb/debian/")).replace("%2B", "+") for url in urls if url.startswith("pkg:deb/")}
    assert len(debian) > 100
    assert plain == debian
    python = printed("/opt/venv/bin/python", "-c", DISTRIBUTIONS)
    python |= printed(
        "/usr/bin/python3", "-ISc", f"import sys; sys.path[:0] = ['/opt/lyftlearn/lib']; {DISTRIBUTIONS!r}; exec({DISTRIBUTIONS!r})"
    )
    assert len(python) > 100
    assert python <= {url.removeprefix("pkg:pypi/") for url in urls}
    found = printed("find", "/opt", "/usr/local", "-name", "*.jar", "-type", "f")
    places = {place["location"] for each in document["components"] for place in each.get("evidence", {}).get("occurrences", [])}
    assert found <= places
    assert (name == "distributed") == (len(found) > 100)
    assert {"pkg:npm/%40jupyterlab/application", "pkg:generic/openssl"} <= {re.sub("@[^/]*$", "", url.partition("?")[0]) for url in urls}
    listing = (tmp_path / f"{name}-licences.md").read_text()
    assert "not known" not in listing.lower(), listing[:2000]
