"""Drives a headless Chromium as a person would: a small client of W3C WebDriver over chromedriver's HTTP, with the standard library alone.

Debian's packages are `chromium` and `chromium-driver`. Sources: W3C WebDriver (sessions, elements, actions), chromedriver's page on
`goog:loggingPrefs` (the `performance` log holds the events of the DevTools protocol's Network domain).
"""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's reference (W3C WebDriver, "Elements")
CONTROL, SHIFT, ENTER, ESCAPE = "\ue009", "\ue008", "\ue007", "\ue00c"  # W3C WebDriver, "Keyboard actions"
# Nothing of the browser's own reaches out: without name resolution but for this machine, what the page asks elsewhere fails, and is logged.
_OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server", "--lang=en-US"),
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


class DriverError(Exception):
    """chromedriver refused a command: `kind` is WebDriver's error code, such as `stale element reference`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message.splitlines()[0] if message else ''}")
        self.kind = kind


def missing() -> str:
    """Which of Debian's packages this machine lacks; '' where the browser can be driven."""
    packages = {"chromium": "chromium", "chromedriver": "chromium-driver"}
    lacking = [package for program, package in packages.items() if not shutil.which(program)]
    return "not installed: " + ", ".join(lacking) if lacking else ""


class Browser:
    """`with Browser(directory, size) as browser:` starts chromedriver and a Chromium with a new profile below `directory`.

    `size` is the window's (width, height) in pixels. `within` are words before the command that start it in another network's namespace,
    where this machine reaches it at `address`. Everything ends with the block. Raises TimeoutError, DriverError.
    """

    def __init__(
        self, directory: Path, size: "tuple[int, int]" = (1400, 1500), within: "Sequence[str]" = (), address: str = "127.0.0.1"
    ) -> None:
        self._directory = directory
        self._size = size
        self._within, self._host = within, address

    def __enter__(self) -> "Browser":
        with (self._directory / "chromedriver.log").open("wb") as log:
            command = [*self._within, "chromedriver", "--port=0", *(["--allowed-ips="] if self._within else [])]
            self._driver = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            self._address = f"http://{self._host}:{self._port()}"
            width, height = self._size
            arguments = [*_OPTIONS, f"--window-size={width},{height}", f"--user-data-dir={self._directory / 'profile'}"]
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": {"args": arguments},
                "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"},
            }
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        except BaseException:
            self._end()
            raise
        self._session = f"/session/{made['sessionId']}"
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ask("DELETE", self._session)
        finally:
            self._end()

    def _port(self) -> int:
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                return int(found[1])
        raise TimeoutError("chromedriver ended before it listened: " + (self._directory / "chromedriver.log").read_text(errors="replace"))

    def _end(self) -> None:
        self._driver.terminate()
        try:
            self._driver.wait(60)
        except subprocess.TimeoutExpired:
            self._driver.kill()
            self._driver.wait()
        assert self._driver.stdout is not None
        self._driver.stdout.close()

    def _ask(self, method: str, path: str, document: "dict[str, Any] | None" = None, seconds: float = 300) -> Any:
        body = None if method != "POST" else json.dumps(document or {}).encode()
        request = urllib.request.Request(self._address + path, body, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=seconds) as reply:
                return json.load(reply)["value"]
        except urllib.error.HTTPError as error:
            with error:
                value = json.load(error)["value"]
            raise DriverError(value["error"], value["message"]) from None

    def open(self, url: str, css: str, pattern: str = "") -> None:
        """Go to an address, and wait for the element by which a person sees that the page is there. As a person would, load it again
        where it does not come, four times at most: Chromium ends all requests when some container's interface comes up on this machine."""
        for seconds in (30, 30, 60, 60, 120):
            self._ask("POST", self._session + "/url", {"url": url})
            try:
                self.until(css, pattern, seconds)
            except TimeoutError:
                if seconds == 120:
                    raise
            else:
                return

    def run(self, script: str, *arguments: object) -> Any:
        """What a function body of JavaScript returns in the page."""
        return self._ask("POST", self._session + "/execute/sync", {"script": script, "args": list(arguments)})

    def texts(self, css: str) -> "list[str]":
        """The text of each element that a person can see, as it is shown."""
        script = "return [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length).map(e => e.innerText)"
        return [str(text) for text in self.run(script, css)]

    def until(self, css: str, pattern: str = "", seconds: float = 180) -> str:
        """Wait until a visible element holds text that matches `pattern`, and give that text."""
        end = time.monotonic() + seconds
        while True:
            shown = self.texts(css)
            for text in shown:
                if re.search(pattern, text):
                    return text
            if time.monotonic() > end:
                raise TimeoutError(f"nothing in {css} matches {pattern!r} after {seconds} s; there is {shown}; the page: {self.page()}")
            time.sleep(0.2)

    def page(self) -> str:
        """All of the page's visible text."""
        return str(self.run("return document.body.innerText"))

    def _element(self, css: str, pattern: str) -> "dict[str, str]":
        """The first visible element that matches, its text too."""
        for element in self._ask("POST", self._session + "/elements", {"using": "css selector", "value": css}):
            script = "const e = arguments[0]; return e.getClientRects().length ? e.innerText : null"
            text = self.run(script, element)
            if text is not None and re.search(pattern, text):
                return {ELEMENT: element[ELEMENT]}
        raise DriverError("no such element", f"{css} with {pattern!r}")

    def click(self, css: str, pattern: str = "", times: int = 1, seconds: float = 180) -> None:
        """Move the mouse to the middle of an element and press its button, once it is there."""
        end = time.monotonic() + seconds
        while True:
            try:
                element = self._element(css, pattern)
                moves: list[dict[str, object]] = [{"type": "pointerMove", "duration": 50, "x": 0, "y": 0, "origin": element}]
                moves += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}] * times
                self._perform({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves})
            except DriverError as error:  # not there yet, drawn anew between two questions, or still outside the window
                if time.monotonic() > end:
                    raise TimeoutError(f"no {css} with {pattern!r} to click on ({error}); the page: {self.page()}") from None
                time.sleep(0.2)
            else:
                return

    def type(self, text: str) -> None:
        """Press and release one key after another, in whatever has the focus."""
        self._perform(
            {"type": "key", "id": "keyboard", "actions": [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]}
        )

    def press(self, *keys: str) -> None:
        """Press keys together, such as CONTROL and `s`."""
        down = [{"type": "keyDown", "value": key} for key in keys]
        up = [{"type": "keyUp", "value": key} for key in reversed(keys)]
        self._perform({"type": "key", "id": "keyboard", "actions": down + up})

    def _perform(self, source: "dict[str, object]") -> None:
        self._ask("POST", self._session + "/actions", {"actions": [source]})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._ask("GET", self._session + "/screenshot")))

    def complaints(self) -> "list[str]":
        """What the page wrote to its console as an error since the last call: failed requests, exceptions. Not those that this machine's
        network cut off while it changed (see `open`): JupyterLab asks again."""
        entries = self._ask("POST", self._session + "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE" and "ERR_NETWORK_CHANGED" not in entry["message"]]

    def requests(self) -> "list[str]":
        """Every address that the page asked since the last call: documents, scripts, fonts, fetches, web sockets."""
        asked = []
        for entry in self._ask("POST", self._session + "/se/log", {"type": "performance"}):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                asked.append(str(event["params"]["request"]["url"]))
            elif event["method"] == "Network.webSocketCreated":
                asked.append(str(event["params"]["url"]))
        return asked
