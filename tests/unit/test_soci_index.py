"""Which layers get a zTOC, and the SOCI index and its image as manifests, byte for byte as AWS's tool writes them."""

import json
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.image.registry import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Manifest, canonical
from lyftlearn_entrypoint.cli.soci import convert, flat, index, manifests
from lyftlearn_entrypoint.cli.soci.index import Indexed
from lyftlearn_entrypoint.errors import BadDocument

LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "sha256:" + "a" * 64, "size": 20_000_000}
ZTOC = Indexed("sha256:" + "b" * 64, 1234, 5, 6, 7)
CONFIG = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": "sha256:" + "c" * 64, "size": 12}


def image(**more: Any) -> Manifest:
    return Manifest(DOCKER_MANIFEST, canonical({"schemaVersion": 2, "config": CONFIG, "layers": [LAYER], **more}))


@pytest.mark.parametrize(
    "kind, size, algorithm, reason",
    [
        ("application/vnd.oci.image.layer.v1.tar+gzip", 100, flat.GZIP, ""),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", 100, flat.GZIP, ""),
        ("application/vnd.oci.image.layer.v1.tar", 100, flat.UNCOMPRESSED, ""),
        ("application/vnd.docker.image.rootfs.diff.tar", 100, flat.UNCOMPRESSED, ""),
        ("application/vnd.oci.image.layer.v1.tar+gzip", 99, 0, "smaller than 0.0001 MB"),
        ("application/vnd.oci.image.layer.v1.tar+zstd", 100, 0, "compressed with zstd, which SOCI has no form for"),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", 100, 0, "compressed with zstd, which SOCI has no form for"),
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", 100, 0, "a kind that SOCI has no form for (application/"),
        ("", 100, 0, "a kind that SOCI has no form for (not told)"),
    ],
)
def test_which_layers_get_a_ztoc(kind: str, size: int, algorithm: int, reason: str) -> None:
    found = index.choose({"mediaType": kind, "size": size}, 100)
    assert found.algorithm == algorithm
    assert found.reason.startswith(reason)
    assert bool(found.reason) == bool(reason)


def test_version_1_points_at_its_image() -> None:
    made = index.build("v1", [(LAYER, ZTOC)], image(), 4096, "tool")
    assert made.content.decode() == (
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
        '"config":{"mediaType":"application/vnd.amazon.soci.index.v1+json",'
        '"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},'
        '"layers":[{"mediaType":"application/octet-stream","digest":"sha256:' + "b" * 64 + '","size":1234,'
        '"annotations":{"com.amazon.soci.image-layer-digest":"sha256:' + "a" * 64 + '",'
        '"com.amazon.soci.image-layer-mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",'
        '"com.amazon.soci.span-size":"4096"}}],'
        f'"subject":{{"mediaType":"{DOCKER_MANIFEST}","digest":"{image().digest}","size":{len(image().content)}}},'
        '"annotations":{"com.amazon.soci.build-tool-identifier":"tool"}}'
    )


def test_version_2_points_at_nothing() -> None:
    made = index.build("v2", [(LAYER, ZTOC)], image(), 4096, "tool")
    assert "subject" not in made.document
    assert made.document["config"]["mediaType"] == "application/vnd.amazon.soci.index.v2+json"
    # So it is the same for the same layers, whatever the image around them.
    assert made.digest == index.build("v2", [(LAYER, ZTOC)], image(annotations={"a": "b"}), 4096, "tool").digest


def test_an_image_is_converted_with_its_index() -> None:
    soci = index.build("v2", [(LAYER, ZTOC)], image(), 4096, "tool")
    before = image(annotations={"z": "a<b>&\u2028é", "a": "1"}, unknown="gone")
    made = convert.annotated(before, soci)
    assert made.media_type == OCI_MANIFEST
    assert made.document["config"] == {**CONFIG, "mediaType": "application/vnd.oci.image.config.v1+json"}
    assert made.document["layers"] == [LAYER]
    assert "unknown" not in made.document
    assert rb'"a\u003cb\u003e\u0026\u2028' + "é".encode() in made.content
    assert list(made.document["annotations"]) == ["a", "com.amazon.soci.index-digest", "z"]
    entry = {**before.descriptor, "platform": {"os": "linux", "architecture": "amd64"}}
    whole = convert.whole(before, entry, {before.digest: (made, soci)})
    assert whole.media_type == OCI_INDEX
    first, second = whole.document["manifests"]
    assert list(first) == ["mediaType", "digest", "size", "annotations", "platform"]
    assert (first["digest"], first["size"], first["platform"]) == (made.digest, len(made.content), entry["platform"])
    assert second == {
        **soci.descriptor,
        "annotations": {"com.amazon.soci.image-manifest-digest": made.digest},
        "platform": entry["platform"],
        "artifactType": "application/vnd.amazon.soci.index.v2+json",
    }


def test_converting_twice_gives_the_same() -> None:
    soci = index.build("v2", [(LAYER, ZTOC)], image(), 4096, "tool")
    made = convert.annotated(image(), soci)
    entry = {**image().descriptor, "platform": {"architecture": "amd64", "os": "linux"}}
    whole = convert.whole(image(), entry, {image().digest: (made, soci)})
    again = convert.annotated(made, soci)
    assert again.content == made.content
    assert convert.whole(whole, {}, {made.digest: (again, soci)}).content == whole.content
    assert [convert.is_image(each) for each in whole.document["manifests"]] == [True, False]


def test_several_machines_keep_their_order_and_attestations_stay() -> None:
    soci = index.build("v2", [(LAYER, ZTOC)], image(), 4096, "tool")
    first, second = image(annotations={"n": "1"}), image(annotations={"n": "2"})
    attestation = {"mediaType": OCI_MANIFEST, "digest": "sha256:" + "d" * 64, "size": 9}
    machines = [{"architecture": name, "os": "linux"} for name in ("amd64", "arm64", "unknown")]
    machines[2]["os"] = "unknown"
    entries = [
        {**each, "platform": machine} for each, machine in zip([first.descriptor, second.descriptor, attestation], machines, strict=True)
    ]
    root = Manifest(DOCKER_LIST, canonical({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries}))
    assert [convert.is_image(each) for each in entries] == [True, True, False]
    # The second machine's layers are all small.
    pairs = {first.digest: (convert.annotated(first, soci), soci), second.digest: (convert.annotated(second, None), None)}
    whole = convert.whole(root, {}, pairs)
    found = whole.document["manifests"]
    assert [each.get("platform", {}).get("architecture") for each in found] == ["amd64", "arm64", "unknown", "amd64"]
    assert [each["mediaType"] for each in found] == [OCI_MANIFEST] * 4
    assert found[2]["digest"] == attestation["digest"]
    assert "com.amazon.soci.index-digest" not in found[1]["annotations"]


@pytest.mark.parametrize(
    "config, machine",
    [
        ({"architecture": "amd64", "os": "linux"}, {"architecture": "amd64", "os": "linux"}),
        ({"architecture": "x86_64", "os": "Linux", "variant": "v1"}, {"architecture": "amd64", "os": "linux"}),
        ({"architecture": "amd64", "os": "linux", "variant": "v3"}, {"architecture": "amd64", "os": "linux", "variant": "v3"}),
        ({"architecture": "arm64", "os": "linux", "variant": "v8"}, {"architecture": "arm64", "os": "linux"}),
        ({"architecture": "aarch64", "os": "linux", "variant": "9"}, {"architecture": "arm64", "os": "linux", "variant": "v9"}),
        ({"architecture": "arm", "os": "linux"}, {"architecture": "arm", "os": "linux", "variant": "v7"}),
        ({"architecture": "armel", "os": "linux"}, {"architecture": "arm", "os": "linux", "variant": "v6"}),
        ({"architecture": "armhf", "os": "linux"}, {"architecture": "arm", "os": "linux", "variant": "v7"}),
    ],
)
def test_machines(config: "dict[str, str]", machine: "dict[str, str]") -> None:
    assert convert.platform(config) == machine


@pytest.mark.parametrize(
    "kind, document",
    [
        (OCI_MANIFEST, {}),
        (OCI_MANIFEST, {"config": {}, "layers": []}),
        (OCI_MANIFEST, {"config": CONFIG, "layers": [{"digest": 1, "size": 1}]}),
        (OCI_INDEX, {"manifests": [{"digest": "sha256:a", "size": "1"}]}),
        (OCI_INDEX, []),
        ("application/vnd.docker.distribution.manifest.v1+json", {"config": CONFIG, "layers": []}),
        ("", {"config": CONFIG, "layers": []}),
    ],
)
def test_what_is_no_manifest(kind: str, document: Any) -> None:
    with pytest.raises(BadDocument, match="is none"):
        manifests.of(kind, json.dumps(document).encode())
