"""Studio's JupyterLab as a person meets it, in a real Chromium: notebooks, a terminal, `%pip install`; secrets from a real Confidant."""

import json
import os
import re
import shutil
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.container import STUDIO, Passed
from lyftlearn_local.platform import Platform
from tests.images import browser
from tests.images.browser import CONTROL, ENTER, SHIFT, Browser
from tests.images.conftest import PATIENCE, PROGRAMS, Container, Start, remove_network
from tests.images.platform_files import Mounted, readable
from tests.images.wheels import wheel

pytestmark = [pytest.mark.image, pytest.mark.slow]

HOME = "/home/sagemaker-user"
# On a free port of 127.0.0.1 alone, and without name resolution.
REACHABLE: "dict[str, Any]" = {"ports": {"8888/tcp": ("127.0.0.1", None)}, "dns": ["127.0.0.1"]}
OUTPUT = ".jp-Notebook:not(.lm-mod-hidden *) .jp-OutputArea-output"
SCREEN = ".jp-Terminal .xterm-accessibility-tree"
IDLE = r"Python 3 \| Idle"
SECRET = "made-up-token-41f7"
CELLS = [
    "import pandas as pd\nfrom sklearn.datasets import load_iris\nfrom sklearn.linear_model import LogisticRegression\n"
    "data = load_iris(as_frame=True)\nmodel = LogisticRegression(max_iter=500).fit(data.data, data.target)\n"
    "print(f\"accuracy={model.score(data.data, data.target):.2f} pid={__import__('os').getpid()}\")",
    "import os, sys\n"
    'print("context", os.environ["LYFTLEARN_CONTEXT"])\nprint("python", sys.executable)\n'
    'print("credentials", *sorted(name for name in os.environ if name.startswith("CREDENTIALS_")))\n'
    'print("settings", *sorted(name for name in os.environ if name.startswith("LYFTLEARN_CONFIDANT")))',
    "data.frame.describe().round(2)",
    "import matplotlib.pyplot as plt\nplt.hist(data.frame['petal length (cm)'], bins=20)\nplt.title('petal length')\nplt.show()",
]


@pytest.fixture(scope="module")
def network(client: Any) -> "Iterator[Any]":
    """A bridge whose containers can be reached from this machine, and reach nothing but this machine: no address is masqueraded."""
    options = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    made = client.networks.create("lyftlearn-test-" + uuid.uuid4().hex[:8], driver="bridge", options=options)
    try:
        made.reload()
        yield made
    finally:
        remove_network(made)


@pytest.fixture(scope="module")
def platform(network: Any) -> "Iterator[Platform]":
    """Confidant, KMS and their like, at the address at which the network's containers reach this machine."""
    gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
    try:
        started = Platform(print, host=gateway)
        started.start()
    except OSError as error:
        pytest.skip(f"the engine's bridge ({gateway}) is not on this machine: {error.strerror}")
    yield started
    started.stop()


class Lab:
    """JupyterLab in a container as Studio starts it, published on a free port of 127.0.0.1, and a browser that has it open.

    `url` is its address in the browser, `published` that on this machine.
    """

    def __init__(self, container: Container, url: str, published: str, driven: Browser) -> None:
        self.container = container
        self.url, self.published = url, published
        self.browser = driven
        self._asked: list[str] = []

    def saved(self, name: str, holds: str) -> "dict[str, Any]":
        """The notebook as it lies on the volume, once it holds that text."""
        end = time.monotonic() + PATIENCE
        while holds not in (text := self.container.exec("cat", f"{HOME}/{name}")[1]):
            assert time.monotonic() < end, text
            time.sleep(0.2)
        document: dict[str, Any] = json.loads(text)
        return document

    def gone(self, process: str) -> None:
        """Wait until a process of the container has ended."""
        end = time.monotonic() + PATIENCE
        while self.container.exec("test", "-e", f"/proc/{process}")[0] == 0:
            assert time.monotonic() < end, f"process {process} goes on"
            time.sleep(0.2)

    def requests(self) -> "list[str]":
        """What the page has asked since it was opened."""
        self._asked += [address for address in self.browser.requests() if re.match(r"https?:|wss?:", address)]
        assert any(address.endswith("/jupyterlab/default/lab") for address in self._asked)
        return self._asked

    def check(self) -> None:
        """No request left this machine, nothing failed in the page, and no error is shown."""
        here = self.url.partition("://")[2]
        elsewhere = [address for address in self.requests() if not address.partition("://")[2].startswith(here)]
        assert elsewhere == []
        assert self.browser.complaints() == []
        assert self.browser.texts(".jp-Dialog, .Toastify__toast--error, .Toastify__toast--warning") == []


def healthy(url: str, seconds: float = PATIENCE) -> "dict[str, Any]":
    """The answer to Studio's own question ("Custom image specifications"), asked until there is one."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + seconds
    while True:
        try:
            with opener.open(url + "/api/status", timeout=60) as reply:
                status: dict[str, Any] = json.load(reply)
                return status
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def notebook(cells: "list[str]") -> "dict[str, Any]":
    """A document of nbformat 4.5 with these code cells, never run."""
    empty: dict[str, Any] = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    made = [{**empty, "id": f"cell-{number}", "source": source} for number, source in enumerate(cells)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return {"cells": made, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


@contextmanager
def studio(start: Start, network: Any, platform: Platform, tmp_path: Path, **changes: str) -> "Iterator[Lab]":
    """The application, its page open; `changes` are to the variables that Studio passes. At the end nothing may have failed in the page."""
    platform.confidant.service("notebooks", [platform.confidant.credential({"registry_token": SECRET}, "")])
    pointers = platform.pointers("notebooks")
    # Studio's own credentials are link-local, which an address of the bridge is not: keys instead.
    passed = {name: value for name, value in pointers.items() if not name.startswith("AWS_CONTAINER_CREDENTIALS")}
    passed.update(AWS_ACCESS_KEY_ID="studio", AWS_SECRET_ACCESS_KEY="studio", **changes)
    app = Mounted(readable(tmp_path), STUDIO, Passed(passed, {}, []))
    home = tmp_path / "home"
    home.mkdir()
    (home / "screening.ipynb").write_text(json.dumps(notebook(CELLS)))
    (home / "screening.ipynb").chmod(0o666)
    # The terminal is drawn on a canvas; for a screen reader, and for this test, it also tells its lines. A setting of the user's own.
    settings = home / ".jupyter/lab/user-settings/@jupyterlab/terminal-extension/plugin.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"screenReaderMode": true}')
    for directory in (home, *settings.parents[:4]):
        directory.chmod(0o777)
    wheel(home, "teamlib", {"teamlib.py": "answer = 'from the team'\n"})
    options = app.options(PROGRAMS, user="1000:100", network_mode=network.name, **REACHABLE)
    options["volumes"][str(home)] = {"bind": HOME, "mode": "rw"}  # the EBS volume
    container = start(**options)
    container.expect("token config is deprecated", "All authentication is disabled")
    container.handle.reload()
    published = url = f"http://127.0.0.1:{container.handle.ports['8888/tcp'][0]['HostPort']}/jupyterlab/default"
    assert healthy(published)["kernels"] == 0
    work = tmp_path / "chromium"
    work.mkdir()
    where: dict[str, Any] = {}
    if os.geteuid() == 0 and shutil.which("nsenter"):
        # In the application's own network: on this machine's a browser ends all its requests whenever any container comes or goes.
        where["within"] = ("nsenter", "--target", str(container.handle.attrs["State"]["Pid"]), "--net")
        where["address"] = container.handle.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        url = "http://127.0.0.1:8888/jupyterlab/default"
    with Browser(work, **where) as driven:
        opened = Lab(container, url, published, driven)
        driven.open(url + "/lab", ".jp-LauncherCard", "Terminal")
        yield opened
        driven.screenshot(tmp_path / "page.png")
        opened.check()
    assert SECRET not in container.log


@pytest.fixture
def lab(start: Start, need: Callable[[object, str], None], request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[Lab]":
    need(not browser.missing(), browser.missing())
    with studio(start, request.getfixturevalue("network"), request.getfixturevalue("platform"), tmp_path) as opened:
        yield opened


def test_the_first_page_asks_nothing_and_knows_its_kernel(lab: Lab) -> None:
    """JupyterLab would ask to be told its news, and then ask a server of its own: neither is for a platform's image."""
    time.sleep(3)  # the question comes a moment after the page
    assert lab.browser.texts(".Toastify__toast") == []
    asked = [address.partition("/jupyterlab/default")[2] for address in lab.requests()]
    assert not [path for path in asked if path.startswith(("/lab/api/news", "/lab/api/update"))]
    logo = "const image = document.querySelector('.jp-LauncherCard-icon img'); return image ? image.naturalWidth : 0"
    assert lab.browser.run(logo) > 0


def run_all(page: Browser) -> None:
    """By the menu. A notebook takes a moment to reach its kernel; a person waits for `Idle`, too."""
    page.until("#jp-main-statusbar", IDLE)
    page.click(".lm-MenuBar-item", "^Run$")
    page.click(".lm-Menu-item[data-command='runmenu:run-all']", "Run All Cells")


def in_new_cell(page: Browser, code: str) -> None:
    """Type into the notebook's last cell and press Shift+Enter, which makes another below."""
    page.type(code)
    page.press(SHIFT, ENTER)


def test_a_notebook_of_the_volume(lab: Lab) -> None:
    page = lab.browser
    page.click(".jp-DirListing-item", r"screening\.ipynb", times=2)
    page.until(".jp-Notebook .jp-CodeCell", "LogisticRegression")
    run_all(page)
    assert page.until(OUTPUT, "accuracy=").startswith("accuracy=0.97 pid=")
    said = page.until(OUTPUT, "context").splitlines()
    assert said == ["context studio", "python /opt/venv/bin/python", "credentials CREDENTIALS_REGISTRY_TOKEN", "settings"]
    assert "petal length (cm)" in page.until(OUTPUT + " table", "mean")
    width = "const image = document.querySelector('.jp-RenderedImage img'); return image && image.complete ? image.naturalWidth : 0"
    page.until(".jp-RenderedImage")
    assert page.run(width) > 200
    page.press(CONTROL, "s")
    cells = lab.saved("screening.ipynb", "image/png")["cells"]
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3, 4]
    assert "".join(cells[1]["outputs"][0]["text"]).splitlines() == said
    assert healthy(lab.published)["kernels"] == 1


def test_a_terminal(lab: Lab) -> None:
    page = lab.browser
    page.click(".jp-LauncherCard", r"^\s*Terminal")
    page.click(".jp-Terminal .xterm-screen")
    page.until(SCREEN, r"lyftlearn@\S+:~\$")
    page.type("echo $(id -u):$(id -g) $LYFTLEARN_CONTEXT $(command -v python) $(env | grep -o ^CREDENTIALS_[A-Z_]*)")
    page.type(" ${#CREDENTIALS_REGISTRY_TOKEN}" + ENTER)
    page.until(SCREEN, rf"\n1000:100 studio /opt/venv/bin/python CREDENTIALS_REGISTRY_TOKEN {len(SECRET)}\n")
    page.type("python -c 'import sklearn; print(sklearn.__name__ * 2)'" + ENTER)
    page.until(SCREEN, "sklearnsklearn")


def test_a_second_notebook_fails_installs_and_starts_again(lab: Lab) -> None:
    page = lab.browser
    page.click(".jp-DirListing-item", r"screening\.ipynb", times=2)
    page.until(".jp-Notebook .jp-CodeCell", "LogisticRegression")
    run_all(page)
    first = page.until(OUTPUT, "accuracy=")
    page.click(".lm-TabBar-addButton")
    page.click(".jp-LauncherCard[data-category='Notebook']", "Python 3")
    page.until(".lm-TabBar-tab", "Untitled")
    page.until("#jp-main-statusbar", IDLE + r"[\s\S]*Untitled")
    page.click(".jp-Notebook .jp-Cell .cm-content")
    in_new_cell(page, "1/0")
    assert "Traceback (most recent call last)" in page.until(OUTPUT, "ZeroDivisionError: division by zero")
    in_new_cell(page, "import os; print(f'mine={os.getpid()}', 'model' in globals())")
    mine, knows = page.until(OUTPUT, "mine=").partition("=")[2].split()
    assert knows == "False"  # a kernel of its own
    assert mine != first.partition("pid=")[2].strip()
    in_new_cell(page, f"%pip install --no-index {HOME}/teamlib-1.0-py3-none-any.whl")
    assert "Successfully installed teamlib-1.0" in page.until(OUTPUT, "you may need to restart the kernel")
    page.until("#jp-main-statusbar", IDLE)
    page.click(".lm-MenuBar-item", "^Kernel$")
    page.click(".lm-Menu-item[data-command='kernelmenu:restart']", "Restart Kernel")
    page.click(".jp-Dialog button.jp-mod-warn", "Restart")
    lab.gone(mine)
    page.until("#jp-main-statusbar", IDLE)
    page.click(".jp-Notebook .jp-Cell:last-child .cm-content")
    in_new_cell(page, "import os, teamlib; print(teamlib.answer, *[name for name in os.environ if name.startswith('CREDENTIALS_')])")
    assert page.until(OUTPUT, "from the team") == "from the team CREDENTIALS_REGISTRY_TOKEN\n"
    assert healthy(lab.published)["kernels"] == 2
    page.press(CONTROL, "s")
    page.click(".jp-Dialog button.jp-mod-accept", "Rename")  # it asks for a name first; the one there stays
    assert lab.saved("Untitled.ipynb", "from the team")["cells"][0]["outputs"][0]["ename"] == "ZeroDivisionError"
    # What was installed belongs to the group that may write there, like all else, and can be taken away again.
    assert lab.container.exec("find", "/opt/venv", "!", "-group", "100") == (0, "")
    assert lab.container.exec("pip", "uninstall", "-qy", "teamlib") == (0, "")


def test_a_start_that_went_on_without_secrets_says_so_in_the_page(
    start: Start, need: Callable[[object, str], None], network: Any, platform: Platform, tmp_path: Path
) -> None:
    """Studio hides the log; the page has the same line, until it is dismissed or a start has no trouble."""
    need(not browser.missing(), browser.missing())
    with studio(start, network, platform, tmp_path, LYFTLEARN_CONFIDANT_URL="http://127.0.0.1:9", LYFTLEARN_DEADLINE="15") as lab:
        lab.container.expect("this start goes on without it")
        said = lab.browser.until("#lyftlearn-notice", "Confidant at http://127.0.0.1:9 was asked for service notebooks")
        assert "started without something that it should have" in said
        assert "LYFTLEARN-WARNING.txt" in lab.container.exec("ls", HOME)[1]
        lab.browser.click("#lyftlearn-notice button", "Dismiss")
        lab.browser.open(lab.url + "/lab", ".jp-LauncherCard", "Terminal")
        lab.browser.until("body[data-lyftlearn-notice=dismissed]")  # it was asked, and stays away
        assert lab.browser.texts("#lyftlearn-notice") == []
        place = ".local/share/jupyter/labextensions/lyftlearn-notice"
        assert lab.container.exec("test", "-e", f"{HOME}/{place}/package.json")[0] == 0
        assert lab.container.exec("env", "LYFTLEARN_STEPS=none", "lyftlearn-entrypoint", "true")[0] == 0
        assert lab.container.exec("test", "-e", f"{HOME}/{place}")[0] == 1
