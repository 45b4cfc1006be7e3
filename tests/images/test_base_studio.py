"""The base image as a Studio JupyterLab application: no arguments, user 1000:100, port 8888, base URL /jupyterlab/default."""

import json
from pathlib import Path

import pytest

from lyftlearn_local.container import STUDIO, Passed
from tests.images.conftest import PROGRAMS, SOON, Container, Start
from tests.images.platform_files import Mounted, readable

pytestmark = pytest.mark.image

URL = "http://127.0.0.1:8888/jupyterlab/default"
GET = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
# As the browser does it: the page's cookie is what lets a POST through.
TERMINAL = """
import http.cookiejar, json, time, urllib.request as u, websocket
base = "127.0.0.1:8888/jupyterlab/default/"
jar = http.cookiejar.CookieJar()
browser = u.build_opener(u.HTTPCookieProcessor(jar))
browser.open("http://" + base + "lab").read()
token = {cookie.name: cookie.value for cookie in jar}["_xsrf"]
made = browser.open(u.Request("http://" + base + "api/terminals", data=b"", headers={"X-XSRFToken": token}))
cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
shell = websocket.create_connection("ws://" + base + "terminals/websocket/" + json.load(made)["name"], timeout=240, cookie=cookies)
shell.send(json.dumps(["stdin", "command -v python; echo seen=$LYFTLEARN_CONTEXT=$HOME\\r"]))
said, end = "", time.time() + 240
while "seen=studio" not in said and time.time() < end:
    kind, *rest = json.loads(shell.recv())
    said += rest[0] if kind == "stdout" else ""
print(said)
"""
KERNEL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3", startup_timeout=300)
said = []
client.execute_interactive(
    "import os, sys; print(sys.executable, os.environ['LYFTLEARN_CONTEXT'], os.getcwd())", timeout=300,
    output_hook=lambda message: said.append(message["content"].get("text", "")))
print("".join(said), end="")
manager.shutdown_kernel(now=True)
"""


def studio(start: Start, directory: Path) -> Container:
    app = Mounted(readable(directory), STUDIO, Passed({}, {}, []))
    home = directory / "home"
    home.mkdir()
    home.chmod(0o777)
    options = app.options(PROGRAMS, user="1000:100")
    options["volumes"][str(home)] = {"bind": "/home/sagemaker-user", "mode": "rw"}  # the EBS volume
    container = start(**options)
    container.expect("token config is deprecated", "All authentication is disabled")
    container.until(URL + "/lab")
    return container


def test_jupyterlab(start: Start, tmp_path: Path) -> None:
    container = studio(start, tmp_path)
    assert "start: jupyter in studio" in container.log
    assert "started" in json.loads(container.python(GET.replace("sys.argv[1]", repr(URL + "/api/status"))))
    assert "<title>JupyterLab</title>" in container.python(GET.replace("sys.argv[1]", repr(URL + "/lab")))
    assert "Serving notebooks from local directory: /home/sagemaker-user" in container.log
    said = container.python(TERMINAL)
    assert "/opt/venv/bin/python\r\n" in said
    assert "seen=studio=/home/sagemaker-user" in said
    code, seconds = container.stop()
    assert code == 0
    assert seconds < SOON


def test_a_kernel_is_started_through_the_entrypoint(start: Start, tmp_path: Path) -> None:
    """Asked for by a program that the entrypoint did not start, the kernel has the context all the same."""
    container = studio(start, tmp_path)
    assert container.python(KERNEL).splitlines()[-1] == "/opt/venv/bin/python studio /home/sagemaker-user"
    specs = json.loads(container.python(GET.replace("sys.argv[1]", repr(URL + "/api/kernelspecs"))))
    assert specs["default"] == "python3"
    assert list(specs["kernelspecs"]) == ["python3"]
    assert specs["kernelspecs"]["python3"]["spec"]["argv"][0] == "/opt/lyftlearn/bin/lyftlearn-entrypoint"


def test_as_root_too(start: Start) -> None:
    container = start(environment={"SAGEMAKER_APP_TYPE": "JupyterLab"}, user="0:0")
    container.expect("token config is deprecated", "All authentication is disabled", "root")
    container.until(URL + "/lab")
    assert container.stop()[0] == 0
