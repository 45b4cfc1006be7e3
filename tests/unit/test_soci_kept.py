"""An index with an attestation of BuildKit's, a nested index, and later a SOCI index: what is made of it has everything that it names."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.image import soci
from lyftlearn_entrypoint.cli.image.registry import INDICES, OCI_INDEX, Manifest
from lyftlearn_entrypoint.cli.soci import layout, make, push
from lyftlearn_entrypoint.cli.soci.blobs import Blobs
from lyftlearn_entrypoint.cli.soci.remote import Remote
from lyftlearn_entrypoint.errors import BadDocument
from tests.fake_http import Request, answer
from tests.unit.registry_world import Meet
from tests.unit.soci_made import GZIP, attested, layers
from tests.unit.soci_made import layout as made_layout

pytest_plugins = ["tests.unit.registry_fixture"]
KINDS = [("v1",), ("v2",), ("v1", "v2")]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Images of two machines, one of small layers alone; an attestation of the first; and an index in the index."""
    blobs, first = made_layout(tmp_path / "in", layers()[:2])
    _, second = made_layout(tmp_path / "in", [(GZIP, gzip.compress(b"small", mtime=0))])
    _, inner = made_layout(tmp_path / "in", [(GZIP, gzip.compress(b"inner", mtime=0))])
    nested = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner]}
    more = [
        {**second, "platform": {"architecture": "arm64", "os": "linux"}},
        {"mediaType": OCI_INDEX, **blobs.put(json.dumps(nested).encode())},
    ]
    attested(tmp_path / "in", {**first, "platform": {"architecture": "amd64", "os": "linux"}}, *more)
    return tmp_path / "in"


def made_of(opened: make.Source, work: Path, kinds: "tuple[str, ...]") -> "tuple[make.Made, Blobs]":
    blobs = Blobs(work)
    found = make.images(opened, 2000)
    ztocs = make.ztocs(opened, found, blobs, 65536, "tool", 1)
    return make.indices(opened, found, ztocs, blobs, kinds, 65536, "tool"), blobs


def every(documents: "dict[str, bytes]", digest: str) -> "list[str]":
    """A manifest's digest and those of all that it names, whatever is below it; KeyError where one is not there."""
    document = json.loads(documents[digest])
    found = [digest]
    for entry in document.get("manifests", []):
        found += every(documents, entry["digest"])
    for blob in [document["config"], *document["layers"]] if "config" in document else []:
        assert "sha256:" + hashlib.sha256(documents[blob["digest"]]).hexdigest() == blob["digest"]
        found.append(blob["digest"])
    return found


def files(root: Path) -> "dict[str, bytes]":
    return {f"{file.parent.name}:{file.name}": file.read_bytes() for file in (root / "blobs").glob("*/*")}


def attestations(documents: "dict[str, bytes]", digest: str) -> "list[Any]":
    entries = json.loads(documents[digest])["manifests"]
    return [entry for entry in entries if (entry.get("platform") or {}).get("os") == "unknown"]


@pytest.mark.parametrize("kinds", KINDS)
def test_a_layout_that_is_written_has_all_that_its_index_names(kinds: "tuple[str, ...]", source: Path, tmp_path: Path) -> None:
    opened = layout.open_layout(str(source), tmp_path / "unused")
    made, blobs = made_of(opened, tmp_path / "work", kinds)
    soci.write(tmp_path / "out", opened, made, blobs)
    documents, root = files(tmp_path / "out"), (made.whole or opened.root).digest
    for entry in json.loads((tmp_path / "out/index.json").read_text())["manifests"]:
        every(documents, entry["digest"])
    # As it was: the same entry, so the same bytes.
    assert attestations(documents, root) == attestations(files(source), opened.root.digest)
    assert len(attestations(documents, root)) == 1
    # Version 1 of what has version 2: that index stays in it, whole.
    content = documents[root]
    again = layout.Layout(Blobs(tmp_path / "out"), Manifest(json.loads(content)["mediaType"], content))
    second, blobs = made_of(again, tmp_path / "work2", ("v1",))
    soci.write(tmp_path / "out2", again, second, blobs)
    every(files(tmp_path / "out2"), root)


class Kept:
    """A registry that refuses a manifest that names what it lacks, as ECR and Debian's do. `documents` by digest."""

    def __init__(self, documents: "dict[str, bytes] | None" = None) -> None:
        self.documents = documents or {}

    def __call__(self, request: Request) -> bytes:
        path, _, query = request.target.partition("?")
        name = path.rpartition("/")[2]
        if request.method == "POST":
            return answer(202, b"", {"Location": "/v2/a/b/blobs/uploads/1"})
        if request.method == "PUT" and "/uploads/" in path:
            self.documents[query.removeprefix("digest=")] = request.body
            return answer(201)
        if request.method == "PUT":
            document = json.loads(request.body)
            named = [document["config"], *document["layers"]] if "config" in document else document["manifests"]
            if lacking := [each["digest"] for each in named if each["digest"] not in self.documents]:
                return answer(400, json.dumps({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "detail": lacking}]}).encode())
            self.documents["sha256:" + hashlib.sha256(request.body).hexdigest()] = request.body
            return answer(201, b"", {"OCI-Subject": "any"})
        if name not in self.documents:
            return answer(404)
        kind = json.loads(self.documents[name])["mediaType"] if "/manifests/" in path else "application/octet-stream"
        return answer(200, b"" if request.method == "HEAD" else self.documents[name], {"Content-Type": kind})


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("place", ["layout", "registry"])
def test_a_registry_gets_all_that_the_index_names(kinds: "tuple[str, ...]", place: str, source: Path, meet: Meet, tmp_path: Path) -> None:
    target = Kept()
    opened: make.Source = layout.open_layout(str(source), tmp_path / "unused")
    if place == "registry":
        opened = Remote(meet(Kept(files(source))).registry, opened.root.digest, Blobs(tmp_path / "work"))
    made, blobs = made_of(opened, tmp_path / "work", kinds)
    registry = meet(target).registry
    assert push.send(registry, opened, made, blobs) > 0
    push.store(registry, opened, made)
    root = (made.whole or opened.root).digest
    every(target.documents, root)
    assert attestations(target.documents, root) == attestations(files(source), opened.root.digest)
    assert push.send(registry, opened, made, blobs) == 0


def test_an_index_that_names_what_is_not_there(source: Path, tmp_path: Path) -> None:
    opened = layout.open_layout(str(source), tmp_path / "unused")
    (entry,) = attestations(files(source), opened.root.digest)
    Blobs(source).path(entry["digest"]).unlink()
    with pytest.raises(BadDocument, match=f"has no blob {entry['digest']}"):
        made_of(opened, tmp_path / "work", ("v2",))


def test_an_image_that_is_in_no_index(tmp_path: Path) -> None:
    made_layout(tmp_path / "in", layers()[:1])
    opened = layout.open_layout(str(tmp_path / "in"), tmp_path / "unused")
    assert opened.root.media_type not in INDICES
    assert made_of(opened, tmp_path / "work", ("v1",))[0].kept == []
