"""What `lyftlearn image push` meets: a real registry on loopback, moto's ECR API, and a front before each that can be made to fail.

The registry is Debian's docker-registry with passwords (htpasswd): the user is AWS, the password is the token that moto gives. Its front
adds what ECR has and that registry has not: repositories that must exist first (moto knows which), tags that cannot be moved, tokens that
expire. The words are ECR's, as its users quote them (aws/containers-roadmap issue 862, plexsystems/sinker issue 55, aws/aws-cli issue
6580). That the real ECR behaves so is not tested.
"""

import base64
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config

import lyftlearn_local.moto_process
from lyftlearn_entrypoint.cli.image.registry import OCI_INDEX, digest_of
from lyftlearn_local.children import Child

_PATIENCE = 120  # seconds; of a machine that has much else to do
ACCOUNT, REGION = "123456789012", "us-east-1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
# What the fixtures give: the program as a user runs it, and small images.
Push = Callable[..., "subprocess.CompletedProcess[str]"]
Make = Callable[..., Any]


class Request:
    """A request on its way to a server: method, path with query, headers in lower case, body."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body

    @property
    def password(self) -> str:
        """The password of its Basic authentication; '' without one."""
        kind, _, encoded = self.headers.get("authorization", "").partition(" ")
        return base64.b64decode(encoded).decode().partition(":")[2] if kind == "Basic" else ""


class Reply:
    """An answer. `close` ends the connection without any."""

    def __init__(self, status: int, body: bytes = b"", headers: "dict[str, str] | None" = None, close: bool = False) -> None:
        self.status, self.body, self.headers, self.close = status, body, headers or {}, close


def error(status: int, code: str, message: str) -> Reply:
    """An error as the distribution specification writes it."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return Reply(status, body, {"Content-Type": "application/json; charset=utf-8"})


DOWN = Reply(0, close=True)
# A rule looks at a request: its reply, or None to go on. It may call `pass_on` itself.
Rule = Callable[[Request, Callable[[Request], Reply]], "Reply | None"]


class Front:
    """A reverse proxy on loopback. `seen` keeps each request; the first of `rules` that answers one decides it."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.seen: list[Request] = []
        self.rules: list[Rule] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self._sized()
                request = Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                front.seen.append(request)
                reply = next((found for rule in list(front.rules) if (found := rule(request, front.pass_on))), None) or front.pass_on(
                    request
                )
                if reply.close:
                    self.close_connection = True
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    return
                self.send_response(reply.status)
                headers = {"Content-Length": str(len(reply.body)), **reply.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def _sized(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length", "0")))

            def _chunks(self) -> bytes:
                found = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    found.append(self.rfile.read(size))
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return b"".join(found)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def pass_on(self, request: Request) -> Reply:
        """The server's own answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=_PATIENCE)
        headers = {
            name: value for name, value in request.headers.items() if name not in ("transfer-encoding", "connection", "content-length")
        }
        try:
            connection.request(request.method, request.path, body=request.body, headers=headers)
            answer = connection.getresponse()
            length = answer.headers.get("Content-Length")
            body = answer.read()
        except OSError:
            return DOWN
        finally:
            connection.close()
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in ("transfer-encoding", "connection", "date")}
        if request.method == "HEAD" and length is not None:
            kept["Content-Length"] = length
        return Reply(answer.status, body, kept)

    def count(self, method: str, pattern: str) -> int:
        """How many requests there were of that method, to a path that the pattern is found in."""
        return sum(request.method == method and re.search(pattern, request.path) is not None for request in list(self.seen))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class World:
    """Both servers with their fronts. `environ` is what a user's shell would have; `host` is the registry's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.home.mkdir()
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1"}
        keys = {"AWS_ACCESS_KEY_ID": "operator", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_DEFAULT_REGION": REGION}
        moto = [sys.executable, "-I", str(Path(lyftlearn_local.moto_process.__file__)), "127.0.0.1"]
        self._moto = Child("moto", moto, {**plain, **keys}, directory / "moto.log")
        self.api = Front(self._moto.port())
        self.environ = {**plain, **keys, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.api.port}"}
        if "DOCKER_HOST" in os.environ:
            self.environ["DOCKER_HOST"] = os.environ["DOCKER_HOST"]
        # At moto itself, so that what the fronts count is the program's own.
        self.ecr: Any = boto3.client(
            "ecr",
            endpoint_url=f"http://127.0.0.1:{self.api.upstream}",
            region_name=REGION,
            aws_access_key_id="operator",
            aws_secret_access_key="s3cr3t",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        token = base64.b64decode(self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]).decode()
        self.user, _, self.password = token.partition(":")
        self._registry: "subprocess.Popen[bytes] | None" = None
        self._kept = reserved()  # also while the registry is away, and tests see that it is
        self.registry_port = port_of(self._kept)
        self.start_registry()
        self.front = Front(self.registry_port)
        self.host = f"127.0.0.1:{self.front.port}"
        self.referring: dict[str, list[dict[str, Any]]] = {}  # by the digest that they refer to

    def start_registry(self) -> None:
        """Start the registry; where it ran before, on the same port and with what it had."""
        passwords = self.directory / "htpasswd"
        made = subprocess.run(["htpasswd", "-inBC", "4", self.user], input=self.password.encode(), stdout=subprocess.PIPE, check=True)
        passwords.write_bytes(made.stdout)
        settings: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.directory / "registry")}},
            "http": {"addr": f"127.0.0.1:{self.registry_port}", "secret": "of this test"},
            "auth": {"htpasswd": {"realm": "test", "path": str(passwords)}},
        }
        (self.directory / "registry.yml").write_text(json.dumps(settings))  # JSON is YAML
        with (self.directory / "registry.log").open("ab") as log:
            # The kernel ends it when this process ends, however it ends.
            command = ["setpriv", "--pdeathsig", "KILL", "docker-registry", "serve", str(self.directory / "registry.yml")]
            self._registry = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.registry_port), 1).close()
                return
            except OSError:
                assert self._registry.poll() is None, (self.directory / "registry.log").read_text()
                assert time.monotonic() < end, "the registry does not listen"
                time.sleep(0.05)

    def url(self, repository: str, rest: str) -> str:
        """At the registry itself, past its front. `repository` with its host."""
        return f"http://127.0.0.1:{self.registry_port}/v2/{repository.partition('/')[2]}/{rest}"

    def stored(self, repository: str, reference: str) -> "requests.Response":
        """A manifest that the registry itself has."""
        kinds = ("docker.distribution.manifest.v2", "oci.image.manifest.v1", "oci.image.index.v1")
        return requests.get(
            self.url(repository, f"manifests/{reference}"),
            headers={"Accept": ", ".join(f"application/vnd.{kind}+json" for kind in kinds)},
            auth=(self.user, self.password),
            timeout=_PATIENCE,
        )

    def kill_registry(self) -> None:
        if self._registry is not None:
            self._registry.kill()
            self._registry.wait()

    def reset(self) -> None:
        """No rules, nothing seen."""
        for front in (self.front, self.api):
            front.rules.clear()
            front.seen.clear()
        self.referring.clear()

    def close(self) -> None:
        for front in (self.front, self.api):
            front.close()
        self.kill_registry()
        self._kept.close()
        self._moto.stop()

    # What ECR has and Debian's registry has not, as rules of the registry's front.

    def repositories_must_exist(self, request: Request, pass_on: Callable[[Request], Reply]) -> "Reply | None":
        found = re.match(r"/v2/(.+)/(manifests|blobs|tags|referrers)/", request.path)
        if found is None:
            return None
        try:
            self.ecr.describe_repositories(repositoryNames=[found[1]])
        except self.ecr.exceptions.RepositoryNotFoundException:
            said = f"The repository with name '{found[1]}' does not exist in the registry with id '{ACCOUNT}'"
            return error(404, "NAME_UNKNOWN", said)
        return None

    def immutable_tags(self, request: Request, pass_on: Callable[[Request], Reply]) -> "Reply | None":
        """ECR refuses the put of a tag that is there, also of the same image (moby/buildkit issue 3776)."""
        found = re.match(r"/v2/(.+)/manifests/([^:]+)$", request.path)
        if found is None or request.method != "PUT":
            return None
        there = pass_on(Request("HEAD", request.path, {**request.headers, "accept": "*/*"}, b""))
        said = f"The image tag '{found[2]}' already exists in the '{found[1]}' repository and cannot be overwritten because the repository"
        return error(400, "TAG_INVALID", f"{said} is immutable.") if there.status == 200 else None

    def referrers(self, request: Request, pass_on: Callable[[Request], Reply]) -> "Reply | None":
        """A registry that lists referrers itself, and says so when it takes one. Source: distribution specification 1.1."""
        if found := re.match(r"/v2/.+/referrers/(sha256:[0-9a-f]{64})", request.path):
            listed = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self.referring.get(found[1], [])}
            return Reply(200, json.dumps(listed).encode(), {"Content-Type": OCI_INDEX})
        document = json.loads(request.body or b"{}") if request.method == "PUT" and "/manifests/" in request.path else {}
        if not (subject := document.get("subject")):
            return None
        reply = pass_on(request)
        entry = {"mediaType": document["mediaType"], "digest": digest_of(request.body), "size": len(request.body)}
        self.referring.setdefault(subject["digest"], []).append({**entry, "artifactType": document["config"]["mediaType"]})
        return Reply(reply.status, reply.body, {**reply.headers, "OCI-Subject": subject["digest"]})

    def token_expires_after(self, count: int, pattern: str) -> Rule:
        """After so many requests to such a path the token has expired; a second one, from ECR's API, is good."""
        passed: list[Request] = []

        def rule(request: Request, pass_on: Callable[[Request], Reply]) -> "Reply | None":
            if re.search(pattern, f"{request.method} {request.path}"):
                passed.append(request)
            if len(passed) > count and self.tokens() < 2:
                return error(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")
            return None

        return rule

    def tokens(self) -> int:
        """How many tokens the program has got."""
        return sum(request.headers.get("x-amz-target", "").endswith(".GetAuthorizationToken") for request in list(self.api.seen))


def times(count: int, method: str, pattern: str, reply: Reply) -> Rule:
    """That reply to the first so many requests of the method to such a path."""
    left = [reply] * count

    def rule(request: Request, pass_on: Callable[[Request], Reply]) -> "Reply | None":
        return left.pop() if left and request.method == method and re.search(pattern, request.path) else None

    return rule


def reserved() -> socket.socket:
    """A socket that keeps a port of 127.0.0.1, at which nobody listens until somebody who reuses addresses does.

    The kernel gives no other the port: neither who wants any, nor a connection that goes out. tcp(7), ip_local_port_range.
    """
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept


def port_of(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])
