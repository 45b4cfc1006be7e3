"""serve.py in containers: as a pod of the cluster, as a SageMaker endpoint, and as the server of a batch transform."""

import http.client
import json
from typing import TYPE_CHECKING, Any

from lyftlearn_local import container
from lyftlearn_local.containers.running import Running
from lyftlearn_local.containers.surroundings import CODE, Surroundings
from lyftlearn_local.demo import ways
from lyftlearn_local.demo.compare import Served, sha256
from lyftlearn_local.demo.container_scene import HEALTHY_SECONDS, PORT, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRAM = f"{CODE}/serve.py"
_MODEL = "/opt/ml/model"
_ROWS = 50  # of a request
_INPUT, _OUTPUT = "screening/records.jsonl", "screening/output/records.jsonl.out"


def records(rows: "list[list[float]]") -> "list[bytes]":
    """The requests, one JSON document each: a line of a batch transform's input."""
    return [json.dumps({"instances": rows[at : at + _ROWS]}).encode() for at in range(0, len(rows), _ROWS)]


class Server:
    """A container that serves on 8080, and is asked from outside: by its own address, not by one inside it."""

    def __init__(self, running: Running, address: str, around: Surroundings) -> None:
        self.running = running
        self.address = address
        self.around = around

    def call(self, method: str, path: str, body: "bytes | None" = None) -> "tuple[int, bytes]":
        """(status, body). Raises OSError where nobody answers."""
        connection = http.client.HTTPConnection(self.address, PORT, timeout=60)  # SageMaker's for POST /invocations
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def healthy(self) -> bool:
        try:
            return self.call("GET", "/ping")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def invoke(self, record: bytes) -> bytes:
        """The answer to POST /invocations. Raises CannotRun."""
        try:
            status, answer = self.call("POST", "/invocations", record)
        except (OSError, http.client.HTTPException) as error:
            raise self.running.failed(f"POST /invocations: {error}") from None
        if status != 200:
            raise self.running.failed(f"POST /invocations answered {status}")
        return answer


def as_pod(scene: Scene, model: str, environment: "dict[str, str]", lines: "list[bytes]") -> Served:
    """The serving pod that stays on the cluster: its model was pulled into a volume, which it may only read."""
    made = ways.pod(scene.secrets, {}, ["python", _PROGRAM], environment, {})
    around = scene.surround(made, "serving pod")
    ways.fetch_model(scene.platform, model, around.at(ways.POD_MODEL))
    with scene.sidecar("serving pod") as (first, beside):
        server = Server(scene.start("serving pod", around, beside), first.address, around)
        return _serve(scene, server, ways.POD_MODEL, lambda: [server.invoke(line) for line in lines])


def as_endpoint(scene: Scene, model: str, staged: "dict[str, str]", lines: "list[bytes]") -> Served:
    """`docker run IMAGE serve`, then GET /ping and POST /invocations."""
    server = _sagemaker(scene, container.ENDPOINT, "endpoint", model, staged)
    return _serve(scene, server, _MODEL, lambda: [server.invoke(line) for line in lines])


def as_transform(scene: Scene, model: str, staged: "dict[str, str]", lines: "list[bytes]") -> Served:
    """As SageMaker's agent does it: records from S3 (SplitType Line, SingleRecord), answers to S3 (AssembleWith Line)."""
    s3, bucket = scene.platform.client("s3"), scene.platform.bucket
    s3.put_object(Bucket=bucket, Key=_INPUT, Body=b"\n".join(lines))
    server = _sagemaker(scene, container.TRANSFORM, "batch transform", model, staged)

    def transform() -> "list[bytes]":
        status, _ = server.call("GET", "/execution-parameters")  # optional; 404: the job's own parameters hold
        if status not in (200, 404):
            raise server.running.failed(f"GET /execution-parameters answered {status}")
        taken = s3.get_object(Bucket=bucket, Key=_INPUT)["Body"].read().split(b"\n")
        s3.put_object(Bucket=bucket, Key=_OUTPUT, Body=b"\n".join(server.invoke(record) for record in taken))
        scene.say(f"batch transform: {len(taken)} records of s3://{bucket}/{_INPUT}, answered in {_OUTPUT}")
        answers: list[bytes] = s3.get_object(Bucket=bucket, Key=_OUTPUT)["Body"].read().split(b"\n")
        return answers

    return _serve(scene, server, _MODEL, transform)


def _sagemaker(scene: Scene, context: str, name: str, model: str, staged: "dict[str, str]") -> Server:
    made = scene.describe(context, name, scene.passed(staged, ["serve"], LYFTLEARN_SERVE_COMMAND=f"python {_PROGRAM}"))
    around = scene.surround(made, name)
    ways.fetch_model(scene.platform, model, around.at(_MODEL))
    running = scene.start(name, around)
    return Server(running, running.address, around)


def _serve(scene: Scene, server: Server, model: str, ask: "Callable[[], list[bytes]]") -> Served:
    """Waits for /ping, asks, looks at the program, stops it."""
    running, made = server.running, server.around.made
    seconds = running.until(server.healthy, "answer to GET /ping on 8080", HEALTHY_SECONDS)
    scene.say(f"{running.name}: http://{server.address}:{PORT}/ping answered 200 after {seconds:.1f} s")
    answers: list[dict[str, Any]] = [json.loads(answer) for answer in ask()]
    program = running.program(_PROGRAM)
    start = running.started_in
    code, seconds = running.stop(made.grace)
    scene.warnings(running)
    return Served(
        predictions=[value for answer in answers for value in answer["predictions"]],
        signatures=[answer["signature"] for answer in answers],
        regions={answer["region"] for answer in answers},
        counts=scene.counts(),
        model=sha256((server.around.at(model) / "model.joblib").read_bytes()),
        image=running.image,
        user=program.user if program else "",
        environ=scene.environ(made, program),
        start=start,
        code=code,
        seconds=seconds,
    )
