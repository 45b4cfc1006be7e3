"""How the API server answers a request. What is kept, and what it may be told to refuse: store.py, api.py."""

import json
import queue
import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.images.spark import patches
from tests.images.spark.store import KINDS, Conflict, Object, Watch
from tests.images.spark.websocket import WebSocket, accept

if TYPE_CHECKING:
    from tests.images.spark.api import Api

PATH = re.compile(r"/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?(?:/([a-z]+))?")


@dataclass
class Request:
    """One request as it came. `verb` is Kubernetes' own (get, list, watch, create, patch, update, delete, deletecollection)."""

    verb: str
    resource: str
    namespace: str
    name: str
    query: "dict[str, str]"
    body: Any
    agent: str
    upgrade: bool  # to a WebSocket
    code: int = 0  # the answer's; 0 while there is none
    at: float = 0.0  # time.monotonic()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_side: "Api"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def serve(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        raw = self._body()
        found = PATH.fullmatch(unquote(parts.path))
        namespace, resource, name, below = ((found[number] or "") for number in range(1, 5)) if found else ("", "", "", "")
        request = Request(
            verb=self._verb(name, query),
            resource=resource + ("/" + below if below else ""),
            namespace=namespace,
            name=name,
            query=query,
            body=json.loads(raw) if raw else None,
            agent=self.headers.get("User-Agent", ""),
            upgrade=self.headers.get("Upgrade", "").lower() == "websocket",
            at=time.monotonic(),
        )
        self.request_seen = request
        api = self.server_side
        api.requests.append(request)
        if api.tokens and self.headers.get("Authorization", "").removeprefix("Bearer ") not in api.tokens:
            self.fail(401, "Unauthorized", "Unauthorized")
        elif parts.path == "/version":
            self.answer(200, {"major": "1", "minor": "32", "gitVersion": "v1.32.0"})
        elif not found:
            self.fail(404, "NotFound", "the server could not find the requested resource")
        elif (request.verb, resource) in api.denied:
            self.fail(403, "Forbidden", f'{resource} is forbidden: User "driver" cannot {request.verb} resource "{resource}"')
        else:
            self._handle(request)

    def _verb(self, name: str, query: "dict[str, str]") -> str:
        if self.command == "GET":
            return "watch" if query.get("watch") in ("true", "1") else "get" if name else "list"
        if self.command == "DELETE":
            return "delete" if name else "deletecollection"
        return {"POST": "create", "PUT": "update", "PATCH": "patch"}[self.command]

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _handle(self, request: Request) -> None:
        store, selector, fields = self.server_side.store, request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        key = (request.resource, request.namespace, request.name)
        if request.resource == "pods/log":
            self.answer(200, self.server_side.log_of(request.namespace, request.name))
        elif request.resource == "selfsubjectaccessreviews":
            wanted = request.body["spec"]["resourceAttributes"]
            allowed = (wanted["verb"], wanted["resource"]) not in self.server_side.denied
            self.answer(201, {**request.body, "status": {"allowed": allowed}})
        elif request.verb == "get":
            self.found(store.get(*key), request)
        elif request.verb == "list":
            items = store.find(request.resource, request.namespace, selector, fields)
            self.answer(200, _collection(request.resource, store.version, items))
        elif request.verb == "watch":
            if request.name:
                fields = "metadata.name=" + request.name
            self._watch(
                store.watch(request.resource, request.namespace, selector, fields, request.query.get("resourceVersion", "")), request
            )
        elif request.verb == "create" and request.query.get("dryRun") == "All":
            self.answer(201, request.body)
        elif request.verb == "create":
            try:
                self.answer(201, store.create(request.resource, request.namespace, request.body))
            except Conflict as conflict:
                self.fail(409, "AlreadyExists", str(conflict))
        elif request.verb == "update":
            self.found(
                store.update(*key, lambda old: {**request.body, "metadata": {**old["metadata"], **request.body["metadata"]}}), request
            )
        elif request.verb == "patch":
            self.found(store.update(*key, lambda old: patches.apply(old, request.body)), request)
        else:
            self._delete(request, selector, fields)

    def _delete(self, request: Request, selector: str, fields: str) -> None:
        store = self.server_side.store
        seconds = (request.body or {}).get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        grace = None if seconds is None else int(seconds)
        if request.name:
            self.found(store.delete(request.resource, request.namespace, request.name, grace), request)
            return
        found = store.find(request.resource, request.namespace, selector, fields)
        for item in found:
            store.delete(request.resource, request.namespace, item["metadata"]["name"], grace)
        self.answer(200, _collection(request.resource, store.version, found))

    def _watch(self, watch: Watch, request: Request) -> None:
        """Events until the client goes, its timeoutSeconds are over or the server stops: frames of a WebSocket, or lines of JSON."""
        store = self.server_side.store
        end = time.monotonic() + float(request.query.get("timeoutSeconds", 3600))
        self.close_connection = True
        try:
            if request.upgrade and not self.server_side.websockets:
                self.fail(400, "BadRequest", "this server speaks no WebSocket")
                return
            channel = self._websocket() if request.upgrade else None
            if channel is None:
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
            request.code = 101 if channel else 200
            while time.monotonic() < end and not (channel and channel.closed.is_set()):
                event = _next(watch)
                if event is None:
                    break
                if event:
                    line = json.dumps({"type": event[0], "object": event[1]})
                    if channel:
                        channel.send(line)
                    else:
                        self.wfile.write(line.encode() + b"\n")
            if channel:
                channel.close()
        except OSError:
            pass
        finally:
            store.unwatch(watch)

    def _websocket(self) -> WebSocket:
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept(self.headers["Sec-WebSocket-Key"]))
        self.end_headers()
        made = WebSocket(self.rfile, self.wfile)  # type: ignore[arg-type]
        threading.Thread(target=made.read, daemon=True).start()
        return made

    def found(self, thing: "Object | None", request: Request) -> None:
        if thing is None:
            self.fail(404, "NotFound", f'{request.resource} "{request.name}" not found')
        else:
            self.answer(200, thing)

    def fail(self, code: int, reason: str, message: str) -> None:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        self.answer(code, {**status, "message": message, "reason": reason, "code": code})

    def answer(self, code: int, content: "Object | str") -> None:
        self.request_seen.code = code
        data = (content if isinstance(content, str) else json.dumps(content)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _next(watch: Watch) -> "tuple[str, Object] | tuple[()] | None":
    """The next event, () when there is none for a while, None at the end."""
    try:
        return watch.events.get(timeout=0.5)
    except queue.Empty:
        return ()


def _collection(resource: str, version: int, items: "list[Object]") -> Object:
    kind = KINDS.get(resource, resource) + "List"
    return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": str(version)}, "items": items}
