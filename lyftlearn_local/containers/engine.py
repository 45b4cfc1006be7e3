"""A Docker Engine on this machine, a network of our own in it, and the containers on that network. All of it goes when we go."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lyftlearn_local.containers import owner
from lyftlearn_local.containers.running import CannotRun, Running
from lyftlearn_local.link_local import CONTAINER_HOST

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["CannotRun", "Engine"]

# The link-local network of Amazon ECS's containers. Its gateway, which is this machine, has the address of their credentials.
_SUBNET = "169.254.170.0/24"
_DIRECTORY = owner.LABEL + ".directory"
PREFIX = "lyftlearn-demo-"  # of containers' names, and of the directory's
_PATIENCE = 600.0  # seconds
_SETTLED = 5.0  # seconds; the engine knows a network's addresses before it lists it, and a little after it was listed last
FIND = f"docker ps -a --filter label={owner.LABEL}; docker network ls --filter label={owner.LABEL}"


class Engine:
    """`with Engine(say, directory) as engine:` connects and makes the network; at the end containers and network are removed.

    `directory` holds what is mounted into containers. It is named on the network, so that a later run can remove it where this process
    is killed. `host` is the address at which containers reach this machine; the network leads nowhere else (`internal`).
    Raises CannotRun where there is no engine, or the network cannot be had. Where another demo has it, that one's end is waited for.
    """

    host = CONTAINER_HOST

    def __init__(self, say: Callable[[str], None], directory: Path) -> None:
        self._say = say
        self._directory = directory
        self._me = owner.me()
        self._labels = {owner.LABEL: self._me}
        self.client: Any = None
        self.network: Any = None

    def __enter__(self) -> "Engine":
        import click

        from lyftlearn_entrypoint.cli.image.docker import connect

        try:
            self.client = connect()
        except click.ClickException as error:
            raise CannotRun(error.message) from None
        try:
            self._take_network()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None") -> None:
        self._remove()

    def image(self, tag: str) -> Any:
        """The engine's image of that name. Raises CannotRun."""
        import docker.errors

        try:
            return self.client.images.get(tag)
        except docker.errors.ImageNotFound:
            raise CannotRun(f"there is no image {tag}: build it (`lyftlearn image build base`), or name another with --image") from None

    def start(self, name: str, image: str, words: "list[str]", options: "dict[str, Any]") -> Running:
        """A started container on our network, unless `options` (of Docker's SDK) name another's. Raises CannotRun.

        Variables go through the engine's socket: none of them is ever on a command line.
        """
        import docker.errors

        settled = {"name": f"{PREFIX}{name.replace(' ', '-')}-{os.getpid()}", "labels": self._labels, "use_config_proxy": False, **options}
        if "network_mode" not in settled:
            settled["network"] = self.network.name
        try:
            with _undisturbed():  # interrupted here, the engine would go on and make what nobody waits for
                handle = self.client.containers.create(image, words or None, **settled)
            handle.start()
        except docker.errors.APIError as error:
            raise CannotRun(f"{name}: the engine says: {error.explanation or error}") from None
        return Running(name, handle)

    def remove(self, container: Running) -> None:
        """Removes a container before the end."""
        container.handle.remove(force=True, v=True)

    def _take_network(self) -> None:
        """Makes the network, once no other demo has it: there is one of these addresses. Raises CannotRun."""
        import docker.errors

        end, told, refused = time.monotonic() + _PATIENCE, False, 0.0
        while True:
            other = self._other()
            if not other:
                try:
                    self._create_network()
                    return
                except docker.errors.APIError as error:
                    # Another demo may have been quicker, or may be about to have it, or to be rid of it: the next look tells.
                    refused = refused or time.monotonic()
                    if time.monotonic() > refused + _SETTLED:
                        why = error.explanation or error
                        raise CannotRun(f"no network {_SUBNET}, where containers look for their credentials: {why}") from None
                time.sleep(0.2)
                continue
            refused = 0.0
            if time.monotonic() > end:
                raise CannotRun(f"another demo (process {other}) did not end within {_PATIENCE:g} s; what it has: {FIND}")
            if not told:
                self._say(f"another demo is running (process {other}): waiting for it; what it has: {FIND}")
                told = True
            time.sleep(1)

    def _create_network(self) -> None:
        from docker.types import IPAMConfig, IPAMPool

        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=_SUBNET, gateway=self.host)])
        labels = {**self._labels, _DIRECTORY: str(self._directory)}
        name = PREFIX + "network"
        with _undisturbed():
            self.network = self.client.networks.create(name, driver="bridge", internal=True, ipam=ipam, labels=labels, check_duplicate=True)

    def _other(self) -> str:
        """Removes what demos left that were killed. The process of one that still runs, else ''."""
        networks, containers = self._labelled()
        owners = {_labels(thing)[owner.LABEL] for thing in (*containers, *networks)}
        gone = {one for one in owners if not owner.runs(one)}
        if gone:
            self._say("removing what a killed demo left")
            self._clear(gone)
        return next((owner.number(one) for one in owners - gone), "")

    def _labelled(self) -> "tuple[list[Any], list[Any]]":
        """(networks, containers) of all demos."""
        containers = self.client.containers.list(all=True, filters={"label": owner.LABEL}, ignore_removed=True)
        return self.client.networks.list(filters={"label": owner.LABEL}), containers

    def _remove(self) -> None:
        """Removes all that is ours. Ctrl-C is heard again when it is done: half of it left would be in the next one's way."""
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self._clear({self._me})
        finally:
            self.client.close()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _clear(self, owners: "set[str]") -> None:
        """Removes all that is of these owners; of others than us also the directory."""
        import docker.errors

        networks, containers = self._labelled()
        for container in containers:
            try:
                if _labels(container)[owner.LABEL] in owners:
                    container.remove(force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):  # it is gone, or somebody else is removing it
                    raise
        for network in networks:
            labels = _labels(network)
            if labels[owner.LABEL] in owners:
                until_removed(network)
                place = Path(labels.get(_DIRECTORY, "/"))
                if labels[owner.LABEL] != self._me and place.name.startswith(PREFIX):
                    shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the block is done."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for sent in came[:1]:
            signal.raise_signal(sent)


def _labels(thing: Any) -> "dict[str, str]":
    return dict(thing.attrs.get("Labels") or thing.attrs["Config"]["Labels"])


def until_removed(network: Any, seconds: float = 30.0) -> None:
    """The engine takes a moment to see that a network's last container is gone. Raises docker.errors.APIError after `seconds`."""
    import docker.errors

    end = time.monotonic() + seconds
    while True:
        try:
            network.remove()
            return
        except docker.errors.NotFound:
            return
        except docker.errors.APIError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
