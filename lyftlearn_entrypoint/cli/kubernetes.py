"""The few calls to a Kubernetes API that `lyftlearn spark` and `lyftlearn doctor` make, as whom and where Spark itself would ask."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from lyftlearn_entrypoint.errors import BadSettings, Refused, Unavailable
from lyftlearn_entrypoint.spark.place import ACCOUNT

Object = dict[str, Any]


def defaults() -> dict[str, str]:
    """Spark's settings of this place: those of the configuration that a start wrote, the last of each name. Raises BadSettings."""
    directory = os.environ.get("SPARK_CONF_DIR", "")
    try:
        text = Path(directory, "spark-defaults.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    lines = [line.strip().partition(" ") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = {name: value.strip() for name, _, value in lines}
    if not found.get("spark.master", "").startswith("k8s://"):
        raise BadSettings(
            "Spark does not use Kubernetes here: its master is " + (found.get("spark.master") or "not set"),
            "Run this where a start of the image has set SPARK_CONF_DIR: in a notebook's terminal, or in the pod",
        )
    return found


class Unreached(Unavailable):
    """No connection to the API server. `reason` is what the attempt ended with."""

    def __init__(self, server: str, reason: object) -> None:
        super().__init__(f"{server} cannot be reached: {reason}", "The cluster's security group: inbound TCP 443 from here")
        self.reason = str(reason)


class Api:
    """An API server. `server` is its URL; `authority` PEM text of its CA, '' for a public one; `token` a bearer's."""

    def __init__(self, server: str, authority: str, token: str) -> None:
        self.server = server.rstrip("/")
        self._token = token
        self._context = ssl.create_default_context(cadata=authority or None)

    @classmethod
    def of_this_place(cls, settings: dict[str, str]) -> Api:
        """By the kubeconfig that KUBECONFIG names, else by the pod's service account. Raises BadSettings and Refused."""
        server = settings["spark.master"].removeprefix("k8s://")
        path = os.environ.get("KUBECONFIG", "")
        if not path:
            try:
                return cls(server, Path(ACCOUNT, "ca.crt").read_text(), Path(ACCOUNT, "token").read_text().strip())
            except OSError:
                raise BadSettings("there is neither KUBECONFIG nor a service account here", "Run this where Spark runs") from None
        import yaml

        config = yaml.safe_load(Path(path).read_text())
        plugin = config["users"][0]["user"]["exec"]
        done = subprocess.run([plugin["command"], *plugin["args"]], capture_output=True, text=True, check=False, timeout=30)
        if done.returncode:
            raise Refused("no token for the cluster: " + done.stderr.strip(), "Look at the notebook's role and AWS_REGION")
        authority = base64.b64decode(config["clusters"][0]["cluster"].get("certificate-authority-data", "")).decode()
        return cls(server, authority, json.loads(done.stdout)["status"]["token"])

    def ask(self, method: str, path: str, body: Object | None = None, seconds: float = 5.0, **query: str) -> Any:
        """The answer: an object, or text where it is none. Raises Unreached (69) where nobody answers, Refused (77) for 401 and 403, and
        Unavailable (69) for other errors."""
        url = self.server + path + ("?" + urllib.parse.urlencode(query) if query else "")
        if not url.startswith("http"):
            raise BadSettings("the API server is no URL: " + self.server, "Correct LYFTLEARN_SPARK_EKS_ENDPOINT")
        headers = {"Authorization": "Bearer " + self._token, "Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=self._context) as answer:  # noqa: S310
                text = answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            try:
                said = json.loads(said)["message"]
            except (ValueError, KeyError, TypeError):
                said = said[:200]
            kind = Refused if error.code in (401, 403) else Unavailable
            raise kind(f"{method} {path}: {self.server} answers {error.code}: {said}", "") from None
        except OSError as error:
            raise Unreached(self.server, getattr(error, "reason", error)) from None
        try:
            return json.loads(text)
        except ValueError:
            return text
