"""What is in the base image. What holds for each image is in test_content_*.py."""

from typing import Any

import pytest

from tests.images.conftest import Start

pytestmark = pytest.mark.image


def test_its_variables(client: Any, base: str) -> None:
    """Each is seen by every program of every team: no more than are needed."""
    names = {variable.partition("=")[0] for variable in client.images.get(base).attrs["Config"]["Env"]}
    assert names == {"PATH", "VIRTUAL_ENV", "JUPYTER_PATH", "SHELL", "LANG", "PYTHONUNBUFFERED"}


def test_places_that_1000_100_may_write_to(start: Start) -> None:
    places = [
        "/opt/venv",
        "/opt/venv/bin",
        "/opt/venv/lib/python3.11/site-packages",
        "/opt/ml/input",
        "/opt/ml/model",
        "/opt/ml/output",
        "/opt/ml/checkpoints",
        "/home/sagemaker-user",
    ]
    container = start("python", "-c", f"import os; print([p for p in {places} if not os.access(p, os.W_OK)])", user="1000:100")
    assert container.wait() == 0, container.log
    assert container.stdout == "[]\n"


def test_the_entrypoints_bundle_is_used(start: Start) -> None:
    """A start from the bundle opens no module of ours by itself."""
    program = (
        "import sys, posix\nsys.argv[1:] = ['true']\n"
        "posix.execve = lambda *_: (print(*sorted(n for n in sys.modules if n.startswith('lyft'))),"
        " print(sys.modules['lyftlearn_entrypoint.boot'].__spec__), sys.stdout.flush(), posix._exit(0))\n"
        "__file__ = '/opt/lyftlearn/bin/lyftlearn-entrypoint'\nexec(open(__file__).read())"
    )
    container = start("-IS", "-c", program, entrypoint=["/usr/bin/python3"])
    assert container.wait() == 0, container.log
    modules, spec = container.stdout.splitlines()
    assert "lyftlearn_entrypoint.boot" in modules
    assert spec == "None"  # the import system would have left its own
