"""A small Kubernetes cluster: an API server whose pods are containers of the Docker Engine.

    with Cluster(client) as cluster:
        ... Spark with spark.master k8s://{cluster.api.url}, in containers on cluster.network ...

A driver that runs in a container of its own gets its address by `cluster.place()`. Nothing outside this process is needed but the engine.
"""

import uuid
from typing import TYPE_CHECKING, Any

from tests.images.spark.api import Api
from tests.images.spark.kubelet import LABEL, Kubelet, service
from tests.images.spark.podspec import Network
from tests.images.spark.store import Object, Store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.images.spark.site import Segment


class Cluster:
    """`api` answers, `store` keeps, `kubelet` runs, `network` connects. See each for what a test may turn."""

    def __init__(
        self,
        client: Any,
        tokens: "set[str] | None" = None,
        certificate: "tuple[Path, Path] | None" = None,
        network: "Segment | None" = None,
        port: int = 0,
    ) -> None:
        """`tokens`: what the API server takes, anything if empty. `certificate`: PEM files of a chain and its key, for HTTPS. `network`:
        one that is there already, and stays; without it the cluster has one of the engine's. `port` is the API's, 0 for a free one.

        The server listens on the network's gateway: a certificate has to hold for that address, or the client for another name.
        """
        self.name = "lyftlearn-" + uuid.uuid4().hex[:8]
        self.store = Store()
        self.network: Network | Segment = network or Network(client, self.name, {LABEL: self.name})
        self._lent = network is not None
        try:
            self.api = Api(self.store, self.network.gateway, tokens, certificate, port)
            self.kubelet = Kubelet(client, self.store, self.network, service(self.api.url), self.name)
        except BaseException:
            self._end_network()
            raise
        self.api.log_of = lambda namespace, name: self.kubelet.log(name)

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.api.stop()
        self.kubelet.close()
        self._end_network()

    def _end_network(self) -> None:
        if not self._lent:
            self.network.close()

    def place(self, client: Any) -> "tuple[str, dict[str, Any]]":
        """(an address, options of docker's SDK that put a container there)."""
        address = self.network.address()
        return address, self.network.options(client, address, "driver")

    def pods(self, selector: str = "") -> "list[Object]":
        return self.store.find("pods", "", selector)
