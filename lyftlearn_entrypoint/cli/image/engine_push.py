"""The Docker Engine's push: its progress told layer by layer, its errors as ours, its password in no file and on no command line.

The SDK sends the login in a header of the one request. What an image is called in the Engine is as before when the push is over.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.image.answers import TagTaken, needs_token, remedy_of
from lyftlearn_entrypoint.cli.image.size import megabytes
from lyftlearn_entrypoint.errors import BadDocument, Missing, Refused, StartError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lyftlearn_entrypoint.cli.image.ecr import Login, Tokens
    from lyftlearn_entrypoint.cli.image.registry import Registry

ATTEMPTS = 3
_EVERY = 10.0  # seconds between two lines about an upload that goes on
# What the Engine's texts say when a registry or the network fails; it tries a layer five times itself, a manifest once.
_PASSING = re.compile(
    r"connection re(fused|set)|no such host|timeout|EOF|broken pipe|server misbehaving|unexpected HTTP status: 5\d\d|toomanyrequests"
    r"|internal server error|service unavailable|bad gateway|unknown: unknown error|network is unreachable|no route to host",
    re.IGNORECASE,
)
_ENDS = {"Pushed": "uploaded", "Layer already exists": "already there"}


@dataclass
class Pushed:
    """What a push came to. `layers`: the Engine's short id -> 'uploaded', 'already there' or 'mounted from X'. Sizes in bytes, unpacked."""

    digest: str = ""
    layers: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)


class Teller:
    """Tells a push while it goes on: a line when a layer is done, and every ten seconds one about those that are not."""

    def __init__(self, say: Callable[[str], None], order: list[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._order = order
        self._clock = clock
        self._told = clock()

    def layer(self, short: str) -> str:
        """What a layer is called: its place in the image where the Engine's id tells it, lowest first."""
        place = f"{self._order.index(short) + 1} of {len(self._order)}" if short in self._order else short
        return f"layer {place}"

    def feed(self, event: dict[str, Any], pushed: Pushed) -> None:
        """Take one message of the Engine's. An earlier attempt's upload stays told as such."""
        short, status = str(event.get("id", "")), str(event.get("status", ""))
        if not short:
            return
        if status == "Pushing":
            progress = event.get("progressDetail") or {}
            pushed.sizes[short] = max(int(progress.get("total") or 0), pushed.sizes.get(short, 0))
            # The Engine counts the tar around the files too.
            pushed.sent[short] = min(int(progress.get("current") or 0), pushed.sizes[short])
        elif status in _ENDS or status.startswith("Mounted from"):
            how = _ENDS.get(status) or status[0].lower() + status[1:]
            if pushed.layers.get(short) != "uploaded":
                pushed.layers[short] = how
                size = f", {megabytes(pushed.sizes[short])} unpacked" if how == "uploaded" and pushed.sizes.get(short) else ""
                self._say(f"{self.layer(short)}: {how}{size}")
            pushed.sent.pop(short, None)
        elif status.startswith("Retrying") and self._clock() - self._told >= 1:
            self._tell(f"{self.layer(short)}: the upload broke off; {status[0].lower()}{status[1:]}")
        if pushed.sent and self._clock() - self._told >= _EVERY:
            under_way = (f"{self.layer(key)} {megabytes(sent)} of {megabytes(pushed.sizes[key])}" for key, sent in pushed.sent.items())
            self._tell("uploading " + ", ".join(under_way))

    def _tell(self, line: str) -> None:
        self._told = self._clock()
        self._say(line)


def explain(said: str, where: str) -> StartError:
    """The error for what the Engine said."""
    text = re.sub(r"\?[^\s\"]+", "", " ".join(said.split()))[:500]  # without an upload's state
    lower = text.lower()
    what = f"the push to {where} failed: {text}"
    kind: type[StartError] = BadDocument
    if "immutable" in lower:
        kind = TagTaken
    elif "name unknown" in lower or "does not exist in the registry" in lower:
        kind = Missing
    elif needs_token(lower) or "denied" in lower or "forbidden" in lower:
        kind = Refused
    elif _PASSING.search(text):
        return Unavailable(what, "Check the registry and the network, and push again: what arrived stays")
    return kind(what, remedy_of(text))


def push(
    client: Any,
    image: Any,
    registry: Registry,
    tag: str,
    tokens: Tokens,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Pushed:
    """Push the Engine's image under one tag. Raises StartError.

    Once more with a new token where the old one is refused. Where the registry failed, again, as long as it answers at all: a registry that
    is gone is not waited for, since the Engine has waited for over a minute by then.
    """
    order = [str(layer).removeprefix("sha256:")[:12] for layer in image.attrs.get("RootFS", {}).get("Layers") or []]
    teller, pushed = Teller(say, order), Pushed()
    renewed = False
    with named(client, image, registry.where.name, tag):
        for attempt in range(1, ATTEMPTS + 2):
            try:
                _attempt(client, registry.where.name, tag, tokens.get(), teller, pushed)
                return pushed
            except Refused as error:
                if renewed or isinstance(error, TagTaken) or not needs_token(error.what):
                    raise
                renewed = True
                say("the registry refuses the token; trying once with a new one")
                tokens.renew()
            except Unavailable as error:
                if attempt >= ATTEMPTS:
                    raise
                registry.manifest(tag)
                say(f"{error.what}; trying again")
                sleep(2.0 * attempt)
    raise AssertionError("the last attempt returns or raises")


def _attempt(client: Any, repository: str, tag: str, login: Login, teller: Teller, pushed: Pushed) -> None:
    import docker.errors
    import requests

    auth = {"username": login.user, "password": login.password}
    try:
        for event in client.api.push(repository, tag=tag, stream=True, decode=True, auth_config=auth):
            if "error" in event:
                raise explain(str(event["error"]), repository)
            pushed.digest = str((event.get("aux") or {}).get("Digest") or pushed.digest)
            teller.feed(event, pushed)
    except docker.errors.APIError as error:
        raise explain(str(error.explanation or error), repository) from None
    except requests.RequestException as error:
        raise Unavailable(f"the Docker Engine stopped answering in the push to {repository} ({type(error).__name__})") from None
    if not pushed.digest:
        raise BadDocument(f"the Docker Engine ended the push to {repository} without telling a digest")


@contextlib.contextmanager
def named(client: Any, image: Any, repository: str, tag: str) -> Iterator[None]:
    """The image has this name in the Engine as long as the block runs, since the Engine pushes names only. Then all is as it was."""
    import docker.errors

    name = f"{repository}:{tag}"
    try:
        before = client.images.get(name).id
    except docker.errors.ImageNotFound:
        before = ""
    image.tag(repository, tag)
    try:
        yield
    finally:
        if before and before != image.id:
            client.api.tag(before, repository, tag)
        elif not before and [other for other in client.images.get(image.id).tags if other != name]:
            # Without another name the image itself would go.
            client.api.remove_image(name, noprune=True)
