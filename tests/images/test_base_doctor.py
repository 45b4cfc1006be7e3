"""`lyftlearn doctor` in containers of the base image: a training job, a notebook's kernel in Studio, a pod. Confidant is real."""

import json
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.container import STUDIO, TRAINING, Passed
from lyftlearn_local.platform import Platform
from tests.images import test_base_browser
from tests.images.conftest import PATIENCE, PROGRAMS, Start
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import until
from tests.images.test_base_pod import RESTRICTED

pytestmark = pytest.mark.image

network, platform = test_base_browser.network, test_base_browser.platform  # a bridge, and the platform at its end
SECRET = "made-up-token-9c02"
KERNEL = """
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="python3", startup_timeout=300)
said = []
doctor = "!lyftlearn doctor --json --deadline 120"
client.execute_interactive(doctor, timeout=300, output_hook=lambda m: said.append(m["content"].get("text", "")))
print("".join(said), end="")
manager.shutdown_kernel(now=True)
"""
Row = dict[str, Any]


def pointers(platform: Platform, service: str) -> "dict[str, str]":
    """What a job's API is given. An address of the bridge is no container's credentials' endpoint: keys instead."""
    platform.confidant.service(service, [platform.confidant.credential({"registry_token": SECRET}, "")])
    passed = {name: value for name, value in platform.pointers(service).items() if not name.startswith("AWS_CONTAINER_CREDENTIALS")}
    uri = "s3://" + platform.bucket + "/doctor.json"
    platform.client("s3").put_object(Bucket=platform.bucket, Key="doctor.json", Body=json.dumps({"STAGED": SECRET}).encode())
    return {**passed, "AWS_ACCESS_KEY_ID": "job", "AWS_SECRET_ACCESS_KEY": "job", "LYFTLEARN_ENV_URI": uri}


def examined(printed: str) -> "tuple[Row, dict[str, Row]]":
    """(all facts, the last finding of each check) of what the doctor printed, which holds no secret."""
    assert SECRET not in printed
    facts = json.loads(printed[printed.index("{") :])
    return facts, {row["check"]: row for row in facts["findings"]}


def bad(facts: Row) -> "list[Row]":
    return [row for row in facts["findings"] if row["verdict"] in ("failed", "warning")]


def test_beside_a_training_job(start: Start, network: Any, platform: Platform, tmp_path: Path) -> None:
    """`docker exec` and `kubectl exec` have what the container was given."""
    passed = {**pointers(platform, "doctor-training"), "LYFTLEARN_USER": "lyftlearn"}
    job = Mounted(readable(tmp_path), TRAINING, Passed(passed, {"C": "0.5"}, []))
    options = job.options(PROGRAMS, network_mode=network.name, dns=["127.0.0.1"])
    container = start("python", "-c", "import time; print('ready', flush=True); time.sleep(3600)", **options)
    container.until("ready")
    code, printed = container.exec("lyftlearn", "doctor", "--json", "--deadline", "120", "--args", "/opt/venv/bin/python train.py")
    facts, found = examined(printed)
    assert (code, bad(facts)) == (0, []), printed
    assert (facts["context"], facts["exit"]) == (TRAINING, 0)
    assert "arn:aws:sts::" in found["credentials"]["evidence"]
    assert "1 credential, 1 variable" in found["confidant"]["evidence"]
    assert "1 variable from s3://" in found["environment"]["evidence"]
    assert found["command"]["evidence"].startswith("/opt/venv/bin/python (from arguments)")
    assert "switches from root to lyftlearn (1000:100)" in found["user"]["evidence"]
    assert "somebody listens on 127.0.0.1:8125" in found["relay"]["evidence"]
    # What the relay passed on may still be on its way.
    until(lambda: platform.gateway.counts().metrics.get("lyftlearn.doctor"), "the doctor's metric comes", PATIENCE)


@pytest.mark.parametrize(("entrypoint", "source"), [([], "process 1"), (["lyftlearn-entrypoint"], "the relay")])
def test_in_a_notebooks_kernel(
    start: Start, network: Any, platform: Platform, tmp_path: Path, entrypoint: "list[str]", source: str
) -> None:
    """The kernel's environment has lost the settings. The image's init still has them; where there is none, the relay, this user's too."""
    app = Mounted(readable(tmp_path), STUDIO, Passed(pointers(platform, "doctor-studio"), {}, []))
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    options = app.options(PROGRAMS, user="1000:100", network_mode=network.name, dns=["127.0.0.1"])
    options |= {"entrypoint": entrypoint} if entrypoint else {}
    options["volumes"][str(home)] = {"bind": "/home/sagemaker-user", "mode": "rw"}  # the EBS volume
    container = start(**options)
    container.expect("token config is deprecated", "All authentication is disabled")
    container.until("8888/jupyterlab/default/lab")
    # A kernel gets the environment of Jupyter's process.
    _, environ = container.exec("sh", "-c", "tr '\\0' '\\n' </proc/$(pgrep -o -f jupyter-lab)/environ", user="1000:100")
    program = dict(line.split("=", 1) for line in environ.splitlines() if "=" in line)
    assert not [name for name in program if name.startswith("LYFTLEARN_CONFIDANT")]
    words = ["env", "-i", *(f"{name}={value}" for name, value in program.items()), "python", "-c", KERNEL]
    code, printed = container.exec(*words, user="1000:100")
    assert code == 0, printed
    facts, found = examined(printed)
    assert facts["context"] == "studio"
    assert bad(facts) == [], printed
    sources = {entry["source"].partition(" (")[0]: entry["names"] for entry in facts["settings_from"]}
    assert "LYFTLEARN_CONFIDANT_URL" in sources[source]
    assert "1 credential, 1 variable" in found["confidant"]["evidence"]
    assert "somebody listens on 127.0.0.1:8125" in found["relay"]["evidence"]
    assert found["command"]["evidence"].startswith("jupyter (from Studio without arguments)")


def test_in_a_pod(start: Start) -> None:
    container = start("lyftlearn", "doctor", "--json", "--deadline", "120", **RESTRICTED)
    assert container.wait() == 0, container.log
    facts, found = examined(container.stdout)
    assert (facts["context"], bad(facts)) == ("kubernetes", [])
    assert found["capabilities"]["evidence"].startswith("effective: none; no_new_privs is set")


def test_a_black_hole_ends_by_its_deadline(start: Start) -> None:
    """`--network none`, in a job that needs the network: said at once."""
    environment = {
        "LYFTLEARN_CONTEXT": TRAINING,
        "LYFTLEARN_ENV_URI": "s3://bucket/environment.json",
        "AWS_ACCESS_KEY_ID": "job",
        "AWS_SECRET_ACCESS_KEY": "job",
    }
    container = start("doctor", "--deadline", "120", entrypoint=["lyftlearn"], environment=environment)
    assert container.wait() == 69, container.log
    assert "FAILED   LL0715  isolation        this container has no network interface but lo, and a start needs S3" in container.stdout
    assert "exit 69" in container.stdout
