"""moto as a server, as lyftlearn_local.moto_process, for clients of Java; and it notes on stderr whose keys each request was signed with.

It says 100 Continue once: http.server says so as soon as it has read the head of a request, and werkzeug again; the AWS SDK for Java 2
takes the second for the answer.
"""

import re
import sys

from werkzeug.serving import WSGIRequestHandler

from lyftlearn_local import moto_process

_run = WSGIRequestHandler.run_wsgi


def expect(handler: WSGIRequestHandler) -> bool:
    return True


def run(handler: WSGIRequestHandler) -> None:
    signed = re.search(r"Credential=([^/]+)/", handler.headers.get("Authorization", ""))
    sys.stderr.write(f"caller {signed[1] if signed else '-'}\n")
    sys.stderr.flush()
    _run(handler)


WSGIRequestHandler.handle_expect_100 = expect  # type: ignore[assignment, method-assign]
WSGIRequestHandler.run_wsgi = run  # type: ignore[assignment, method-assign]
moto_process.main()
