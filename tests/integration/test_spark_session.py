"""Why a session has no executors: by what a Kubernetes API or a standalone master says, each a server over HTTP."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lyftlearn_entrypoint.cli import session
from lyftlearn_entrypoint.cli.kubernetes import Api as Caller
from lyftlearn_entrypoint.cli.kubernetes import Object
from lyftlearn_entrypoint.errors import Refused, Unavailable
from tests.images.spark.api import Api
from tests.images.spark.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {
    "spark.master": "k8s://http://api",
    "spark.app.id": "spark-1",
    "spark.kubernetes.namespace": "ml",
    "spark.executor.memory": "2g",
    "spark.executor.cores": "3",
    "spark.executor.memoryOverheadFactor": "0.4",
    "spark.kubernetes.container.image": "ml@sha256:0",
}
RULE = "open it"


@pytest.fixture
def api() -> "Iterator[Api]":
    made = Api(Store(), "127.0.0.1")
    yield made
    made.stop()


def pod(api: Api, phase: str, state: "Object | None" = None, message: str = "", session: str = "spark-1") -> None:
    labels = {"spark-app-selector": session, "spark-role": "executor"}
    made = api.store.create("pods", "ml", {"metadata": {"labels": labels}, "spec": {}})
    conditions = [{"type": "PodScheduled", "status": "False", "message": message}] if message else []
    status = {"phase": phase, "conditions": conditions, "containerStatuses": [{"state": state}] if state else []}
    api.store.update("pods", "ml", made["metadata"]["name"], lambda old: {**old, "status": status})


def ways(*closed: str) -> Any:
    """A probe that found these ends closed."""
    ends = ("the driver at 10.0.0.1:38000", "the driver's blocks at 10.0.0.1:38001", "an executor's blocks at 10.0.0.2:7079")

    def probe(settings: "dict[str, str]", api: Caller) -> "list[Object]":
        found = [{"from": "a pod", "to": end, "open": end not in closed, "why": "timed out", "rule": RULE} for end in ends]
        return [{"from": "this driver", "to": api.server, "open": True, "why": "", "rule": ""}, *found]

    return probe


def judged(api: Api, probe: Any, **more: str) -> "tuple[bool, str]":
    return session.in_kubernetes({**SETTINGS, **more}, Caller(api.url, "", "token"), probe)


def unasked(settings: "dict[str, str]", api: Caller) -> "list[Object]":
    raise AssertionError("no probe was needed")


def test_a_closed_port(api: Api) -> None:
    final, why = judged(api, ways("the driver at 10.0.0.1:38000"))
    assert final
    assert why == "a pod cannot reach the driver at 10.0.0.1:38000: timed out. open it"


def test_an_executors_own_port_is_no_reason(api: Api) -> None:
    """Only large results need it."""
    final, why = judged(api, ways("an executor's blocks at 10.0.0.2:7079"))
    assert not final
    assert "are open" in why


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_a_container_that_cannot_start(api: Api, reason: str) -> None:
    pod(api, "Pending", {"waiting": {"reason": "ContainerCreating"}}, session="another")
    pod(api, "Pending", {"waiting": {"reason": reason, "message": "no such thing"}})
    final, why = judged(api, unasked)
    assert final
    assert f"{reason} no such thing" in why


@pytest.mark.parametrize(("message", "words"), [("0/3 nodes are available: 3 Insufficient cpu.", "Insufficient cpu"), ("", "no node yet")])
def test_pods_that_wait_for_a_node(api: Api, message: str, words: str) -> None:
    pod(api, "Pending", message=message)
    final, why = judged(api, unasked)
    assert not final
    assert words in why


def test_one_more_executor_is_refused(api: Api) -> None:
    """Asked with what an executor asks for, and nothing is made of it."""
    judged(api, ways())
    (request,) = api.asked("create", "pods")
    assert request.query["dryRun"] == "All"
    assert request.body["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "3", "memory": f"{2048 + int(2048 * 0.4)}Mi"}
    assert api.store.find("pods") == []
    api.denied.add(("create", "pods"))
    with pytest.raises(Refused, match="cannot create resource"):
        judged(api, ways())


def test_a_probe_that_does_not_come_to_run(api: Api) -> None:
    def probe(settings: "dict[str, str]", api: Caller) -> "list[Object]":
        raise Unavailable("the probe's pod does not run after 15 s", "Look at the pod's events")

    assert judged(api, probe) == (False, "the probe's pod does not run after 15 s. Look at the pod's events")


def test_an_executor_that_ended(api: Api) -> None:
    api.log_of = lambda namespace, name: "first\nException: no such class\n"
    pod(api, "Failed", {"terminated": {"exitCode": 1, "reason": "Error"}})
    final, why = judged(api, ways())
    assert not final
    assert "ended with exit code 1 (Error): Exception: no such class" in why


def test_executors_that_get_nothing_done_are_not_asked_for(api: Api) -> None:
    final, why = judged(api, ways("the driver's blocks at 10.0.0.1:38001"), **{"lyftlearn.executors": "2"})
    assert final
    assert "38001" in why
    assert api.requests == []


def worker(cores: int, memory: int, state: str = "ALIVE") -> Object:
    return {"cores": cores, "memory": memory, "state": state}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, (False, "does not answer")),
        ({"workers": [worker(4, 9000, "DEAD")]}, (True, "no host of the job has a worker")),
        ({"workers": [worker(4, 9000), worker(1, 500)]}, (False, "none has registered")),
        ({"workers": [worker(2, 9000), worker(8, 2000)]}, (True, "the largest offers 2 cores and 9000 MiB")),
        ({"workers": [worker(4, 9000)], "activeapps": [{"id": "2", "name": "other", "cores": 4}]}, (False, "hold the cluster: other")),
    ],
)
def test_a_standalone_cluster(state: "Object | None", expected: "tuple[bool, str]") -> None:
    final, why = session.in_cluster({**SETTINGS, "spark.executor.memory": "3g"}, state)
    assert final is expected[0]
    assert expected[1] in why


def test_the_master_is_found_by_its_log(tmp_path: Path) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/json/" else 404)
            self.end_headers()
            self.wfile.write(json.dumps({"workers": []}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log = tmp_path / "master.log"
    assert session._of_master(log) is None
    line = f"26/11/27 09:00:00 INFO MasterWebUI: Bound MasterWebUI to 0.0.0.0, and started at http://127.0.0.1:{server.server_port}\n"
    log.write_text(line)
    assert session._of_master(log) == {"workers": []}
    server.shutdown()
    server.server_close()
    assert session._of_master(log) is None


@pytest.mark.parametrize(("text", "expected"), [("4g", 4 << 30), ("512m", 512 << 20), ("2048", 2 << 30), ("1gb", 1 << 30), ("nonsense", 0)])
def test_sizes(text: str, expected: int) -> None:
    assert session.size(text) == expected


def test_the_answer_is_two_lines() -> None:
    """Also where nobody can be asked at all."""
    assert session.answer("spark.master local[2]\n") == "wait\nnothing is known of local[2]"
