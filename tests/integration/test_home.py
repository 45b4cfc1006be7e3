"""HOME, USER, LOGNAME and the caches are usable for any uid, in every context: nothing of the user's code has to care who runs it."""

import json
import os
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Starter

UID, GID = 42424, 43434  # in no passwd or group file
OTHER: dict[str, Any] = {"user": UID, "group": GID, "extra_groups": []}
# Each fails for such a uid where nothing is made usable (measured; see docs/users.md).
USE = """
import getpass, json, os, tempfile
home = os.path.expanduser("~")
with open(home + "/written", "w") as file:
    file.write("x")
os.makedirs(home + "/.local/share/jupyter")
names = ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "HF_HOME", "JUPYTER_RUNTIME_DIR", "TORCH_HOME")
print(json.dumps({"user": getpass.getuser(), "home": home, **{name: os.environ.get(name) for name in names}}))
"""


@pytest.fixture
def starter(open_starter: "Starter") -> "Starter":
    """Below LYFTLEARN_ROOT, whose /tmp is the one where a HOME is made. `home` belongs to root and is not writable for others."""
    open_starter.environ = {
        "PATH": open_starter.environ["PATH"],
        "LYFTLEARN_ROOT": str(open_starter.root),
        "LYFTLEARN_CONTEXT": "kubernetes",
    }
    return open_starter


@pytest.fixture
def use(starter: "Starter", open_python: str) -> Callable[..., dict[str, Any]]:
    def run(env: dict[str, str] | None = None, **how: Any) -> dict[str, Any]:
        done = starter.run(open_python, "-I", "-c", USE, env=env, **{**OTHER, **how})
        assert (done.returncode, done.stderr) == (0, b"")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def made(starter: "Starter") -> str:
    return f"{starter.root}/tmp/home-{UID}"


@pytest.mark.parametrize("home", [None, "", "/", "/root", "/no/such/place", "relative", "{root}/home", "/dev/null", "/etc/passwd"])
def test_home_that_cannot_be_used(starter: "Starter", use: Callable[..., dict[str, Any]], home: str | None) -> None:
    env = {} if home is None else {"HOME": home.replace("{root}", str(starter.root))}
    found = use(env)
    assert found["HOME"] == found["home"] == made(starter)
    assert found["user"] == found["USER"] == found["LOGNAME"] == f"user{UID}"
    status = os.stat(made(starter))
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (UID, GID, 0o700)


@pytest.mark.parametrize("context", ["sagemaker-training", "sagemaker-processing", "studio", "kubernetes", "local"])
def test_in_every_context(starter: "Starter", open_python: str, context: str) -> None:
    done = starter.run(open_python, "-I", "-c", USE, env={"HOME": "/", "LYFTLEARN_CONTEXT": context}, **OTHER)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["home"] == made(starter)


@pytest.mark.parametrize("steps", ["none", "user", "spark"])
def test_whatever_the_steps(use: Callable[..., dict[str, Any]], starter: "Starter", steps: str) -> None:
    assert use({"HOME": "/", "LYFTLEARN_STEPS": steps})["home"] == made(starter)


def test_home_that_can_be_written_stays(starter: "Starter", use: Callable[..., dict[str, Any]]) -> None:
    own = starter.root / "own"
    own.mkdir()
    os.chown(own, UID, GID)
    found = use({"HOME": str(own), "USER": "me", "LOGNAME": "me-too", "XDG_CACHE_HOME": str(own / ".cache")})
    assert found["HOME"] == str(own)
    assert (found["USER"], found["LOGNAME"]) == ("me", "me-too")
    assert found["XDG_CACHE_HOME"] == str(own / ".cache")
    assert not os.path.exists(made(starter))


def test_home_by_group_can_be_written(starter: "Starter", use: Callable[..., dict[str, Any]]) -> None:
    """Images for any uid make their HOME writable for a group (0 or 100)."""
    own = starter.root / "own"
    own.mkdir()
    os.chown(own, 0, 5000)
    own.chmod(0o775)
    assert use({"HOME": str(own)}, extra_groups=[5000])["HOME"] == str(own)
    assert use({"HOME": str(own)})["HOME"] == made(starter)


def test_caches_follow_home(starter: "Starter", use: Callable[..., dict[str, Any]]) -> None:
    elsewhere = starter.root / "cache"
    elsewhere.mkdir(mode=0o777)
    elsewhere.chmod(0o777)
    old = f"{starter.root}/home"
    caches = {
        "XDG_CACHE_HOME": f"{old}/.cache",
        "MPLCONFIGDIR": f"{old}/mpl",
        "HF_HOME": str(elsewhere),
        "JUPYTER_RUNTIME_DIR": f"{old}/a b/c",
    }
    found = use({"HOME": old, **caches})
    new = made(starter)
    assert found["XDG_CACHE_HOME"] == f"{new}/.cache"
    assert found["MPLCONFIGDIR"] == f"{new}/mpl"
    assert found["JUPYTER_RUNTIME_DIR"] == f"{new}/a b/c"
    assert found["HF_HOME"] == str(elsewhere)
    assert found["TORCH_HOME"] is None


def test_the_same_home_at_the_next_start(starter: "Starter", use: Callable[..., dict[str, Any]], open_python: str) -> None:
    assert use({"HOME": "/"})["home"] == made(starter)
    done = starter.run("cat", f"{made(starter)}/written", env={"HOME": "/"}, **OTHER)
    assert done.stdout == b"x"


@pytest.mark.parametrize("trap", ["directory", "link", "file", "dangling"])
def test_a_home_that_somebody_else_laid_out_is_not_taken(starter: "Starter", use: Callable[..., dict[str, Any]], trap: str) -> None:
    path = made(starter)
    if trap == "directory":
        os.mkdir(path, 0o777)
        os.chmod(path, 0o777)
    elif trap == "file":
        open(path, "w").close()
    else:
        os.symlink("/var/tmp" if trap == "link" else "/no/such", path)
    found = use({"HOME": "/"})["HOME"]
    assert found != path
    assert found.startswith(path + "-")
    assert os.stat(found).st_uid == UID


def test_passwd_home_comes_before_a_made_one(starter: "Starter", open_python: str, need: Callable[[object, str], None]) -> None:
    own = starter.root / "home/known"
    own.mkdir()
    os.chown(own, UID, GID)
    (starter.root / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\nknown:x:{UID}:{GID}::{own}:/bin/sh\n")
    inside = 'mount --bind "$0/passwd" /etc/passwd && exec setpriv --reuid ' + str(UID) + " --regid " + str(GID) + ' --clear-groups "$@"'
    before: list[str | bytes] = ["unshare", "--mount", "sh", "-c", inside, str(starter.root)]
    probe = subprocess.run([*before, "true"], capture_output=True, check=False)
    need(probe.returncode == 0, "no private mount namespace, or no setpriv")
    for home in ("/", "/root", ""):
        done = starter.run(open_python, "-I", "-c", USE.replace("os.makedirs", "len"), before=before, env={"HOME": home})
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert (found["home"], found["user"]) == (str(own), "known")


@pytest.mark.parametrize("temporary", [True, False], ids=["with a tmpfs on /tmp", "with nothing writable"])
def test_read_only_root(starter: "Starter", open_python: str, need: Callable[[object, str], None], temporary: bool) -> None:
    """readOnlyRootFilesystem: a pod usually has an emptyDir on /tmp; without one the program still starts."""
    inside = (
        'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && '
        + ('mount -t tmpfs -o mode=1777 tmpfs "$0/tmp" && ' if temporary else "")
        + f'exec setpriv --reuid {UID} --regid {GID} --clear-groups "$@"'
    )
    before: list[str | bytes] = ["unshare", "--mount", "sh", "-c", inside, str(starter.root)]
    probe = subprocess.run([*before, "true"], capture_output=True, check=False)
    need(probe.returncode == 0, "no private mount namespace, or no setpriv")
    env = {"HOME": str(starter.root / "home")}
    if temporary:
        done = starter.run(open_python, "-I", "-c", USE, before=before, env=env)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["home"] == made(starter)
    else:
        done = starter.run("sh", "-c", 'test -n "$HOME" && echo "$USER"', before=before, env=env)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"user{UID}\n".encode(), b"")


def test_region_has_both_names(starter: "Starter") -> None:
    for given, expected in (
        ({"AWS_REGION": "eu-west-1"}, ["AWS_DEFAULT_REGION=eu-west-1", "AWS_REGION=eu-west-1"]),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, ["AWS_DEFAULT_REGION=us-east-1", "AWS_REGION=eu-west-1"]),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, ["AWS_DEFAULT_REGION=us-east-1"]),
    ):
        found = starter.run("env", env=given).stdout.decode().splitlines()
        assert sorted(line for line in found if line.startswith("AWS_")) == expected
