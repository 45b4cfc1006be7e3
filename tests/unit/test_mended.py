"""What happens when several do the same at once, when something hangs, and which seconds a start gives itself."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lyftlearn_entrypoint.cli.stage import stage_documents
from lyftlearn_entrypoint.context import TRAINING, detect
from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import Refused, Unavailable
from lyftlearn_entrypoint.fetch.aws import Aws
from lyftlearn_entrypoint.fetch.confidant import Confidant
from lyftlearn_entrypoint.fetch.http import Http
from lyftlearn_entrypoint.fetch.model import Model
from lyftlearn_entrypoint.fetch.parallel import LINGER, Task, run_all
from lyftlearn_entrypoint.log import Log
from lyftlearn_entrypoint.volume import MEMORY, on_tmpfs, random_hex
from tests.fake_http import answer, in_turn, serve
from tests.unit.helpers import refused, tree

# Volumes of several writers ------------------------------------------------------------------------------------------------

WRITER = """
import sys
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.volume import write_volume
number, directory, root, memory, rounds = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "True", int(sys.argv[5])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(rounds):
    contents = {"who": b"%d" % number, "again": b"%d" % number, "only-%d" % number: b"%d" % number}
    print(write_volume(directory, contents, 0o400, None, Files(root), memory), flush=True)
"""


def write_together(directory: Path, root: Path, memory: bool, rounds: int) -> set[str]:
    """Eight processes write the volume, so many times each, all from the same moment on. Gives the places that they wrote to."""
    words = [sys.executable, "-c", WRITER]
    facts = [str(directory), str(root), str(memory), str(rounds)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen(
            [*words, str(number), *facts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
        )
        for number in range(8)
    ]
    places: set[str] = set()
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
        for writer in writers:
            out, err = writer.communicate(timeout=300)
            assert (writer.returncode, err) == (0, "")
            assert len(out.splitlines()) == rounds
            places |= set(out.splitlines())
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    return places


def check_one_volume(place: Path) -> None:
    """All of one writer's, and nothing of another's."""
    who = (place / "who").read_text()
    assert {path.name for path in place.iterdir() if not path.name.startswith("..")} == {"who", "again", f"only-{who}"}
    assert (place / "again").read_text() == who
    own = {path.name for path in place.iterdir() if path.name.startswith("..")}
    assert own == {"..data", os.readlink(place / "..data")}


def test_writers_of_one_volume_take_turns(tmp_path: Path) -> None:
    directory = tmp_path / "etc" / "secrets"
    assert write_together(directory, tmp_path, False, 15) == {str(directory)}
    check_one_volume(directory)


@pytest.fixture
def memory(need: Callable[[object, str], None]) -> Iterator[Path]:
    """A root of our own on a tmpfs, with a /dev/shm in it."""
    need(on_tmpfs(MEMORY) and os.access(MEMORY, os.W_OK), f"{MEMORY} is no tmpfs that can be written here")
    root = Path(MEMORY) / ("test-" + random_hex())
    (root / MEMORY.lstrip("/")).mkdir(parents=True)
    yield root
    import shutil

    shutil.rmtree(root)


def test_writers_of_one_volume_in_memory_leave_one(tmp_path: Path, memory: Path, need: Callable[[object, str], None]) -> None:
    """Notebook kernels that start together, the first ones of a container: nobody's credentials stay where nobody looks."""
    need(not on_tmpfs(str(tmp_path)), "the temporary directory is itself a tmpfs")
    for turn in range(4):
        directory = tmp_path / str(turn) / "secrets"
        places = write_together(directory, memory, True, 2)
        assert places == {os.readlink(directory)}
        check_one_volume(directory)
    assert len(list((memory / MEMORY.lstrip("/")).iterdir())) == 4


# What hangs ----------------------------------------------------------------------------------------------------------------


def test_an_optional_task_that_hangs_delays_a_start_a_little() -> None:
    """A name lookup cannot be interrupted, so the start goes on without it long before its deadline."""
    import _thread

    never = _thread.allocate_lock()
    never.acquire()
    needed = Task("environment", "s3://bucket/key", lambda: "document")
    hangs = Task("statsd", "the metrics gateway", lambda: never.acquire(timeout=60))
    began = time.monotonic()
    ended = run_all([needed, hangs], Deadline(20), lambda task: True)
    seconds = time.monotonic() - began
    never.release()
    assert ended == [needed]
    assert needed.result == "document"
    assert LINGER <= seconds < LINGER + 12


def test_a_deadline_that_is_nearer_ends_it_sooner() -> None:
    import _thread

    never = _thread.allocate_lock()
    never.acquire()
    took = []
    for _ in range(3):  # a busy machine may take longer once
        began = time.monotonic()
        assert run_all([Task("statsd", "the metrics gateway", lambda: never.acquire(timeout=60))], Deadline(0.3), lambda task: True) == []
        took.append(time.monotonic() - began)
    assert 0.3 <= min(took) < LINGER
    never.release()


# Staging -------------------------------------------------------------------------------------------------------------------


class Store:
    """An S3 client that says what it is told to, in turn; then it stores."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.answers = list(answers)
        self.puts: list[dict[str, Any]] = []

    def put_object(self, **request: Any) -> None:
        self.puts.append(request)
        if self.answers:
            status, code = self.answers.pop(0)
            raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")  # type: ignore[typeddict-item]


CONFLICT = (409, "ConditionalRequestConflict")  # S3 API reference, PutObject, If-None-Match
DOCUMENTS = {"environment.json": {"A": "1"}}


def test_two_that_stage_the_same_at_once_both_succeed() -> None:
    store = Store(CONFLICT, CONFLICT)
    staged = stage_documents(store, "s3://bucket/prefix", DOCUMENTS)
    assert len(store.puts) == 3
    assert all(request == store.puts[0] for request in store.puts)
    assert store.puts[0]["IfNoneMatch"] == "*"
    assert len(staged.written) == 1
    assert not staged.present


def test_the_other_one_may_have_been_first() -> None:
    staged = stage_documents(Store(CONFLICT, (412, "PreconditionFailed")), "s3://bucket/prefix", DOCUMENTS)
    assert (len(staged.written), len(staged.present)) == (0, 1)


def test_a_conflict_that_stays_is_69() -> None:
    store = Store(*[CONFLICT] * 50)
    error = refused(Unavailable, lambda: stage_documents(store, "s3://bucket/prefix", DOCUMENTS))
    assert "409 ConditionalRequestConflict" in str(error)
    assert 2 <= len(store.puts) <= 10


# A forced context ----------------------------------------------------------------------------------------------------------

TRIAL = {"/opt/ml/input/config/hyperparameters.json": {"_tuning_objective_metric": "auc", "rate": "0.1"}}


def test_forcing_what_it_is_keeps_a_trial_a_trial(tmp_path: Path) -> None:
    files = tree(tmp_path, TRIAL)
    forced = detect([], {"LYFTLEARN_CONTEXT": TRAINING}, files).forced(TRAINING, "LYFTLEARN_CONTEXT")
    assert (forced.name, forced.tuning) == (TRAINING, True)
    assert forced.forced(TRAINING, "platform.json").tuning
    assert not forced.forced("studio", "LYFTLEARN_CONTEXT").tuning
    assert not detect([], {"LYFTLEARN_CONTEXT": TRAINING}, tree(tmp_path / "none", {})).forced(TRAINING, "x").tuning


def test_what_the_deadline_cut_short_has_not_failed() -> None:
    """A read times out at the deadline too. Which of the two is noticed first is chance, and the line must not depend on it."""
    deadline = Deadline(0.3)

    def cut_short() -> object:
        time.sleep(deadline.remaining() + 0.05)
        raise Unavailable("kms.example.com:443: timed out")

    def refused() -> object:
        time.sleep(deadline.remaining() + 0.05)
        raise Refused("s3.example.com:443: 403")

    late = [Task("credentials", "Confidant", cut_short), Task("environment", "s3://bucket/key", refused)]
    run_all(late, deadline, lambda task: True)
    wait_for(lambda: late[1].error is not None)
    assert late[0].error is None
    assert str(late[1].error) == "s3.example.com:443: 403"


def test_a_task_that_fails_before_the_deadline_ends_the_start_at_once() -> None:
    def fails() -> object:
        raise Unavailable("kms.example.com:443: nothing listens")

    began = time.monotonic()
    (ended,) = run_all([Task("credentials", "Confidant", fails)], Deadline(20), lambda task: True)
    assert str(ended.error) == "kms.example.com:443: nothing listens"
    assert time.monotonic() - began < 10


def test_a_model_is_not_begun_once_the_start_has_failed(tmp_path: Path) -> None:
    """Its thread may come to it late: nobody is left then who would take the file away."""

    def client() -> Aws:
        raise AssertionError("nobody asks S3")

    model = Model("s3://bucket/model.bin#sha256=" + "0" * 64, str(tmp_path), None, client, Deadline(60), Log())
    model.discard()
    refused(Unavailable, model.fetch)
    assert os.listdir(tmp_path) == []


def test_the_last_failure_is_kept_until_there_is_an_answer() -> None:
    slept: list[float] = []
    deadline = Deadline(60, sleep=slept.append)
    failures = [Unavailable("status 503"), Unavailable("connection refused"), Unavailable("status 500")]
    for number, failure in enumerate(failures[:2]):
        deadline.try_again(number, failure, 0.1)
        assert list(deadline.failed.values()) == [failure]
    assert len(slept) == 2
    assert refused(Unavailable, lambda: deadline.try_again(2, failures[2], 0.1, at_least=90)) is failures[2]
    deadline.answered()
    assert deadline.failed == {}
    over = Deadline(0)
    assert refused(Unavailable, lambda: over.try_again(0, failures[0], 0.1)) is failures[0]
    assert over.failed == {}


def test_a_confidant_that_answers_again_is_not_what_is_waited_for() -> None:
    """It fails once, then refuses the token, so that KMS is asked for another: a start whose deadline passes now waits for KMS."""
    deadline = Deadline(60, sleep=lambda _: None)
    asked: list[dict[int, Unavailable]] = []

    def encrypt(key: str, plaintext: bytes, context: dict[str, str]) -> bytes:
        asked.append(dict(deadline.failed))
        return b"token"

    def decrypt(ciphertext: bytes, context: dict[str, str], region: str) -> bytes:
        raise AssertionError("there is nothing to decrypt")

    with serve(in_turn(answer(503, b""), answer(403, b"<html>"), answer(200, b'{"credentials": []}'))) as server:
        confidant = Confidant(server.url, "job", "alias/auth", "confidant", Http({}, deadline), deadline, encrypt, decrypt, None)
        assert confidant.secrets("") == []
    assert asked == [{}, {}]
    assert deadline.failed == {}


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)
