"""What `scripts/demo --docker` does with the engine: it is started where there is none, and nothing is left in it, whatever happens.

The network of the demo has addresses that only one demo can have at a time: a second one waits.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.containers import owner
from lyftlearn_local.containers.engine import CannotRun, Engine
from lyftlearn_local.link_local import LinkLocal
from tests.images.alone import alone
from tests.images.conftest import IDLE, tag
from tests.images.demo_docker import HOST, ROOT, Demo, left, things
from tests.images.spark.jobs import until

__all__ = ["alone"]  # a fixture

pytestmark = [
    pytest.mark.image,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="scripts/demo --docker needs root"),
]


@pytest.fixture(autouse=True)
def nothing_left(client: Any) -> Iterator[None]:
    yield
    assert left(client) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_nothing(client: Any, number: signal.Signals, code: int) -> None:
    was: list[str] = []

    def interrupt(process: "subprocess.Popen[str]", line: str) -> None:
        if "s  training job:" in line:
            was.extend(name for label, name in things(client) if owner.number(label) == str(process.pid))
            os.killpg(process.pid, number) if number == signal.SIGINT else os.kill(process.pid, number)

    demo = Demo(tag("base"), interrupt)
    assert any(name.startswith("lyftlearn-demo-training-pod-") for name in was)
    assert "lyftlearn-demo-network" in was
    assert demo.code == code, demo.text
    assert demo.lines[-1].endswith("interrupted; nothing of it is left")


def test_the_next_demo_clears_away_what_a_killed_one_left(client: Any, tmp_path: Path) -> None:
    def kill(process: "subprocess.Popen[str]", line: str) -> None:
        if "s  training pod:" in line:
            # Not while the engine makes it: then it would come some time after all else has been cleared away.
            name = f"lyftlearn-demo-training-pod-{process.pid}"
            until(lambda: name in [each for _, each in things(client)], "the pod is there")
            process.kill()

    assert Demo(tag("base"), kill, TMPDIR=str(tmp_path)).code == -signal.SIGKILL  # the logs of its servers stay behind
    until(lambda: len(left(client)) == 4, "two containers, the network, and its directory in memory are left")
    said: list[str] = []
    with Engine(said.append, tmp_path) as engine:
        assert engine.network.attrs["Labels"][owner.LABEL] == owner.me()
        assert [thing for thing in left(client) if thing != "lyftlearn-demo-network"] == []
    assert said == ["removing what a killed demo left"]


def test_another_demo_is_waited_for(tmp_path: Path) -> None:
    told: list[str] = []
    with contextlib.ExitStack() as before:
        before.enter_context(Engine(lambda line: None, tmp_path))

        def let_go(process: "subprocess.Popen[str]", line: str) -> None:
            if f"another demo is running (process {os.getpid()})" in line:
                told.append(line)
                time.sleep(1)
                before.close()
            if "s  image " in line:
                process.terminate()

        demo = Demo(tag("base"), let_go)
    assert len(told) == 1, demo.text
    assert demo.code == 143, demo.text


def test_a_network_that_somebody_else_has_is_told(client: Any, tmp_path: Path) -> None:
    from docker.types import IPAMConfig, IPAMPool

    with Engine(lambda line: None, tmp_path):  # nobody has it now
        pass
    pool = IPAMPool(subnet="169.254.170.0/25", gateway=HOST)
    other = client.networks.create("lyftlearn-somebody-else", internal=True, ipam=IPAMConfig(pool_configs=[pool]))
    try:
        with pytest.raises(CannotRun, match=r"no network 169\.254\.170\.0/24, where containers look for their credentials: .*overlaps"):
            Engine(lambda line: None, tmp_path).__enter__()
    finally:
        other.remove()


def test_the_network_is_the_demos_own_and_leads_nowhere(tmp_path: Path) -> None:
    with Engine(lambda line: None, tmp_path) as engine:
        assert engine.network.attrs["Internal"] is True
        assert engine.network.attrs["IPAM"]["Config"] == [{"Subnet": "169.254.170.0/24", "Gateway": HOST}]
        probe = engine.start("probe", tag("base"), list(IDLE), {})
        assert probe.address.startswith("169.254.170.")
        assert owner.LABEL in probe.handle.labels


def test_credentials_are_where_containers_look_unless_port_80_is_taken(tmp_path: Path) -> None:
    with Engine(lambda line: None, tmp_path) as engine, socket.socket() as everywhere:
        served = LinkLocal(dict, 60.0, host=engine.host)
        served.stop()
        assert served.variables == {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": served.relative_uri}
        everywhere.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        everywhere.bind(("", 80))
        everywhere.listen()
        served = LinkLocal(dict, 60.0, host=engine.host)
        served.stop()
        assert served.port != 80
        assert served.variables == {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{HOST}:{served.port}{served.relative_uri}"}


# Where no engine answers: /run, /var/lib/docker and the network are this script's own, and so is what it starts.
ALONE = """
ip link set lo up && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib/docker && mkdir -p /run/lock
scripts/engine && scripts/engine && docker info --format 'images: {{.Images}}'
"""


@pytest.mark.skipif(not all(map(shutil.which, ("unshare", "dockerd", "mmdebstrap", "ip"))), reason="nothing may be installed for it")
def test_an_engine_is_started_where_none_answers(tmp_path: Path) -> None:
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc", "sh", "-euc", ALONE]
    environ = {name: value for name, value in os.environ.items() if name not in ("DOCKER", "DOCKER_HOST")} | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    first, second, images = done.stdout.splitlines()
    assert first == second
    assert os.access(first, os.X_OK)
    assert images == "images: 0"  # it is none that ran before
    assert done.stderr.count("starting dockerd; it stays") == 1


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"DOCKER_HOST": "unix:///nowhere/docker.sock"},
            "engine: error: no Docker Engine answers at DOCKER_HOST=unix:///nowhere/docker.sock\n",
        ),
        ({"DOCKER": "/nowhere/docker"}, "engine: error: there is no docker program /nowhere/docker\n"),
    ],
)
def test_an_engine_that_was_named_is_not_replaced(environ: "dict[str, str]", said: str) -> None:
    done = subprocess.run(
        ["scripts/engine"], cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
