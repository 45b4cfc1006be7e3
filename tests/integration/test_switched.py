"""A start as root that becomes another user on the way: what root had to do is done before, and a second start inside it agrees."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lyftlearn_local.platform import Platform

if TYPE_CHECKING:
    from tests.integration.conftest import Starter

pytest_plugins = ["tests.integration.platform_fixture"]

UID, GID = 42425, 43435  # in no passwd or group file
USER = {"LYFTLEARN_USER": f"{UID}:{GID}"}
Need = Callable[[object, str], None]


@pytest.fixture
def job(open_starter: "Starter") -> "Starter":
    open_starter.training()
    open_starter.environ |= {"HOME": "/root", "USER": "root", "LOGNAME": "root"}
    return open_starter


def studio(starter: "Starter") -> None:
    """The same container as an application of Studio."""
    for name in ("TRAINING_JOB_NAME", "TRAINING_JOB_ARN"):
        del starter.environ[name]
    metadata = starter.root / "opt/ml/metadata/resource-metadata.json"
    metadata.parent.mkdir()
    metadata.write_text('{"AppType": "JupyterLab", "DomainId": "d-1", "SpaceName": "s", "ResourceName": "default"}')


def output(done: "subprocess.CompletedProcess[bytes]") -> list[str]:
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().splitlines()


def hidden(starter: "Starter") -> None:
    """Make the package root's own: the program's user can neither read nor enter it."""
    package = starter.root / "lib/lyftlearn_entrypoint"
    package.chmod(0o700)
    seen = subprocess.run(["ls", str(package)], user=UID, group=GID, extra_groups=[], capture_output=True, check=False)
    assert seen.returncode != 0


def test_the_package_need_not_be_the_users_to_read(job: "Starter") -> None:
    hidden(job)
    job.channel('{"STAGED": "yes"}', '{"depth": 3}')
    done = job.run("id", "-u", env={**USER, "LYFTLEARN_TRACE": "/tmp/trace.json", "LYFTLEARN_LOG": "json"})
    assert output(done) == [str(UID)]
    names = [event["name"] for event in json.loads((job.root / "tmp/trace.json").read_text())["traceEvents"]]
    assert {"detect", "settle", "plan", "apply"} <= set(names)


def test_nor_in_studio(job: "Starter") -> None:
    studio(job)
    hidden(job)
    done = job.run("id", "-u", env={**USER, "LYFTLEARN_STEPS": "user", "LYFTLEARN_TRACE": "/tmp/trace.json"})
    assert output(done) == [str(UID)]
    assert (job.root / "tmp/trace.json").exists()


def test_nor_for_an_exec_that_fails_at_last(job: "Starter") -> None:
    """The failure file is written by what was loaded before."""
    hidden(job)
    program = job.root / "no-interpreter"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    done = job.run(str(program), env=USER)
    assert done.returncode == 127
    assert "unexpected" not in done.stderr.decode()
    assert str(program) in (job.root / "opt/ml/output/failure").read_text()


@pytest.mark.parametrize("setting", ["0:100", "root:100"])
def test_root_with_another_group(job: "Starter", setting: str) -> None:
    assert output(job.run("sh", "-c", "id -u; id -g", env={"LYFTLEARN_USER": setting})) == ["0", "100"]


def test_outputs_of_a_processing_job_are_the_users(job: "Starter") -> None:
    for name in ("TRAINING_JOB_NAME", "TRAINING_JOB_ARN"):
        del job.environ[name]
    (job.root / "opt/ml/input/config/resourceconfig.json").unlink()
    config = job.root / "opt/ml/config/processingjobconfig.json"
    config.parent.mkdir()
    outputs = [
        {"OutputName": "there", "S3Output": {"LocalPath": "/opt/ml/processing/there", "S3Uri": "s3://b/1"}},
        {"OutputName": "deep", "S3Output": {"LocalPath": "/opt/ml/processing/deep/er", "S3Uri": "s3://b/2"}},
        {"OutputName": "away", "S3Output": {"LocalPath": "/etc/away", "S3Uri": "s3://b/3"}},
        {"OutputName": "up", "S3Output": {"LocalPath": "/opt/ml/processing/../../up", "S3Uri": "s3://b/4"}},
    ]
    arn = "arn:aws:sagemaker:us-east-1:123456789012:processing-job/night-shift"
    config.write_text(json.dumps({"ProcessingJobArn": arn, "ProcessingOutputConfig": {"Outputs": outputs}}))
    for name in ("opt/ml/processing/there/part", "opt/ml/processing/input", "opt/ml/processing/deep", "etc/away", "opt/up"):
        (job.root / name).mkdir(parents=True)
    script = 'cd "$0/opt/ml/processing" && for d in there there/part deep/er; do echo new > "$d/new" || exit 1; done; id -u'
    assert output(job.run("sh", "-c", script, str(job.root), env=USER)) == [str(UID)]
    for name in ("opt/ml/processing/input", "etc/away", "opt/up"):
        assert (job.root / name).stat().st_uid == 0, name


# Where SageMaker's directory cannot be written -----------------------------------------------------------------------------


def as_user(starter: "Starter", uid: int, *program: str) -> "subprocess.CompletedProcess[bytes]":
    home = {"HOME": str(starter.root / "tmp"), "USER": "me", "LOGNAME": "me"}
    return starter.run(*program, env=home, user=uid, group=uid, extra_groups=[])


@pytest.mark.parametrize("planted", ["link", "directory", "nothing"])
def test_somebody_elses_place_in_tmp_is_not_taken(job: "Starter", planted: str) -> None:
    """Each user gets a file of its own, which nobody else could have put there."""
    job.channel("{}", '{"depth": 3}')
    place, elsewhere = job.root / "tmp/lyftlearn-input", job.root / "elsewhere"
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    if planted == "link":
        place.symlink_to(elsewhere)
    elif planted == "directory":
        place.mkdir()
        (place / "hyperparameters.json").write_text('{"depth":"evil"}')
        for path in (place, place / "hyperparameters.json"):
            path.chmod(0o777)
    found = set()
    for uid in (UID, UID + 1, UID):
        done = as_user(job, uid, "sh", "-c", 'echo "$LYFTLEARN_HYPERPARAMETERS_FILE"; cat "$LYFTLEARN_HYPERPARAMETERS_FILE"')
        name, content = output(done)
        assert content == '{"depth":"3"}'
        file = Path(name)
        assert file.parent.parent == job.root / "tmp"
        assert (file.parent.lstat().st_uid, file.lstat().st_uid) == (uid, uid)
        assert file.parent.lstat().st_mode & 0o7777 == 0o755
        assert "written to " + name in done.stderr.decode()
        found.add(name)
    assert len(found) == 3
    assert list(elsewhere.iterdir()) == []
    if planted == "directory":
        assert (place / "hyperparameters.json").read_text() == '{"depth":"evil"}'


# A start inside a start ----------------------------------------------------------------------------------------------------

SEE = (
    'id -u; cat "$LYFTLEARN_HYPERPARAMETERS_FILE"; echo; cat "$0/mnt/parameters/depth" "$0/mnt/parameters/rate"; echo;'
    ' cat "$0/mnt/secrets/user"; echo; env | LC_ALL=C sort'
)


@pytest.mark.parametrize("baked", [False, True], ids=["variables", "platform-file"])
def test_a_start_inside_a_start(job: "Starter", platform: Platform, baked: bool) -> None:
    """`lyftlearn-entrypoint` as a prefix inside a container that has it as ENTRYPOINT: everything comes out the same."""
    name = "inside-" + os.urandom(4).hex()
    platform.confidant.service(name, [platform.confidant.credential({"user": "me"}, "")])
    job.channel('{"STAGED": "yes"}', '{"depth": 3, "rate": 0.5}')
    own = job.root / "opt/ml/input/config/hyperparameters.json"
    own.write_text('{"rate": "0.25", "sagemaker_program": "train.py"}')
    job.environ |= platform.pointers(name)
    directories = {"hyperparameters_dir": "/mnt/parameters", "credentials_dir": "/mnt/secrets"}
    settings = {**directories, "user": f"{UID}:{GID}"}
    if baked:
        compiled = job.root / "etc/lyftlearn/platform.json"
        compiled.parent.mkdir(parents=True)
        compiled.write_text(json.dumps(settings))
    else:
        job.environ |= {"LYFTLEARN_" + key.upper(): value for key, value in settings.items()}
    see = ("sh", "-c", SEE, str(job.root))
    once = job.run(*see)
    assert output(once)[:4] == [str(UID), '{"depth":"3","rate":"0.25","sagemaker_program":"train.py"}', "30.25", "me"]
    twice = job.run(*job.words, *see)
    assert output(twice) == output(once)
    assert not (job.root / "opt/ml/output/failure").exists()
    assert "warning" not in twice.stderr.decode()


def test_a_restart_of_the_container_inside_which_was_a_start(job: "Starter") -> None:
    """Root again, over what the user's own start left."""
    job.channel("{}", '{"depth": 3}')
    settings = {**USER, "LYFTLEARN_HYPERPARAMETERS_DIR": "/mnt/parameters"}
    see = ("sh", "-c", 'cat "$LYFTLEARN_HYPERPARAMETERS_FILE" "$0/mnt/parameters/depth"', str(job.root))
    assert output(job.run(*job.words, *see, env=settings)) == ['{"depth":"3"}3']
    (job.root / "opt/ml/input/data/lyftlearn/hyperparameters.json").write_text('{"depth": 4}')
    assert output(job.run(*see, env=settings)) == ['{"depth":"4"}4']


# What a limit or a full disk does ------------------------------------------------------------------------------------------


def test_where_no_thread_can_be_started(job: "Starter", platform: Platform, need: Need) -> None:
    """A limit on processes counts threads too. One fetch after the other then, and nothing is missing."""
    need(shutil.which("prlimit"), "prlimit (util-linux) is not there")
    uid = 50_000 + os.getpid() % 10_000  # whose processes are counted: nobody else's
    service = "limit-" + os.urandom(4).hex()
    platform.confidant.service(service, [platform.confidant.credential({"user": "me"}, "")])
    key = f"limit/{service}/environment.json"
    platform.client("s3").put_object(Bucket=platform.bucket, Key=key, Body=b'{"STAGED": "yes"}')
    pointers = {**platform.pointers(service), "LYFTLEARN_ENV_URI": f"s3://{platform.bucket}/{key}"}
    home = {"HOME": str(job.root / "tmp"), "USER": "me", "LOGNAME": "me"}
    who: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []}
    before: list[str | bytes] = ["prlimit", "--nproc=1"]
    thread = "import _thread; _thread.start_new_thread(print, ())"
    assert b"can't start new thread" in job.direct(job.words[0], "-I", "-S", "-c", thread, before=before, **who).stderr
    seen = output(job.run("env", before=before, env={**home, **pointers}, **who))
    assert {"STAGED=yes", "CREDENTIALS_USER=me"} <= set(seen)
    assert [line for line in seen if line.startswith("STATSD_PORT=")]


def test_a_full_disk_keeps_no_half_of_a_reason(job: "Starter", need: Need) -> None:
    script = 'mount -t tmpfs -o size=4k tmpfs "$0" && head -c 4096 /dev/zero > "$0/full" && { "$@"; echo "code $?"; ls -A "$0"; }'
    place = str(job.root / "opt/ml/output")
    before: list[str | bytes] = ["unshare", "--mount", "sh", "-c", script, place]
    check = job.direct("sh", "-c", 'echo more > "$0/more"', place, before=before)
    need(check.stdout, "no private mount namespace (unshare --mount)")
    assert b"No space left on device" in check.stderr or b"I/O error" in check.stderr
    done = job.run("no-such-program", before=before)
    assert done.stdout.decode().splitlines() == ["code 127", "full"]
    assert b"no-such-program" in done.stderr
    assert b"Traceback" not in done.stderr
