"""A cluster that speaks HTTPS and takes EKS tokens, as EKS itself does."""

import base64
import calendar
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.fake_http import Authority
from tests.images.spark.cluster import Cluster

if TYPE_CHECKING:
    from pathlib import Path

    from tests.images.spark.site import Segment

ACCOUNT_TOKEN = "the-pods-own-token"


class Tokens(set[str]):
    """What the API server takes: a pod's token, and an EKS token for this cluster while it is neither revoked nor older than `life`
    seconds. `signers` are beginnings of the ids of keys that may sign one. The signatures themselves are tests/unit's."""

    def __init__(self, *signers: str, region: str, life: float = 900.0) -> None:
        super().__init__({ACCOUNT_TOKEN})
        self.minted: list[str] = []
        self.revoked: set[str] = set()
        self.life = life
        self._signers = signers
        self._host = f"sts.{region}.amazonaws.com"

    def __contains__(self, token: object) -> bool:
        text = str(token)
        if super().__contains__(text):
            return True
        if not text.startswith("k8s-aws-v1.") or text in self.revoked:
            return False
        padded = text.removeprefix("k8s-aws-v1.")
        url = urlsplit(base64.urlsafe_b64decode(padded + "=" * (-len(padded) % 4)).decode())
        query = parse_qs(url.query)
        good = query["X-Amz-SignedHeaders"] == ["host;x-k8s-aws-id"] and query["X-Amz-Credential"][0].startswith(self._signers)
        if good and text not in self.minted:
            self.minted.append(text)
        signed = calendar.timegm(time.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ"))
        return good and url.hostname == self._host and time.time() - signed < self.life


class Secured:
    """The cluster, with a certificate of its own authority. `network` and `port` as for Cluster."""

    def __init__(self, client: Any, directory: "Path", tokens: Tokens, network: "Segment | None" = None, port: int = 0) -> None:
        self.tokens = tokens
        self.cluster = Cluster(client, self.tokens, network=network, port=port)
        self.authority = Authority(directory)
        self.cluster.api.stop()
        self.cluster.api.secure(self.authority.server(self.cluster.network.gateway))
        self.cluster.kubelet.serve(self.cluster.api.url)
        self.cluster.api.start()

    @property
    def ca(self) -> str:
        return self.authority.bundle.read_text()

    @property
    def account(self) -> "dict[str, str]":
        """The data of a Secret: what a pod finds of its service account."""
        files = {"token": ACCOUNT_TOKEN, "ca.crt": self.ca, "namespace": "ml"}
        return {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}
