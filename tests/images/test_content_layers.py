"""What must not be in any layer of an image, also where a later layer takes it away. Each image is read once."""

import os
import re
import tarfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.common import lineage
from lyftlearn_entrypoint.cli.image.layers import Layers, deleted
from lyftlearn_entrypoint.cli.image.scan import Finding, Scanner, allowed, sift
from lyftlearn_entrypoint.cli.image.secrets import own_values
from tests.images.conftest import tag
from tests.images.every_image import ROOT, costly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("name", costly("dl"))]

LIBRARY = "opt/lyftlearn/lib/lyftlearn_entrypoint/"
STICKY = {"tmp", "var/tmp", "run/lock"}


@dataclass
class Seen(Layers):
    """What breaks a rule, found while the scanner reads. Sizes in bytes, by layer."""

    image: Layers
    privileged: "list[tuple[str, str]]" = field(default_factory=list)  # (layer's key, path) of programs that change the user
    plain: "dict[str, set[str]]" = field(default_factory=dict)  # path -> keys of the layers in which it is a file like any other
    large_ids: "list[str]" = field(default_factory=list)
    hidden: "list[str]" = field(default_factory=list)
    open_to_all: "list[str]" = field(default_factory=list)
    sizes: "dict[str, int]" = field(default_factory=dict)
    of_the_entrypoint: "set[str]" = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def blobs(self) -> "Iterator[tuple[str, IO[bytes]]]":
        yield from self.image.blobs()
        self.config, self.layers = self.image.config, self.image.layers

    def files(self) -> "Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]":
        for key, member, archive in super().files():
            self.look(key, member)
            yield key, member, archive

    def look(self, key: str, member: tarfile.TarInfo) -> None:
        told = f"{member.name} {member.mode:o} {member.uid}:{member.gid}"
        if not member.isdir():
            if member.mode & 0o6000:
                self.privileged.append((key, member.name))
            else:
                self.plain.setdefault(member.name, set()).add(key)
        if max(member.uid, member.gid) > 65535:
            self.large_ids.append(told)
        if re.match(r"(home|opt/ml)/.", member.name) and not member.isdir():
            self.hidden.append(told)
        if member.mode & 0o002 and not member.issym() and not (member.isdir() and member.name in STICKY and member.mode & 0o1000):
            self.open_to_all.append(told)
        self.sizes[key] = self.sizes.get(key, 0) + member.size
        if member.name.startswith(LIBRARY) and not deleted(member.name):
            self.of_the_entrypoint.add(key)


@dataclass(frozen=True)
class Read:
    seen: Seen
    findings: "list[Finding]"


@pytest.fixture(scope="module")
def read(client: Any) -> "Callable[[str], Read]":
    """Reads an image when its first test asks for it."""
    bundle = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")

    @cache
    def look(name: str) -> Read:
        seen = Seen(stored.read(client, client.images.get(tag(name))))
        return Read(seen, Scanner(own_values(os.environ), bundle.read_bytes() if bundle.is_file() else b"").scan(seen))

    return look


def test_no_secret(read: "Callable[[str], Read]", name: str) -> None:
    """None of the build's secrets, and nothing that looks like one but what is in images/scan.json; each entry there is of use."""
    left, stale = sift(read(name).findings, allowed(ROOT), lineage(ROOT, name))
    assert [str(finding) for finding in left] == []
    assert stale == []


def test_no_set_user_id(read: "Callable[[str], Read]", name: str) -> None:
    """A pod's restricted profile ignores such bits anyway; for root they are a way back after the user was switched.

    Debian's own layer has them, on `su` and its like. They are in no other, and a later layer has each of these files without.
    """
    seen = read(name).seen
    numbers = {layer.key: layer.number for layer in seen.layers}
    assert [path for key, path in seen.privileged if numbers[key] > 0] == []
    assert [path for _, path in seen.privileged if not any(numbers[key] > 0 for key in seen.plain.get(path, ()))] == []


def test_ids_that_studio_takes(read: "Callable[[str], Read]", name: str) -> None:
    assert read(name).seen.large_ids == []


def test_nothing_lies_where_mounts_hide_it(read: "Callable[[str], Read]", name: str) -> None:
    assert read(name).seen.hidden == []


def test_nothing_is_writable_by_all(read: "Callable[[str], Read]", name: str) -> None:
    assert read(name).seen.open_to_all == []


def test_the_entrypoint_is_a_small_layer_of_its_own(read: "Callable[[str], Read]", name: str) -> None:
    """A lazily pulled image (SOCI) fetches layers below 10 MiB whole and at once; what changes most is not in a large one."""
    seen = read(name).seen
    assert len(seen.of_the_entrypoint) == 1
    assert seen.sizes[min(seen.of_the_entrypoint)] < 5 * 1024 * 1024
