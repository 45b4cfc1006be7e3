"""Which sessions are abandoned: those of which every executor has ended, some time ago, and those without executors and driver."""

import datetime as dt
import socket
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.spark import abandoned, deserted, gone
from lyftlearn_entrypoint.spark.conf import DRIVER_PORT

NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.timezone.utc)


def pod(session: str, phase: str, ended: str = "", created: str = "2026-11-27T09:00:00Z") -> "dict[str, Any]":
    states = [{"state": {"terminated": {"finishedAt": ended}}}] if ended else [{"state": {"running": {}}}]
    return {
        "metadata": {"name": "p", "labels": {"spark-app-selector": session} if session else {}, "creationTimestamp": created},
        "status": {"phase": phase, "containerStatuses": states},
    }


def test_abandoned() -> None:
    pods = [
        pod("ended", "Succeeded", "2026-11-27T10:00:00Z"),
        pod("ended", "Failed", "2026-11-27T11:00:00Z"),
        pod("lives", "Failed", "2026-11-27T10:00:00Z"),
        pod("lives", "Running"),
        pod("waits", "Pending"),
        pod("just-now", "Failed", "2026-11-27T10:00:00Z"),
        pod("just-now", "Failed", "2026-11-27T12:00:01Z"),
        pod("", "Failed", "2026-11-27T10:00:00Z"),
        # Never scheduled, and refused by the node: no state of a container's.
        pod("evicted", "Failed", created="2026-11-27T11:59:00Z"),
    ]
    assert abandoned(pods, NOON) == ["ended", "evicted"]
    assert abandoned(list(reversed(pods)), NOON) == ["ended", "evicted"]


def config_map(
    session: str, marker: "str | None" = "driver 10.0.0.1\nowner ada\n", created: str = "2026-11-27T09:00:00Z"
) -> "dict[str, Any]":
    data = {"spark.properties": "", **({} if marker is None else {"lyftlearn-driver": marker})}
    labels = {"spark-app-selector": session, "spark-role": "executor"} if session else {}
    return {"metadata": {"name": "spark-exec-1-conf-map", "labels": labels, "creationTimestamp": created}, "data": data}


def test_deserted() -> None:
    """A notebook that does nothing has a ConfigMap and no executor either: only the driver's own address tells the two apart."""
    maps = [
        config_map("killed"),
        config_map("idle", "driver 10.0.0.2\nowner ada\n"),
        config_map("working"),
        config_map("just-now", created="2026-11-27T12:00:00Z"),
        config_map("not-ours", None),
        config_map("bobs", "driver 10.0.0.1\nowner bob\n"),
        config_map("nobodys", "driver 10.0.0.1\nowner \n"),
        config_map(""),
    ]
    asked: list[str] = []

    def dead(host: str) -> bool:
        asked.append(host)
        return host == "10.0.0.1"

    assert deserted(maps, {"working"}, NOON, "ada", dead) == ["killed"]
    assert asked == ["10.0.0.1", "10.0.0.2"]
    assert deserted(maps, {"working"}, NOON, "", dead) == ["bobs", "killed", "nobodys"]


@pytest.mark.parametrize("unreachable", [False, True])
def test_a_driver_that_lives(unreachable: bool) -> None:
    """On any of a driver's ports. An address that refuses all of them has no driver; of one that cannot be reached the flag decides."""
    assert gone("127.0.0.87", unreachable)
    with socket.create_server(("127.0.0.87", DRIVER_PORT + 2)):
        assert not gone("127.0.0.87", unreachable)
    assert gone("no-such-host.invalid", unreachable) is unreachable
