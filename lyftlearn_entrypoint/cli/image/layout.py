"""Writes an image's large layers anew with the hot files of images/NAME/hot.txt in front, as the last step of `lyftlearn image build`.

The engine's own tar of a layer goes by name, so what a start touches is scattered over all of it. The layers are read out of the engine
(`stored`), written in another order while they are read, and loaded again. The layers of the image below are left as they are, so that a
registry and a node have them once; so is each layer without a hot file. The engine keeps the bytes of a layer that it loads: it saves and
pushes them as they were. Source: moby, layer/layer_store.go (registerWithDescriptor) with vbatts/tar-split; tried on Engine 20.10.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import sys
import tarfile
from typing import IO, TYPE_CHECKING, Any

import click

from lyftlearn_entrypoint.cli.footprint import spans
from lyftlearn_entrypoint.cli.footprint.spans import SMALLEST
from lyftlearn_entrypoint.cli.image import layers, stored
from lyftlearn_entrypoint.cli.image.common import cache, keeps_manifests
from lyftlearn_entrypoint.cli.image.layers import Unreadable
from lyftlearn_entrypoint.cli.image.registry import canonical
from lyftlearn_entrypoint.cli.image.stamp import archive, config_of, load
from lyftlearn_entrypoint.cli.layout import order, tape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lyftlearn_entrypoint.cli.image.layers import Saved
    from lyftlearn_entrypoint.cli.image.stored import Stored

HOT = "hot.txt"
# The list is traced on amd64; what is compiled is named after the machine.
_TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_BLOCK = 512


def hot_of(directory: Path, architecture: str) -> list[str]:
    """The hot list of images/NAME for a machine, as the Engine calls it; empty where there is none."""
    try:
        lines = (directory / HOT).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []
    triplet = _TRIPLETS.get(architecture, _TRIPLETS["amd64"])
    return [line.replace(_TRIPLETS["amd64"], triplet) for line in lines if line.startswith("/")]


def lay(client: Any, image: Any, tags: list[str], hot: list[str], epoch: int, below: int = 0, fresh: bool = False) -> Any:
    """The image with its large layers laid out anew, under these tags; the image itself where its layers are so already.

    Where a layer takes away from those below, that is no younger than `epoch` (seconds) in it, like all else. `below`: that many layers are
    of the image that it is built on, and stay. `fresh`: do it from nothing, whatever was done before. The
    image it is made from is removed, unless something uses it or it has another name. Raises click.ClickException.
    """
    if not hot:
        return image
    tags = [tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest" for tag in tags]  # as `docker load` takes them
    if keeps_manifests(client):
        click.echo(f"{tags[0]}: the engine keeps images in containerd's store: its layers stay in the engine's own order", err=True)
        return image
    known = _known(image.attrs["RootFS"]["Layers"], hot, epoch, below)
    made = None
    with contextlib.suppress(OSError, ValueError, click.ClickException):  # a cache that is gone, or layers that the engine has no more
        if not fresh:
            diff_ids = json.loads(known.read_text())
            config = json.loads(config_of(client, image))  # may take a whole `docker save`
            config["rootfs"]["diff_ids"] = diff_ids
            made = load(client, canonical(config), tags, len(diff_ids))
    if made is None:
        made = _anew(client, image, tags, hot, epoch, below)
        with contextlib.suppress(OSError):
            known.parent.mkdir(parents=True, exist_ok=True)
            known.write_text(json.dumps(made.attrs["RootFS"]["Layers"]))
    if made.id != image.id:
        _removed(client, image)
    return made


def _removed(client: Any, image: Any) -> None:
    import docker.errors

    with contextlib.suppress(docker.errors.APIError):  # a container was made from it
        if not client.images.get(image.id).tags:  # else it would lose its last name
            client.api.remove_image(image.id)


def _known(diff_ids: list[str], hot: list[str], epoch: int, below: int) -> Path:
    """Where it is kept which layers these become. By what they are made from, and by the code that makes them."""
    made = hashlib.sha256()
    code = (order, tape, layers, stored, spans, sys.modules[__name__])
    for text in (*diff_ids, *hot, f"{epoch} {below}", *(inspect.getsource(module) for module in code)):
        made.update(text.encode(errors="surrogateescape") + b"\n")
    return cache() / "layouts" / f"{made.hexdigest()}.json"


def _anew(client: Any, image: Any, tags: list[str], hot: list[str], epoch: int, below: int) -> Any:
    try:
        with stored.opened(client, image) as (saved, tars):
            laid = Archive(saved, tars, hot, tags, epoch, below)
            _answered(client.api.load_image(laid.pieces()), tags[0])
    except Unreadable as error:
        raise click.ClickException(f"{tags[0]} is built, but its layers cannot be laid out: {error}") from None
    return client.images.get(f"sha256:{laid.digest}")


def _answered(answers: Any, tag: str) -> None:
    for answer in answers:
        if "error" in answer:
            raise click.ClickException(f"{tag} is built, but the engine does not take its layout: {answer['error']}")


class Archive:
    """What `docker load` reads of an image whose layers are laid out anew while it is read. `digest` is its config's, once it was."""

    def __init__(
        self, saved: Saved | Stored, tars: dict[str, IO[bytes]], hot: list[str], tags: list[str], epoch: int, below: int = 0
    ) -> None:
        self._saved = saved
        self._tars = tars
        self._hot = hot
        self._tags = tags
        self._epoch = epoch
        self._below = below
        self.digest = ""

    def pieces(self) -> Iterator[bytes]:
        digests, same = [], True
        for layer in self._saved.layers:
            tar = self._tars[layer.key]
            size = tar.seek(0, os.SEEK_END)
            entries = tape.entries(tar) if layer.number >= self._below else []
            # A layer that is smaller, unpacked, is smaller still when compressed, and is pulled whole.
            made = order.ordered(entries, self._hot) if size >= SMALLEST else entries
            young = tape.younger(tar, entries, self._epoch)
            stays = made == entries and not young
            if stays and same:  # the engine has it, and all below it: it reads no bytes
                digests.append(layer.diff_id)
                continue
            same = False
            hashed = hashlib.sha256()
            yield _header(f"{layer.number}.tar", size)
            for piece in tape.written(tar, made, young, self._epoch):
                hashed.update(piece)
                yield piece
            yield bytes(-size % _BLOCK)
            digests.append(f"sha256:{hashed.hexdigest()}")
            if stays and digests[-1] != layer.diff_id:
                raise Unreadable(f"the layer {layer.name} is {digests[-1]} as it is read, and not {layer.diff_id}")
        config = {**self._saved.config, "rootfs": {**self._saved.config["rootfs"], "diff_ids": digests}}
        raw = canonical(config)
        self.digest = hashlib.sha256(raw).hexdigest()
        yield archive(raw, self.digest, self._tags, [f"{layer.number}.tar" for layer in self._saved.layers])


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)
