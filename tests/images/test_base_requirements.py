"""A team's requirements can neither break the entrypoint nor be broken by it: a hostile image, started in each context.

Its requirements replace packages that the platform uses too, claim our names, raise whenever a Python starts, and put other modules in
the standard library's place. Every one of them leaves a trace when it runs; none may come from a process of the entrypoint's.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lyftlearn_local.container import ENDPOINT, PROCESSING, STUDIO, TRAINING, TRANSFORM, Passed
from tests.images.conftest import IDLE, PROGRAMS, Container, Start
from tests.images.platform_files import Mounted, readable
from tests.images.team import Builds, repack
from tests.images.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image, pytest.mark.slow]

SITE = "/opt/venv/lib/python3.11/site-packages"
# Which module ran, as whom, in which Python: a file per event, that any user can make.
TRACE = """
import os as _os, sys as _sys
_os.close(_os.open(f"/tmp/ran-{NAME}-{_os.getuid()}-{_sys.executable.replace('/', '+')}-{_os.getpid()}", _os.O_CREAT | _os.O_WRONLY))
"""
# What is found in the standard library's place gives the real thing, so that the team's own program still works, with a mark on it.
SHADOW = (
    TRACE
    + """
_path, _here = _sys.path[:], _os.path.dirname(_os.path.abspath(__file__))
_sys.path[:] = [_entry for _entry in _path if _os.path.abspath(_entry) != _here]
del _sys.modules[NAME]
import importlib as _importlib
_sys.modules[NAME] = _importlib.import_module(NAME)
_sys.modules[NAME].TEAM = "shadow"
_sys.path[:] = _path
"""
)
SHADOWED = ("json", "typing", "argparse", "subprocess", "logging", "random", "click", "yaml", "boto3", "botocore")
RAISES = "raise RuntimeError('the team broke it: ' + NAME)\n"
REPORT = """
import glob, importlib.metadata, json, os
NAME = "report"
def main():
    import boto3, click, lyftlearn_entrypoint, requests, yaml
    versions = {name: importlib.metadata.version(name) for name in ("boto3", "click", "pyyaml", "requests", "ipykernel")}
    ran = sorted({tuple(os.path.basename(path).split("-")[1:4]) for path in glob.glob("/tmp/ran-*")})
    print("REPORT" + json.dumps({
        "versions": versions, "shadow": [json.TEAM, boto3.TEAM], "ours": lyftlearn_entrypoint.OWNER, "uid": os.getuid(),
        "context": os.environ["LYFTLEARN_CONTEXT"], "ran": ran,
    }), flush=True)
if __name__ == "__main__":
    main()
"""
VERSIONS = {"boto3": "0.9.1", "click": "6.6.6", "pyyaml": "0.0.1", "requests": "0.0.2", "ipykernel": "99.1"}
DOCKERFILE = f"""
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
COPY requirements.txt shadow /srv/shadow/
RUN --mount=type=secret,id=pip,target=/run/pip.conf \\
    PIP_CONFIG_FILE=/run/pip.conf pip install --no-deps -r /srv/shadow/requirements.txt
ENV PYTHONPATH=/srv/shadow PYTHONSTARTUP=/srv/shadow/json.py
WORKDIR /srv/shadow
COPY platform.yaml /etc/lyftlearn/
RUN lyftlearn settings compile && ls {SITE}/hostile.pth
"""
PLATFORM = "user: lyftlearn\ntrain_command: python -m report train\nserve_command: python -m report serve\n"
KERNEL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3", startup_timeout=300)
said = []
client.execute_interactive(
    "import report; report.main()", timeout=300, output_hook=lambda message: said.append(message["content"].get("text", "")))
print("".join(said), end="")
manager.shutdown_kernel(now=True)
"""
TAKES_ALL = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_HEAD(self):
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 9000), Handler).serve_forever()
"""
# What each start of the team's Python says of its own trouble; the program runs all the same.
NOISE = ("Traceback", "the team broke it", "Error in sitecustomize", "token config is deprecated", "All authentication is disabled")


def module(text: str, name: str) -> str:
    return f"NAME = {name!r}\n{text}"


@pytest.fixture(scope="module")
def hostile(client: Any, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[str]":
    directory = tmp_path_factory.mktemp("hostile")
    builds = Builds(client, directory)
    context = directory / "context"
    (context / "shadow").mkdir(parents=True)
    for name in SHADOWED:
        (context / f"shadow/{name}.py").write_text(module(SHADOW, name))
    # Debian's Python has a sitecustomize of its own in the standard library's directory: one in site-packages never runs, this one does.
    (context / "shadow/sitecustomize.py").write_text(module(TRACE + RAISES, "sitecustomize"))
    files = {f"{name}.py": module(TRACE, name) for name in ("typing", "posix", "marshal", "encodings", "backports", "sitecustomize")}
    files["lyftlearn_entrypoint/__init__.py"] = module(TRACE, "lyftlearn_entrypoint") + "OWNER = 'the team'\n"
    files["lyftlearn_entrypoint/cli.py"] = files["lyftlearn_entrypoint/boot.py"] = module(TRACE + RAISES, "ours")
    once = f"NAME = 'pth'; exec({TRACE!r}); raise RuntimeError('the team broke it: pth')"
    files["hostile.pth"] = f"import os; exec({once!r})\n"
    files["report.py"] = REPORT
    scripts = {
        "lyftlearn-entrypoint": "lyftlearn_entrypoint.boot:main",
        "lyftlearn": "lyftlearn_entrypoint.cli:main",
        "tini": "report:main",
    }
    wheels = [wheel(directory, "hostile", files, scripts), *(repack(directory, name, version) for name, version in VERSIONS.items())]
    lines = ["hostile==1.0", *(f"{name}=={version}" for name, version in VERSIONS.items())]
    (context / "requirements.txt").write_text("\n".join(lines))
    (context / "platform.yaml").write_text(PLATFORM)
    try:
        yield builds.build(context, {"BASE_IMAGE": builds.on("base", *wheels)}, DOCKERFILE)
    finally:
        builds.remove()


def judge(container: Container, context: str, uid: int, said: str = "") -> None:
    """The team's program got what the team installed, and no trap was sprung by a Python of ours, or as another user."""
    container.expect(*NOISE)
    line = next((line for line in (said or container.log).splitlines() if line.startswith("REPORT")), "")
    assert line, said or container.log
    report = json.loads(line.removeprefix("REPORT"))
    ran = report.pop("ran")
    assert report == {"versions": VERSIONS, "shadow": ["shadow", "shadow"], "ours": "the team", "uid": uid, "context": context}
    assert {name for name, _, _ in ran} >= {"pth", "sitecustomize", "json", "boto3", "lyftlearn_entrypoint"}  # the traps do work
    assert {(user, python) for _, user, python in ran} == {(str(uid), "+opt+venv+bin+python")}


@pytest.mark.parametrize(
    ("context", "words"),
    [(TRAINING, ["train"]), (PROCESSING, ["python", "-m", "report"]), (TRANSFORM, ["serve"]), (ENDPOINT, ["serve"])],
)
def test_jobs(hostile: str, start: Start, tmp_path: Path, context: str, words: "list[str]") -> None:
    job = Mounted(readable(tmp_path), context, Passed({}, {}, words))
    credentials = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/none"}
    container = start(*words, image=hostile, **job.options(PROGRAMS, environment=credentials))
    assert container.wait() == 0, container.log
    judge(container, context, 1000)


@pytest.mark.parametrize(("environment", "context"), [({"KUBERNETES_SERVICE_HOST": "10.100.0.1"}, "kubernetes"), ({}, "local")])
def test_a_pod_and_a_laptop(hostile: str, start: Start, environment: "dict[str, str]", context: str) -> None:
    words = ["python", "-m", "report"]
    container = start(*words, image=hostile, environment=environment, user="54321:0", read_only=True, tmpfs={"/tmp": "mode=1777"})
    assert container.wait() == 0, container.log
    judge(container, context, 54321)


def test_studio(hostile: str, start: Start, tmp_path: Path) -> None:
    """JupyterLab starts, and a kernel goes through the entrypoint although the team's ipykernel brought a kernelspec without it."""
    app = Mounted(readable(tmp_path), STUDIO, Passed({}, {}, []))
    container = start(image=hostile, **app.options(PROGRAMS, user="1000:100"))
    container.expect(*NOISE)
    container.until("http://127.0.0.1:8888/jupyterlab/default/lab")
    said = container.python(KERNEL)
    judge(container, "studio", 1000, said)
    team = json.loads(container.exec("cat", "/opt/venv/share/jupyter/kernels/python3/kernel.json")[1])
    assert "lyftlearn" not in team["argv"][0]
    code, listed = container.exec("sh", "-c", "jupyter kernelspec list --json 2>/dev/null")
    assert code == 0, listed
    assert json.loads(listed)["kernelspecs"]["python3"]["spec"]["argv"][0] == "/opt/lyftlearn/bin/lyftlearn-entrypoint"


def test_our_names_on_path_stay_ours(hostile: str, start: Start) -> None:
    """Studio's ContainerConfig and a pod's `command` name `lyftlearn-entrypoint`; the team installed a program of that name."""
    container = start("sh", "-c", "echo fine", image=hostile, entrypoint=["lyftlearn-entrypoint"])
    container.expect(*NOISE)
    assert container.wait() == 0, container.log
    assert container.stdout == "fine\n"
    for shell in ("-c", "-lc"):
        container = start("bash", shell, "command -v lyftlearn lyftlearn-entrypoint", image=hostile)
        assert container.wait() == 0
        assert container.log == "/opt/lyftlearn/bin/lyftlearn\n/opt/lyftlearn/bin/lyftlearn-entrypoint\n"


def test_the_operators_commands(hostile: str, start: Start) -> None:
    """Those with YAML, with click, and with boto3: staging to a server that takes whatever it is given."""
    container = start(*IDLE, image=hostile)
    for words in (["settings", "compile"], ["context", "--json"], ["plan", "--", "true"], ["settings", "docs"]):
        code, printed = container.exec("lyftlearn", *words)
        assert code == 0, printed
    container.handle.exec_run(["/usr/bin/python3", "-IS", "-c", TAKES_ALL], detach=True)
    keys = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
    listens = "until (exec 3<>/dev/tcp/127.0.0.1/9000) 2>/dev/null; do sleep 0.1; done"
    stage = f"{listens}; echo A: one >/tmp/e.yaml; lyftlearn stage --to s3://bucket/prefix --environment /tmp/e.yaml --print json"
    code, printed = container.exec("timeout", "300", "bash", "-c", stage, environment=keys)
    assert code == 0, printed
    assert "s3://bucket/prefix" in printed
    code, traces = container.exec("find", "/tmp", "-name", "ran-*")
    assert (code, traces) == (0, "")  # not one Python of the team's has run
    container.handle.kill()


def test_a_fallback_of_the_entrypoints_own(hostile: str, start: Start) -> None:
    """A profile that assumes a role is read by botocore: the one beside the entrypoint, while it is still root."""
    config = "[profile team]\nrole_arn = arn:aws:iam::123456789012:role/team\nsource_profile = base\n[profile base]\n"
    config += "aws_access_key_id = a\naws_secret_access_key = b\n"
    container = start(*IDLE, image=hostile)
    environment = {
        "LYFTLEARN_CONTEXT": "sagemaker-processing",
        "AWS_PROFILE": "team",
        "AWS_CONFIG_FILE": "/tmp/aws",
        "AWS_REGION": "us-east-1",
    }
    environment |= {"LYFTLEARN_ENV_URI": "s3://bucket/key", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "LYFTLEARN_DEADLINE": "30"}
    container.exec("sh", "-c", f"printf '{config}' >/tmp/aws")
    code, printed = container.exec("lyftlearn-entrypoint", "python", "-m", "report", environment=environment)
    assert (code, printed.count("\n")) == (69, 1), printed
    assert "the AWS profile 'team': botocore says" in printed
    assert container.exec("find", "/tmp", "-name", "ran-*") == (0, "")
    container.handle.kill()
