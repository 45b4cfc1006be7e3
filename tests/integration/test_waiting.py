"""A start that waits says for whom, does not wait for metrics, and ends with a line when it is stopped."""

import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.fake_http import Hang, serve
from tests.integration.job import Job, launcher

if TYPE_CHECKING:
    from tests.integration.conftest import Starter, Words

pytest_plugins = ["tests.integration.platform_fixture"]

Need = Callable[[object, str], None]
Service = Callable[..., dict[str, str]]


def test_a_kms_that_is_silent_is_named(job: Job, service: Service) -> None:
    """Confidant is what is asked for, and not what is broken."""
    settings = service({"a": "1"})
    with serve(lambda _: Hang()) as kms:
        ended = job.start(**settings, AWS_ENDPOINT_URL_KMS=kms.url, LYFTLEARN_DEADLINE="4")
    assert ended.code == 69
    assert 4 <= ended.seconds < 20  # five tries of five seconds
    asked, found, waiting = ended.line.partition("still waiting for ")
    assert found, ended.line
    assert waiting.startswith(urlsplit(kms.url).netloc + ".")
    assert settings["LYFTLEARN_CONFIDANT_URL"] in asked
    assert "nothing within 4 s (LYFTLEARN_DEADLINE)" in asked


def test_two_that_are_silent_are_both_named(job: Job, service: Service) -> None:
    with serve(lambda _: Hang()) as kms, serve(lambda _: Hang()) as s3:
        environ = {"AWS_ENDPOINT_URL_KMS": kms.url, "AWS_ENDPOINT_URL_S3": s3.url, "LYFTLEARN_ENV_URI": "s3://bucket/key"}
        ended = job.start(**service({"a": "1"}), **environ, LYFTLEARN_DEADLINE="4")
        names = sorted(urlsplit(server.url).netloc for server in (kms, s3))
    assert ended.code == 69
    assert "still waiting for " + " and ".join(names) in ended.line


# Names that no server resolves -----------------------------------------------------------------------------------------------


@pytest.fixture
def silent_dns(root: None, need: Need, tmp_path: Path) -> Iterator[list[str]]:
    """Words that give what follows them a name server that never answers."""
    address = f"127.53.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"  # on loopback, and of this process alone
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        try:
            server.bind((address, 53))
        except OSError:
            need(False, "port 53 cannot be had on loopback")
        (tmp_path / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:20 attempts:1\n")
        mount = f"mount --bind {shlex.quote(str(tmp_path / 'resolv.conf'))} /etc/resolv.conf"
        words = ["unshare", "--mount", "sh", "-c", mount + ' && exec "$@"', "sh"]
        need(subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0, "no private mount namespace")
        yield words
        server.setblocking(False)
        assert server.recv(512)  # it was asked


def test_a_gateway_whose_name_does_not_resolve_costs_two_seconds(job: Job, silent_dns: list[str], service: Service) -> None:
    words = [*silent_dns, *launcher(), "sh", "-c", "echo ran $STATSD_HOST $CREDENTIALS_A"]
    ended = job.run(words, **service({"a": "1"}), LYFTLEARN_STATSD_GATEWAY="gateway.example.com:8125")
    assert (ended.code, ended.out) == (0, "ran 1\n"), ended.err
    assert 2 <= ended.seconds < 15  # the name server is waited for 20 s
    warnings = [line for line in ended.err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "the metrics gateway gateway.example.com" in warnings[0]
    assert "Metrics are dropped until it does" in warnings[0]
    assert "LYFTLEARN_DEADLINE" not in ended.err


# Stopped ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["TERM", "INT"])
def test_the_first_process_says_that_it_was_stopped(starter: "Starter", first_process: "Words", name: str) -> None:
    starter.training()
    number = signal.Signals["SIG" + name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        starter.environ |= {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.getsockname()[1]}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "LYFTLEARN_ENV_URI": "s3://bucket/key",
        }
        with starter.popen("echo", "ran", before=first_process) as process:
            connection, _ = server.accept()
            with connection:
                child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
                began = time.monotonic()
                os.kill(child, number)
                out, err = process.communicate(timeout=50)
    assert (process.returncode, out) == (128 + number, b"")
    assert time.monotonic() - began < 20  # the deadline is 60
    assert err == b"lyftlearn-entrypoint: warning: stopped by signal %d before the program ran\n" % number
