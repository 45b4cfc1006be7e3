"""Tags of an image in a registry: what they are called, and that none is moved by accident."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.image.answers import TagTaken
from lyftlearn_entrypoint.errors import BadDocument, BadSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lyftlearn_entrypoint.cli.image.registry import Manifest, Registry

# Source: OCI distribution specification 1.1, "Pulling manifests".
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
VERSION, REVISION = "org.opencontainers.image.version", "org.opencontainers.image.revision"
DEFAULT = ("{version}", "{revision}")


def checked(labels: dict[str, str], allow_modified: bool = False) -> dict[str, str]:
    """The version and revision that an image's labels tell. Raises BadDocument (65) where it was not built from a commit as it stands."""
    found = {"version": labels.get(VERSION, ""), "revision": labels.get(REVISION, "")}
    if not allow_modified:
        for name, label in (("version", VERSION), ("revision", REVISION)):
            if not found[name]:
                raise BadDocument(
                    f"the image has no label {label}", "Build it with `lyftlearn image build`, or give --allow-modified and --tag"
                )
        if found["revision"] == "unknown" or found["revision"].endswith("-modified"):
            raise BadDocument(
                f"the image was built from no commit as it stands: its revision is {found['revision']}",
                "Commit, and build again; or give --allow-modified",
            )
    return found


def render(templates: Iterable[str], facts: dict[str, str]) -> list[str]:
    """Tags with {version}, {revision} and {architecture} filled in, each once. Raises BadSettings (78)."""
    made = []
    for template in templates:
        unknown = [name for name in _PLACEHOLDER.findall(template) if not facts.get(name)]
        if unknown:
            known = ", ".join(f"{{{name}}}" for name, value in facts.items() if value)
            raise BadSettings(f"--tag {template}: the image tells no {{{unknown[0]}}}", f"It tells {known}" if known else "")
        tag = _PLACEHOLDER.sub(lambda found: facts[found[1]], template)
        if not _TAG.fullmatch(tag):
            raise BadSettings(
                f"--tag {template}: {tag!r} is no tag", "At most 128 letters, digits, '.', '_' and '-', the first no '.' or '-'"
            )
        made.append(tag)
    return list(dict.fromkeys(made))


def survey(registry: Registry, tags: Iterable[str], moving: Iterable[str], same: Callable[[Manifest], bool]) -> dict[str, Manifest | None]:
    """What each tag names now: None where it is free or may move to another image. Raises TagTaken (77), before anything is pushed.

    Between this and the push another client can take a tag. A repository with immutable tags then refuses; one without does not.
    """
    found: dict[str, Manifest | None] = {}
    for tag in tags:
        there = registry.manifest(tag)
        if there is not None and not same(there):
            raise TagTaken(
                f"{registry.where.name}:{tag} is another image already, {there.digest}",
                "Build again under another version, choose another --tag, or give it as --move",
            )
        found[tag] = there
    for tag in moving:
        there = registry.manifest(tag)
        found[tag] = there if there is not None and same(there) else None
    return found


def settle(registry: Registry, manifest: Manifest, there: dict[str, Manifest | None], done: Iterable[str] = ()) -> dict[str, str]:
    """Put the manifest under every tag that does not name the image, and read each back: tag -> 'put' or 'there'.

    `done` were put by the Engine, and are read back too. Raises StartError.
    """
    told = {tag: "there" for tag, known in there.items() if known is not None}
    for tag in there:
        if tag in told:
            continue
        if tag not in done:
            registry.put_manifest(tag, manifest)
        back = registry.manifest(tag)
        if back is None or back.digest != manifest.digest:
            raise BadDocument(
                f"{registry.where.name}:{tag} is {back.digest if back else 'nothing'} after it was put, not {manifest.digest}"
            )
        told[tag] = "put"
    return told
