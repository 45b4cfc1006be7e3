"""What a pod's spec means for its containers: variables, files, sizes, addresses."""

import base64
import ipaddress
import random
import threading
from typing import Any

import docker.errors
from docker.types import IPAMConfig, IPAMPool

from tests.images.conftest import remove_network
from tests.images.spark.store import Object, Store

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def bytes_of(quantity: str) -> int:
    """512Mi, 2G or 1048576 in bytes. Source: Kubernetes, "Resource units"."""
    for unit, factor in _BINARY.items():
        if quantity.endswith(unit):
            return int(float(quantity.removesuffix(unit)) * factor)
    return int(quantity)


def cores_of(quantity: str) -> float:
    """1, 0.5 or 500m."""
    return int(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else float(quantity)


def owner(context: Object) -> "str | None":
    """`uid` or `uid:gid` for the engine; None leaves it to the image."""
    if "runAsUser" not in context:
        return None
    return f"{context['runAsUser']}:{context.get('runAsGroup', 0)}"


def environment(pod: Object, container: Object, store: Store, address: str, node: str) -> "dict[str, str]":
    """A container's variables. Raises KeyError for a ConfigMap or Secret that is not there."""
    namespace, found = pod["metadata"]["namespace"], {}
    for source in container.get("envFrom", []):
        prefix = source.get("prefix", "")
        for kind in ("configMapRef", "secretRef"):
            if kind in source:
                found.update({prefix + name: value for name, value in _texts(kind[:-3], source[kind]["name"], namespace, store).items()})
    for variable in container.get("env", []):
        origin = variable.get("valueFrom", {})
        if "fieldRef" in origin:
            found[variable["name"]] = field(pod, origin["fieldRef"]["fieldPath"], address, node)
        elif "configMapKeyRef" in origin or "secretKeyRef" in origin:
            kind = "configMap" if "configMapKeyRef" in origin else "secret"
            reference = origin[kind + "KeyRef"]
            found[variable["name"]] = _texts(kind, reference["name"], namespace, store)[reference["key"]]
        else:
            found[variable["name"]] = variable.get("value", "")
    return found


def field(pod: Object, path: str, address: str, node: str) -> str:
    """A fieldRef of the downward API. Raises KeyError for one that is not known here."""
    metadata = pod["metadata"]
    for kind in ("labels", "annotations"):
        if path.startswith(f"metadata.{kind}["):
            return str(metadata.get(kind, {}).get(path.split("'")[1], ""))
    return str(
        {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": node,
            "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
            "status.podIP": address,
            "status.podIPs": address,
            "status.hostIP": address,
        }[path]
    )


def volume_files(volume: Object, namespace: str, store: Store) -> "dict[str, bytes] | None":
    """A volume's files, by name; None for an emptyDir, which has none and is written. Raises KeyError for what is not there."""
    for kind, named in (("configMap", "name"), ("secret", "secretName")):
        if kind in volume:
            texts = _texts(kind, volume[kind][named], namespace, store)
            items = {item["key"]: item["path"] for item in volume[kind].get("items") or []}
            return {items.get(name, name): text.encode() for name, text in texts.items() if not items or name in items}
    return None


def _texts(kind: str, name: str, namespace: str, store: Store) -> "dict[str, str]":
    found = store.get({"configMap": "configmaps", "secret": "secrets"}[kind], namespace, name)
    if found is None:
        raise KeyError(f"no {kind} {name}")
    data: dict[str, str] = found.get("data") or {}
    if kind == "configMap":
        return data
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


class Network:
    """A network of the engine with addresses that are known before a container has one. `gateway` is this machine's on it."""

    def __init__(self, client: Any, name: str, labels: "dict[str, str]") -> None:
        self._lock = threading.Lock()
        self._used: set[str] = set()
        chance = random.Random(name)
        for _ in range(20):  # another network may have the same addresses
            self._range = ipaddress.ip_network(f"10.{chance.randrange(200, 250)}.{chance.randrange(256)}.0/24")
            pool = IPAMPool(subnet=str(self._range))
            try:
                self._network = client.networks.create(name, driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=labels)
                break
            except docker.errors.APIError as error:
                refused = error
        else:
            raise refused
        self.name = name
        self.gateway = str(self._range[1])

    def address(self) -> str:
        """A free one."""
        with self._lock:
            for found in map(str, list(self._range.hosts())[9:]):
                if found not in self._used:
                    self._used.add(found)
                    return found
        raise RuntimeError("no address is left")

    def free(self, address: str) -> None:
        with self._lock:
            self._used.discard(address)

    def options(self, client: Any, address: str, hostname: str) -> "dict[str, Any]":
        """Options of docker's SDK that put a container at that address. '' leaves its name to the engine."""
        where = {self.name: client.api.create_endpoint_config(ipv4_address=address)}
        named = {"hostname": hostname} if hostname else {}
        return {"network": self.name, "networking_config": where, "network_mode": None, **named}

    def close(self) -> None:
        remove_network(self._network)
