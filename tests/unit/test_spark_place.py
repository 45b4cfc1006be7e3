"""What is asked of a place: Spark's JARs, a pod's account, who owns a notebook, addresses, and a user's own configuration."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.context import KUBERNETES, PROCESSING, STUDIO, TRAINING, Context
from lyftlearn_entrypoint.spark import address
from lyftlearn_entrypoint.spark import place as places
from lyftlearn_entrypoint.spark.place import Place, label_value
from tests.unit.helpers import settings, tree, user

JARS = {f"/opt/spark/jars/{name}.jar": "" for name in ("hadoop-client-api-3.5.0", "spark-hadoop-cloud_2.13-4.1.2", "spark-core_2.13-4.3.0")}


def look(
    root: Path, context: str, files: "dict[str, Any] | None" = None, environ: "dict[str, str] | None" = None, **chosen: str
) -> "Place | None":
    found = tree(root, {"/tmp/": "", **JARS, **(files or {})})
    return places.look(Context(context, []), settings(root, **chosen), environ or {}, found, user(uid=os.getuid()))


def test_jars(tmp_path: Path) -> None:
    found = look(tmp_path, TRAINING)
    assert found is not None
    assert (found.hadoop, found.cloud) == ("3.5.0", True)
    assert found.directory == f"/tmp/lyftlearn-spark-{os.getuid()}"
    assert found.resources.cpus >= 1
    assert found.hosts is None


def test_no_spark(tmp_path: Path) -> None:
    tree(tmp_path, {"/tmp/": ""})
    files = tree(tmp_path, {})
    assert places.look(Context(TRAINING, []), settings(tmp_path), {"SPARK_HOME": "/opt/other"}, files, user()) is None


def test_a_start_inside_a_start_leaves_it_alone(tmp_path: Path) -> None:
    """A notebook's kernel inside the application: the settings that made the configuration are gone from its variables."""
    conf = f"/tmp/lyftlearn-spark-{os.getuid()}/conf"
    environ = {"SPARK_CONF_DIR": str(tmp_path) + conf}
    assert look(tmp_path, STUDIO, {}, environ) is not None
    assert look(tmp_path, STUDIO, {conf + "/": ""}, environ) is None


def test_a_directory_of_somebody_elses_is_not_taken(tmp_path: Path) -> None:
    mine = f"/tmp/lyftlearn-spark-{os.getuid()}"
    tree(tmp_path, {"/tmp/": ""})
    (tmp_path / mine.lstrip("/")).symlink_to("/etc")
    found = look(tmp_path, TRAINING)
    assert found is not None
    assert found.directory.startswith(mine + "-")


def test_hosts_of_a_processing_job(tmp_path: Path) -> None:
    document = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "network_interface_name": "lo"}
    found = look(tmp_path, PROCESSING, {"/opt/ml/config/resourceconfig.json": document, "/sys/class/net/lo/": ""})
    assert found is not None
    assert found.hosts is not None
    assert (found.hosts.names, found.hosts.current, found.address) == (["algo-1", "algo-2"], "algo-2", "127.0.0.1")


ACCOUNT = {"/var/run/secrets/kubernetes.io/serviceaccount/token": "t", "/var/run/secrets/kubernetes.io/serviceaccount/namespace": "ml"}


def test_a_pod(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "6443", "HOSTNAME": "train-0"}
    found = look(tmp_path, KUBERNETES, ACCOUNT, environ)
    assert found is not None
    assert (found.account, found.api, found.pod, found.namespace) == (True, "https://127.0.0.1:6443", "train-0", "ml")
    assert found.address == "127.0.0.1"


def test_a_pod_without_an_account_is_asked_nothing(tmp_path: Path) -> None:
    found = look(tmp_path, KUBERNETES, {}, {"KUBERNETES_SERVICE_HOST": "127.0.0.1"})
    assert found is not None
    assert (found.account, found.address) == (False, "")


def test_a_name_that_was_cut_is_no_name(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "HOSTNAME": "x" * 63}
    found = look(tmp_path, KUBERNETES, ACCOUNT, environ)
    assert found is not None
    assert found.pod == ""
    named = look(tmp_path, KUBERNETES, ACCOUNT, {**environ, "POD_NAME": "x" * 70})
    assert named is not None
    assert named.pod == "x" * 70


def test_a_notebook(tmp_path: Path) -> None:
    metadata = {"UserProfileName": "ada@lovelace", "SpaceName": "my space", "DomainId": "d-1", "AppType": "JupyterLab"}
    given = {"/opt/ml/metadata/resource-metadata.json": metadata}
    found = look(tmp_path, STUDIO, given, {}, spark_eks_endpoint="https://api.example.com")
    assert found is not None
    assert found.asks == ("api.example.com", 443)
    assert found.labels == {"lyftlearn-owner": "ada-lovelace", "lyftlearn-space": "my-space", "lyftlearn-domain": "d-1"}
    alone = look(tmp_path, STUDIO, given)
    assert alone is not None
    assert alone.asks is None


@pytest.mark.parametrize(("value", "label"), [("-a.", "a"), ("ä" * 9, ""), (7, ""), ("x" * 99, "x" * 63), ("a b", "a-b")])
def test_labels(value: object, label: str) -> None:
    assert label_value(value) == label


def test_a_configuration_directory(tmp_path: Path) -> None:
    tree(tmp_path, {"/conf/spark-defaults.conf": "spark.a 1", "/conf/sub/file": "no", "/conf/large": "x" * ((1 << 20) + 1)})
    (tmp_path / "conf/..data").symlink_to("sub")
    (tmp_path / "conf/log4j2.properties").symlink_to(tmp_path / "conf/sub/file")
    assert places._own(str(tmp_path / "conf")) == {"spark-defaults.conf": b"spark.a 1", "log4j2.properties": b"no"}
    assert places._own(str(tmp_path / "none")) is None


def test_a_configuration_beside_pips_jars(tmp_path: Path) -> None:
    tree(tmp_path, {"/site/pyspark/jars/": "", "/site/pyspark/conf/spark-defaults.conf": "spark.a 1", "/opt/spark/": ""})
    (tmp_path / "opt/spark/jars").symlink_to(tmp_path / "site/pyspark/jars")
    assert places._own(str(tmp_path / "opt/spark/jars/../conf")) == {"spark-defaults.conf": b"spark.a 1"}


def test_addresses() -> None:
    assert address.route("127.0.0.1", 443) == "127.0.0.1"
    assert address.route("no.such.name.invalid", 443) == ""
    assert address.of_interface("lo") == "127.0.0.1"
    assert address.of_interface("none0") == address.of_interface("") == ""
    assert address.of_name("localhost") == ""
    assert address.of_name("192.0.2.1") == "192.0.2.1"
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("::1", 443))
        except OSError:
            return
    assert address.route("::1", 443) == "::1"
