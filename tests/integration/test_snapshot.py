"""A snapshot as a step of a start, and by hand: it says what the program sees, and no value of anything."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import jsonschema
import pytest
from botocore.config import Config

from lyftlearn_entrypoint.snapshot import schema
from lyftlearn_entrypoint.snapshot.mask import Mask
from lyftlearn_local.platform import Platform
from tests.integration.job import Job, launcher, operator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Starter

pytest_plugins = ["tests.integration.platform_fixture"]

KEY = "8f1d2c3b4a59687786958473625140fe"
# What a program says of itself, by other means than ours.
SEE = """
import json, os, resource, sys
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "environ": dict(pair.split("=", 1) for pair in open("/proc/self/environ").read().split(chr(0)) if pair),
    "uid": list(os.getresuid()), "gid": list(os.getresgid()), "groups": sorted(os.getgroups()), "cwd": os.getcwd(),
    "umask": status["Umask"].strip(), "effective": int(status["CapEff"], 16), "blocked": int(status["SigBlk"], 16),
    "nofile": list(resource.getrlimit(resource.RLIMIT_NOFILE)), "pid": os.getpid(), "parent": os.getppid(),
    "descriptors": sorted(name for name in os.listdir("/proc/self/fd") if name != str(max(map(int, os.listdir("/proc/self/fd"))))),
    "inherited": sorted(n for n in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{n}") and os.get_inheritable(n)),
}))
"""


def read(path: Path) -> "dict[str, Any]":
    """The document, which is what the schema says."""
    document: dict[str, Any] = json.loads(path.read_text())
    jsonschema.validate(document, schema.load())
    assert document["incomplete"] == []
    return document


def on(path: Path, **more: str) -> "dict[str, str]":
    return {"LYFTLEARN_SNAPSHOT": str(path), "LYFTLEARN_SNAPSHOT_KEY": KEY, **more}


def test_it_says_what_the_program_sees(starter: "Starter", tmp_path: Path) -> None:
    place, work = tmp_path / "snapshot.json", tmp_path / "work"
    work.mkdir()
    reader, writer = os.pipe()

    def before() -> None:
        os.umask(0o027)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    words = [sys.executable, "-c", SEE]
    variables = {"PASSWORD": "4711", "LINES": "one\ntwo", "with.dot-1": "ü", "EMPTY": ""}
    done = starter.run(*words, env={**variables, **on(place)}, cwd=work, preexec_fn=before, pass_fds=[writer])
    os.close(reader)
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert b"snapshot: " in done.stderr
    seen, document = json.loads(done.stdout), read(place)
    facts, mask = document["facts"], Mask(KEY)
    assert (document["how"], document["context"], document["key"]) == ("start", "local", mask.key_id)
    assert facts["variables"] == {name: mask.of("variable", name, value) for name, value in seen["environ"].items()}
    assert not [name for name in seen["environ"] if name.startswith("LYFTLEARN_SNAPSHOT")]
    assert facts["program"]["argv"] == [mask.of("argv", str(n), word) for n, word in enumerate(words)]
    assert (facts["program"]["file"], facts["program"]["cwd"]) == (sys.executable, str(work))
    assert (facts["user"]["uid"], facts["user"]["gid"], facts["user"]["groups"]) == (seen["uid"], seen["gid"], seen["groups"])
    assert facts["process"]["umask"] == seen["umask"] == "0027"
    assert len(facts["capabilities"]["effective"]) == seen["effective"].bit_count()
    assert facts["signals"] == {"ignored": ["SIGUSR1"], "blocked": ["SIGUSR2"]}  # and not SIGPIPE, which only a Python ignores
    assert seen["blocked"] == 1 << signal.SIGUSR2 - 1
    assert facts["limits"]["nofile"] == seen["nofile"]
    assert sorted(map(int, facts["descriptors"])) == seen["inherited"] == [0, 1, 2, writer]
    assert {n: facts["descriptors"][n]["kind"] for n in ("0", "1")} == {"0": "null", "1": "pipe"}
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_the_program_sees_the_same_with_it_and_without(starter: "Starter", tmp_path: Path) -> None:
    words = [sys.executable, "-c", SEE]
    seen = []
    for env in ({}, on(tmp_path / "snapshot.json")):
        done = starter.run(*words, env=env)
        seen.append({name: value for name, value in json.loads(done.stdout).items() if name != "pid"})
    assert seen[0] == seen[1]
    assert (tmp_path / "snapshot.json").exists()


SECRETS = {
    "CREDENTIALS_PASSWORD": "correct-horse-battery",
    "CREDENTIALS_PIN": "47q1",
    "TOKEN": "tok_live_51HxQw",
}


def test_no_secret_is_in_it(starter: "Starter", tmp_path: Path) -> None:
    """Neither by its own place, nor by a directory, an argument or a file that has its name."""
    work = tmp_path / "tok_live_51HxQw" / "work"
    work.mkdir(parents=True)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/api").write_text("pa55-of-the-file")
    (tmp_path / "secrets/pin").write_text("99w4")
    (tmp_path / "secrets/again-pa55-of-the-file").write_text("x")
    (tmp_path / "secrets/99w4").write_text("x")
    for name in os.listdir(tmp_path / "secrets"):
        (tmp_path / "secrets" / name).chmod(0o400)
    place = tmp_path / "snapshot.json"
    env = {**SECRETS, **on(place, LYFTLEARN_SNAPSHOT_PATHS=str(tmp_path / "secrets"))}
    done = starter.run("sh", "-c", ":", "--password=correct-horse-battery", "47q1", env=env, cwd=work)
    assert done.returncode == 0, done.stderr
    document = read(place)
    text = place.read_text()
    for secret in [*SECRETS.values(), "pa55-of-the-file", "99w4", KEY]:
        assert secret not in text, secret
        assert secret.encode() not in done.stderr
    files = document["facts"]["files"]
    assert len(files) == 5
    assert files[str(tmp_path / "secrets/api")]["content"].startswith("hmac:")
    assert all("size" not in entry for entry in files.values())


def test_a_short_value_cannot_be_found_by_trying(starter: "Starter", tmp_path: Path) -> None:
    """Not by any plain hash, nor by the hash of another place."""
    place = tmp_path / "snapshot.json"
    starter.run("true", env={"PIN": "47", **on(place)})
    text = place.read_text()
    for pin in range(100):
        for name in ("md5", "sha1", "sha256", "sha512"):
            assert hashlib.new(name, str(pin).encode()).hexdigest()[:32] not in text
    first = read(place)["facts"]["variables"]["PIN"]
    starter.run("true", env={"PIN": "47", **on(place), "LYFTLEARN_SNAPSHOT_KEY": KEY[::-1]})
    assert read(place)["facts"]["variables"]["PIN"] != first


def test_without_a_key_there_are_names_alone(starter: "Starter", tmp_path: Path) -> None:
    place = tmp_path / "snapshot.json"
    done = starter.run("true", env={"PIN": "4711", "LYFTLEARN_SNAPSHOT": str(place)})
    assert done.returncode == 0
    assert b"warning: snapshot: there is no key (LYFTLEARN_SNAPSHOT_KEY)" in done.stderr
    document = read(place)
    assert document["key"] is None
    assert document["facts"]["variables"]["PIN"] is None
    assert "hmac:" not in place.read_text()


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"LYFTLEARN_SNAPSHOT_KEY": "hunter2"}, b"LYFTLEARN_SNAPSHOT_KEY: a key has at least 32 characters, this one has 7"),
        ({"LYFTLEARN_SNAPSHOT_KEY": "hunter2" * 9}, b"LYFTLEARN_SNAPSHOT_KEY: a key has at least 8 different characters"),
        ({"LYFTLEARN_SNAPSHOT": "snapshot.json"}, b"LYFTLEARN_SNAPSHOT: it is no absolute path"),
        ({"LYFTLEARN_SNAPSHOT": "s3://bucket"}, b"LYFTLEARN_SNAPSHOT: it is not an S3 URI"),
        ({"LYFTLEARN_SNAPSHOT_KEY": KEY, "LYFTLEARN_SNAPSHOT_KEY_FILE": "/etc/key"}, b"are both set"),
        ({"LYFTLEARN_SNAPSHOT_KEY_FILE": "/no/such/key"}, b"/no/such/key cannot be read as text"),
    ],
)
def test_bad_settings(starter: "Starter", tmp_path: Path, env: "dict[str, str]", says: bytes) -> None:
    done = starter.run("true", env={"LYFTLEARN_SNAPSHOT": str(tmp_path / "x"), **env})
    assert done.returncode == 78
    assert says in done.stderr
    assert b"hunter2" not in done.stderr
    assert KEY.encode() not in done.stderr


def test_a_key_from_a_file(starter: "Starter", tmp_path: Path) -> None:
    place, file = tmp_path / "snapshot.json", tmp_path / "key"
    file.write_text(KEY + "\n")
    done = starter.run("true", env={"LYFTLEARN_SNAPSHOT": str(place), "LYFTLEARN_SNAPSHOT_KEY_FILE": str(file)})
    assert done.returncode == 0, done.stderr
    assert read(place)["key"] == Mask(KEY).key_id


def test_a_snapshot_that_cannot_be_written_stops_nothing(starter: "Starter", tmp_path: Path) -> None:
    done = starter.run("echo", "goes on", env=on(tmp_path / "no/such/place.json"))
    assert (done.returncode, done.stdout) == (0, b"goes on\n")
    assert b"warning: snapshot: none: No such file or directory" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_variables_that_no_python_survives_stop_nothing_more(starter: "Starter", tmp_path: Path) -> None:
    """The collector has the program's own variables. What ends it ends the program too, by the program's own message and code."""
    starter.training()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/libc.so.6").write_bytes(b"no library")
    starter.channel(json.dumps({"LD_LIBRARY_PATH": str(tmp_path / "broken")}), "{}")
    done = starter.run("true", env=on(Path("/snapshot.json")))
    assert b"warning: snapshot: none: the collector ended without a document" in done.stderr
    assert done.returncode == 127  # the loader's
    assert not (tmp_path / "snapshot.json").exists()


def test_a_pipe_among_the_files_is_not_waited_for(starter: "Starter", tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    os.mkfifo(tmp_path / "conf/pipe")
    (tmp_path / "conf/gone").symlink_to("nowhere")
    (tmp_path / "conf/round").symlink_to(".")
    place = tmp_path / "snapshot.json"
    starter.run("true", env=on(place, LYFTLEARN_SNAPSHOT_PATHS=str(tmp_path / "conf")))
    found = {Path(path).name: entry["kind"] for path, entry in read(place)["facts"]["files"].items()}
    assert found == {"conf": "directory", "pipe": "other", "gone": "dangling"}


def test_an_interpreter_that_hangs_is_not_waited_for_long(starter: "Starter", tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text("#!/bin/sh\nsleep 600 & sleep 600\n")
    python.chmod(0o755)
    place = tmp_path / "snapshot.json"
    done = starter.run("true", env=on(place, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}"))
    assert done.returncode == 0, done.stderr
    found = read(place)["facts"]["python"]
    assert found["python"]["file"] == str(python)
    assert found["python"]["version"] is None
    assert found["python3"]["version"]


def test_a_configmap_is_the_same_after_its_next_update(starter: "Starter", tmp_path: Path) -> None:
    seen = []
    for number, stamp in enumerate(("..2026_01_01", "..2026_02_02")):
        volume = tmp_path / str(number) / "config"
        (volume / stamp).mkdir(parents=True)
        (volume / stamp / "eta").write_text("0.3")
        (volume / "..data").symlink_to(stamp)
        (volume / "eta").symlink_to("..data/eta")
        place = tmp_path / f"{number}.json"
        starter.run("true", env=on(place, LYFTLEARN_SNAPSHOT_PATHS=str(volume)))
        files = read(place)["facts"]["files"]
        seen.append({path.removeprefix(str(volume)): entry["kind"] for path, entry in files.items()})
    assert seen == [{"": "volume", "/eta": "file"}] * 2


def test_as_the_program_s_user(open_starter: "Starter", need: "Callable[[object, str], None]") -> None:
    """Also where that user can read none of our files."""
    open_starter.training()
    (open_starter.root / "lib/lyftlearn_entrypoint").chmod(0o700)
    place = open_starter.root / "opt/ml/output/snapshot.json"
    env = on(Path("/opt/ml/output/snapshot.json"), LYFTLEARN_USER="42425:43435", HOME="/root")
    done = open_starter.run("sh", "-c", "id -u; echo $HOME", env=env)
    assert done.returncode == 0, done.stderr
    document = read(place)
    facts = document["facts"]
    assert facts["user"]["uid"] == [42425] * 3
    assert facts["user"]["gid"] == [43435] * 3
    assert facts["user"]["home"] == done.stdout.decode().splitlines()[1]
    assert facts["capabilities"]["effective"] == []
    assert facts["process"]["no_new_privileges"] is True
    assert place.stat().st_uid == 42425
    # Mode bits as the program meets them, not as root does.
    assert facts["directories"]["/etc"]["writable"] is False


def test_as_process_1(starter: "Starter", first_process: "list[str]", tmp_path: Path) -> None:
    place = tmp_path / "snapshot.json"
    done = starter.run("true", env=on(place), before=list(first_process))
    assert done.returncode == 0, done.stderr
    process = read(place)["facts"]["process"]
    assert (process["is_pid_1"], process["pid_1"], process["parent"]) == (True, "the program", None)


def test_to_s3_and_by_hand(job: Job, platform: Platform, tmp_path: Path) -> None:
    env = {**job.environ, "LYFTLEARN_SNAPSHOT": f"s3://{platform.bucket}/snapshots/job.json", "LYFTLEARN_SNAPSHOT_KEY": KEY}
    done = subprocess.run([*launcher(), "true"], env=env, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    s3: Any = boto3.client(
        "s3",
        endpoint_url=platform.aws_url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(s3={"addressing_style": "path"}),
    )
    stored = tmp_path / "stored.json"
    stored.write_bytes(s3.get_object(Bucket=platform.bucket, Key="snapshots/job.json")["Body"].read())
    document = read(stored)
    assert document["context"] == "sagemaker-training"
    assert "SIGPIPE" not in document["facts"]["signals"]["ignored"]

    env["LYFTLEARN_SNAPSHOT"] = "s3://lyftlearn-no-such-bucket/x"
    done = subprocess.run([*launcher(), "echo", "goes on"], env=env, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (0, "goes on\n")
    assert "warning: snapshot: none: s3:PutObject to s3://lyftlearn-no-such-bucket/x" in done.stderr

    hand = tmp_path / "hand.json"
    env = {**os.environ, "LYFTLEARN_SNAPSHOT_KEY": KEY, "PIN": "4711"}
    subprocess.run(operator("snapshot", "--to", str(hand), "--", "sh", "-c", "true"), env=env, check=True)
    document = read(hand)
    assert document["how"] == "hand"
    assert document["facts"]["program"]["file"].endswith("/sh")
    assert document["facts"]["variables"]["PIN"] == Mask(KEY).of("variable", "PIN", "4711")
    assert "LYFTLEARN_SNAPSHOT_KEY" not in document["facts"]["variables"]
    shown = subprocess.run(operator("snapshot", "--schema"), capture_output=True, check=True, text=True)
    assert json.loads(shown.stdout) == schema.load()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--to", "s3://x"], 78, "--to: it is not an S3 URI"),
        (["--key-file", "/no/such"], 78, "/no/such cannot be read"),
        (["--", "no-such-program-at-all"], 127, "no-such-program-at-all"),
        (["--to", "/no/such/place"], 70, "/no/such/place: No such file or directory"),
    ],
)
def test_by_hand_what_is_wrong_is_said(words: "list[str]", code: int, says: str) -> None:
    done = subprocess.run(operator("snapshot", *words), env={**os.environ}, capture_output=True, check=False, text=True)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_two_starts_compared(starter: "Starter", tmp_path: Path) -> None:
    """The same start twice is the same; another value, directory or mask is told, and only that."""
    work = tmp_path / "work"
    work.mkdir()
    starts: list[tuple[str, str, dict[str, Any]]] = [
        ("one", "4711", {}),
        ("two", "4711", {}),
        ("other", "4712", {"cwd": work, "preexec_fn": lambda: os.umask(0o077)}),
    ]
    for name, pin, how in starts:
        done = starter.run("true", env={"PIN": pin, **on(tmp_path / f"{name}.json")}, **how)
        assert done.returncode == 0, done.stderr

    def told(second: str) -> "set[str]":
        words = operator("parity", "--json", str(tmp_path / "one.json"), str(tmp_path / f"{second}.json"))
        done = subprocess.run(words, capture_output=True, check=False, text=True)
        document = json.loads(done.stdout)
        paths = {difference["path"] for difference in document["differences"]}
        assert done.returncode == (1 if paths else 0)
        return {path for path in paths if not path.startswith(("listening", "network.interfaces", "mounts"))}  # of others here

    assert told("two") == set()
    about = {"program.cwd"} | {path for path in told("other") if path.startswith("directories[working directory]")}
    assert told("other") == about | {"variables[PIN]", "process.umask"}
