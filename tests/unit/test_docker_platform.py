"""The platform's servers on another address than 127.0.0.1: there, and nowhere else. The whole of 127/8 is this machine's."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from lyftlearn_local import gateway
from lyftlearn_local.gateway import Gateway
from lyftlearn_local.link_local import LinkLocal
from lyftlearn_local.platform import Platform

HOST = "127.0.0.7"


def everywhere(protocol: str, port: int) -> bool:
    """Whether a socket on this port is bound to every address (proc(5), net/tcp). On one address it may be another program's."""
    return any(line.split()[1] == f"00000000:{port:04X}" for line in Path("/proc/net/" + protocol).read_text().splitlines())


def test_all_of_it_listens_on_that_address_alone() -> None:
    with Platform(print, confidant=False, host=HOST) as platform:
        pointers = platform.pointers()
        assert pointers["AWS_ENDPOINT_URL"].startswith(f"http://{HOST}:")
        assert pointers["AWS_CONTAINER_CREDENTIALS_FULL_URI"].startswith(f"http://{HOST}:")
        assert pointers["LYFTLEARN_STATSD_GATEWAY"] == f"{HOST}:{platform.gateway.port}"
        assert requests.get(pointers["AWS_CONTAINER_CREDENTIALS_FULL_URI"], timeout=10).status_code == 200
        for port in (platform.link_local.port, int(platform.aws_url.rsplit(":", 1)[1])):
            with socket.create_connection((HOST, port), 60):
                pass
            assert not everywhere("tcp", port)
        assert not everywhere("udp", platform.gateway.port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OSError, match="assign"):
        Platform(print, confidant=False, host="192.0.2.77").start()


def test_a_client_elsewhere_with_the_markers_port_is_counted() -> None:
    counter = Gateway(host=HOST)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.8", counter._marker.getsockname()[1]))
        client.sendto(b"a:1|c", (HOST, counter.port))
        assert counter.take().metrics == {"a": 1}
    counter.stop()


def test_the_sidecar_of_a_pod_runs_on_any_python() -> None:
    counter = Gateway(host=HOST)
    script = str(Path(gateway.__file__).resolve())
    words = [sys.executable, "-I", "-S", script, HOST, str(counter.port), "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as sidecar:
        try:
            assert sidecar.stdout is not None
            line = sidecar.stdout.readline().split()
            assert line[:3] == ["sidecar:", "listening", "on"]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"a:1|c\nb:2|c", ("127.0.0.1", int(line[3].rsplit(":", 1)[1])))
            until = time.monotonic() + 30
            while not counter.counts().lines and time.monotonic() < until:
                time.sleep(0.01)
        finally:
            sidecar.kill()
    assert counter.take().metrics == {"a": 1, "b": 1}
    counter.stop()


def test_credentials_are_told_by_where_they_are() -> None:
    served = LinkLocal(dict, 60.0, host=HOST)
    assert served.variables == {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{HOST}:{served.port}{served.relative_uri}"}
    served.stop()
