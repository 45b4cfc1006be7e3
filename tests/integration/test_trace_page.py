"""The waterfall's page in a real Chromium: what a person sees, on a wide screen, on a phone and in print."""

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from lyftlearn_entrypoint.cli import main
from tests.images import browser
from tests.images.browser import Browser

EVENTS = [
    ("interpreter", "step", 0, 8, 1, {}),
    ("fetch", "step", 10, 400, 1, {}),
    ("environment", "task", 11, 60, 2, {}),
    ("GET bucket.example:443", "request", 12, 59, 2, {"status": 200}),
    ("credentials", "task", 11, 399, 3, {}),
    ("GET confidant.example:443", "request", 20, 390, 3, {"error": "timed out after 0.4 s"}),
]


def written(tmp_path: Path) -> str:
    events = [
        {"name": name, "cat": category, "ph": "X", "ts": begin * 1000, "dur": (end - begin) * 1000, "pid": 1, "tid": thread, "args": facts}
        for name, category, begin, end, thread, facts in EVENTS
    ]
    said = {"name": "error: no answer", "ph": "i", "ts": 399000, "pid": 1, "tid": 1}
    (tmp_path / "trace.json").write_text(json.dumps({"traceEvents": [*events, said], "otherData": {"code": 69, "context": "studio"}}))
    done = CliRunner().invoke(main, ["trace", str(tmp_path / "trace.json"), "--html", str(tmp_path / "trace.html")])
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    return f"file://{tmp_path / 'trace.html'}"


def test_the_page(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    need(not browser.missing(), browser.missing())
    address = written(tmp_path)
    with Browser(tmp_path, (1300, 900)) as chromium:
        chromium.open(address, "h1", "start in studio, which failed with exit 69: 400.0 ms")
        assert len(chromium.texts(".row summary")) == len(EVENTS)
        assert "92 %" in chromium.texts("#blame li")[0]
        assert "GET confidant.example:443" in chromium.texts("#blame li")[0]
        assert any("timed out after 0.4 s" in text for text in chromium.texts(".row small"))
        width = "getBoundingClientRect().width"
        shares = chromium.run(f"return [...document.querySelectorAll('.lane')].map(lane => lane.firstChild.{width} / lane.{width})")
        assert abs(max(shares) - 0.975) < 0.01
        chromium.click("#search")
        chromium.type("bucket")
        assert [text.split("\n")[0] for text in chromium.texts(".row summary")] == ["GET bucket.example:443"]
        chromium.run("document.getElementById('search').value = ''; document.getElementById('search').dispatchEvent(new Event('input'))")
        chromium.click("#only")
        assert not any("environment" in text for text in chromium.texts(".row .name"))
        chromium.click(".row summary", "confidant")
        assert any("critical" in text for text in chromium.texts("dl"))
        assert chromium.texts("#log .error") == ["399.0 ms error: no answer"]
        assert not chromium.complaints()
        assert chromium.run("return document.querySelector('[http-equiv]').content").startswith("default-src 'none';")
        assert not [asked for asked in chromium.requests() if asked.startswith(("http", "ws"))]


def test_on_a_phone_nothing_is_cut_off(tmp_path: Path, need: Callable[[object, str], None]) -> None:
    need(not browser.missing(), browser.missing())
    address = written(tmp_path)
    with Browser(tmp_path, (500, 800)) as chromium:
        chromium.open(address, "h1", "start in studio")
        assert chromium.run("return document.documentElement.scrollWidth <= window.innerWidth")
        assert len(chromium.texts(".row summary")) == len(EVENTS)
