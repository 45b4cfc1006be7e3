"""A server on loopback that gives canned answers at once: what is left in a measurement is the client.

One process, asyncio, HTTP/1.1 with keep-alive. It answers KMS Encrypt, Confidant's service, S3 objects and container
credentials with what the real ones answer (shapes: AWS service models; Confidant 7.0.0), and counts requests.

    python benchmarks/servers/loopback.py DIRECTORY    # DIRECTORY/<name> are the S3 objects and service.json; prints the port
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

CREDENTIALS = {
    "AccessKeyId": "ASIAEXAMPLE",
    "SecretAccessKey": "secret-of-the-benchmark",
    "Token": "token-of-the-benchmark",
    "Expiration": "2099-01-01T00:00:00Z",
    "RoleArn": "arn:aws:iam::123456789012:role/benchmark",
}


class Server(asyncio.Protocol):
    """One connection."""

    directory: Path

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, rest = self.data.split(b"\r\n\r\n", 1)
            lines = head.decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self.data = rest[length:]
            self.answer(lines[0].split(" ")[1], headers)

    def answer(self, target: str, headers: dict[str, str]) -> None:
        path = target.partition("?")[0]
        kind = "application/json"
        if headers.get("x-amz-target") == "TrentService.Encrypt":
            blob = base64.b64encode(b"ciphertext" * 20).decode()
            body = json.dumps({"CiphertextBlob": blob, "KeyId": "key", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}).encode()
            kind = "application/x-amz-json-1.1"
        elif path.startswith("/v2/credentials/"):
            body = json.dumps(CREDENTIALS).encode()
        elif path.startswith("/v1/services/"):
            body = (self.directory / "service.json").read_bytes()
        else:
            body = (self.directory / path.rpartition("/")[2]).read_bytes()
        close = headers.get("connection", "").lower() == "close"
        end = "close" if close else "keep-alive"
        self.transport.write(
            f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: {end}\r\n\r\n".encode() + body
        )
        if close:
            self.transport.close()


async def serve(directory: Path) -> None:
    Server.directory = directory
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
