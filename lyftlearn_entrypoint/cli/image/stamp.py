"""Gives an image the time that its build was told, so that the same inputs have the same digest on every engine.

BuildKit before 0.11 (Docker Engine 20.10 to 23) writes the time of the build into the image's config, whatever SOURCE_DATE_EPOCH says;
the layers are the same. Here the config is read, its times are set, and it is loaded again as an archive without layers: the engine knows
them by their chain id and reads none. Newer engines need nothing. Sources: moby, image/tarexport/load.go; buildkit, docs/build-repro.md.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click

from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.layers import Saved
from lyftlearn_entrypoint.cli.image.registry import canonical


def stamp(client: Any, image: Any, epoch: int) -> Any:
    """The image with the times of `epoch` (seconds), under the same tags; the image itself where its times are those already.

    The image without them is removed, unless something uses it. Raises click.ClickException where the engine does not take the new one.
    """
    import docker.errors

    if image.attrs["Created"] == moment(epoch):
        return image  # BuildKit took the time; what it says of the steps of the image below was there before
    made = load(client, stamped(config_of(client, image), epoch), image.tags, len(image.attrs["RootFS"]["Layers"]))
    try:
        client.api.remove_image(image.id)
    except docker.errors.APIError:
        pass  # a container was made from it, or it has another name
    return made


def stamped(config: bytes, epoch: int) -> bytes:
    """An image's config with `created` at `epoch`, and no step of its history later than that. All else stays as it is."""
    document = json.loads(config)
    document["created"] = moment(epoch)
    for step in document.get("history", []):
        if "created" in step and _later(step["created"], epoch):
            step["created"] = moment(epoch)
    return canonical(document)


def moment(epoch: int) -> str:
    """Seconds since 1970 as RFC 3339 writes them, in UTC."""
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _later(text: str, epoch: int) -> bool:
    """Whether a time as Docker writes it (UTC, up to nanoseconds) is after `epoch`."""
    second, _, fraction = text.removesuffix("Z").partition(".")
    return (second, fraction.rstrip("0")) > (moment(epoch).removesuffix("Z"), "")


def config_of(client: Any, image: Any) -> bytes:
    """The image's config, byte for byte. Its digest is the image's id, unless the engine keeps images in containerd's store.

    No call of the Engine's API gives it alone. Where this process may read the engine's own directory (root, same machine) it is read
    there, in no time; else out of `docker save`, which takes seconds for each GB.
    """
    told = client.info()
    if config := stored.config(Path(told["DockerRootDir"], "image", told["Driver"]), image.id):
        return config
    saved = Saved(image.save())
    for _ in saved.blobs():
        pass
    return saved.raw_config


def load(client: Any, config: bytes, tags: list[str], layers: int) -> Any:
    """The image with that config, of that many layers, which the engine has. Raises click.ClickException where it does not take it."""
    digest = hashlib.sha256(config).hexdigest()
    keys = [f"{number}.tar" for number in range(layers)]
    for answer in client.api.load_image(archive(config, digest, tags, keys)):
        if "error" in answer:
            raise click.ClickException(f"{tags[0]} is built, but the engine does not take its new config: {answer['error']}")
    return client.images.get(f"sha256:{digest}")


def archive(config: bytes, digest: str, tags: list[str], keys: list[str]) -> bytes:
    """What `docker load` reads, with the names of layers and none of their bytes."""
    manifest = [{"Config": f"{digest}.json", "RepoTags": tags, "Layers": keys}]
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in ((f"{digest}.json", config), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()
