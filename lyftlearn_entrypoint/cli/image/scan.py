"""`lyftlearn image scan`: looks for secrets in every layer of an image, files that a later layer takes away included, and in its config.

A registry serves each layer by itself: what a later step deletes is still there for everyone who may pull.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import zipfile
import zlib
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.image import docker as image_docker
from lyftlearn_entrypoint.cli.image import secrets as image_secrets
from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.certificates import Certificates
from lyftlearn_entrypoint.cli.image.common import CHECKOUT, TAG, directory_of, find, lineage, tag_of
from lyftlearn_entrypoint.cli.image.layers import Layer, Layers, deleted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lyftlearn_entrypoint.cli.image.secrets import Own

# What is no secret although it looks like one, for all images: images/scan.json.
ALLOWED = "scan.json"
# Above it, a value of the building machine is looked for as it is written, and not in its other spellings. Bytes.
LARGE = 4 << 20
# An archive inside an archive is read, one inside that is not; nor is a member larger than this. Bytes.
_DEPTH = 2
_MEMBER = 512 << 20


@dataclass(frozen=True)
class Finding:
    """One file with a secret in it, or one place in the config (then `layer` is None). `taken_away` is the later layer that deletes it."""

    rule: str
    path: str
    what: str
    layer: int | None = None
    layer_name: str = ""
    taken_away: int | None = None

    def __str__(self) -> str:
        where = "config" if self.layer is None else f"layer {self.layer} ({self.layer_name})"
        gone = "" if self.taken_away is None else f"; layer {self.taken_away} takes it away, and it is in the image all the same"
        return f"{self.rule}: {where}: {self.path}: {self.what}{gone}"


@dataclass(frozen=True)
class Allowed:
    """Something that looks like a secret and is none. `path` is a shell pattern; `image` says which image brings it."""

    image: str
    rule: str
    path: str
    why: str

    def covers(self, finding: Finding) -> bool:
        return self.rule == finding.rule and fnmatchcase(finding.path, self.path)


class Scanner:
    """Looks at the files of an image, in one pass. `own` are the building machine's secrets, `bundle` the certificates (PEM) it trusts."""

    def __init__(self, own: list[Own], bundle: bytes = b"") -> None:
        self._own = own
        self._certificates = Certificates(bundle)
        self.files = 0
        self.bytes = 0

    def scan(self, saved: Layers) -> list[Finding]:
        """Every finding, lowest layer first, the config's last. Raises layers.Unreadable."""
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        gone: dict[str, list[str]] = {}
        for key, member, archive in saved.files():
            self.files += 1
            if target := deleted(member.name):
                gone.setdefault(key, []).append(target)
                continue
            hits = found.setdefault((key, member.name), set())
            if not member.isdir():
                hits.update(image_secrets.in_path(member.name))
            stream = archive.extractfile(member) if member.isreg() else None
            if stream is not None:
                data = stream.read()
                self.bytes += len(data)
                for path, content in contents(member.name, data):
                    inner = hits if path == member.name else found.setdefault((key, path), set())
                    inner.update(self._hits(key, path, content))
        for key, path in self._certificates.private():
            found.setdefault((key, path), set()).add(("own-certificate", "a certificate that only the building machine trusts"))
        made = [
            Finding(
                rule,
                masked(f"/{path}", self._own),
                what,
                layer.number,
                layer.name,
                _taken_away(saved.layers[layer.number + 1 :], gone, path),
            )
            for (key, path), hits in found.items()
            for layer in saved.named(key)
            for rule, what in sorted(hits)
        ]
        return [*sorted(made, key=lambda finding: (finding.layer, finding.path, finding.rule)), *self._in_config(saved.config)]

    def _hits(self, key: str, path: str, data: bytes) -> Iterator[tuple[str, str]]:
        for rule in image_secrets.in_bytes(data):
            yield rule.name, rule.what
        for rule in image_secrets.in_settings(path, data):
            yield rule.name, rule.what
        yield from self._own_in(data)
        self._certificates.look(key, path, data)

    def _own_in(self, data: bytes) -> Iterator[tuple[str, str]]:
        for own in self._own:
            if any(spelling in data for spelling in (own.spellings if len(data) < LARGE else own.spellings[:1])):
                yield "own-secret", f"the value of {own.name} on this machine"

    def _in_config(self, config: dict[str, Any]) -> Iterator[Finding]:
        settings = config.get("config") or {}
        texts = [(f"ENV {entry.partition('=')[0]}", entry) for entry in settings.get("Env") or ()]
        texts += [(f"LABEL {name}", f"{name}={value}") for name, value in (settings.get("Labels") or {}).items()]
        texts += [(f"history {number}", step.get("created_by", "")) for number, step in enumerate(config.get("history", []))]
        texts += [(name, json.dumps(settings[name])) for name in ("Cmd", "Entrypoint", "Healthcheck", "OnBuild") if settings.get(name)]
        for where, text in texts:
            data = text.encode(errors="surrogateescape")
            hits = {(rule.name, rule.what) for rule in image_secrets.in_bytes(data)} | set(self._own_in(data))
            hits |= {("named-secret", f"a value for {name}") for name in image_secrets.named_values(text)}
            yield from (Finding(rule, where, what) for rule, what in sorted(hits))


def contents(path: str, data: bytes, depth: int = _DEPTH) -> Iterator[tuple[str, bytes]]:
    """A file's bytes and, of an archive (zip, JAR, wheel, gzip), those of what is in it, as PATH!MEMBER."""
    yield path, data
    if not depth:
        return
    if data.startswith(b"PK\x03\x04"):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for member in archive.infolist():
                    if not member.is_dir() and member.file_size <= _MEMBER:
                        yield from contents(f"{path}!{member.filename}", archive.read(member), depth - 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError):
            return  # no archive after all, or encrypted: its bytes were looked at
    elif data.startswith(b"\x1f\x8b"):
        try:
            with gzip.open(io.BytesIO(data)) as unpacked:
                inner = unpacked.read(_MEMBER)
        except (OSError, zlib.error, EOFError):
            return
        yield from contents(f"{path}!", inner, depth - 1)


def masked(path: str, own: list[Own]) -> str:
    """A path in which nothing is left that would itself give a secret away."""
    raw = path.encode(errors="surrogateescape")
    for spelling in sorted((spelling for each in own for spelling in each.spellings), key=len, reverse=True):
        raw = raw.replace(spelling, b"***")
    return raw.decode(errors="replace")


def _taken_away(above: Iterable[Layer], gone: Mapping[str, list[str]], path: str) -> int | None:
    """The first of the layers above that takes the file away, or a directory over it."""
    for layer in above:
        for target in gone.get(layer.key, ()):
            if path == target or path.startswith((target.rstrip("/") + "/", target + "!")):
                return layer.number
    return None


def allowed(root: Path) -> list[Allowed]:
    """The allow list of a checkout. Raises click.ClickException where an entry is not complete."""
    file = root / "images" / ALLOWED
    try:
        return [Allowed(**entry) for entry in json.loads(file.read_text())] if file.is_file() else []
    except (TypeError, ValueError) as error:
        raise click.ClickException(f"{file}: each entry has image, rule, path and why ({error})") from None


def sift(found: list[Finding], entries: list[Allowed], images: list[str]) -> tuple[list[Finding], list[Allowed]]:
    """(what is a finding, entries that are stale). Entries of the images it is built on count too; its own are stale when unused."""
    mine = [entry for entry in entries if entry.image in images]
    left = [finding for finding in found if not any(entry.covers(finding) for entry in mine)]
    stale = [entry for entry in mine if entry.image == images[0] and not any(entry.covers(finding) for finding in found)]
    return left, stale


@click.command()
@click.argument("name")
@CHECKOUT
@TAG
@click.option(
    "--ca", envvar="SSL_CERT_FILE", type=click.Path(dir_okay=False, path_type=Path), help="PEM bundle that was used in the build."
)
@click.option("--pip-config", envvar="PIP_CONFIG_FILE", type=click.Path(dir_okay=False, path_type=Path), help="pip.conf, likewise.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def scan(name: str, checkout: Path, tag: str, ca: Path | None, pip_config: Path | None, as_json: bool) -> None:
    """Look for secrets in each layer and in the config; exit 1 where there is one. Says where and what kind, never the value.

    Private keys, tokens, logins in settings files, URLs with passwords; also the values of this machine's own variables that hold secrets,
    and certificates that only this machine trusts. What is none, although it looks so, is in images/scan.json, each with a reason.
    """
    root = checkout.resolve()
    directory_of(root, name)
    client = image_docker.connect()
    made = find(client, tag or tag_of(name))
    own = image_secrets.own_values(os.environ, pip_config.read_text() if pip_config and pip_config.is_file() else "")
    scanner = Scanner(own, ca.read_bytes() if ca and ca.is_file() else b"")
    saved = stored.read(client, made)
    every = scanner.scan(saved)
    left, stale = sift(every, allowed(root), lineage(root, name))
    if as_json:
        facts = {"image": made.id, "layers": len(saved.layers), "files": scanner.files, "bytes": scanner.bytes}
        facts |= {"findings": [asdict(each) for each in left], "allowed": len(every) - len(left), "stale": [asdict(each) for each in stale]}
        click.echo(json.dumps(facts, indent=2))
    else:
        for finding in left:
            click.echo(str(finding))
        read = f"{scanner.files} files of {len(saved.layers)} layers ({scanner.bytes / 1e6:.1f} MB) and the config"
        click.echo(f"{read}: {len(left)} findings, {len(every) - len(left)} allowed by images/{ALLOWED}")
    for entry in stale:
        click.echo(f"lyftlearn image: images/{ALLOWED}: nothing matches any more: {entry.rule} {entry.path}", err=True)
    sys.exit(1 if left else 0)
