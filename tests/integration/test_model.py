"""LYFTLEARN_MODEL_URI: a model from moto's S3 into a file, whole or not at all, and again out of a warm pool."""

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from lyftlearn_local.platform import Platform
from tests.fake_http import Hang, Request, answer, serve
from tests.integration.job import SEE, Bucket, Job, operator, relay

pytest_plugins = ["tests.integration.platform_fixture"]

BIG = bytes(range(256)) * (40 << 12) + b"and a rest"  # 40 MiB: three parts
DIRECTORY = "/opt/ml/input/data/model"
POOL = "/opt/ml/sagemaker/warmpoolcache"


_STORED: dict[bytes, str] = {}


def stored(bucket: Bucket, data: bytes = BIG) -> str:
    """The URI of an object with these bytes, stored once."""
    if data not in _STORED:
        _STORED[data] = bucket.put(None, "model.bin", raw=data, digest=True)
    return _STORED[data]


def pooled(job: Job) -> dict[str, str]:
    """The variable of a job in a warm pool, whose directory is there."""
    job.path(POOL).mkdir(parents=True, exist_ok=True)
    return {"SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": POOL}


def test_a_model_of_several_parts(job: Job, bucket: Bucket) -> None:
    ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket))
    path = Path(ended.env["LYFTLEARN_MODEL_FILE"])
    assert path == job.path(DIRECTORY) / "model.bin"
    assert path.read_bytes() == BIG
    assert path.stat().st_mode & 0o777 == 0o644
    assert "LYFTLEARN_MODEL_URI" not in ended.env
    assert f"model.bin from S3, {len(BIG)} bytes, in " in ended.err
    assert os.listdir(path.parent) == ["model.bin"]


@pytest.mark.parametrize(
    "data", [b"", b"x", BIG[: 16 << 20], BIG[: (16 << 20) + 1]], ids=["empty", "a byte", "a part", "a part and a byte"]
)
def test_sizes(job: Job, bucket: Bucket, data: bytes) -> None:
    ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket, data), LYFTLEARN_MODEL_DIR="/elsewhere/deep")
    assert Path(ended.env["LYFTLEARN_MODEL_FILE"]).read_bytes() == data
    assert ended.env["LYFTLEARN_MODEL_FILE"] == str(job.path("/elsewhere/deep/model.bin"))


def test_a_wrong_digest_leaves_nothing(job: Job, bucket: Bucket) -> None:
    uri = stored(bucket).partition("#")[0] + "#sha256=" + "0" * 64
    ended = job.start(LYFTLEARN_MODEL_URI=uri)
    assert ended.code == 65
    assert "but 000000000000... was asked for" in ended.line
    assert os.listdir(job.path(DIRECTORY)) == []


def test_what_fails_beside_it_leaves_nothing(job: Job, bucket: Bucket) -> None:
    ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket), LYFTLEARN_ENV_URI=bucket.put({"A": 1}))
    assert ended.code == 65
    assert list(job.path(DIRECTORY).glob("*")) == []  # there may be none: who comes first is chance
    ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket), LYFTLEARN_ENV_URI=f"s3://{bucket.name}/none")
    assert ended.code == 66
    assert list(job.path(DIRECTORY).glob("*")) == []


@pytest.mark.parametrize(
    ("uri", "code", "says"),
    [
        ("s3://{name}/none#sha256=" + "0" * 64, 66, "NoSuchKey"),
        ("s3://no-such-bucket-here/none#sha256=" + "0" * 64, 66, "NoSuchBucket"),
        ("s3://{name}/a", 78, "no #sha256="),
        ("s3://{name}/a/#sha256=" + "0" * 64, 78, "name a file"),
        ("{name}/a", 78, "not an S3 URI"),
    ],
)
def test_what_is_not_there(job: Job, bucket: Bucket, uri: str, code: int, says: str) -> None:
    ended = job.start(LYFTLEARN_MODEL_URI=uri.format(name=bucket.name))
    assert (ended.code, says in ended.line) == (code, True), ended.err
    assert ended.line.removeprefix("lyftlearn-entrypoint: error: ").removesuffix(f" (exit {code})") in job.failure


def test_a_start_that_was_killed_leaves_something_until_the_next(job: Job, bucket: Bucket) -> None:
    job.write(DIRECTORY + "/.lyftlearn-model-0123456789abcdef", b"half of it")
    assert job.start(LYFTLEARN_MODEL_URI=stored(bucket)).code == 0
    assert os.listdir(job.path(DIRECTORY)) == ["model.bin"]


def test_broken_connections_cost_what_they_broke_off(job: Job, bucket: Bucket) -> None:
    """Every second answer ends in its middle: what came is not asked for again."""
    uri = stored(bucket)
    data = BIG
    asked: list[tuple[int, int]] = []

    def script(request: Request) -> bytes:
        first, last = (int(number) for number in request.headers["range"].removeprefix("bytes=").split("-"))
        asked.append((first, last))
        body = data[first : last + 1]
        head = f'HTTP/1.1 206 x\r\nETag: "e"\r\nContent-Range: bytes {first}-{first + len(body) - 1}/{len(data)}\r\n'
        whole = head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        return whole if len(asked) % 2 == 0 else whole[: len(whole) // 2]

    with serve(script) as server:
        ended = job.start(LYFTLEARN_MODEL_URI=uri, AWS_ENDPOINT_URL_S3=server.url)
        pinned = [request.headers.get("if-match") for request in server.requests]
    assert Path(ended.env["LYFTLEARN_MODEL_FILE"]).read_bytes() == data
    assert len({first for first, _ in asked}) == len(asked)
    assert set(pinned[2:]) <= {'"e"', None}
    assert pinned[-1] == '"e"'


def test_a_server_without_ranges(job: Job, bucket: Bucket) -> None:
    with serve(lambda _: answer(200, BIG)) as server:
        ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket), AWS_ENDPOINT_URL_S3=server.url)
        assert len(server.requests) == 1
    assert Path(ended.env["LYFTLEARN_MODEL_FILE"]).read_bytes() == BIG


def test_an_object_that_is_overwritten_meanwhile(job: Job, bucket: Bucket) -> None:
    head = f'HTTP/1.1 206 x\r\nETag: "old"\r\nContent-Range: bytes 0-16777215/{len(BIG)}\r\nContent-Length: 16777216\r\n\r\n'.encode()

    def overwritten(request: Request) -> bytes:
        if request.headers["range"].startswith("bytes=0-"):
            return head + BIG[: 16 << 20]
        return answer(412 if request.headers["if-match"] == '"old"' else 500, b"")

    with serve(overwritten) as server:
        ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket), AWS_ENDPOINT_URL_S3=server.url)
    assert ended.code == 65
    assert "was overwritten while it was read" in ended.line
    assert os.listdir(job.path(DIRECTORY)) == []


def test_the_deadline_says_how_far_it_was(job: Job, bucket: Bucket) -> None:
    uri = stored(bucket)
    head = f"HTTP/1.1 206 x\r\nContent-Range: bytes 0-16777215/{len(BIG)}\r\nContent-Length: 16777216\r\n\r\n".encode()

    def first(request: Request) -> "bytes | Hang":
        return head + BIG[: 16 << 20] if request.headers["range"].startswith("bytes=0-") else Hang()

    with serve(first) as server:
        ended = job.start(LYFTLEARN_MODEL_URI=uri, AWS_ENDPOINT_URL_S3=server.url, LYFTLEARN_DEADLINE="8")
    assert ended.code == 69
    assert f"16777216 of {len(BIG)} bytes within 8 s (LYFTLEARN_DEADLINE)" in ended.line
    assert os.listdir(job.path(DIRECTORY)) == []


def test_a_directory_that_cannot_be(job: Job, bucket: Bucket) -> None:
    job.write("/blocked", b"")
    ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket), LYFTLEARN_MODEL_DIR="/blocked/here")
    assert ended.code == 78
    assert "LYFTLEARN_MODEL_DIR" in ended.line
    job.path(DIRECTORY + "/model.bin").mkdir(parents=True)
    ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket))
    assert ended.code == 78
    assert os.listdir(job.path(DIRECTORY)) == ["model.bin"]


def test_plan_looks_and_fetches_nothing(job: Job, bucket: Bucket) -> None:
    uri = stored(bucket)
    ended = job.run(operator("plan", "--json", "--", "true"), LYFTLEARN_MODEL_URI=uri)
    model = json.loads(ended.out)["model"]
    assert model == {
        "file": str(job.path(DIRECTORY) / "model.bin"),
        "uri": uri.partition("#")[0],
        "sha256": hashlib.sha256(BIG).hexdigest(),
        "bytes": len(BIG),
        "from": "S3",
    }
    assert not job.path(DIRECTORY).exists()
    ended = job.run(operator("plan", "--", "true"), LYFTLEARN_MODEL_URI=uri)
    assert f"writes     {job.path(DIRECTORY)}/model.bin: {uri.partition('#')[0]}, {len(BIG)} bytes, from S3" in ended.out


def test_studio_and_pods_leave_it(job: Job, bucket: Bucket) -> None:
    uri = stored(bucket)
    for where in ("studio", "kubernetes", "local"):
        ended = job.start(LYFTLEARN_MODEL_URI=uri, LYFTLEARN_CONTEXT=where)
        assert ended.env["LYFTLEARN_MODEL_URI"] == uri
        assert "LYFTLEARN_MODEL_FILE" not in ended.env
    ended = job.start(LYFTLEARN_MODEL_URI=uri, LYFTLEARN_CONTEXT="kubernetes", LYFTLEARN_STEPS="model")
    assert Path(ended.env["LYFTLEARN_MODEL_FILE"]).read_bytes() == BIG


def test_its_parts_are_in_the_trace(job: Job, bucket: Bucket) -> None:
    ended = job.start(LYFTLEARN_MODEL_URI=stored(bucket), LYFTLEARN_TRACE="/tmp/trace.json", **pooled(job))
    assert ended.code == 0, ended.err
    events = json.loads(job.path("/tmp/trace.json").read_text())["traceEvents"]
    received = [
        event["args"]["bytes"] for event in events if event["name"].startswith("GET ") and event.get("args", {}).get("status") == 206
    ]
    assert sum(received) == len(BIG)
    assert len(received) == 3
    assert {"model", "model part"} <= {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert job.start(LYFTLEARN_MODEL_URI=stored(bucket), LYFTLEARN_TRACE="/tmp/trace.json", **pooled(job)).code == 0
    events = json.loads(job.path("/tmp/trace.json").read_text())["traceEvents"]
    (copied,) = [event for event in events if event["name"] == "copy from the warm pool"]
    assert copied["args"]["bytes"] == len(BIG)


# In a warm pool -----------------------------------------------------------------------------------------------------------


def test_the_second_job_asks_nobody(job: Job, bucket: Bucket, platform: Platform) -> None:
    uri = stored(bucket)
    first = job.start(LYFTLEARN_MODEL_URI=uri, **pooled(job))
    assert "from S3" in first.err
    job.path(DIRECTORY + "/model.bin").unlink()
    with relay(platform.aws_url) as server:
        where = {"AWS_ENDPOINT_URL": server.url}
        second = job.start(sys.executable, "-I", "-c", SEE, LYFTLEARN_MODEL_URI=uri, **pooled(job), **where)
        assert server.requests == []
    assert Path(second.env["LYFTLEARN_MODEL_FILE"]).read_bytes() == BIG
    assert "from the warm pool" in second.err
    plan = job.run(operator("plan", "--json", "--", "true"), LYFTLEARN_MODEL_URI=uri, **pooled(job))
    assert json.loads(plan.out)["model"]["from"] == "warm pool"


def test_a_job_without_network_takes_it_from_the_pool(job: Job, bucket: Bucket) -> None:
    uri = stored(bucket)
    alone: dict[str, "str | None"] = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": None,
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": None,
        "LYFTLEARN_STATSD_GATEWAY": None,
    }
    ended = job.start(LYFTLEARN_MODEL_URI=uri, **pooled(job), **alone)
    assert ended.code == 69
    assert "no network" in ended.line
    job.path("/opt/ml/output/failure").unlink()
    assert job.start(LYFTLEARN_MODEL_URI=uri, **pooled(job)).code == 0
    ended = job.start(sys.executable, "-I", "-c", SEE, LYFTLEARN_MODEL_URI=uri, **pooled(job), **alone)
    assert Path(ended.env["LYFTLEARN_MODEL_FILE"]).read_bytes() == BIG


def entry_of(job: Job, uri: str) -> Path:
    return job.path(POOL) / "lyftlearn/models" / uri.rpartition("=")[2]


def _other(path: Path) -> None:
    path.write_bytes(BIG[:-1] + b"!")


def _short(path: Path) -> None:
    path.write_bytes(BIG[: len(BIG) // 2])


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 43)


def _link(path: Path) -> None:
    good = path.with_name("good")
    good.write_bytes(BIG)
    path.symlink_to(good)


def _dangling(path: Path) -> None:
    path.symlink_to("/nowhere")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        descriptor = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{descriptor}/{path.name}")
        os.close(descriptor)


def _directory(path: Path) -> None:
    (path / "deep/down").mkdir(parents=True)
    (path / "deep/file").write_bytes(b"x")


def _device(path: Path) -> None:
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero: it never ends


def _unreadable(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0)


@pytest.mark.parametrize("attack", [_other, _short, _huge, _link, _dangling, _fifo, _socket, _directory, _device, _unreadable])
def test_an_entry_that_is_none_is_one_warning_and_replaced(
    job: Job, bucket: Bucket, attack: "object", request: pytest.FixtureRequest
) -> None:
    if attack is _device:
        request.getfixturevalue("root")
    uri = stored(bucket)
    job.path(POOL + "/lyftlearn/models").mkdir(parents=True)
    attack(entry_of(job, uri))  # type: ignore[operator]
    ended = job.start(LYFTLEARN_MODEL_URI=uri, **pooled(job))
    assert Path(ended.env["LYFTLEARN_MODEL_FILE"]).read_bytes() == BIG
    warnings = [line for line in ended.err.splitlines() if "warning" in line]
    assert len(warnings) == 1, ended.err
    assert "warm pool" in warnings[0]
    assert "from S3" in ended.err
    entry = entry_of(job, uri)
    assert entry.is_file()
    assert not entry.is_symlink()
    assert entry.read_bytes() == BIG
    again = job.start(sys.executable, "-I", "-c", SEE, LYFTLEARN_MODEL_URI=uri, **pooled(job))
    assert "from the warm pool" in again.err
    assert "warning" not in again.err


@pytest.mark.parametrize("where", ["lyftlearn", "lyftlearn/models"])
@pytest.mark.parametrize("what", ["link", "file"])
def test_a_directory_of_ours_that_is_none(job: Job, bucket: Bucket, where: str, what: str, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "models").mkdir(parents=True)
    place = job.path(POOL) / where
    place.parent.mkdir(parents=True)
    if what == "link":
        place.symlink_to(outside)
    else:
        place.write_bytes(b"")
    uri = stored(bucket)
    ended = job.start(LYFTLEARN_MODEL_URI=uri, **pooled(job))
    assert ended.code == 0, ended.err
    assert list(outside.rglob("*")) == [outside / "models"]
    assert not place.is_symlink()
    assert entry_of(job, uri).read_bytes() == BIG


def test_a_pool_that_is_missing_or_read_only_stops_nothing(job: Job, bucket: Bucket) -> None:
    uri = stored(bucket)
    for path in ("/nowhere", "relative", ""):
        ended = job.start(LYFTLEARN_MODEL_URI=uri, SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY=path)
        assert ended.code == 0, ended.err
    job.write("/a-file", b"")
    ended = job.start(LYFTLEARN_MODEL_URI=uri, SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY="/a-file")
    assert ended.code == 0, ended.err
    ended = job.start(LYFTLEARN_MODEL_URI=uri, SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY="/proc", LYFTLEARN_ROOT=str(job.root))
    assert ended.code == 0, ended.err


def test_no_more_is_kept_than_the_setting_says(job: Job, bucket: Bucket) -> None:
    older, newer, third = (stored(bucket, BIG[: (16 << 20) - number]) for number in range(3))
    limit = {"LYFTLEARN_WARM_CACHE_SIZE": "40m", **pooled(job)}
    assert job.start(LYFTLEARN_MODEL_URI=older, **limit).code == 0
    os.utime(entry_of(job, older), (1, 1))
    assert job.start(LYFTLEARN_MODEL_URI=newer, **limit).code == 0
    os.utime(entry_of(job, newer), (2, 2))
    assert "from the warm pool" in job.start(LYFTLEARN_MODEL_URI=older, **limit).err  # so it is used last
    assert job.start(LYFTLEARN_MODEL_URI=third, **limit).code == 0
    assert {path for path in (older, newer, third) if entry_of(job, path).exists()} == {older, third}
    ended = job.start(LYFTLEARN_MODEL_URI=newer, **{**limit, "LYFTLEARN_WARM_CACHE_SIZE": "1m"})
    assert ended.code == 0
    assert "no room for its" in ended.err
    assert entry_of(job, older).exists()
