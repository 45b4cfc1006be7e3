"""The users' environment: everything in it can be imported by any user, packages can be added, and nothing of it reaches the entrypoint."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.images.conftest import IDLE, Start
from tests.images.platform_files import readable
from tests.images.wheels import wheel

pytestmark = pytest.mark.image

WANTED = {
    *("boto3", "ipykernel", "jupyterlab", "lightgbm", "matplotlib", "numpy", "pandas", "pip"),
    *("pyarrow", "scipy", "sklearn", "statsd", "xgboost"),
}
# jsonpointer-stubs and its like hold types alone: no module has such a name.
IMPORT = """
import importlib, importlib.metadata
names = sorted(name for name in importlib.metadata.packages_distributions() if name.isidentifier())
for name in names:
    try:
        importlib.import_module(name)
    except BaseException as error:
        print("FAILED", name, type(error).__name__, error)
print(*names)
"""


@pytest.mark.slow
@pytest.mark.parametrize("user", ["0:0", "1000:100", "1000680000:0"])
def test_every_package_can_be_imported(start: Start, user: str) -> None:
    container = start("python", "-c", IMPORT, user=user, read_only=True, tmpfs={"/tmp": "mode=1777"}, cap_drop=["ALL"])
    assert container.wait() == 0, container.log
    *failed, names = container.stdout.splitlines()
    assert failed == []
    assert set(names.split()) >= WANTED
    assert not {name for name in names.split() if name.startswith("nvidia")}


def mounted(directory: Path) -> "dict[str, Any]":
    return {"volumes": {str(directory): {"bind": "/wheels", "mode": "ro"}}}


def test_a_notebooks_user_can_add_and_take_away_packages(start: Start, tmp_path: Path) -> None:
    readable(tmp_path)
    wheel(tmp_path, "teamlib", {"teamlib.py": "def main():\n    print('from the team')\n"}, {"teamtool": "teamlib:main"})
    steps = ["pip install -q --no-index /wheels/*.whl", "teamtool", "pip uninstall -qy teamlib", "! test -e /opt/venv/bin/teamtool"]
    container = start("sh", "-c", " && ".join(steps), user="1000:100", **mounted(tmp_path))
    assert container.wait() == 0, container.log
    assert container.log == "from the team\n"


def test_what_was_taken_away_can_still_be_upgraded(start: Start) -> None:
    """RECORD says what is really there: pip finds every file that it would remove."""
    program = (
        "import csv, glob, os\n"
        "for record in glob.glob('/opt/venv/lib/python3*/site-packages/*.dist-info/RECORD'):\n"
        " site = os.path.dirname(os.path.dirname(record))\n"
        " for row in csv.reader(open(record, newline='')):\n"
        "  if not os.path.lexists(os.path.join(site, row[0])) and not row[0].endswith('.pyc'): print(record, row[0])\n"
    )
    container = start("sh", "-c", f'python -c "{program}" && pip uninstall -qy scikit-learn && pip check', user="1000:100")
    container.wait()
    assert container.stdout == "No broken requirements found.\n"


def test_a_users_packages_do_not_reach_the_entrypoint(start: Start, tmp_path: Path) -> None:
    """Modules with the names of ours and of the standard library, a sitecustomize, a .pth, all installed by root."""
    trap = "import os\nos.close(os.open('/tmp/ran-' + __name__, os.O_CREAT))\n"
    names = ["sitecustomize", "usercustomize", "posix", "marshal", "encodings", "json", "click", "boto3", "lyftlearn_entrypoint"]
    files = {f"{name}.py": trap for name in names}
    files["evil.pth"] = "import os; os.close(os.open('/tmp/ran-pth', os.O_CREAT))\n"
    readable(tmp_path)
    wheel(tmp_path, "evil", files)
    container = start(*IDLE, **mounted(tmp_path))
    code, printed = container.exec("pip", "install", "-q", "--no-index", "--ignore-installed", "/wheels/evil-1.0-py3-none-any.whl")
    assert code == 0, printed
    site = "/opt/venv/lib/python3.11/site-packages"
    environment = {"PYTHONPATH": site, "PYTHONSTARTUP": f"{site}/json.py", "PYTHONHOME": "/opt/venv", "LD_LIBRARY_PATH": site}
    assert container.exec("lyftlearn-entrypoint", "echo", "fine", environment=environment) == (0, "fine\n")
    code, printed = container.exec("lyftlearn", "context", "--json", environment=environment)
    assert code == 0, printed
    assert container.exec("find", "/tmp", "-name", "ran-*") == (0, "")
    # The trap does work: a Python of the user's falls into it.
    container.exec("python", "-c", "pass")
    container.exec("python", "-c", "pass", environment={"PYTHONPATH": site})
    assert {"/tmp/ran-pth", "/tmp/ran-encodings"} <= set(container.exec("find", "/tmp", "-name", "ran-*")[1].split())
    container.handle.kill()


def test_a_teams_image(client: Any, base: str, start: Start, tmp_path: Path) -> None:
    """FROM ours, requirements and platform settings of its own, a CMD and no ENTRYPOINT."""
    made = wheel(tmp_path, "teamlib", {"teamlib.py": "import os\nprint('team', os.getuid(), os.environ.get('LYFTLEARN_DEADLINE'))\n"})
    dockerfile = (
        f"FROM {base}\nCOPY teamlib-1.0-py3-none-any.whl /tmp/\nRUN pip install -q --no-index /tmp/*.whl\n"
        'COPY platform.yaml /etc/lyftlearn/\nRUN lyftlearn settings compile\nCMD ["python", "-m", "teamlib"]\n'
    )
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, data in (
            ("Dockerfile", dockerfile.encode()),
            ("platform.yaml", b"user: lyftlearn\nsteps: user\n"),
            (made.name, made.read_bytes()),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    context.seek(0)
    image, _ = client.images.build(fileobj=context, custom_context=True, network_mode="none", rm=True, forcerm=True)
    try:
        container = start(image=image.id)
        assert container.wait() == 0, container.log
        assert container.stdout == "team 1000 None\n"
    finally:
        client.images.remove(image.id, force=True)
