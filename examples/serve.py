"""Serves the screening model: GET /ping, POST /invocations with {"instances": [[30 numbers], ...]}. Ends cleanly on SIGTERM."""

import hmac
import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import joblib
import numpy as np
from statsd.defaults.env import statsd

MODEL_DIR = Path(os.environ.get("MODEL_DIR", "/opt/ml/model"))
HOST = os.environ.get("HOST", "0.0.0.0")  # noqa: S104 (whoever calls it is outside the container)
PORT = int(os.environ.get("PORT", "8080"))
REGION = os.environ["screening.region"]  # noqa: SIM112
KEY = os.environ["CREDENTIALS_PHI_KEY"].encode()


class Handler(BaseHTTPRequestHandler):
    model = None

    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self):
        if self.path != "/invocations":
            self.answer(404, {})
            return
        try:
            rows = np.array(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"], dtype=float)
            kept = np.clip(rows, self.model["low"], self.model["high"]) * self.model["weight"]
        except (KeyError, TypeError, ValueError) as error:
            self.answer(400, {"error": str(error)})
            return
        with statsd.timer("screening.predict"):
            predictions = self.model["model"].predict_proba(kept)[:, 1].tolist()
        for value in predictions:
            statsd.incr("screening.positive" if value > 0.5 else "screening.negative")
        # Signed, so that a result in a patient's file can be traced to this service.
        signature = hmac.new(KEY, json.dumps(predictions).encode(), "sha256").hexdigest()
        self.answer(200, {"predictions": predictions, "region": REGION, "signature": signature})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def main():
    Handler.model = joblib.load(MODEL_DIR / "model.joblib")
    server = ThreadingHTTPServer((HOST, PORT), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"serving on port {PORT}", flush=True)
    server.serve_forever()
    server.server_close()
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
