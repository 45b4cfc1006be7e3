"""Dropping root: who the program is, what it may write, and that there is no way back. Real users, so all of it needs root."""

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Starter

WHO = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME"
UID, GID = 42424, 43434  # in no passwd or group file


@pytest.fixture
def job(open_starter: "Starter") -> "Starter":
    """A training job as root, in root's environment, which LYFTLEARN_USER is to leave."""
    open_starter.training()
    open_starter.environ |= {"HOME": "/root", "USER": "root", "LOGNAME": "root"}
    return open_starter


@pytest.fixture
def users(job: "Starter", need: Callable[[object, str], None]) -> "list[str | bytes]":
    """Words that give what follows a passwd file with `author`, who is in the group `blue`, and a home of its own."""
    home = job.root / "home/author"
    home.mkdir()
    os.chown(home, 4000, 4001)
    (job.root / "passwd").write_text(f"root:x:0:0:root:/root:/bin/sh\nauthor:x:4000:4001::{home}:/bin/sh\n")
    (job.root / "group").write_text("root:x:0:\nauthors:x:4001:\nblue:x:5000:author\nred:x:5001:author,root\ngreen:x:5002:root\n")
    script = 'mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec "$@"'
    words: list[str | bytes] = ["unshare", "--mount", "sh", "-c", script, str(job.root)]
    need(subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0, "no private mount namespace (unshare --mount)")
    return words


def lines(done: "subprocess.CompletedProcess[bytes]") -> list[str]:
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize(
    ("setting", "uid", "gid", "groups"),
    [
        ("author", 4000, 4001, {4001, 5000, 5001}),
        ("4000", 4000, 4001, {4001, 5000, 5001}),
        ("author:blue", 4000, 5000, {5000, 5001}),
        ("4000:5002", 4000, 5002, {5000, 5001, 5002}),
    ],
)
def test_user_of_the_image(job: "Starter", users: list[str | bytes], setting: str, uid: int, gid: int, groups: set[int]) -> None:
    found = lines(job.run("sh", "-c", WHO, before=users, env={"LYFTLEARN_USER": setting}))
    assert found[:2] == [str(uid), str(gid)]
    assert set(map(int, found[2].split())) == groups
    assert found[3] == f"{job.root}/home/author author author"


@pytest.mark.parametrize(("setting", "gid"), [(f"{UID}", 0), (f"{UID}:{GID}", GID), (f"{UID}:100", 100)])
def test_uid_without_a_passwd_entry(job: "Starter", setting: str, gid: int) -> None:
    """Without a group it gets 0, as a pod's runAsUser does."""
    done = job.run("sh", "-c", WHO + '; echo x > "$HOME/x"; stat -c "%u:%g %a" "$HOME"', env={"LYFTLEARN_USER": setting})
    home = f"{job.root}/tmp/home-{UID}"
    assert lines(done) == [str(UID), str(gid), str(gid), f"{home} user{UID} user{UID}", f"{UID}:{gid} 700"]


def test_setting_is_not_shown_to_the_program(job: "Starter") -> None:
    found = lines(job.run("env", env={"LYFTLEARN_USER": str(UID)}))
    assert not [line for line in found if line.startswith("LYFTLEARN_USER=")]
    assert "LYFTLEARN_CONTEXT=sagemaker-training" in found


def test_no_way_back(job: "Starter", open_python: str) -> None:
    status = lines(job.run("cat", "/proc/self/status", env={"LYFTLEARN_USER": f"{UID}:{GID}"}))
    facts = {name: value.split() for name, _, value in (line.partition(":") for line in status)}
    assert facts["Uid"] == [str(UID)] * 4
    assert facts["Gid"] == [str(GID)] * 4
    assert facts["Groups"] == [str(GID)]
    assert facts["NoNewPrivs"] == ["1"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(facts[name][0], 16) == 0, name
    attempts = "setuid(0)", "seteuid(0)", "setresuid(0, 0, 0)", "setgid(0)", "setgroups([0])", "chroot('/')"
    script = "import os\nfor one in " + repr(attempts) + ":\n try: exec('os.' + one)\n except PermissionError: print('no')"
    assert lines(job.run(open_python, "-I", "-S", "-c", script, env={"LYFTLEARN_USER": f"{UID}:{GID}"})) == ["no"] * len(attempts)


def test_setuid_programs_give_nothing(job: "Starter", need: Callable[[object, str], None]) -> None:
    program = job.root / "bin/setuid-id"
    shutil.copy(shutil.which("id") or "", program)
    program.chmod(0o4755)
    plain = job.direct(str(program), "-u", user=UID, group=GID, extra_groups=[])
    need(plain.stdout == b"0\n", "setuid files have no effect below the temporary directory")
    assert lines(job.run(str(program), "-u", env={"LYFTLEARN_USER": f"{UID}:{GID}"})) == [str(UID)]


def test_nothing_of_ours_stays_open(job: "Starter", open_python: str) -> None:
    job.channel('{"STAGED": "yes"}', '{"depth": 3}')
    script = "import os; print([fd for fd in map(int, os.listdir('/proc/self/fd')) if os.path.exists(f'/proc/self/fd/{fd}')])"
    program = (open_python, "-I", "-S", "-c", script)
    switched = job.run(*program, env={"LYFTLEARN_USER": f"{UID}:{GID}", "LYFTLEARN_HYPERPARAMETERS_DIR": "/mnt/parameters"})
    assert switched.stdout == job.direct(*program).stdout
    assert lines(switched)


def test_directories_of_the_job_are_the_users(job: "Starter") -> None:
    """What an earlier container of the job (checkpoints) and the platform (output/data) left there belongs to root."""
    shutil.rmtree(job.root / "opt/ml/model")
    deep = job.root / "opt/ml/checkpoints/epoch 1/\udcff"
    deep.mkdir(parents=True)
    (deep / "weights").write_text("old")
    (deep / "weights").chmod(0o600)
    (job.root / "opt/ml/output/data").mkdir(mode=0o500)
    script = (
        'cd "$0/opt/ml" && for d in model output output/data checkpoints checkpoints/epoch*/*; do echo new > "$d/new" || exit 1; done;'
        ' cat checkpoints/epoch*/*/weights; echo more >> "$(echo checkpoints/epoch*/*/weights)" && rm -r checkpoints/*'
    )
    assert lines(job.run("sh", "-c", script, str(job.root), env={"LYFTLEARN_USER": f"{UID}:{GID}"})) == ["old"]
    assert (job.root / "opt/ml/model/new").read_text() == "new\n"
    assert (job.root / "opt/ml/input").stat().st_uid == 0  # what was delivered stays as it is


def test_links_are_not_followed(job: "Starter") -> None:
    outside = job.root / "outside"
    outside.mkdir(mode=0o755)
    (outside / "file").write_text("root's")
    model = job.root / "opt/ml/model"
    (model / "directory").symlink_to(outside)
    (model / "file").symlink_to(outside / "file")
    (model / "dangling").symlink_to(outside / "nothing")
    (model / "loop").symlink_to("loop")
    shutil.rmtree(job.root / "opt/ml/output")
    (job.root / "opt/ml/output").symlink_to(outside)
    done = job.run("true", env={"LYFTLEARN_USER": f"{UID}:{GID}"})
    assert done.returncode == 0
    for path in (outside, outside / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (0, 0)
    assert {path.lstat().st_uid for path in model.iterdir()} == {UID}


def test_hyperparameters_can_be_read(job: "Starter") -> None:
    job.channel("{}", '{"depth": 3}')
    setting = {"LYFTLEARN_USER": f"{UID}:{GID}", "LYFTLEARN_HYPERPARAMETERS_DIR": "/mnt/parameters"}
    script = 'cat "$LYFTLEARN_HYPERPARAMETERS_FILE" "$0/mnt/parameters/depth"'
    for umask in ("000", "077"):
        before: list[str | bytes] = ["sh", "-c", f'umask {umask}; exec "$@"', "sh"]
        assert lines(job.run("sh", "-c", script, str(job.root), env=setting, before=before)) == ['{"depth":"3"}3']


def test_dev_stdout_can_be_opened(job: "Starter") -> None:
    """Log configurations of web servers do. A pipe belongs to who made it: the container's runtime, as root."""
    done = job.run("sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr", env={"LYFTLEARN_USER": str(UID)})
    assert (done.returncode, done.stdout) == (0, b"out\n")
    assert done.stderr.endswith(b"\nerr\n")
    master, slave = pty.openpty()
    try:
        done = job.run("sh", "-c", "echo out > /dev/stdout", stdout=slave, stderr=slave, env={"LYFTLEARN_USER": str(UID)})
        assert done.returncode == 0
        assert os.read(master, 65536).endswith(b"out\r\n")
    finally:
        os.close(master)
        os.close(slave)


def test_a_shared_file_as_stdout_stays_roots(job: "Starter", tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        assert job.run("echo", "out", stdout=file, env={"LYFTLEARN_USER": str(UID)}).returncode == 0
    assert log.read_bytes() == b"out\n"
    assert log.stat().st_uid == 0
    assert os.stat("/dev/null").st_uid == 0


@pytest.mark.parametrize("setting", ["root", "0", "0:0"])
def test_root_stays_root_where_asked(job: "Starter", setting: str) -> None:
    assert lines(job.run("sh", "-c", "id -u; echo $HOME", env={"LYFTLEARN_USER": setting})) == ["0", "/root"]


@pytest.mark.parametrize("setting", ["no-such-user", "0:no-such-group", f"{UID}:no-such-group"])
def test_unknown_name_78(job: "Starter", setting: str) -> None:
    done = job.run("true", env={"LYFTLEARN_USER": setting})
    assert done.returncode == 78
    unknown = setting.rpartition(":")[2]
    assert f"LYFTLEARN_USER: the image has no {'group' if ':' in setting else 'user'} named {unknown}" in done.stderr.decode()
    assert unknown in (job.root / "opt/ml/output/failure").read_text()


def test_started_as_another_user_it_says_nothing(job: "Starter") -> None:
    for path in (job.root / "opt/ml").rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    other: dict[str, Any] = {"user": UID, "group": GID, "extra_groups": [5000]}
    home = {"HOME": str(job.root / "tmp"), "USER": "me", "LOGNAME": "me"}
    done = job.run("sh", "-c", WHO, env={**home, "LYFTLEARN_USER": "author"}, **other)
    assert lines(done) == [str(UID), str(GID), f"{GID} 5000", f"{job.root}/tmp me me"]
    assert done.stderr.count(b"\n") == 1  # the line that every job's start ends with
    assert b"start: sh in sagemaker-training after " in done.stderr


def test_without_the_capabilities_it_says_which(job: "Starter", need: Callable[[object, str], None]) -> None:
    """root in name only, as `--cap-drop ALL` leaves it."""
    need(shutil.which("setpriv"), "setpriv (util-linux) is not there")
    before: list[str | bytes] = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = job.run("echo", "ran", before=before, env={"LYFTLEARN_USER": str(UID)})
    assert (done.returncode, done.stdout) == (78, b"")
    assert b"SETUID" in done.stderr
    assert job.run("echo", "ran", before=before).stdout == b"ran\n"


def test_a_pod_keeps_the_user_that_it_was_given(job: "Starter") -> None:
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "LYFTLEARN_CONTEXT": "kubernetes", "LYFTLEARN_USER": str(UID)}
    found = lines(job.run("sh", "-c", "id -u; echo $LYFTLEARN_USER; grep NoNewPrivs /proc/$$/status", env=pod))
    assert found == ["0", str(UID), "NoNewPrivs:\t0"]


def test_the_step_can_be_chosen_anywhere_and_left_out(job: "Starter") -> None:
    chosen = {"LYFTLEARN_USER": str(UID), "LYFTLEARN_CONTEXT": "local", "LYFTLEARN_STEPS": "user"}
    assert lines(job.run("id", "-u", env=chosen)) == [str(UID)]
    assert lines(job.run("id", "-u", env={"LYFTLEARN_USER": str(UID), "LYFTLEARN_STEPS": "none"})) == ["0"]


def test_program_is_found_as_the_user_who_runs(job: "Starter") -> None:
    """What root alone can enter comes first on PATH in many images; the user's shell would pass over it."""
    for name, mode, code in (("closed", 0o700, 4), ("open", 0o755, 5)):
        directory = job.root / name
        directory.mkdir()
        (directory / "program").write_text(f"#!/bin/sh\nexit {code}\n")
        (directory / "program").chmod(0o755)
        directory.chmod(mode)
    path = {"PATH": f"{job.root}/closed:{job.root}/open:/usr/bin:/bin"}
    assert job.run("program", env={**path, "LYFTLEARN_USER": str(UID)}).returncode == 5
    assert job.run("program", env=path).returncode == 4


@pytest.mark.parametrize(
    ("mode", "settled", "warned"),
    [
        (0o755, {}, True),
        (0o755, {"LYFTLEARN_STEPS": "credentials"}, True),
        (0o666, {}, True),  # no new file can be made in it
        (0o777, {}, False),
        (0o755, {"LYFTLEARN_STEPS": "none"}, False),
        (0o755, {"LYFTLEARN_CONTEXT": "sagemaker-processing"}, False),
        (None, {}, False),
    ],
)
def test_who_is_not_root_is_warned_where_no_model_can_be_saved(
    job: "Starter", mode: "int | None", settled: "dict[str, str]", warned: bool
) -> None:
    """An image with a USER of its own: SageMaker's /opt/ml/model is root's."""
    model = job.root / "opt/ml/model"
    if mode is None:
        model.rmdir()
    else:
        model.chmod(mode)
    done = job.run("id", "-u", env={"HOME": "/", **settled}, user=UID, group=GID, extra_groups=[])
    assert lines(done) == [str(UID)]
    line = (
        f"lyftlearn-entrypoint: warning: /opt/ml/model cannot be written by uid {UID}, so the model cannot be saved: "
        "leave USER out of the image, and name that user in LYFTLEARN_USER [LL1006]\n"
    )
    assert done.stderr.decode().count("warning") == warned
    assert (line in done.stderr.decode()) is warned


def test_root_is_not_warned(job: "Starter") -> None:
    (job.root / "opt/ml/model").chmod(0o500)
    assert b"warning" not in job.run("true").stderr
    assert b"warning" not in job.run("true", env={"LYFTLEARN_USER": str(UID)}).stderr
