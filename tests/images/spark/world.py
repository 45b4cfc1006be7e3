"""Everything that a notebook in Studio with executors in EKS meets: both networks, a cluster, an application, and S3."""

import base64
from typing import TYPE_CHECKING, Any

from tests.images.platform_files import readable
from tests.images.spark.jobs import PATIENT, QUICK
from tests.images.spark.lab import Lab
from tests.images.spark.secured import Secured, Tokens
from tests.images.spark.storage import REGION, ROLE, Storage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.images.spark.site import Site
    from tests.images.spark.store import Object

EXECUTORS = "spark-role=executor"
TCP = ("-p", "tcp", "--dport")
IN, OUT = ("-i", "eks", "-o", "studio", *TCP), ("-i", "studio", "-o", "eks", *TCP)
# What docs/spark.md says of security groups. The executors' port is for the doctor's last way, and for task results above 100 MB.
DRIVER, API, EXECUTOR = (*IN, "38000:38017"), (*OUT, "443"), (*OUT, "7079")
# A user's own settings: executors go as soon as they are idle, not after minutes.
IMPATIENT = {
    "spark.dynamicAllocation.executorIdleTimeout": "4s",
    "spark.dynamicAllocation.shuffleTracking.timeout": "4s",
    "spark.dynamicAllocation.cachedExecutorIdleTimeout": "4s",
}
# EKS takes a token for 15 minutes. Here each of them ends in the middle of something.
LIFE = 60.0


class World:
    """Two networks and a firewall, a cluster in one of them, a Studio application in the other, and S3 beside the cluster."""

    def __init__(self, client: Any, image: str, site: "Site", directory: "Path") -> None:
        self.site, self.image, self.directory = site, image, readable(directory)
        self.storage = Storage(site.here, guarded=False)
        self.properties = {**self.storage.hadoop, **PATIENT, **QUICK}
        self.secured = Secured(client, directory, Tokens("ASIA", region=REGION, life=LIFE), site.eks, 443)
        self.cluster = self.secured.cluster
        self.cluster.kubelet.admit = self._identity
        self.cluster.store.create("secrets", "ml", {"metadata": {"name": "identity"}, "data": {"token": _base64("a token of the cluster")}})
        site.firewall.open(*DRIVER)
        site.firewall.open(*API)
        port = self.storage.url.rpartition(":")[2]
        site.firewall.open(*OUT, port)
        # An application's credentials come from its own host, at a link-local address.
        site.firewall.redirect("169.254.170.2", 80, self.storage.link_local.url.partition("://")[2], "studio")
        site.firewall.open(*OUT, str(self.storage.link_local.port))
        settings = {
            "AWS_REGION": REGION,
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": self.storage.link_local.relative_uri,
            "LYFTLEARN_SPARK_SERVICE_ACCOUNT": "executors",
            "LYFTLEARN_SPARK_EXECUTORS": "3",
            "LYFTLEARN_SPARK_PATIENCE": "600",  # as PATIENT
        }
        self.lab = Lab(client, image, site.studio, self.secured, directory / "studio", settings, {**IMPATIENT, **self.properties})

    def close(self) -> None:
        self.lab.close()
        self.cluster.close()
        self.storage.close()

    def _identity(self, pod: "Object") -> "Object":
        """What EKS' webhook adds to pods whose service account has a role (IRSA)."""
        if pod["spec"].get("serviceAccountName") != "executors":
            return pod
        place = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
        container = pod["spec"]["containers"][0]
        variables = {
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": place + "/token",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_STS": self.storage.url,
        }
        container["env"] = [*container.get("env", []), *({"name": name, "value": value} for name, value in variables.items())]
        container["volumeMounts"] = [*container.get("volumeMounts", []), {"name": "identity", "mountPath": place, "readOnly": True}]
        pod["spec"]["volumes"] = [*pod["spec"].get("volumes", []), {"name": "identity", "secret": {"secretName": "identity"}}]
        return pod

    def running(self, *sessions: str) -> "list[str]":
        """Names of the executors that run now."""
        pods = self.cluster.pods(EXECUTORS)
        return [
            pod["metadata"]["name"]
            for pod in pods
            if pod.get("status", {}).get("phase") == "Running"
            and (not sessions or pod["metadata"]["labels"]["spark-app-selector"] in sessions)
        ]

    def of(self, session: str) -> "list[Object]":
        """What the cluster has of a session: pods and ConfigMaps."""
        selector = "spark-app-selector=" + session
        return [*self.cluster.pods(selector), *self.cluster.store.find("configmaps", "ml", selector)]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
