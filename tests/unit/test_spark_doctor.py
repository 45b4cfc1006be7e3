"""`lyftlearn doctor spark` where the API itself is out of reach. With a cluster: tests/images/test_distributed_network.py."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from lyftlearn_entrypoint.spark import eks

LYFTLEARN = [sys.executable, "-c", "from lyftlearn_entrypoint.cli import main; main()"]
NAMED = "The cluster's security group: inbound TCP "


def test_nobody_answers_at_the_api(tmp_path: Path) -> None:
    """As for any other way: from where to where, why, and the rule."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = f"https://127.0.0.1:{port}"
    credential = tmp_path / "credential"
    credential.write_text('{"status": {"token": "t"}}')
    (tmp_path / "config").write_text(eks.kubeconfig(server, "", ["cat", str(credential)]))
    (tmp_path / "spark-defaults.conf").write_text(f"spark.master k8s://{server}\nspark.driver.host 192.0.2.7\n")
    environ = {**os.environ, "SPARK_CONF_DIR": str(tmp_path), "KUBECONFIG": str(tmp_path / "config")}
    done = subprocess.run([*LYFTLEARN, "doctor", "spark"], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 69, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == f"CLOSED  this driver (192.0.2.7) -> {server}: [Errno 111] Connection refused"
    assert said[1].strip().startswith(f"{NAMED}{port} from 192.0.2.7")
    done = subprocess.run([*LYFTLEARN, "doctor", "spark", "--json"], env=environ, capture_output=True, text=True, check=False)
    (way,) = json.loads(done.stdout)
    assert (way["from"], way["to"], way["open"]) == ("this driver (192.0.2.7)", server, False)
