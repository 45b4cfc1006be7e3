# canary: a pre-fork server as gunicorn has it: one socket, workers that accept, a master that stops them
import http.server
import os
import signal
import socket
import sys
import time

import requests


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.path} by a worker of {os.getppid() == MASTER}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


MASTER = os.getpid()
listening = socket.create_server(("127.0.0.1", 0), backlog=64)
port = listening.getsockname()[1]
workers = []
# Before there are workers: one that has not run yet is asked to end as well.
signal.signal(signal.SIGTERM, lambda *args: os._exit(0))
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        server = http.server.HTTPServer(("127.0.0.1", port), Handler, bind_and_activate=False)
        server.socket = listening
        server.serve_forever()
    workers.append(pid)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
answers = {requests.get(f"http://localhost:{port}/invocations?n={n}", timeout=60).text for n in range(9)}
print(len(answers), sorted(answers)[0])
for pid in workers:
    os.kill(pid, signal.SIGTERM)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers])
