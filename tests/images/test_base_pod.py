"""The base image as a pod: any uid, a read-only root file system, no capability at all; and what a shell beside the program sees."""

from pathlib import Path
from typing import Any

import pytest

from tests.images.conftest import IDLE, PROGRAMS, SOON, Start

pytestmark = pytest.mark.image

ANY_UID = "1000680000:0"
# A pod under the restricted profile with readOnlyRootFilesystem and an emptyDir on /tmp (Kubernetes 1.32, Pod Security Standards).
RESTRICTED: "dict[str, Any]" = {
    "user": ANY_UID,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": "mode=1777"},
    "environment": {"KUBERNETES_SERVICE_HOST": "10.100.0.1", "TEAM": "screening"},
}
PING = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/ping').status)"


def test_a_serving_pod(start: Start, tmp_path: Path) -> None:
    make = "import joblib, sys; from sklearn.dummy import DummyClassifier as D; joblib.dump(D().fit([[0], [1]], [0, 1]), '/m/model.joblib')"
    tmp_path.chmod(0o777)
    assert start("python", "-c", make, volumes={str(tmp_path): {"bind": "/m", "mode": "rw"}}).wait() == 0
    volumes = {str(PROGRAMS): {"bind": "/code", "mode": "ro"}, str(tmp_path): {"bind": "/opt/ml/model", "mode": "ro"}}
    container = start("python", "/code/serve.py", volumes=volumes, **RESTRICTED)
    container.until("serving")
    assert container.python(PING) == "200\n"
    code, seconds = container.stop()
    assert (code, container.stdout) == (0, "serving\nstopped\n")
    assert seconds < SOON
    assert container.log == container.stdout  # a pod's start says nothing


def test_any_user_has_a_home_and_a_name(start: Start) -> None:
    program = (
        "import getpass, os, pathlib, matplotlib.pyplot as p, jupyter_core.paths as j\n"
        "home = pathlib.Path.home(); (home / 'x').write_text('x'); p.figure()\n"
        "print(getpass.getuser(), home, pathlib.Path(j.jupyter_runtime_dir()).is_relative_to(home))"
    )
    container = start("python", "-W", "error", "-c", program, **RESTRICTED)
    assert container.wait() == 0, container.log
    assert container.stdout == "user1000680000 /tmp/home-1000680000 True\n"


def test_a_shell_of_exec_sees_the_programs_variables(start: Start) -> None:
    container = start("sh", "-c", "echo ready; exec sleep infinity", **RESTRICTED)
    container.until("ready")
    seen = (
        "import os\nfor pair in sorted(f'{n}={v}' for n, v in os.environ.items()):"
        "\n if pair.split('=')[0] not in ('_', 'SHLVL', 'PWD', 'OLDPWD', 'TERM'): print(pair)"
    )
    _, program = container.exec("sh", "-c", "tr '\\0' '\\n' </proc/$(pgrep -o sleep)/environ")
    expected = sorted(line for line in program.splitlines() if line.split("=")[0] not in ("_", "SHLVL", "PWD", "OLDPWD", "TERM"))
    assert "HOME=/tmp/home-1000680000" in expected
    code, shell = container.exec("bash", "-ic", f'python -c "{seen}" 2>/dev/null')
    assert code == 0
    assert [line for line in shell.splitlines() if "=" in line] == expected
    # And a command that goes through the entrypoint, without a shell.
    _, through = container.exec("lyftlearn-entrypoint", "python", "-c", seen)
    assert through.splitlines() == expected
    container.handle.kill()


@pytest.mark.parametrize("shell", [["bash", "-lc"], ["sh", "-lc"], ["bash", "-ic"], ["sh", "-c"]])
def test_every_shell_finds_the_users_python(start: Start, shell: "list[str]") -> None:
    container = start(*shell, "for name in python pip jupyter; do command -v $name; done", **RESTRICTED)
    assert container.wait() == 0, container.log
    assert container.stdout == "/opt/venv/bin/python\n/opt/venv/bin/pip\n/opt/venv/bin/jupyter\n"


def test_a_login_shell_keeps_a_path_that_was_set(start: Start) -> None:
    container = start("bash", "-lc", 'echo "$PATH"', environment={"PATH": "/team/bin:/opt/venv/bin:/usr/bin:/bin"})
    assert container.wait() == 0
    assert container.stdout == "/team/bin:/opt/venv/bin:/usr/bin:/bin\n"


def test_the_operators_commands_work_in_a_pod(start: Start) -> None:
    container = start(*IDLE, **RESTRICTED)
    code, printed = container.exec("lyftlearn", "context", "--json")
    assert code == 0, printed
    assert '"context": "kubernetes"' in printed
    container.handle.kill()
