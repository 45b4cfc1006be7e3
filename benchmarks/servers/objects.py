"""An S3 of one object on loopback: HEAD and GET with ranges, one thread a connection, by sendfile(2): what is measured is the client.

python benchmarks/servers/objects.py FILE [CERTIFICATE]    # prints the port; with a certificate and key in one PEM file, by TLS
"""

import os
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILE = sys.argv[1]
SIZE = os.path.getsize(FILE)
DESCRIPTOR = os.open(FILE, os.O_RDONLY)


class Object(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.head(0, SIZE - 1, 200)

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), min(int(asked[2] or SIZE), SIZE - 1)) if asked else (0, SIZE - 1)
        self.head(first, last, 206 if asked else 200)
        at, end = first, last + 1
        while at < end:
            if isinstance(self.connection, ssl.SSLSocket):
                data = os.pread(DESCRIPTOR, min(1 << 18, end - at), at)
                self.connection.sendall(data)
                at += len(data)
            else:
                at += os.sendfile(self.connection.fileno(), DESCRIPTOR, at, end - at)

    def head(self, first: int, last: int, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("ETag", '"benchmark"')
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{SIZE}")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Object)
    if len(sys.argv) > 2:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()
