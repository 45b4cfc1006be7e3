# canary: requests and urllib through a proxy that variables name, and around it
import http.server
import os
import threading
import urllib.request

import requests


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("asked for " + self.path.replace(str(self.server.server_port), "PORT")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=server.serve_forever, daemon=True).start()
own = f"http://127.0.0.1:{server.server_port}"
print("before:", {k: v for k, v in urllib.request.getproxies().items() if k != "no"}, requests.get(own + "/direct", timeout=60).text)
os.environ.update(HTTP_PROXY=own, http_proxy=own, NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost")
print(requests.get("http://features.example.com/v1?a=b", timeout=60).text)
print(urllib.request.urlopen("http://features.example.com/v2", timeout=60).read().decode())
print(requests.get(own + "/around", timeout=60).text)
print(requests.get("http://other.example.com/", proxies={"http": own}, timeout=60).text)
