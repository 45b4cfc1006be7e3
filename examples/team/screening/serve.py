"""Serves the screening model: GET /ping, POST /invocations with {"instances": [[30 numbers], ...]}. Ends cleanly on SIGTERM."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import joblib

MODEL = Path(os.environ.get("MODEL_DIR", "/opt/ml/model")) / "screening.joblib"


class Handler(BaseHTTPRequestHandler):
    model = None
    threshold = 0.5

    def do_GET(self):
        self.answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self):
        try:
            rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
            scores = self.model.predict_proba(rows)[:, 1].round(6).tolist()
        except (KeyError, TypeError, ValueError) as error:
            self.answer(400, {"error": str(error)})
            return
        self.answer(200, {"scores": scores, "recall": [score < self.threshold for score in scores]})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@click.command()
@click.option("--port", default=int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")), show_default=True)
def main(port):
    Handler.model = joblib.load(MODEL)
    Handler.threshold = float(os.environ["SCREENING_THRESHOLD"])
    server = ThreadingHTTPServer(("0.0.0.0", port), Handler)  # noqa: S104 (whoever calls it is outside the container)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    click.echo(f"serving on port {port}")
    server.serve_forever()
    server.server_close()
    click.echo("stopped")


if __name__ == "__main__":
    main()
