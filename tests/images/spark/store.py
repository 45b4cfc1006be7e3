"""What a Kubernetes API server keeps: objects, their versions, and who watches them. The part that Spark's drivers use."""

import copy
import datetime as dt
import queue
import re
import threading
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Object = dict[str, Any]
Key = tuple[str, str, str]  # resource in the plural, namespace, name
Event = tuple[int, str, str, Object]  # version, ADDED | MODIFIED | DELETED, resource, the object then

KINDS = {
    "configmaps": "ConfigMap",
    "events": "Event",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "pods": "Pod",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
    "services": "Service",
}


class Conflict(Exception):
    """An object of that name is there."""


def now() -> str:
    """The time, as Kubernetes writes it."""
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def matches(selector: str, labels: "dict[str, str | None]") -> bool:
    """Whether a label or field selector lets `labels` through. Source: Kubernetes, "Labels and Selectors"."""
    for term in re.split(r",(?![^(]*\))", selector):
        term = term.strip()
        if not term:
            continue
        among = re.fullmatch(r"(\S+)\s+(in|notin)\s+\(([^)]*)\)", term)
        if among:
            values = [value.strip() for value in among[3].split(",")]
            fits = (labels.get(among[1]) in values) == (among[2] == "in")
        elif "!=" in term:
            name, _, value = term.partition("!=")
            fits = labels.get(name) != value
        elif "=" in term:
            name, value = re.split(r"==?", term, maxsplit=1)
            fits = labels.get(name) == value
        elif term.startswith("!"):
            fits = term[1:] not in labels
        else:
            fits = term in labels
        if not fits:
            return False
    return True


class Watch:
    """Events of one resource as they happen, through a queue. None in it means that the watch is over."""

    def __init__(self, resource: str, namespace: str, selector: str, fields: str) -> None:
        self.resource, self.namespace, self.selector, self.fields = resource, namespace, selector, fields
        self.events: queue.Queue[tuple[str, Object] | None] = queue.Queue()

    def wants(self, resource: str, found: Object) -> bool:
        return resource == self.resource and chosen(found, self.namespace, self.selector, self.fields)


def chosen(found: Object, namespace: str, selector: str, fields: str) -> bool:
    """Whether an object is in that namespace ('' for all) and passes both selectors."""
    facts = {"metadata.name": found["metadata"]["name"], "status.phase": found.get("status", {}).get("phase")}
    return (
        namespace in ("", found["metadata"]["namespace"])
        and matches(selector, found["metadata"].get("labels") or {})
        and matches(fields, facts)
    )


class Store:
    """All objects. What goes in and out is copied: nobody changes an object but through here.

    `on_create` and `on_delete` are told of pods: a kubelet gives them their life. Without it pods stay Pending, and go at once.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._objects: dict[Key, Object] = {}
        self._history: list[Event] = []
        self._watches: list[Watch] = []
        self.version = 100
        self.on_create: Callable[[Object], None] | None = None
        self.on_delete: Callable[[Object, int], None] | None = None

    def create(self, resource: str, namespace: str, given: Object) -> Object:
        """Raises Conflict."""
        made = copy.deepcopy(given)
        metadata = made.setdefault("metadata", {})
        metadata.setdefault("name", metadata.get("generateName", resource + "-") + uuid.uuid4().hex[:5])
        metadata.update(namespace=namespace, uid=str(uuid.uuid4()), creationTimestamp=now())
        made.update(apiVersion=made.get("apiVersion", "v1"), kind=KINDS.get(resource, resource))
        if resource == "pods":
            made["status"] = {"phase": "Pending", "conditions": []}
        with self._lock:
            key = (resource, namespace, metadata["name"])
            if key in self._objects:
                raise Conflict(f'{resource} "{metadata["name"]}" already exists')
            self._objects[key] = made
            self._tell("ADDED", resource, made)
            result = copy.deepcopy(made)
        if resource == "pods" and self.on_create:
            self.on_create(copy.deepcopy(result))
        return result

    def get(self, resource: str, namespace: str, name: str) -> "Object | None":
        with self._lock:
            return copy.deepcopy(self._objects.get((resource, namespace, name)))

    def find(self, resource: str, namespace: str = "", selector: str = "", fields: str = "") -> "list[Object]":
        with self._lock:
            found = [value for (kind, _, _), value in self._objects.items() if kind == resource]
            return copy.deepcopy([value for value in found if chosen(value, namespace, selector, fields)])

    def update(self, resource: str, namespace: str, name: str, change: "Callable[[Object], Object]") -> "Object | None":
        """Replace an object by what `change` makes of it; None where it is gone."""
        with self._lock:
            found = self._objects.get((resource, namespace, name))
            if found is None:
                return None
            made = change(copy.deepcopy(found))
            self._objects[resource, namespace, name] = made
            self._tell("MODIFIED", resource, made)
            return copy.deepcopy(made)

    def delete(self, resource: str, namespace: str, name: str, grace: "int | None" = None) -> "Object | None":
        """Delete an object: a pod ends first, within `grace` seconds (None: as its spec says). None where it is gone."""
        found = self.get(resource, namespace, name)
        if found is None:
            return None
        if resource != "pods" or not self.on_delete:
            return self.remove(resource, namespace, name)
        seconds = found["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
        already = "deletionTimestamp" in found["metadata"]
        marked = self.update(
            resource,
            namespace,
            name,
            lambda pod: {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": now(), "deletionGracePeriodSeconds": seconds}},
        )
        if marked is not None and (not already or seconds == 0):
            self.on_delete(marked, seconds)
        return marked

    def remove(self, resource: str, namespace: str, name: str) -> "Object | None":
        """Take an object away at once, and, as the garbage collector does, all that it owned."""
        with self._lock:
            found = self._objects.pop((resource, namespace, name), None)
            if found is None:
                return None
            self._tell("DELETED", resource, found)
            uid = found["metadata"]["uid"]
            owned = [
                key
                for key, value in self._objects.items()
                if any(owner.get("uid") == uid for owner in value["metadata"].get("ownerReferences") or ())
            ]
        for key in owned:
            self.delete(*key)
        return copy.deepcopy(found)

    def history(self, resource: str) -> "list[Event]":
        """Everything that has happened to objects of a resource, those that are gone too."""
        with self._lock:
            return copy.deepcopy([event for event in self._history if event[2] == resource])

    def watch(self, resource: str, namespace: str, selector: str = "", fields: str = "", since: str = "") -> Watch:
        """What happens from now on; before it what is there, or with `since` (a version) what has happened after that."""
        made = Watch(resource, namespace, selector, fields)
        with self._lock:
            if since in ("", "0"):
                past = [("ADDED", value) for value in self.find(resource, namespace, selector, fields)]
            else:
                past = [(kind, value) for version, kind, what, value in self._history if version > int(since) and made.wants(what, value)]
            for kind, value in past:
                made.events.put((kind, copy.deepcopy(value)))
            self._watches.append(made)
        return made

    def unwatch(self, watch: Watch) -> None:
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)
        watch.events.put(None)

    def unwatch_all(self) -> None:
        """End every watch, as a server that goes away does."""
        for watch in list(self._watches):
            self.unwatch(watch)

    def _tell(self, kind: str, resource: str, value: Object) -> None:
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        told = copy.deepcopy(value)
        self._history.append((self.version, kind, resource, told))
        for watch in self._watches:
            if watch.wants(resource, told):
                watch.events.put((kind, copy.deepcopy(told)))
