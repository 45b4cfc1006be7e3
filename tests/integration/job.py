"""A SageMaker container below a directory, started for real, and servers that stand between it and the platform."""

import gzip
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lyftlearn_local.platform import Platform
from tests.fake_http import FakeServer, Request, answer, serve

CHECKOUT = Path(__file__).parents[2]
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/night-shift"
# The program of most tests: says what it sees, and nothing is lost on the way (surrogates stand for bytes that are not UTF-8).
SEE = "import json, os, sys; json.dump({'env': dict(os.environ), 'argv': sys.argv[1:]}, sys.stdout)"


def launcher() -> list[str]:
    """The installed script, else that of the checkout, run as its first line says."""
    installed = Path(sys.executable).parent / "lyftlearn-entrypoint"
    script = installed if installed.exists() else CHECKOUT / "bin" / "lyftlearn-entrypoint"
    return [sys.executable, "-I", "-S", "-X", "utf8", str(script)]


def operator(*words: str) -> list[str]:
    """The command line of `lyftlearn`."""
    return [sys.executable, "-c", "from lyftlearn_entrypoint.cli import main; main()", *words]


class Ended:
    """A start that ended: its exit code, what it and the program wrote, how long it took (seconds)."""

    def __init__(self, done: "subprocess.CompletedProcess[bytes]", seconds: float) -> None:
        self.code = done.returncode
        self.out = done.stdout.decode("utf-8", "surrogateescape")
        self.err = done.stderr.decode("utf-8", "surrogateescape")
        self.seconds = seconds

    @property
    def env(self) -> dict[str, str]:
        """What the program SEE saw."""
        assert self.code == 0, self.err
        seen: dict[str, str] = json.loads(self.out)["env"]
        return seen

    @property
    def line(self) -> str:
        """The one line that says why; no other error, and no traceback."""
        lines = [line for line in self.err.splitlines() if line.startswith("lyftlearn-entrypoint: error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


class Job:
    """A SageMaker training container: `/opt/ml` lies below `root` (LYFTLEARN_ROOT), `environ` is what the container was given."""

    def __init__(self, root: Path, pointers: dict[str, str]) -> None:
        self.root = root
        home = root / "home"
        home.mkdir()
        self.environ = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "LYFTLEARN_ROOT": str(root),
            "AWS_EC2_METADATA_DISABLED": "true",
            "TRAINING_JOB_NAME": "night-shift",
            "TRAINING_JOB_ARN": ARN,
            **pointers,
        }
        self.write(
            "/opt/ml/input/config/resourceconfig.json", b'{"current_host":"algo-1","hosts":["algo-1"],"network_interface_name":"eth0"}'
        )
        for name in ("model", "output", "input/data"):
            self.path("/opt/ml/" + name).mkdir()

    def path(self, path: str) -> Path:
        """Where an absolute path of the container really is."""
        return self.root / path.lstrip("/")

    def write(self, path: str, data: bytes) -> Path:
        place = self.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def channel(self, **documents: object) -> None:
        """The channel `lyftlearn`, as SageMaker downloads it."""
        for name, document in documents.items():
            self.write(f"/opt/ml/input/data/lyftlearn/{name}.json", json.dumps(document).encode())

    def hyperparameters(self, document: object) -> None:
        """SageMaker's own file."""
        self.write("/opt/ml/input/config/hyperparameters.json", json.dumps(document).encode())

    def processing(self) -> "Job":
        """The same container in a processing job: the platform tells it by a file, and there are no training variables."""
        for name in ("TRAINING_JOB_NAME", "TRAINING_JOB_ARN"):
            del self.environ[name]
        self.path("/opt/ml/input/config/resourceconfig.json").unlink()
        arn = ARN.replace("training-job", "processing-job")
        self.write(
            "/opt/ml/config/processingjobconfig.json", json.dumps({"ProcessingJobArn": arn, "ProcessingJobName": "night-shift"}).encode()
        )
        return self

    def studio(self) -> "Job":
        """The same container as an application of Studio."""
        for name in ("TRAINING_JOB_NAME", "TRAINING_JOB_ARN"):
            del self.environ[name]
        metadata = {"AppType": "JupyterLab", "DomainId": "d-1", "SpaceName": "s", "ResourceName": "default"}
        self.write("/opt/ml/metadata/resource-metadata.json", json.dumps(metadata).encode())
        return self

    @property
    def failure(self) -> str:
        """What SageMaker would show as FailureReason; '' where there is no file."""
        place = self.path("/opt/ml/output/failure")
        return place.read_text() if place.exists() else ""

    def start(self, *argv: str, **environ: "str | None") -> Ended:
        """Start the entrypoint with ARGs (by default SEE). A variable that is None is not given."""
        return self.run([*launcher(), *(argv or (sys.executable, "-I", "-c", SEE))], **environ)

    def run(self, words: list[str], **environ: "str | None") -> Ended:
        """Run any command line in this container."""
        env = {name: value for name, value in {**self.environ, **environ}.items() if value is not None}
        began = time.monotonic()
        done = subprocess.run(words, env=env, cwd=self.root, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        return Ended(done, time.monotonic() - began)

    def left_behind(self) -> set[str]:
        """Every file and link of the container, but for HOME."""
        found = {str(Path(base, name).relative_to(self.root)) for base, _, names in os.walk(self.root) for name in names}
        found |= {
            str(Path(base, n).relative_to(self.root)) for base, names, _ in os.walk(self.root) for n in names if Path(base, n).is_symlink()
        }
        return {name for name in found if not name.startswith("home/")}


class Bucket:
    """The platform's bucket, below a prefix of one test's own."""

    def __init__(self, platform: Platform) -> None:
        self.s3 = platform.client("s3")
        self.name = platform.bucket
        self.prefix = uuid.uuid4().hex
        self.put_count = 0

    def put(
        self, document: object, key: str = "document.json", *, packed: bool = False, digest: bool = False, raw: "bytes | None" = None
    ) -> str:
        """Store a document (or `raw` bytes) and give its URI, with `#sha256=` of the stored bytes where asked."""
        data = json.dumps(document).encode() if raw is None else raw
        if packed:
            data = gzip.compress(data)
        self.put_count += 1
        full = f"{self.prefix}/{self.put_count}/{key}"
        self.s3.put_object(Bucket=self.name, Key=full, Body=data)
        return f"s3://{self.name}/{full}" + (f"#sha256={hashlib.sha256(data).hexdigest()}" if digest else "")

    def keys(self) -> dict[str, str]:
        """Keys below the prefix, with the time at which each was written."""
        found = self.s3.list_objects_v2(Bucket=self.name, Prefix=self.prefix).get("Contents", [])
        return {entry["Key"]: str(entry["LastModified"]) for entry in found}


@contextmanager
def relay(url: str, change: "Callable[[int, Request], bytes | None]" = lambda number, request: None) -> Iterator[FakeServer]:
    """A server that passes every request on to `url` and counts them. `change(number, request)` may answer in its place."""
    count = 0
    lock = threading.Lock()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def script(request: Request) -> bytes:
        nonlocal count
        with lock:
            count += 1
            number = count
        own = change(number, request)
        if own is not None:
            return own
        headers = {name: value for name, value in request.headers.items() if name not in ("host", "connection", "content-length")}
        passed = urllib.request.Request(url + request.target, request.body or None, headers, method=request.method)
        try:
            with opener.open(passed, timeout=20) as reply:
                told = ("Content-Type", "Content-Range", "ETag")
                return answer(reply.status, reply.read(), {name: reply.headers[name] for name in told if name in reply.headers})
        except urllib.error.HTTPError as error:
            with error:
                return answer(error.code, error.read(), {"Content-Type": error.headers.get("Content-Type", "")})

    with serve(script) as server:
        yield server


class Pouring:
    """A server that answers one GET with `head` and then pours bytes for as long as it is let; `poured` counts them."""

    def __init__(self, head: bytes, most: int) -> None:
        self.poured = 0
        self._head, self._most = head, most
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(60)
            try:
                connection.recv(65536)
                connection.sendall(self._head)
                while self.poured < self._most:
                    self.poured += connection.send(b"x" * 65536)
            except OSError:
                pass  # it hung up, as it should

    def close(self) -> None:
        self._listener.close()
        self._thread.join(15)
