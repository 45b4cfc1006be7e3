"""Which sessions are abandoned: those of which every executor has ended, some time ago."""

import datetime as dt
from typing import Any

from lyftlearn_entrypoint.cli.spark import abandoned

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
