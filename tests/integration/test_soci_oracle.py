"""`lyftlearn image soci` against AWS's own `soci`: the same zTOCs, the same SOCI index, the same image, byte for byte.

`soci convert --standalone` (version 2) needs no containerd, `soci create` (version 1) gets one of its own. scripts/soci builds the program
from the pinned sources in soci/go.mod; scripts/test does that.
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.soci.blobs import Blobs
from tests.integration.job import operator
from tests.unit.soci_made import DOCKER_GZIP, GZIP, PLAIN, content, layers, layout, tar

SOCI = os.environ.get("LYFTLEARN_TEST_SOCI") or str(Path(sys.prefix + ".go", "soci-0.16.1", "soci"))
OPTIONS = ("--span-size", "65536", "--min-layer-size", "2000")
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


@pytest.fixture
def theirs(need: Callable[[object, str], None], tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    need(Path(SOCI).is_file(), "AWS's soci: scripts/soci builds it, and needs Go")

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        # A time in a zTOC is written in the zone of the machine that made it; ours are in UTC always.
        environ = {**os.environ, "TZ": "UTC", "TMPDIR": str(tmp_path)}
        command = [SOCI, "convert", "--standalone", "--format", "oci-dir", *words, str(tmp_path / "in"), str(tmp_path / "theirs")]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=300)

    return run


def ours(tmp_path: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = operator("image", "soci", f"oci:{tmp_path / 'in'}", "--output", str(tmp_path / "ours"), *words)
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)


def root(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "index.json").read_bytes())
    return found


def equal(tmp_path: Path, *words: str, compare: Callable[..., "subprocess.CompletedProcess[str]"]) -> "subprocess.CompletedProcess[str]":
    """Both tools make the same layout of the image below `in`: each blob that ours has, theirs has too, and index.json is the same."""
    done = compare(*OPTIONS, *words)
    assert done.returncode == 0, done.stderr
    mine = ours(tmp_path, *OPTIONS)
    assert mine.returncode == 0, mine.stderr
    assert root(tmp_path / "ours") == root(tmp_path / "theirs")
    for file in (tmp_path / "ours/blobs/sha256").iterdir():
        assert file.read_bytes() == (tmp_path / "theirs/blobs/sha256" / file.name).read_bytes()
    (index,) = root(tmp_path / "ours")["manifests"]
    assert mine.stdout == index["digest"] + "\n"
    return mine


def test_the_same_image_from_every_kind_of_layer(theirs: Any, tmp_path: Path) -> None:
    layout(tmp_path / "in", layers(), annotations={"z<&>": "é\u2028", "a": "1"})
    done = equal(tmp_path, compare=theirs)
    index = json.loads(Blobs(tmp_path / "ours").read(done.stdout.strip()))
    soci = json.loads(Blobs(tmp_path / "ours").read(index["manifests"][1]["digest"]))
    assert len(soci["layers"]) == len(layers())


def test_layers_without_a_ztoc_are_named_by_both(theirs: Any, tmp_path: Path) -> None:
    zstd, small = b"\x28\xb5\x2f\xfd" + content(1, 5000), gzip.compress(tar(tarfile.PAX_FORMAT, 0)[:2048], mtime=0)
    assert len(small) < 2000
    layout(tmp_path / "in", [(ZSTD, zstd), (GZIP, small), *layers()[:1]])
    done = equal(tmp_path, compare=theirs)
    assert "layer 1 of 3: 0.0 MB, pulled whole: compressed with zstd, which SOCI has no form for\n" in done.stderr
    assert "layer 2 of 3: 0.0 MB, pulled whole: smaller than 0.002 MB\n" in done.stderr


def test_the_same_layer_twice(theirs: Any, tmp_path: Path) -> None:
    first, second = layers()[:2]
    layout(tmp_path / "in", [first, second, first])
    equal(tmp_path, compare=theirs)


def test_the_real_spans_of_a_larger_layer(theirs: Any, tmp_path: Path) -> None:
    """Of 4 MiB, and of a layer over 10 MiB, as without any option."""
    blob = gzip.compress(tar(tarfile.PAX_FORMAT, 60, 700_000), 0, mtime=0)
    layout(tmp_path / "in", [(DOCKER_GZIP, blob), (PLAIN, tar(tarfile.GNU_FORMAT, 80, 700_000))])
    done = theirs()
    mine = ours(tmp_path)
    assert (done.returncode, mine.returncode) == (0, 0), done.stderr + mine.stderr
    assert root(tmp_path / "ours") == root(tmp_path / "theirs")
    assert mine.stderr.count(" spans, zTOC of ") == 2


def test_images_of_several_machines(theirs: Any, tmp_path: Path) -> None:
    entries = []
    for machine, chosen in (("amd64", layers()[:2]), ("arm64", layers()[1:4]), ("riscv64", [(GZIP, gzip.compress(bytes(1024), mtime=0))])):
        blobs, entry = layout(tmp_path / "in", chosen)
        entries.append({**entry, "platform": {"architecture": machine, "os": "linux"}})
    listed = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json", "manifests": entries}
    index = {"mediaType": listed["mediaType"], **blobs.put(json.dumps(listed).encode())}
    (tmp_path / "in/index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [index]}))
    done = equal(tmp_path, "--all-platforms", compare=theirs)
    assert "linux/riscv64: sha256:" in done.stderr


def test_an_image_that_has_an_index_already(theirs: Any, tmp_path: Path) -> None:
    layout(tmp_path / "first", layers()[:3])
    (tmp_path / "first").rename(tmp_path / "in")
    assert ours(tmp_path, *OPTIONS).returncode == 0
    (tmp_path / "in").rename(tmp_path / "before")
    (tmp_path / "ours").rename(tmp_path / "in")
    equal(tmp_path, "--all-platforms", compare=theirs)
    assert root(tmp_path / "ours") == root(tmp_path / "in")


@pytest.fixture
def containerd(need: Callable[[object, str], None]) -> Iterator[Path]:
    """A directory with the socket `c` of a containerd that has nothing yet."""
    need(os.geteuid() == 0, "root, for containerd")
    need(shutil.which("containerd") and shutil.which("ctr"), "containerd, with ctr")
    # A socket's path may have 107 bytes, and pytest's are long.
    with tempfile.TemporaryDirectory(prefix="soci-") as name:
        place = Path(name)
        settings = f'version = 2\nroot = "{place}/root"\nstate = "{place}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        (place / "config.toml").write_text(settings + f'[grpc]\naddress = "{place}/c"\n')
        with (place / "log").open("wb") as log:
            child = subprocess.Popen(["containerd", "--config", str(place / "config.toml")], stdout=log, stderr=log)
        try:
            end = time.monotonic() + 120
            while subprocess.run(["ctr", "--address", f"{place}/c", "version"], capture_output=True, check=False).returncode:
                assert child.poll() is None, (place / "log").read_text()
                assert time.monotonic() < end, (place / "log").read_text()
                time.sleep(0.2)
            yield place
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(60)


def test_version_1_of_an_image_in_containerd(containerd: Path, need: Callable[[object, str], None], tmp_path: Path) -> None:
    need(Path(SOCI).is_file(), "AWS's soci: scripts/soci builds it, and needs Go")
    _, entry = layout(tmp_path / "in", layers())
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        archive.add(tmp_path / "in", ".")
    name = ["--address", str(containerd / "c")]

    def call(*words: str) -> str:
        done = subprocess.run(words, env={**os.environ, "TZ": "UTC"}, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    imported = ["image", "import", "--all-platforms", "--no-unpack", "--base-name", "soci.test/app", str(tmp_path / "in.tar")]
    call("ctr", *name, *imported)
    soci = [SOCI, *name, "--root", str(containerd / "soci")]
    call(*soci, "create", "--platform", "linux/arm64", *OPTIONS, "soci.test/app:a")
    listed = call(*soci, "index", "list", "--ref", "soci.test/app:a")
    done = ours(tmp_path, *OPTIONS, "--index", "v1", "--json")
    assert done.returncode == 0, done.stderr
    (image,) = json.loads(done.stdout)["images"]
    assert image["manifest"] == entry["digest"]
    assert image["v1"] in listed
    assert Blobs(tmp_path / "ours").read(image["v1"]) == call("ctr", *name, "content", "get", image["v1"]).encode()


def test_both_refuse_an_image_of_small_layers(theirs: Any, tmp_path: Path) -> None:
    layout(tmp_path / "in", layers()[:2])
    done = theirs()
    assert "no ztocs created" in done.stdout + done.stderr
    mine = ours(tmp_path)
    assert mine.returncode == 65
    assert mine.stderr.count("smaller than 10.4858 MB") == 2
    assert "no layer of the image can be indexed" in mine.stderr


DAMAGES: "list[Callable[[bytes], bytes]]" = [
    lambda blob: blob[:-9],
    lambda blob: blob[:3000] + bytes(4) + blob[3004:],
    lambda blob: blob + b"junk",
]


@pytest.mark.parametrize("change", DAMAGES)
def test_both_refuse_a_damaged_layer(change: Callable[[bytes], bytes], theirs: Any, tmp_path: Path) -> None:
    layout(tmp_path / "in", [(GZIP, change(layers()[0][1]))])
    assert theirs(*OPTIONS).returncode != 0
    mine = ours(tmp_path, *OPTIONS)
    assert mine.returncode == 65
    assert "Traceback" not in mine.stderr
    assert "the layer sha256:" in mine.stderr
    assert not (tmp_path / "ours").exists()
