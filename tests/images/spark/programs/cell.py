"""What a browser does for a cell of a notebook: python cell.py new, python cell.py KERNEL SECONDS with the cell in the variable CELL.

`new` asks this application's server for a kernel and prints its id. Otherwise the cell's stdout is printed, without what Spark's JVM says
beside it, and the exit code is 1 where it ends with an exception.
"""

import http.cookiejar
import json
import os
import sys
import urllib.request
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient

SERVER = "http://127.0.0.1:8888/jupyterlab/default/"
RUNTIME = "/home/sagemaker-user/.local/share/jupyter/runtime"


def new() -> str:
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.open(SERVER + "lab").read()
    token = {cookie.name: cookie.value for cookie in jar}["_xsrf"]
    asked = urllib.request.Request(SERVER + "api/kernels", b'{"name": "python3"}', {"X-XSRFToken": token or ""})
    return str(json.load(browser.open(asked))["id"])


def show(message: "dict[str, Any]") -> None:
    content = message["content"]
    if message["msg_type"] == "stream" and content["name"] == "stdout":
        print(content["text"], end="", flush=True)
    elif message["msg_type"] == "error":
        print(*content["traceback"], sep="\n", flush=True)


def run(kernel: str, cell: str, seconds: float) -> int:
    client = BlockingKernelClient(connection_file=f"{RUNTIME}/kernel-{kernel}.json")
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=seconds)
    reply = client.execute_interactive(cell, timeout=seconds, output_hook=show, allow_stdin=False)
    return 0 if reply["content"]["status"] == "ok" else 1


if sys.argv[1] == "new":
    print(new())
else:
    sys.exit(run(sys.argv[1], os.environ["CELL"], float(sys.argv[2])))
