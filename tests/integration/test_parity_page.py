"""The page of a comparison in a real Chromium: what a person sees and finds, on a wide screen, on a phone and on paper."""

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from lyftlearn_entrypoint.cli import main
from tests.images import browser
from tests.images.browser import ESCAPE, Browser

A, B = "hmac:" + "a" * 32, "hmac:" + "b" * 32
POD: "dict[str, Any]" = {
    "form": "lyftlearn-snapshot/1",
    "version": "1.0.0",
    "taken": "2026-01-01T00:00:00Z",
    "how": "start",
    "context": "kubernetes",
    "key": "0123456789abcdef",
    "milliseconds": 5,
    "incomplete": [],
    "facts": {
        "variables": {"HOME": A, "TOKEN": A, "KUBERNETES_SERVICE_HOST": A, "ODD<b>NAME</b>": A},
        "process": {"umask": "0022", "nice": 0},
        "mounts": {"/a/very/long/path/that/does/not/fit/on/a/narrow/screen/at/all/" + "x" * 120: {"type": "tmpfs", "read_only": False}},
    },
}
CONTRACT = """explanations:
  - path: variables[KUBERNETES_*]
    in: [kubernetes]
    why: There is no API server beside a job.
    notice: Clients of the Kubernetes API.
  - path: variables[GONE]
    in: [studio]
    why: It was there once.
    notice: Nothing.
"""


def written(tmp_path: Path) -> str:
    job, studio = copy.deepcopy(POD), copy.deepcopy(POD)
    job["context"], studio["context"] = "sagemaker-training", "studio"
    for document in (job, studio):
        del document["facts"]["variables"]["KUBERNETES_SERVICE_HOST"]
    job["facts"]["variables"]["TOKEN"] = B
    job["facts"]["process"]["umask"] = "0077"
    for name, document in (("pod", POD), ("training", job), ("studio", studio)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    names = [str(tmp_path / f"{name}.json") for name in ("pod", "training", "studio")]
    done = CliRunner().invoke(
        main, ["parity", "--contract", str(tmp_path / "contract.yaml"), "--html", str(tmp_path / "page.html"), *names]
    )
    assert done.exit_code == 1, done.output
    return f"file://{tmp_path / 'page.html'}"


def shown(chromium: Browser) -> "list[str]":
    """What can be read of rows: of what is closed there is no text."""
    return [text.split("\n")[0] for text in chromium.texts("article, .same .row th, .stale .row code") if text]


def test_the_page(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    need(not browser.missing(), browser.missing())
    address = written(tmp_path)
    with Browser(tmp_path, (1300, 1200)) as chromium:
        chromium.open(address, "h1", "2 differences nobody explains")
        assert chromium.texts("header dd") == ["7", "1", "2", "1"]
        # Open and first: what is not explained; the rest is one click away.
        assert shown(chromium) == ["variables[TOKEN]", "process.umask", "variables[GONE]"]
        assert chromium.texts(".breaks")[0] == "would break programs that read their settings and secrets from the environment"
        assert chromium.texts("article .bad dd") == ["#bbbbbbb", "0077"]
        table = [text.split("\t") for text in chromium.texts(".overview tbody tr")]
        assert table[0][0] == "Variables"
        assert table[0][1].startswith("1 ✕")
        assert table[0][2].startswith("1")
        assert [row[1][0] for row in table if row[0] == "Resources"] == ["✓"]
        [because] = chromium.texts(".because summary")
        assert "There is no API server beside a job." in because
        assert "To notice: Clients of the Kubernetes API." in because
        chromium.click(".because summary code")
        assert "variables[KUBERNETES_SERVICE_HOST]" in shown(chromium)
        assert not chromium.complaints()
        assert not [asked for asked in chromium.requests() if asked.startswith(("http", "ws"))]


def test_what_is_searched_is_found(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    need(not browser.missing(), browser.missing())
    address = written(tmp_path)
    with Browser(tmp_path, (1300, 1200)) as chromium:
        chromium.open(address, "h1", "2 differences nobody explains")
        chromium.press("/")
        chromium.type("api server")  # a reason, in a part that was closed
        assert shown(chromium) == ["variables[KUBERNETES_SERVICE_HOST]"]
        assert chromium.texts("#count") == ["1 found"]
        assert chromium.texts("section h2") == ["Explained"]
        chromium.press(ESCAPE)
        assert shown(chromium) == ["variables[TOKEN]", "process.umask", "variables[GONE]"]
        chromium.click("#search")
        chromium.type("<b>name")  # of what is the same, and shown as it is written
        assert shown(chromium) == ["variables[ODD<b>NAME</b>]"]
        chromium.press(ESCAPE)
        chromium.type("no such thing")
        assert shown(chromium) == []
        assert chromium.texts("#nothing") == ["Nothing matches."]
        chromium.press(ESCAPE)
        chromium.run("const s = document.getElementById('place'); s.value = 'studio'; s.dispatchEvent(new Event('change'))")
        assert shown(chromium) == ["variables[GONE]"]  # that of the pod alone is closed
        assert chromium.texts(".because .many") == ["1"]


def test_on_a_phone_and_on_paper(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    need(not browser.missing(), browser.missing())
    address = written(tmp_path)
    with Browser(tmp_path, (500, 900)) as chromium:
        chromium.open(address, "h1", "2 differences nobody explains")
        chromium.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
        assert chromium.run("return document.documentElement.scrollWidth <= window.innerWidth")
        assert len(chromium.texts("article .bad dd")) == 2
        tops = chromium.run("return [...document.querySelectorAll('article dl')[0].children].map(e => e.getBoundingClientRect().top)")
        assert len(set(tops)) == 3  # one context below the other
        small = "return [...document.querySelectorAll('summary, input, select')].filter(e => e.getBoundingClientRect().height < 24).length"
        assert chromium.run(small) == 0  # what a finger is to hit (WCAG 2.2, 2.5.8: 24 pixels)
    with Browser(tmp_path, (1300, 900)) as chromium:
        chromium.open(address, "h1", "2 differences nobody explains")
        paper = base64.b64decode(chromium._ask("POST", chromium._session + "/print"))
        assert paper.startswith(b"%PDF-")
        chromium._ask("POST", chromium._session + "/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"media": "print"}})
        assert chromium.texts("nav, .same") == []  # nobody searches on paper
        assert shown(chromium) == ["variables[TOKEN]", "process.umask", "variables[GONE]"]
        assert len(chromium.texts(".because .why")) == 1


def test_without_javascript_all_is_there(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    need(not browser.missing(), browser.missing())
    address = written(tmp_path)
    page = tmp_path / "page.html"
    page.write_text(page.read_text(encoding="utf-8").replace("script-src 'unsafe-inline'", "script-src 'none'"), encoding="utf-8")
    with Browser(tmp_path, (1300, 1200)) as chromium:
        chromium.open(address, "h1", "2 differences nobody explains")
        assert shown(chromium) == ["variables[TOKEN]", "process.umask", "variables[GONE]"]
        assert chromium.texts("nav") == []
        assert chromium.texts("#nothing") == []
