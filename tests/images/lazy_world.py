"""Nodes in namespaces of their own, images that run, and whether what a node mounts is what is in the image."""

import base64
import gzip
import hashlib
import json
import os
import platform
import random
import sys
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import requests

from lyftlearn_entrypoint.cli.image.registry import Manifest, digest_of
from tests.images.ecr_world import World
from tests.lazy_node import Enclosure, Node
from tests.unit.soci_made import layout

SOCI = os.environ.get("LYFTLEARN_TEST_SOCI") or str(Path(sys.prefix + ".go", "soci-0.16.1", "soci"))
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class LazyNode(Node):
    """A node in an Enclosure, which knows the registry's password as Docker's configuration has it."""

    def __init__(self, directory: Path, enclosure: Enclosure, world: World, v1: bool) -> None:
        secret = base64.b64encode(f"{world.user}:{world.password}".encode()).decode()
        (directory / "config.json").write_text(json.dumps({"auths": {world.host: {"auth": secret}}}))
        environ = {"PATH": os.environ["PATH"], "HOME": str(directory), "DOCKER_CONFIG": str(directory)}
        super().__init__(directory, Path(SOCI).parent, environ, v1, enclosure.words)
        self.enclosure = enclosure

    def fuse(self) -> "list[Path]":
        """Where layers are mounted by FUSE, as this process can read them, lowest first."""
        rows = [line.split() for line in self.enclosure.mounts.read_text().splitlines()]
        found = [Path(row[1]) for row in rows if row[2].startswith("fuse")]
        return [self.enclosure.root / str(path).lstrip("/") for path in sorted(found, key=lambda path: int(path.parent.name))]

    def layers(self) -> "list[Path]":
        """Where the layers are, in whatever way, lowest first."""
        found = (self.enclosure.root / str(self.directory).lstrip("/")).glob("snapshotter/snapshotter/snapshots/*/fs")
        return sorted(found, key=lambda path: int(path.parent.name))

    def run(self, image: str, *command: str) -> str:
        """What a container of the image prints."""
        return self.call("ctr", "run", "--rm", "--snapshotter", "soci", image, "first", *command)


Lazily = Callable[..., LazyNode]


class Made:
    """An image in an OCI layout: `source` names it for `lyftlearn image soci`, `tars` are its layers unpacked, lowest first."""

    def __init__(self, directory: Path, blobs: "list[tuple[str, bytes]]") -> None:
        self.source = f"oci:{directory}"
        self.blobs = [blob for _, blob in blobs]
        self.tars = [gzip.decompress(blob) if blob[:2] == b"\x1f\x8b" else blob for blob in self.blobs]
        self.digests = ["sha256:" + hashlib.sha256(blob).hexdigest() for blob in self.blobs]
        differences = ["sha256:" + hashlib.sha256(each).hexdigest() for each in self.tars]
        config = {"architecture": ARCHITECTURES[platform.machine()], "variant": "", "rootfs": {"type": "layers", "diff_ids": differences}}
        layout(directory, blobs, config=config)


def blob(world: World, repository: str, digest: str) -> bytes:
    """A blob that the registry has."""
    found = requests.get(world.url(repository, f"blobs/{digest}"), auth=(world.user, world.password), timeout=120)
    assert found.status_code == 200
    return found.content


def put_blob(world: World, repository: str, content: bytes) -> "dict[str, Any]":
    """Give the registry a blob; its digest and size."""
    named, access = {"digest": digest_of(content)}, (world.user, world.password)
    begun = requests.post(world.url(repository, "blobs/uploads/"), auth=access, timeout=120)
    done = requests.put(begun.headers["Location"], params=named, data=content, auth=access, timeout=120)
    assert done.status_code == 201, done.text
    return {**named, "size": len(content)}


def put_manifest(world: World, repository: str, manifest: Manifest) -> None:
    """Give the registry a manifest."""
    url, headers = world.url(repository, f"manifests/{manifest.digest}"), {"Content-Type": manifest.media_type}
    done = requests.put(url, data=manifest.content, headers=headers, auth=(world.user, world.password), timeout=120)
    assert done.status_code == 201, done.text


def text(number: int) -> bytes:
    """2 MiB of text that no two numbers share, and that compresses to three quarters."""
    return base64.b64encode(random.Random(number).randbytes(3 << 19))


def add(archive: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime, member.uid, member.gid = len(data), mode, 1_700_000_000, 0, 100
    archive.addfile(member, BytesIO(data))


def differing(root: Path, tar: bytes) -> "dict[str, list[Any]]":
    """What of a layer's entries is not below `root` as the tar has it; of nothing, if all is well. Whiteouts are left out."""
    found: "dict[str, list[Any]]" = {}
    with tarfile.open(fileobj=BytesIO(tar)) as archive:
        for member in archive:
            if "/.wh." in f"/{member.name}":
                continue
            place = root / member.name
            there = place.lstat()
            first = archive.getmember(member.linkname) if member.islnk() else member
            kinds = {tarfile.SYMTYPE: 0o12, tarfile.DIRTYPE: 0o4, tarfile.CHRTYPE: 0o2, tarfile.BLKTYPE: 0o6, tarfile.FIFOTYPE: 0o1}
            want: list[Any] = [kinds.get(first.type, 0o10) << 12 | first.mode, first.uid, first.gid, int(first.mtime // 1)]
            have: list[Any] = [there.st_mode, there.st_uid, there.st_gid, int(there.st_mtime // 1)]
            if first.issym():
                want, have = [*want[1:], first.linkname], [*have[1:], os.readlink(place)]
            elif first.isdev():
                want.append(os.makedev(first.devmajor, first.devminor) if not first.isfifo() else 0)
                have.append(there.st_rdev)
            elif content := archive.extractfile(first):
                want.append(hashlib.sha256(content.read()).hexdigest())
                have.append(hashlib.sha256(place.read_bytes()).hexdigest())
            for key, value in first.pax_headers.items():
                if key.startswith("SCHILY.xattr."):
                    want.append(value.encode())
                    have.append(os.getxattr(place, key.removeprefix("SCHILY.xattr."), follow_symlinks=False))
            if want != have:
                found[member.name] = [want, have]
    return found
