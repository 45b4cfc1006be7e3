"""A registry that answers by a script, and the client of it."""

import base64
from collections.abc import Callable

from lyftlearn_entrypoint.cli.image.ecr import Destination, Login, Tokens
from lyftlearn_entrypoint.cli.image.registry import Registry
from tests.fake_http import Answer, FakeServer, Request, Script


class Counted(Tokens):
    """Tokens t1, t2, ... ; a new one whenever one is asked for."""

    def __init__(self) -> None:
        self.number = 1

    def get(self) -> Login:
        return Login("AWS", f"t{self.number}")

    def renew(self) -> Login:
        self.number += 1
        return self.get()


class Met:
    """A registry that answers by a script, the client of it, and the pauses it made."""

    def __init__(self, port: int, server: "FakeServer | None" = None) -> None:
        self.server = server
        self.tokens = Counted()
        self.pauses: list[float] = []
        self.registry = Registry(Destination(f"127.0.0.1:{port}", "a/b"), self.tokens, sleep=self.pauses.append)

    def passwords(self) -> list[str]:
        assert self.server is not None
        return [password(request) for request in self.server.requests]


def closing(script: Script) -> Script:
    """The server takes one request a connection, and says so, or the client would find out by a request that fails."""

    def run(request: Request) -> Answer:
        reply = script(request)
        return reply.replace(b"\r\n", b"\r\nConnection: close\r\n", 1) if isinstance(reply, bytes) else reply

    return run


def password(request: Request) -> str:
    return base64.b64decode(request.headers.get("authorization", "Basic ").removeprefix("Basic ")).decode().partition(":")[2]


Meet = Callable[..., Met]
