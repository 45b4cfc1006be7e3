"""Gives pods their life: a container of the Docker Engine for each, with what its spec says, and the status that follows from it.

Of a pod the first container is run, after its init containers one by one. Its address is its own, on a network of the engine. What a spec
can say here: image, command, args, workingDir, env (values, fieldRef, ConfigMap and Secret keys), envFrom, volumes (configMap, secret,
emptyDir), resources (memory and cpu limits), both securityContexts, preStop, terminationGracePeriodSeconds.
"""

import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker.errors
from docker.types import Mount

from tests.images.spark.podspec import Network, bytes_of, cores_of, environment, owner, volume_files
from tests.images.spark.store import Object, Store, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.images.spark.site import Segment

NODE = "node-1"
LABEL = "lyftlearn.test.cluster"  # on each container, with the cluster's name


class Kubelet:
    """Runs a store's pods. `network` gives addresses, and the engine's network; `extra` are variables that each container gets, as a real
    kubelet gives KUBERNETES_SERVICE_HOST.

    `admit` may change a pod before it runs, as a webhook does. `delay` (seconds) is what scheduling takes. `schedulable` False leaves new
    pods Pending. `logs` keeps what each container said, also when its pod is gone.
    """

    def __init__(self, client: Any, store: Store, network: "Network | Segment", extra: "dict[str, str]", name: str) -> None:
        self._client = client
        self._store = store
        self._network = network
        self._extra = extra
        self._name = name
        self._root = Path(tempfile.mkdtemp(prefix="lyftlearn-pods-"))
        self._root.chmod(0o755)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.admit: Callable[[Object], Object] = lambda pod: pod
        self.delay = 0.0
        self.schedulable = True
        self.handles: dict[str, Any] = {}  # pod's name to its container
        self._gone: set[str] = set()  # uids of pods that were deleted
        self._logs: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        store.on_create = lambda pod: self._spawn(self._live, pod)
        store.on_delete = lambda pod, grace: self._spawn(self._end, pod, grace)

    def log(self, name: str) -> str:
        """What a pod's container has said, until now or at all."""
        with self._lock:
            handle, kept = self.handles.get(name), self._logs.get(name, "")
        try:
            return handle.logs().decode(errors="replace") if handle else kept
        except docker.errors.APIError:
            return self._logs.get(name, kept)

    def serve(self, url: str) -> None:
        """Tell pods that start from now on where the API server is."""
        self._extra.update(service(url))

    def ended(self, name: str, seconds: float) -> Object:
        """How a pod's container ended: its `terminated` state. It must end within that time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pod = self._store.get("pods", "ml", name) or {"status": {}}
            for each in pod["status"].get("containerStatuses", []):
                if "terminated" in each["state"]:
                    state: Object = each["state"]["terminated"]
                    return state
            time.sleep(0.1)
        raise AssertionError(f"{name} has not ended after {seconds} s:\n{self.log(name)}")

    @property
    def pods(self) -> "list[str]":
        """Names of all pods that were ever started, in that order."""
        return list(self._logs)

    def close(self) -> None:
        """Kill what runs, and wait for all threads."""
        self._stopped.set()
        with self._lock:
            handles = list(self.handles.values())
        for handle in handles:
            try:
                handle.remove(force=True, v=True)
            except docker.errors.APIError:
                pass
        for thread in self._threads:
            thread.join(60)
        shutil.rmtree(self._root, ignore_errors=True)

    def _spawn(self, action: "Callable[..., None]", *given: Any) -> None:
        if not self._stopped.is_set():
            thread = threading.Thread(target=action, args=given, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _live(self, pod: Object) -> None:
        if self._stopped.wait(self.delay) or not self.schedulable:
            return
        pod = self.admit(pod)
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        address = self._network.address()
        try:
            for number, container in enumerate(pod["spec"].get("initContainers", [])):
                handle = self._start(pod, container, f"{name}-init-{number}", address)
                code = handle.wait(timeout=600)["StatusCode"]
                handle.remove(v=True)
                if code:
                    self._status(namespace, name, "Failed", address, {"terminated": {"exitCode": code, "reason": "Init:Error"}})
                    return
            handle = self._start(pod, pod["spec"]["containers"][0], name, address)
        except docker.errors.ImageNotFound as error:
            self._status(namespace, name, "Pending", "", {"waiting": {"reason": "ErrImagePull", "message": str(error.explanation)}})
            return
        except KeyError as error:
            self._status(namespace, name, "Pending", "", {"waiting": {"reason": "CreateContainerConfigError", "message": str(error)}})
            return
        except docker.errors.APIError as error:
            state = {"terminated": {"exitCode": 128, "reason": "StartError", "message": str(error.explanation)}}
            self._status(namespace, name, "Failed", address, state)
            return
        began = now()
        self._status(namespace, name, "Running", address, {"running": {"startedAt": began}})
        self._follow(namespace, name, address, handle, began)

    def _follow(self, namespace: str, name: str, address: str, handle: Any, began: str) -> None:
        """Wait for the container's end, keep its log, and say how it ended."""
        try:
            handle.wait(timeout=24 * 3600)
            handle.reload()
            state = handle.attrs["State"]
            log = handle.logs().decode(errors="replace")
            handle.remove(force=True, v=True)
        except docker.errors.APIError:
            return  # the cluster is taken down
        finally:
            self._network.free(address)
        with self._lock:
            self._logs[name] = log
        code = state["ExitCode"]
        reason = "OOMKilled" if state["OOMKilled"] else "Completed" if code == 0 else "Error"
        ended = {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": now()}
        self._status(namespace, name, "Succeeded" if code == 0 else "Failed", address, {"terminated": ended})
        with self._lock:  # last: who waits for its end (_end) takes the pod away then, and its status with it
            self.handles.pop(name, None)

    def _start(self, pod: Object, container: Object, name: str, address: str) -> Any:
        spec, context = pod["spec"], {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
        limits = container.get("resources", {}).get("limits", {})
        mounts = self._mounts(pod, container)
        group = spec.get("securityContext", {}).get("fsGroup")
        options: dict[str, Any] = {
            "name": f"{self._name}-{name}"[:120],
            "entrypoint": container.get("command"),
            "command": container.get("args"),
            "environment": {**self._extra, **environment(pod, container, self._store, address, NODE)},
            "working_dir": container.get("workingDir"),
            "mounts": mounts,
            "user": owner(context),
            "group_add": [group] if group is not None else [],
            "read_only": bool(context.get("readOnlyRootFilesystem")),
            "cap_drop": context.get("capabilities", {}).get("drop", []),
            "security_opt": ["no-new-privileges"] if context.get("allowPrivilegeEscalation") is False else [],
            "mem_limit": bytes_of(limits["memory"]) if "memory" in limits else None,
            "nano_cpus": int(cores_of(limits["cpu"]) * 1e9) if "cpu" in limits else None,
            "labels": {LABEL: self._name},
            **self._network.options(self._client, address, spec.get("hostname", name)[:63]),
            "detach": True,
        }
        with self._lock:
            if self._stopped.is_set() or pod["metadata"]["uid"] in self._gone:
                raise docker.errors.APIError("nobody wants it any more", explanation="nobody wants it any more")
            handle = self._client.containers.create(
                container["image"], **{key: value for key, value in options.items() if value is not None}
            )
            self._logs.setdefault(name, "")
            self.handles[name] = handle
        handle.start()
        if pod["metadata"]["uid"] in self._gone:  # meanwhile, when there was nothing to stop
            _quietly(handle.kill)
        return handle

    def _mounts(self, pod: Object, container: Object) -> "list[Mount]":
        """Directories of this machine, one for each volume, at the places where the container wants them."""
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        made = []
        for wanted in container.get("volumeMounts", []):
            directory = self._root / pod["metadata"]["uid"] / wanted["name"]
            if not directory.exists():
                directory.mkdir(parents=True)
                directory.parent.chmod(0o755)
                files = volume_files(volumes[wanted["name"]], pod["metadata"]["namespace"], self._store)
                for name, data in (files or {}).items():
                    place = directory / name
                    place.write_bytes(data)
                    place.chmod(0o644)
                directory.chmod(0o777 if files is None else 0o755)  # an emptyDir is everybody's
            source = directory / wanted["subPath"] if wanted.get("subPath") else directory
            made.append(Mount(wanted["mountPath"], str(source), "bind", read_only=bool(wanted.get("readOnly"))))
        return made

    def _end(self, pod: Object, grace: int) -> None:
        """preStop, SIGTERM, and SIGKILL when the grace period is over, which began with preStop. Then the pod is gone."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        with self._lock:
            handle = self.handles.get(name)
            self._gone.add(pod["metadata"]["uid"])
        end = time.monotonic() + grace
        if handle is not None:
            try:
                hook = pod["spec"]["containers"][0].get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
                if hook and grace > 0:
                    thread = threading.Thread(target=_quietly, args=(handle.exec_run, hook), daemon=True)
                    thread.start()
                    thread.join(grace)
                handle.stop(timeout=max(0, round(end - time.monotonic())))
            except docker.errors.APIError:
                pass  # it ended by itself
            while name in self.handles and not self._stopped.is_set():
                time.sleep(0.05)
        self._store.remove("pods", namespace, name)

    def _status(self, namespace: str, name: str, phase: str, address: str, state: Object) -> None:
        def change(pod: Object) -> Object:
            container = pod["spec"]["containers"][0]
            ready = phase == "Running"
            pod["status"] = {
                "phase": phase,
                "startTime": now(),
                "conditions": [
                    {"type": kind, "status": str(ready)} for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
                ],
                "containerStatuses": [
                    {
                        "name": container["name"],
                        "image": container["image"],
                        "imageID": "",
                        "ready": ready,
                        "started": ready,
                        "restartCount": 0,
                        "state": state,
                    }
                ],
            }
            if address:
                pod["status"].update(podIP=address, podIPs=[{"ip": address}], hostIP=self._network.gateway)
            pod["spec"]["nodeName"] = NODE
            return pod

        self._store.update("pods", namespace, name, change)


def service(url: str) -> "dict[str, str]":
    """The variables by which a pod finds the API server."""
    host, _, port = url.partition("://")[2].rpartition(":")
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}


def _quietly(action: "Callable[..., Any]", *given: Any) -> None:
    try:
        action(*given)
    except docker.errors.APIError:
        pass
