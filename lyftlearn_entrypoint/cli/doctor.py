"""`lyftlearn doctor spark`: which of the ways between a driver and its executors is closed, and which rule opens it.

A closed port makes Spark hang for minutes with one vague warning. Here a pod of the executors' own image tries each way, within seconds.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
import uuid
from urllib.parse import urlsplit

import click

from lyftlearn_entrypoint.cli.kubernetes import Api, Object, Unreached, defaults
from lyftlearn_entrypoint.errors import Unavailable
from lyftlearn_entrypoint.spark.conf import DRIVER_PORT, EXECUTOR_PORT

SECONDS = 15.0  # from the pod's creation until its answer, by default; with the rest less than 20
# What the pod runs: connect to the driver's ports, and listen on an executor's for so many seconds. Its last line is its answer.
PROBE = """
import json, socket, sys, threading
host, *ports, own, seconds = sys.argv[1:]
found = {}
def reach(port):
    try:
        socket.create_connection((host, int(port)), 4).close()
        found[port] = ''
    except OSError as error:
        found[port] = str(error)
threads = [threading.Thread(target=reach, args=(port,)) for port in ports]
listener = socket.create_server(('', int(own)))
listener.settimeout(float(seconds))
print('listening', flush=True)
for thread in threads: thread.start()
try:
    found[own] = listener.accept()[1][0] and ''
except OSError as error:
    found[own] = 'nobody came'
for thread in threads: thread.join()
print(json.dumps(found), flush=True)
"""


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--deadline", type=click.FloatRange(min=0.5), default=20.0, show_default=True, help="Seconds after which all is told.")
@click.option("--args", default="", help="The arguments that the image is given, as one text: `--args train`.")
@click.option("--explain", metavar="CODE", default="", help="Say what a code such as LL0609 means, and check nothing.")
@click.option("--docs", is_flag=True, help="Print docs/troubleshooting.md: what each code means.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool, deadline: float, args: str, explain: str, docs: bool) -> None:
    """Check what a start needs here, with the start's own code: verdict, evidence and remedy of each.

    Ends with 0, with 1 where there are warnings alone, else with the code with which a start would fail.
    """
    if ctx.invoked_subcommand is not None:
        return
    if docs:
        from lyftlearn_entrypoint.cli.findings import page

        click.echo(page(), nl=False)
        return
    if explain:
        from lyftlearn_entrypoint.cli.findings import explained

        click.echo(explained(explain))
        return
    from lyftlearn_entrypoint.cli.checks.command import run

    sys.exit(run(as_json, deadline, args))


@doctor.command("spark")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--wait",
    type=click.FloatRange(min=5),
    default=SECONDS,
    show_default=True,
    help="Seconds that the probe's pod has to come and to answer: more where a node has to fetch the image first.",
)
def spark(as_json: bool, wait: float) -> None:
    """Try the ways between this driver and executors in Kubernetes: to the API, from a pod to here, and from here to a pod."""
    settings = defaults()
    api = Api.of_this_place(settings)
    try:
        found = examine(settings, api, wait)
    except Unreached as error:
        host = settings["spark.driver.host"]
        port = urlsplit(api.server).port or 443
        rule = f"The cluster's security group: inbound TCP {port} from {host}. The other ways were not tried: that takes a pod"
        found = [_way(f"this driver ({host})", api.server, error.reason, rule)]
    if as_json:
        click.echo(json.dumps(found))
    else:
        for way in found:
            click.echo(
                ("open    " if way["open"] else "CLOSED  ") + f"{way['from']} -> {way['to']}" + (f": {way['why']}" if way["why"] else "")
            )
            if not way["open"]:
                click.echo("        " + way["rule"])
    sys.exit(0 if all(way["open"] for way in found) else Unavailable.code)


@doctor.command("session", hidden=True)
def session() -> None:
    """Say why the session whose settings are on stdin has no executors: asked by the watcher in a driver's JVM."""
    from lyftlearn_entrypoint.cli.session import answer

    click.echo(answer(sys.stdin.read()))


def examine(settings: dict[str, str], api: Api, seconds: float = SECONDS) -> list[Object]:
    """Each way: from, to, whether it is open, why not, and which rule opens it. The pod has so many `seconds`.

    Raises StartError where nothing can be tried at all.
    """
    host = settings["spark.driver.host"]
    ports = [int(settings.get("spark.driver.port", DRIVER_PORT)), int(settings.get("spark.driver.blockManager.port", DRIVER_PORT + 1))]
    own = int(settings.get("spark.blockManager.port", EXECUTOR_PORT))
    found = [_way(f"this driver ({host})", api.server, "", "")]
    api.ask("GET", "/version")
    listeners = [listener for port in ports if (listener := _listen(port))]
    pods = f"/api/v1/namespaces/{settings.get('spark.kubernetes.namespace', 'default')}/pods"
    name = "lyftlearn-doctor-" + uuid.uuid4().hex[:8]
    api.ask("POST", pods, _pod(name, settings, [host, *map(str, ports), str(own), f"{0.4 * seconds:g}"], seconds))
    try:
        address, there = _watch(api, pods, name, own, seconds)
    finally:
        for listener in listeners:
            listener.close()
        try:
            api.ask("DELETE", f"{pods}/{name}", gracePeriodSeconds="0")
        except Unavailable:
            pass  # it ends by itself, and activeDeadlineSeconds ends it otherwise
    for port, what in zip(ports, ("the driver", "the driver's blocks"), strict=True):
        wanted = f"{DRIVER_PORT}-{DRIVER_PORT + 17}" if DRIVER_PORT <= port <= DRIVER_PORT + 17 else str(port)
        rule = f"This driver's security group: inbound TCP {wanted} from the pods' ({address})"
        why = there.get(str(port), "the pod did not say")
        found.append(_way(f"a pod ({address})", f"{what} at {host}:{port}", why, rule))
    rule = f"The pods' security group: inbound TCP {own} from {host}. Without it task results above 100 MB hang, and nothing else"
    found.append(_way(f"this driver ({host})", f"an executor's blocks at {address}:{own}", there.get("here", "not tried"), rule))
    return found


def _way(start: str, end: str, why: str, rule: str) -> Object:
    return {"from": start, "to": end, "open": not why, "why": why, "rule": rule}


def _listen(port: int) -> socket.socket | None:
    """Take connections on a port and end them. None where it is taken: then a session of Spark's listens there."""
    try:
        listener = socket.create_server(("", port))
    except OSError:
        return None

    def serve() -> None:
        while True:
            try:
                listener.accept()[0].close()
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return listener


def _watch(api: Api, pods: str, name: str, own: int, seconds: float) -> tuple[str, dict[str, str]]:
    """(the pod's address, what it found; under `here` what we found on the way to it). Raises Unavailable where it does not come to run."""
    end = time.monotonic() + seconds
    address, here, why = "", "", "it is not scheduled"
    while time.monotonic() < end:
        status = api.ask("GET", f"{pods}/{name}")["status"]
        address = status.get("podIP", address)
        why = waits(status) or why
        log = str(api.ask("GET", f"{pods}/{name}/log")) if status.get("phase") not in (None, "Pending") else ""
        if "listening" in log and not here:
            here = _reach(address, own) or "open"
        last = log.strip().rpartition("\n")[2]
        if last.startswith("{"):
            return address, {**json.loads(last), "here": "" if here == "open" else here or "not tried"}
        if status.get("phase") == "Failed":
            raise Unavailable("the probe's pod failed: " + last[:300], "Look at spark.kubernetes.container.image: is it this very image?")
        time.sleep(0.3)
    raise Unavailable(f"the probe's pod does not run after {seconds:.0f} s: {why}", "Executors will not either: look at the pod's events")


def waits(status: Object) -> str:
    """What a pod that does not run waits for, as its status says; '' where it says nothing."""
    for each in status.get("containerStatuses", []):
        waiting = each.get("state", {}).get("waiting")
        if waiting:
            return str(waiting.get("reason", "")) + " " + str(waiting.get("message", ""))[:200]
    conditions = [each for each in status.get("conditions", []) if each.get("status") == "False" and each.get("message")]
    return str(conditions[0]["message"])[:200] if conditions else ""


def _reach(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), 4).close()
    except OSError as error:
        return str(error)
    return ""


def _pod(name: str, settings: dict[str, str], arguments: list[str], seconds: float) -> Object:
    labels = {"app.kubernetes.io/name": "lyftlearn-doctor"}
    prefix = "spark.kubernetes.executor.label."
    labels |= {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
    container = {
        "name": "probe",
        "image": settings["spark.kubernetes.container.image"],
        "args": ["python3", "-c", PROBE, *arguments],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }
    spec: Object = {"restartPolicy": "Never", "activeDeadlineSeconds": 45 + round(seconds), "containers": [container]}
    account = settings.get("spark.kubernetes.authenticate.executor.serviceAccountName")
    if account:
        spec["serviceAccountName"] = account
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
