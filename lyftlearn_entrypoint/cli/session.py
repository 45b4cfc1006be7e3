"""`lyftlearn doctor session`: why a session of Spark's that runs here has no executors.

The watcher in the driver's JVM asks it (images/distributed/watch), with the session's settings on stdin, and cancels the waiting jobs with
what it says. The first line of the answer is `final` where no waiting helps, else `wait`; the second is the reason.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.doctor import examine, waits
from lyftlearn_entrypoint.cli.kubernetes import Api, Object
from lyftlearn_entrypoint.errors import Refused, StartError, Unavailable
from lyftlearn_entrypoint.spark import sizing

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = tuple[bool, str]  # whether it is final, and the reason

# What a kubelet says of a container that trying again does not mend (kubernetes: pkg/kubelet/images/types.go and kuberuntime_container.go).
NEVER = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}


def answer(text: str) -> str:
    """The two lines for the session whose settings are lines `NAME VALUE` of a text."""
    settings = {name: value.strip() for name, _, value in (line.partition(" ") for line in text.splitlines())}
    try:
        final, why = judge(settings)
    except StartError as error:
        # What a quota refuses now it may grant when another job has ended.
        final, why = isinstance(error, Refused) and "exceeded quota" not in str(error), str(error)
    return ("final" if final else "wait") + "\n" + " ".join(why.split())


def judge(settings: dict[str, str]) -> Answer:
    """The reason, by asking whoever gives executors. Raises StartError where that one cannot be asked."""
    master = settings.get("spark.master", "")
    if master.startswith("k8s://"):
        return in_kubernetes(settings, Api.of_this_place(settings), examine)
    if master.startswith("spark://"):
        return in_cluster(settings, _of_master(Path(os.environ.get("SPARK_CONF_DIR", "")).parent / "cluster/master.log"))
    return False, "nothing is known of " + master


def in_kubernetes(settings: dict[str, str], api: Api, probe: Callable[[dict[str, str], Api], list[Object]]) -> Answer:
    """By the executors' pods, by what the API says to one more, and by a probe's pod that tries the ways to the driver."""
    pods = f"/api/v1/namespaces/{settings.get('spark.kubernetes.namespace', 'default')}/pods"
    if settings.get("lyftlearn.executors", "0") == "0":
        selector = f"spark-app-selector={settings['spark.app.id']},spark-role=executor"
        found = api.ask("GET", pods, labelSelector=selector)["items"]
        stuck = _stuck(found)
        if stuck:
            return stuck
        if not found:
            api.ask("POST", pods, _like_an_executor(settings), dryRun="All")
    try:
        ways = probe(settings, api)
    except Unavailable as error:
        return False, str(error)
    closed = [f"{way['from']} cannot reach {way['to']}: {way['why']}. {way['rule']}" for way in ways[1:3] if not way["open"]]
    if closed:
        return True, ". ".join(closed)
    return False, "the ways between a pod and this driver are open, and " + _last_words(settings, api, pods)


def _stuck(pods: list[Object]) -> Answer | None:
    """What is wrong with executors of which none has come to run."""
    waiting = [(pod["metadata"]["name"], pod.get("status", {})) for pod in pods]
    for name, status in waiting:
        for each in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            if each.get("state", {}).get("waiting", {}).get("reason") in NEVER:
                return True, f"pod {name} cannot start: {waits(status)}"
    if waiting and all(status.get("phase") == "Pending" for _, status in waiting):
        name, status = waiting[0]
        return False, f"{len(waiting)} pods are Pending, {name}: {waits(status) or 'it has no node yet'}"
    return None


def _last_words(settings: dict[str, str], api: Api, pods: str) -> str:
    """How an executor ended, where its pod is still there."""
    selector = f"spark-app-selector={settings['spark.app.id']},spark-role=executor"
    for pod in api.ask("GET", pods, labelSelector=selector)["items"]:
        for each in pod.get("status", {}).get("containerStatuses", []):
            ended = each.get("state", {}).get("terminated")
            if ended:
                name = pod["metadata"]["name"]
                words = str(api.ask("GET", f"{pods}/{name}/log", tailLines="20")).strip().rpartition("\n")[2][:300]
                return f"executor {name} ended with exit code {ended.get('exitCode')} ({ended.get('reason', '')}): {words}"
    return "no executor has ended: look at the log of one, and at the image's own start"


def _like_an_executor(settings: dict[str, str]) -> Object:
    """A pod that asks for what an executor asks for. Nothing is made of it: dryRun."""
    heap = size(settings.get("spark.executor.memory", "1g"))
    factor = float(settings.get("spark.executor.memoryOverheadFactor", sizing.JVM_FACTOR))
    least = size(settings.get("spark.executor.minMemoryOverhead", "384m"))
    more = settings.get("spark.executor.memoryOverhead")
    memory = f"{(heap + (size(more) if more else max(least, int(heap * factor)))) >> 20}Mi"
    cpu = settings.get("spark.kubernetes.executor.request.cores") or settings.get("spark.executor.cores", "1")
    container: Object = {
        "name": "executor",
        "image": settings.get("spark.kubernetes.container.image", ""),
        "resources": {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}},
    }
    spec: Object = {"restartPolicy": "Never", "containers": [container]}
    account = settings.get("spark.kubernetes.authenticate.executor.serviceAccountName")
    if account:
        spec["serviceAccountName"] = account
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "lyftlearn-doctor-"}, "spec": spec}


def size(text: str) -> int:
    """Bytes of a size as Spark writes it: 4g, 512m, and mebibytes where there is no unit (JavaUtils.byteStringAs)."""
    found = re.fullmatch(r"(\d+)\s*([kmgtp]?)b?", text.strip().lower())
    return int(found[1]) << (10 * (" kmgtp".index(found[2]) if found[2] else 2)) if found else 0


def in_cluster(settings: dict[str, str], state: Object | None) -> Answer:
    """By what the standalone cluster's master knows of its workers: `state` is what it says of itself; None where it does not answer."""
    if state is None:
        return False, "Spark's master on this host does not answer"
    workers = [worker for worker in state.get("workers", []) if worker.get("state") == "ALIVE"]
    if not workers:
        return True, "no host of the job has a worker that lives. The log says why each has ended"
    cores, memory = int(settings.get("spark.executor.cores", "1")), size(settings.get("spark.executor.memory", "1g")) >> 20
    if not [worker for worker in workers if worker["cores"] >= cores and worker["memory"] >= memory]:
        largest = max(workers, key=lambda worker: int(worker["memory"]))
        return True, (
            f"an executor of {cores} cores and {memory} MiB fits no host: the largest offers {largest['cores']} cores and "
            f"{largest['memory']} MiB. Ask for less with spark.executor.cores and spark.executor.memory, or leave both out"
        )
    others = [app["name"] for app in state.get("activeapps", []) if app.get("id") != settings.get("spark.app.id") and app.get("cores")]
    if others:
        return False, "other sessions of this job hold the cluster: " + ", ".join(others)
    return False, "the hosts have room for executors, but none has registered: the worker's log says more"


def _of_master(log: Path) -> Object | None:
    """What the master of this host's cluster says of itself, on the page whose address is in its log (JsonProtocol.writeMasterState)."""
    try:
        found = re.findall(r"MasterWebUI.*started at (http://\S+)", log.read_text(errors="replace"))
        with urllib.request.urlopen(found[-1].rstrip("/") + "/json/", timeout=5) as answer:  # noqa: S310  our own master's
            state: Object = json.load(answer)
    except (OSError, IndexError, ValueError, urllib.error.URLError):
        return None
    return state
