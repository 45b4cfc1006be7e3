"""Runs a notebook in a JupyterLab as its page in the browser does: contents, session and kernel over HTTP and a WebSocket.

Jupyter Server's REST API and the kernel's messages: jupyter-server documentation, "The REST API" and "WebSocket kernel wire protocols"
(the default one, JSON in text frames); jupyter-client documentation, "Messaging in Jupyter".
"""

import asyncio
import json
import uuid
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from tornado.websocket import WebSocketClientConnection


class Jupyter:
    """A JupyterLab without a token, as Studio runs it, at `url` (http://HOST:PORT/BASE)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._cookies = CookieJar()
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(self._cookies))

    def healthy(self) -> bool:
        """Whether the server says how it is: what Studio looks for before it shows the application."""
        try:
            return "started" in self.call("GET", "/api/status")
        except (OSError, ValueError):
            return False

    def call(self, method: str, path: str, body: "dict[str, Any] | None" = None) -> "dict[str, Any]":
        """One call of the REST API, with the page's cookie where something is changed. Raises OSError, ValueError."""
        headers = {"Content-Type": "application/json"}
        if method != "GET":
            headers["X-XSRFToken"] = self._token()
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, headers, method=method)  # noqa: S310 (the URL is our own)
        try:
            with self._opener.open(request, timeout=60) as reply:
                text = reply.read()
        except HTTPError as error:
            raise ValueError(f"{method} {path} answered {error.code}: {error.read()[:300].decode(errors='replace')}") from None
        answer: dict[str, Any] = json.loads(text) if text else {}
        return answer

    def run(self, name: str, cells: "list[str]", seconds: float) -> "tuple[str, str]":
        """Makes a notebook of these cells, runs each, saves it with its outputs. Gives what they wrote to stdout and stderr.

        The kernel is left running. Raises ValueError with a cell's error, TimeoutError after `seconds`, OSError.
        """
        made: list[dict[str, Any]] = [
            {"cell_type": "code", "id": uuid.uuid4().hex[:8], "metadata": {}, "source": cell, "outputs": []} for cell in cells
        ]
        self._save(name, made)
        session = self.call("POST", "/api/sessions", {"path": name, "name": name, "type": "notebook", "kernel": {"name": "python3"}})
        try:
            asyncio.run(asyncio.wait_for(self._execute(session, made), seconds))
        except asyncio.TimeoutError:  # before Python 3.11 another one than the built-in
            raise TimeoutError(f"no end of its cells within {seconds:g} s") from None
        self._save(name, made)
        outputs = [output for cell in made for output in cell["outputs"]]
        for output in outputs:
            if output["output_type"] == "error":
                raise ValueError(f"{output['ename']}: {output['evalue']}")
        return _text(outputs, "stdout"), _text(outputs, "stderr")

    def terminal(self, line: str, seconds: float) -> str:
        """Types a line into a new terminal, and `exit`; gives what was shown until its shell had gone.

        Raises TimeoutError after `seconds`, ValueError where the shell does not go, OSError.
        """
        name = self.call("POST", "/api/terminals", {})["name"]
        try:
            return asyncio.run(asyncio.wait_for(self._type(f"/terminals/websocket/{name}", line + "; exit\r"), seconds))
        except asyncio.TimeoutError:
            raise TimeoutError(f"no end of the terminal within {seconds:g} s") from None

    def _token(self) -> str:
        for _ in range(2):
            for cookie in self._cookies:
                if cookie.name == "_xsrf":
                    return str(cookie.value)
            self._opener.open(self.url + "/lab", timeout=60).close()
        raise ValueError("the page /lab sets no cookie _xsrf")

    def _save(self, name: str, cells: "list[dict[str, Any]]") -> None:
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        document = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        self.call("PUT", f"/api/contents/{name}", {"type": "notebook", "format": "json", "content": document})

    async def _connect(self, path: str) -> "WebSocketClientConnection":
        from tornado.httpclient import HTTPRequest
        from tornado.websocket import websocket_connect

        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)
        origin = "/".join(self.url.split("/")[:3])
        address = f"ws{self.url.removeprefix('http')}{path}"
        return await websocket_connect(HTTPRequest(address, headers={"Cookie": cookies, "Origin": origin}))

    async def _type(self, path: str, line: str) -> str:
        """The terminal's messages: lists of a word and its values (terminado, "Websocket protocol")."""
        channel, shown = await self._connect(path), ""
        try:
            await channel.write_message(json.dumps(["stdin", line]))
            while (received := await channel.read_message()) is not None:
                word, *values = json.loads(received)
                if word == "disconnect":
                    return shown
                if word == "stdout":
                    shown += values[0]
        finally:
            channel.close()
        raise ValueError(f"the terminal's channel was closed; it had shown {shown[-300:]!r}")

    async def _execute(self, session: "dict[str, Any]", cells: "list[dict[str, Any]]") -> None:
        me = uuid.uuid4().hex
        channel = await self._connect(f"/api/kernels/{session['kernel']['id']}/channels?session_id={me}")
        try:
            for number, cell in enumerate(cells, 1):
                cell["execution_count"] = number
                await _run_cell(channel, me, cell)
        finally:
            channel.close()
            try:
                await asyncio.wait_for(_until_closed(channel), 5)
            except asyncio.TimeoutError:
                pass


async def _until_closed(channel: "WebSocketClientConnection") -> None:
    while await channel.read_message() is not None:
        pass


async def _run_cell(channel: "WebSocketClientConnection", session: str, cell: "dict[str, Any]") -> None:
    """Sends one cell's source, and gathers its outputs until the kernel has answered and is idle again."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": session, "date": "", "version": "5.3"}
    content = {"code": cell["source"], "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "buffers": [], "channel": "shell"}
    await channel.write_message(json.dumps(message))
    answered = idle = False
    while not (answered and idle):
        received = await channel.read_message()
        if received is None:
            raise ValueError("the kernel's channel was closed")
        told = json.loads(received)
        if told["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        kind, body = told["header"]["msg_type"], told["content"]
        if kind == "execute_reply":
            answered = True
        elif kind == "status":
            idle = body["execution_state"] == "idle"
        elif kind in ("stream", "error", "display_data", "execute_result"):
            cell["outputs"].append({"output_type": kind, **{name: value for name, value in body.items() if name != "transient"}})


def _text(outputs: "list[dict[str, Any]]", stream: str) -> str:
    return "".join(output["text"] for output in outputs if output.get("name") == stream)
