"""What a start talks to that fetches: S3, KMS and Confidant over TLS, and the container's credentials. All of it made up.

It runs in a container of the same image beside the traced one, which shares its network, on the image's own Python and openssl. It is no
part of what is measured, and checks nothing: its values are of no use anywhere.
"""

from __future__ import annotations

TLS, PLAIN = 8443, 8444

# It makes a certificate for one day, serves, and prints as JSON which file (path to text) makes the image trust it.
PROGRAM = f"""\
import base64, http.server, json, ssl, subprocess, threading
def openssl(*words):
    return subprocess.run(["openssl", *words], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/tmp/key.pem",
    "-out", "/tmp/cert.pem", "-days", "1", "-subj", "/CN=footprint", "-addext", "subjectAltName=IP:127.0.0.1")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path.startswith("/v1/services/"):
            pairs = {{"registry_token": "footprint"}}
            self.answer({{"credentials": [{{"id": "1", "name": "footprint", "enabled": True, "credential_pairs": pairs}}],
                "blind_credentials": []}})
        elif self.path == "/credentials":
            self.answer({{"AccessKeyId": "footprint", "SecretAccessKey": "footprint", "Token": "footprint",
                "Expiration": "2999-01-01T00:00:00Z"}})
        else:
            self.answer({{"FOOTPRINT": "1"}})
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({{"CiphertextBlob": base64.b64encode(b"footprint").decode(), "KeyId": "footprint"}})
    def answer(self, document):
        data = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *args):
        pass
plain = http.server.ThreadingHTTPServer(("127.0.0.1", {PLAIN}), Handler)
secure = http.server.ThreadingHTTPServer(("127.0.0.1", {TLS}), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tmp/cert.pem", "/tmp/key.pem")
secure.socket = context.wrap_socket(secure.socket, server_side=True)
threading.Thread(target=plain.serve_forever, daemon=True).start()
name = openssl("x509", "-in", "/tmp/cert.pem", "-noout", "-hash").strip()
print(json.dumps({{"/etc/ssl/certs/" + name + ".0": open("/tmp/cert.pem").read()}}), flush=True)
secure.serve_forever()
"""

_SECURE = f"https://127.0.0.1:{TLS}"
# What a platform team sets, so that a start fetches all that it can: Confidant, and both documents.
ENVIRONMENT = {
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{PLAIN}/credentials",
    "AWS_ENDPOINT_URL_S3": _SECURE,
    "AWS_ENDPOINT_URL_KMS": _SECURE,
    "LYFTLEARN_CONFIDANT_URL": _SECURE,
    "LYFTLEARN_CONFIDANT_SERVICE": "footprint",
    "LYFTLEARN_CONFIDANT_AUTH_KEY": "alias/footprint",
    "LYFTLEARN_CONFIDANT_AUTH_CONTEXT": "confidant",
    "LYFTLEARN_ENV_URI": "s3://footprint/environment.json",
    "LYFTLEARN_HYPERPARAMETERS_URI": "s3://footprint/hyperparameters.json",
    "LYFTLEARN_USER": "lyftlearn",
}
