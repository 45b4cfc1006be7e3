"""`lyftlearn spark`: a token for the cluster, and the removal of what killed sessions left in it."""

from __future__ import annotations

import datetime as dt
import json
import socket
import sys
from typing import TYPE_CHECKING

import click

from lyftlearn_entrypoint.cli.kubernetes import Api, Object, defaults
from lyftlearn_entrypoint.spark import token as tokens
from lyftlearn_entrypoint.spark.conf import DRIVER_PORT, MARKER

if TYPE_CHECKING:
    from collections.abc import Callable

OWNER = "spark.kubernetes.executor.label.lyftlearn-owner"


@click.group()
def spark() -> None:
    """Spark's executors in Kubernetes."""


@spark.command()
@click.argument("cluster")
@click.option("--region", default="", help="The cluster's region; by default AWS_REGION.")
def token(cluster: str, region: str) -> None:
    """Print an ExecCredential for an EKS CLUSTER, as a kubeconfig's plugin does. Nothing is asked of AWS but credentials."""
    sys.exit(tokens.main([cluster, region]))


@spark.command()
@click.option("--older-than", "minutes", default=10, show_default=True, help="Minutes since an executor ended.")
@click.option("--all-owners", is_flag=True, help="Also what other notebooks' owners left.")
@click.option("--unreachable", is_flag=True, help="Also of drivers whose address does not answer at all from here.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reap(minutes: int, all_owners: bool, unreachable: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what drivers that were killed left in the cluster: ended executors' pods, and their sessions' ConfigMaps.

    A driver that lives removes its executors' pods within seconds. One that was killed by SIGKILL, or for memory, cannot: its executors end
    by themselves, and their pods stay. A session of which any executor still runs is left alone; so is one without executors while one of a
    driver's ports is open at its driver's address.
    """
    settings = defaults()
    api = Api.of_this_place(settings)
    selector = "spark-role=executor"
    if settings.get(OWNER) and not all_owners:
        selector += ",lyftlearn-owner=" + settings[OWNER]
    base = "/api/v1/namespaces/" + settings.get("spark.kubernetes.namespace", "default")
    pods = api.ask("GET", base + "/pods", labelSelector=selector)["items"]
    before = dt.datetime.now(dt.timezone.utc) - dt.timedelta(minutes=minutes)
    maps = api.ask("GET", base + "/configmaps", labelSelector="spark-role=executor")["items"]
    owner = "" if all_owners else settings.get(OWNER, "")
    present = {pod["metadata"].get("labels", {}).get("spark-app-selector", "") for pod in pods}
    left = abandoned(pods, before) + deserted(maps, present, before, owner, lambda host: gone(host, unreachable))
    removed: dict[str, list[str]] = {"pods": [], "configmaps": []}
    for session in left:
        of_it = f"spark-app-selector={session},spark-role=executor"
        for kind, taken in removed.items():
            names = [item["metadata"]["name"] for item in api.ask("GET", f"{base}/{kind}", labelSelector=of_it)["items"]]
            for name in names:
                if not dry_run:
                    api.ask("DELETE", f"{base}/{kind}/{name}")
                taken.append(name)
    if as_json:
        click.echo(json.dumps({"sessions": left, **removed, "removed": not dry_run}))
        return
    for kind, names in removed.items():
        for name in names:
            click.echo(("would remove " if dry_run else "removed ") + kind[:-1] + " " + name)
    if not left:
        click.echo(f"nothing was left by a session that ended more than {minutes} minutes ago", err=True)


def abandoned(pods: list[Object], before: dt.datetime) -> list[str]:
    """The sessions (their spark-app-selector) whose every executor has ended, the last one before that time."""
    last: dict[str, dt.datetime | None] = {}
    for pod in pods:
        session = pod["metadata"].get("labels", {}).get("spark-app-selector", "")
        if not session:
            continue
        ended = _ended(pod)
        known = last.get(session, ended)
        last[session] = None if ended is None or known is None else max(ended, known)
    return sorted(session for session, ended in last.items() if ended is not None and ended < before)


def deserted(maps: list[Object], present: set[str], before: dt.datetime, owner: str, gone: Callable[[str], bool]) -> list[str]:
    """The sessions that have a ConfigMap from before that time, and neither a pod among `present` nor a driver: `gone` says so of a host.

    Whose it is, and where its driver was, a start has written into it (conf.MARKER); one without that is left alone, and with an `owner`
    that of others too.
    """
    found = set()
    for each in maps:
        session = each["metadata"].get("labels", {}).get("spark-app-selector", "")
        marker = dict(line.split(" ", 1) for line in (each.get("data") or {}).get(MARKER, "").splitlines() if " " in line)
        young = dt.datetime.fromisoformat(each["metadata"]["creationTimestamp"].replace("Z", "+00:00")) >= before
        if not session or session in present or young or not marker.get("driver") or owner not in ("", marker.get("owner")):
            continue
        if gone(marker["driver"]):
            found.add(session)
    return sorted(found)


def gone(host: str, unreachable: bool) -> bool:
    """Whether no driver of a notebook's lives at that address: none of their ports is open. One that does not answer at all, as behind a
    firewall, is as the flag says."""
    for port in range(DRIVER_PORT, DRIVER_PORT + 18):
        try:
            socket.create_connection((host, port), 2).close()
        except ConnectionRefusedError:
            continue
        except OSError:
            return unreachable
        return False
    return True


def _ended(pod: Object) -> dt.datetime | None:
    """When a pod's executor ended; None while it may still run."""
    if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
        return None
    states = [each.get("state", {}).get("terminated", {}).get("finishedAt", "") for each in pod["status"].get("containerStatuses", [])]
    text = max([*states, pod["metadata"]["creationTimestamp"]])
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
