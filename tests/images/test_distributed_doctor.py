"""Plain `lyftlearn doctor` where Spark's executors are pods: it asks the cluster's API as Spark would, and makes no pod."""

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.images import test_distributed_kubernetes as kubernetes

if TYPE_CHECKING:
    from tests.images.conftest import Container
    from tests.integration.conftest import Need

pytestmark = pytest.mark.image("distributed")

notebook, secured = kubernetes.notebook, kubernetes.secured  # a notebook's container, and a cluster over HTTPS
DOCTOR = "lyftlearn doctor --json --deadline 120"


def spark(container: "Container") -> "dict[str, Any]":
    """What the doctor says of Spark."""
    container.wait()
    found: list[dict[str, Any]] = json.loads(container.stdout)["findings"]
    (row,) = [row for row in found if row["check"] == "spark"]
    return row


def test_the_api_answers(notebook: kubernetes.Notebook, secured: kubernetes.Secured) -> None:
    row = spark(notebook.run(*DOCTOR.split()).expect("has no digest"))
    assert (row["code"], row["verdict"]) == ("LL0900", "ok"), row
    assert row["evidence"].startswith(secured.cluster.api.url + " answers (")
    assert secured.cluster.api.asked("create", "pods") == []
    assert secured.tokens.minted


def test_the_api_is_closed(notebook: kubernetes.Notebook, secured: kubernetes.Secured, need: "Need") -> None:
    need(os.geteuid() == 0 and shutil.which("nsenter") and shutil.which("iptables"), "nsenter and iptables, as root")
    container = notebook.run("sh", "-c", kubernetes.WAIT + DOCTOR).expect("has no digest")
    kubernetes.closed(container, "-A", "OUTPUT", "-p", "tcp", "--dport", secured.cluster.api.url.rpartition(":")[2])
    container.exec("touch", "/tmp/go")
    row = spark(container)
    assert (row["code"], row["verdict"], row["exit"]) == ("LL0904", "failed", 69), row
    assert secured.cluster.api.url + " cannot be reached: " in row["evidence"]
    assert "inbound TCP 443" in row["remedy"]
    assert container.wait() == 69


def test_the_api_refuses(notebook: kubernetes.Notebook, secured: kubernetes.Secured) -> None:
    container = notebook.run("sh", "-c", kubernetes.WAIT + DOCTOR, AWS_ACCESS_KEY_ID="AKIDSOMEBODY").expect("has no digest")
    container.exec("touch", "/tmp/go")
    row = spark(container)
    assert (row["code"], row["verdict"], row["exit"]) == ("LL0909", "failed", 77), row
    assert "answers 401" in row["evidence"]
