"""`lyftlearn local run`: each context as the real platform would make it, through the installed entrypoint."""

import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.confidant.venv import cache_directory
from lyftlearn_local.job import private_mounts

MOUNTS = private_mounts()
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
CACHE = str(cache_directory(dict(os.environ)).parent)  # Confidant's environment is not built again for each HOME
LOOK = """
import json, os, sys
files = {}
for top in ("/opt/ml", "/etc/hyperparameters"):
    for directory, _, names in os.walk(top):
        for name in names:
            files[directory + "/" + name] = open(directory + "/" + name).read()
print(json.dumps({"environ": dict(os.environ), "files": files, "argv": sys.argv[1:]}))
"""


@pytest.fixture
def needs_mounts(need: "object") -> None:
    assert callable(need)
    need(MOUNTS, "the kernel allows no private mount namespace here")


def local(*words: str, cwd: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from lyftlearn_entrypoint.cli import main; main()", "local", "run", *words]
    environ = {"PATH": PATH, "HOME": str(cwd), "XDG_CACHE_HOME": CACHE, "SECRET_OF_THE_DEVELOPER": "1", **more}
    return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def seen(done: "subprocess.CompletedProcess[str]") -> "dict[str, Any]":
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.usefixtures("needs_mounts")
def test_a_training_job_has_what_sagemaker_gives(tmp_path: Path) -> None:
    (tmp_path / "env.json").write_text(json.dumps({"LONG": "x" * 4000, "dotted.name": "a\nb"}))
    (tmp_path / "hp.json").write_text(json.dumps({"nested": {"b": 1, "a": [True]}, "text": "plain", "lr": 1}))
    (tmp_path / "secrets.json").write_text(json.dumps({"password": "p"}))
    (tmp_path / "look.py").write_text(LOOK)
    documents = ("--environment", "env.json", "--hyperparameters", "hp.json", "--credentials", "secrets.json")
    own = ("--env", "SMALL=1", "--hyperparameter", "lr=0.5", "--name", "my-job")
    done = local("--context", "sagemaker-training", *documents, *own, "--", "python", "look.py", "two words", cwd=tmp_path)
    program = seen(done)
    environ, files = program["environ"], program["files"]

    assert environ["TRAINING_JOB_ARN"] == "arn:aws:sagemaker:us-east-1:123456789012:training-job/my-job"
    assert environ["LYFTLEARN_CONTEXT"] == "sagemaker-training"
    assert (environ["LONG"], environ["dotted.name"], environ["SMALL"]) == ("x" * 4000, "a\nb", "1")
    assert environ["CREDENTIALS_PASSWORD"] == "p"
    assert "SECRET_OF_THE_DEVELOPER" not in environ
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environ
    assert "LYFTLEARN_ENV_URI" not in environ
    assert program["argv"] == ["two words"]
    hyperparameters = json.loads(files["/opt/ml/input/config/hyperparameters.json"])
    assert hyperparameters == {"lr": "0.5", "nested": '{"b":1,"a":[true]}', "text": "plain"}
    assert files["/etc/hyperparameters/lr"] == "0.5"
    resources = json.loads(files["/opt/ml/input/config/resourceconfig.json"])
    assert resources["current_group_name"] == "homogeneousCluster"
    assert resources["topology"] is None


@pytest.mark.usefixtures("needs_mounts")
def test_nothing_of_a_job_stays_on_the_machine(tmp_path: Path) -> None:
    before = {place: os.path.lexists(place) for place in ("/opt/ml", "/etc/hyperparameters", "/opt/ml/model/m")}
    (tmp_path / "hp.json").write_text('{"a": 1}')
    script = "cat /etc/hyperparameters/a && touch /opt/ml/model/m"
    done = local("--context", "sagemaker-training", "--hyperparameters", "hp.json", "--", "sh", "-c", script, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "1"), done.stderr
    assert {place: os.path.lexists(place) for place in before} == before


@pytest.mark.usefixtures("needs_mounts")
def test_a_model_is_packed_uploaded_and_kept(tmp_path: Path) -> None:
    script = "mkdir /opt/ml/model/sub; echo weights > /opt/ml/model/sub/w"
    words = ("--context", "sagemaker-training", "--json", "--output", "kept", "--", "sh", "-c", script)
    done = local(*words, cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts["status"] == "Completed"
    assert facts["artifacts"] == ["s3://lyftlearn-local/local-job/output/model.tar.gz", "kept/model.tar.gz"]
    with tarfile.open(tmp_path / "kept" / "model.tar.gz") as archive:
        assert sorted(archive.getnames()) == ["sub", "sub/w"]


@pytest.mark.usefixtures("needs_mounts")
def test_a_pod_has_values_injected_and_files_mounted(tmp_path: Path) -> None:
    (tmp_path / "env.json").write_text(json.dumps({"LONG": "x" * 4000}))
    (tmp_path / "hp.json").write_text(json.dumps({"nested": {"b": 1}}))
    (tmp_path / "secrets.json").write_text(json.dumps({"password": "p", "port": 1, "gone": None}))
    (tmp_path / "look.py").write_text(LOOK)
    documents = ("--environment", "env.json", "--hyperparameters", "hp.json", "--credentials", "secrets.json")
    program = seen(local("--context", "kubernetes", *documents, "--", "python", "look.py", cwd=tmp_path))
    environ = program["environ"]
    assert (environ["LONG"], environ["CREDENTIALS_PASSWORD"], environ["CREDENTIALS_PORT"]) == ("x" * 4000, "p", "1")
    assert "CREDENTIALS_GONE" not in environ
    assert environ["KUBERNETES_SERVICE_HOST"]
    assert environ["LYFTLEARN_CONTEXT"] == "kubernetes"
    assert program["files"]["/etc/hyperparameters/nested"] == '{"b":1}'
    assert any("/.." in name for name in program["files"])


def test_a_pod_counts_through_its_sidecar(tmp_path: Path) -> None:
    script = (
        "import os, socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        "s.sendto(b'seen:1|c', ('127.0.0.1', int(os.environ.get('STATSD_PORT', '8125'))))"
    )
    done = local("--context", "kubernetes", "--json", "--", "python", "-c", script, cwd=tmp_path)
    assert json.loads(done.stdout)["statsd"]["metrics"] == {"seen": 1}, done.stderr


@pytest.mark.parametrize(
    ("context", "name"),
    [("sagemaker-processing", ""), ("sagemaker-transform", "TRANSFORM_JOB_ARN"), ("sagemaker-endpoint", "SAGEMAKER_BIND_TO_PORT")],
)
def test_the_entrypoint_sees_the_context_by_its_evidence(context: str, name: str, tmp_path: Path) -> None:
    script = f"import os; print(os.environ['LYFTLEARN_CONTEXT'], {name!r} in os.environ)"
    done = local("--context", context, "--", "python", "-c", script, cwd=tmp_path)
    assert done.stdout == f"{context} {bool(name)}\n", done.stderr


def test_studio_has_its_variables_and_they_win(tmp_path: Path) -> None:
    script = 'env | grep -E "^(OWN|SAGEMAKER_|LYFTLEARN_C)" | sort'
    own = ("--env", "SAGEMAKER_SPACE_NAME=mine", "--env", "OWN=1")
    done = local("--context", "studio", *own, "--", "sh", "-c", script, cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "LYFTLEARN_CONTEXT=studio",
        "OWN=1",
        "SAGEMAKER_APP_TYPE=JupyterLab",
        "SAGEMAKER_SPACE_NAME=local-space",
    ], done.stderr


def test_a_trial_keeps_its_sampled_values(tmp_path: Path) -> None:
    (tmp_path / "hp.json").write_text('{"lr": 9, "other": 1}')
    passed = ("--tuning", "--hyperparameters", "hp.json", "--hyperparameter", "lr=0.1")
    script = "cat $LYFTLEARN_HYPERPARAMETERS_FILE"
    done = local("--context", "sagemaker-training", *passed, "--", "sh", "-c", script, cwd=tmp_path)
    assert json.loads(done.stdout) == {"lr": "0.1", "other": "1", "_tuning_objective_metric": "objective"}, done.stderr
    assert "LYFTLEARN_TRAIN_COMMAND holds yours" in done.stderr


def test_what_the_api_would_refuse_is_exit_2_and_nothing_runs(tmp_path: Path) -> None:
    words = ("--env", "V=" + "x" * 257, "--env", "a.b=1", "--", "touch", "ran")
    done = local("--context", "sagemaker-processing", *words, cwd=tmp_path)
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "CreateProcessingJob Environment 'V': 257 characters, the API takes 256; pass it with `lyftlearn stage`" in lines[0]
    assert "name 'a.b'" in lines[1]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("ending", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)])
def test_the_exit_code_is_the_programs(ending: str, code: int, tmp_path: Path) -> None:
    done = local("--context", "sagemaker-training", "--", "sh", "-c", ending, cwd=tmp_path)
    assert done.returncode == code
    assert f"FailureReason: AlgorithmError: , exit code: {code}" in done.stderr


def test_a_failed_start_is_read_back_from_the_failure_file(tmp_path: Path) -> None:
    done = local("--context", "sagemaker-training", "--", "no-such-program", cwd=tmp_path)
    assert done.returncode == 127
    [reason] = [line for line in done.stderr.splitlines() if "FailureReason" in line]
    assert "no-such-program" in reason
    assert reason.endswith("exit code: 127")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_the_real_stop_sequence(number: signal.Signals, tmp_path: Path) -> None:
    script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    words = ["local", "run", "--context", "sagemaker-endpoint", "--", "sh", "-c", script]
    command = [sys.executable, "-c", "from lyftlearn_entrypoint.cli import main; main()", *words]
    environ = {"PATH": PATH, "HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert (out, process.returncode) == ("caught\n", 5)
    assert f"{number.name}: SIGTERM, and SIGKILL in 30 s" in err
    assert "exit code 5" in err
    assert "Stopped" in err


def test_a_platform_that_runs_already_is_used_by_its_printed_variables(tmp_path: Path) -> None:
    (tmp_path / "env.json").write_text('{"FROM_S3": "x"}')
    (tmp_path / "secrets.json").write_text('{"password": "p"}')
    main = [sys.executable, "-c", "from lyftlearn_entrypoint.cli import main; main()", "local", "platform"]
    environ = {"PATH": PATH, "HOME": str(tmp_path), "XDG_CACHE_HOME": CACHE}
    with subprocess.Popen(
        [*main, "--print", "json", "--credentials", "secrets.json"],
        env=environ,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as platform:
        assert platform.stdout is not None
        printed = ""
        while not printed.endswith("}\n"):
            line = platform.stdout.readline()
            assert line
            printed += line
        variables = json.loads(printed)
        words = ("--context", "sagemaker-training", "--no-platform", "--environment", "env.json")
        done = local(*words, "--", "sh", "-c", "echo $FROM_S3 $CREDENTIALS_PASSWORD; echo m > /opt/ml/model/m", cwd=tmp_path, **variables)
        platform.send_signal(signal.SIGTERM)
        assert platform.wait(120) == 0
    assert done.stdout == "x p\n", done.stderr
    assert "warning" not in done.stderr


def test_a_port_that_somebody_has_is_not_taken_for_the_sidecar(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        end = time.monotonic() + 60
        while True:
            try:
                other.bind(("127.0.0.1", 8125))
                break
            except OSError:  # the relay of a start in another test, which lives as long as its program
                assert time.monotonic() < end
                time.sleep(0.01)
        done = local("--context", "kubernetes", "--", "sh", "-c", "echo $STATSD_HOST:$STATSD_PORT", cwd=tmp_path)
    assert "port 8125 is taken" in done.stderr
    assert done.stdout.startswith("127.0.0.1:")
    assert done.stdout.strip() != "127.0.0.1:8125"


@pytest.mark.usefixtures("needs_mounts")
def test_credentials_as_files_at_a_mount_point_lie_there_and_nowhere_else(tmp_path: Path) -> None:
    """A mount point cannot become a link to memory; the program has a /dev/shm of its own."""
    secret = os.urandom(8).hex()
    (tmp_path / "secrets.json").write_text(json.dumps({"password": secret}))
    look = "import os; print(open('/etc/credentials/password').read(), os.path.islink('/etc/credentials'), os.listdir('/dev/shm'))"
    files = ("--credentials", "secrets.json", "--env", "LYFTLEARN_CREDENTIALS_DIR=/etc/credentials")
    done = local("--context", "sagemaker-training", *files, "--", "python", "-c", look, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{secret} False []\n"), done.stderr
    # Other tests have files there at this moment; none holds this value.
    for base, _, names in os.walk("/dev/shm"):
        for name in {"password"} & set(names):
            try:
                assert Path(base, name).read_text() != secret
            except OSError:
                pass  # gone meanwhile
