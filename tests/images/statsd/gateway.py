# mypy: ignore-errors
"""A metrics gateway: prints every datagram that comes to port 9125, as JSON, a line each."""

import json
import socket

gateway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
gateway.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
gateway.bind(("0.0.0.0", 9125))
print(json.dumps("listening"), flush=True)
while True:
    print(json.dumps(gateway.recv(65535).decode()), flush=True)
