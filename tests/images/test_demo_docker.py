"""`scripts/demo --docker`: one image in every context, seen to agree; seen to fail with an image that is broken."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lyftlearn_local.demo.jupyter import Jupyter
from tests.images.alone import alone
from tests.images.conftest import Container, Start, tag
from tests.images.demo_docker import HOST, Demo, listening

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

__all__ = ["alone"]  # a fixture

pytestmark = [
    pytest.mark.image,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="scripts/demo --docker needs root"),
]

TRAINED, SERVED = 5, 3  # columns of the two tables
SECRETS = (b"CREDENTIALS_PHI_KEY", b"CREDENTIALS_DATABASE_PASSWORD", b"WAREHOUSE_PASSWORD")


def test_the_same_image_in_every_context(base: str) -> None:
    heard: set[str] = set()
    told: list[str] = []

    def look(process: "subprocess.Popen[str]", line: str) -> None:
        heard.update(listening(process.pid))
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = place.read_bytes()
            except OSError:
                continue
            told.extend(secret.decode() for secret in SECRETS if secret + b"=" in words)

    demo = Demo(tag("base"), look)
    assert demo.code == 0, demo.text
    assert demo.lines[-1].endswith("the same each way")
    assert f"image {tag('base')}: {base}" in demo.text
    short = base.removeprefix("sha256:")[:12]
    assert demo.row("image") == [[short] * TRAINED + ["same"], [short] * SERVED + ["same"]]
    verdicts = [line.rsplit("  ", 1)[1] for line in demo.lines if line.endswith(("  same", "  DIFFERENT"))]
    assert len(verdicts) > 30
    assert set(verdicts) == {"same"}

    [secrets], [variables], [hyperparameters] = demo.row("secrets"), demo.row("variables"), demo.row("hyperparameters")
    assert [cell.split(",")[0] for cell in secrets[:TRAINED]] == ["7"] * TRAINED
    assert [cell.split(",")[0] for cell in variables[:TRAINED]] == ["150"] * TRAINED
    assert [cell.split(",")[0] for cell in hyperparameters[:TRAINED]] == ["140"] * TRAINED
    assert demo.row("statsd in all") == [["145"] * TRAINED + ["same"], [str(569 + 12)] * SERVED + ["same"]]
    models = demo.row("model.joblib")
    assert models[0][0] == models[1][0]  # the model that was trained is the one that is served
    assert demo.row("user of the program") == [["1000680000:0", *["1000:100"] * 4], ["1000680000:0", *["1000:100"] * 2]]
    assert demo.row("its home") == [
        ["/tmp/home-1000680000", *["/home/sagemaker-user"] * 4],
        ["/tmp/home-1000680000", *["/home/sagemaker-user"] * 2],
    ]

    pod = "--user 1000680000:0 --read-only --cap-drop ALL --security-opt no-new-privileges --tmpfs /tmp"
    for how in (
        f"training pod: docker run {pod} IMAGE python /srv/screening/train.py",
        "training job: docker run --init IMAGE train",
        "training entrypoint: docker run --init --entrypoint lyftlearn-entrypoint IMAGE python /srv/screening/train.py",
        "processing job: docker run --init --entrypoint lyftlearn-entrypoint IMAGE python /srv/screening/train.py",
        "notebook: docker run --user 1000:100 IMAGE",
        f"serving pod: docker run {pod} IMAGE python /srv/screening/serve.py",
        "endpoint: docker run --init IMAGE serve",
        "batch transform: docker run --init IMAGE serve",
    ):
        assert any(line.endswith("s  " + how) for line in demo.lines), how
    assert len(re.findall(r"http://169\.254\.170\.\d+:8080/ping answered 200", demo.text)) == SERVED
    assert re.search(r"http://169\.254\.170\.\d+:8888/jupyterlab/default healthy", demo.text)
    # As on the real platform: at its own address, by the relative URI.
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in demo.text
    assert "warning" not in demo.text
    assert "\033" not in demo.text

    assert heard == {HOST}
    assert told == []


def test_an_image_that_renames_the_secrets_fails_where_they_are_fetched(derived: "Callable[..., str]") -> None:
    demo = Demo(derived(LYFTLEARN_CREDENTIALS_PREFIX="SECRET_"))
    assert demo.code == 1
    assert any("training job: docker run" in line for line in demo.lines)  # the pod before it, whose secrets are injected, went well
    at = next(n for n, line in enumerate(demo.lines) if line.startswith("demo: training job: exit code 1; the last lines of its log:"))
    log = demo.lines[at + 1 :]
    assert log[-1] == "    KeyError: 'CREDENTIALS_REGISTRY_TOKEN'"
    assert "    lyftlearn-entrypoint: start: python as lyftlearn (1000:100) in sagemaker-training after" in "\n".join(log)


def test_an_image_that_alters_a_variable_differs(derived: "Callable[..., str]") -> None:
    demo = Demo(derived(LYFTLEARN_ENV_KEEP="SCREENING_GREETING", SCREENING_GREETING="of-the-image"))
    assert demo.code == 1, demo.text
    assert demo.lines[-1].endswith("DIFFERENT: see the lines so marked")
    assert [row[-1] for row in demo.row("variables")] == ["DIFFERENT"]
    assert [row[-1] for row in demo.row("its whole environment")] == ["DIFFERENT"] * 2
    assert [row[-1] for row in demo.row("secrets")] == ["same"]
    for line in (
        "the training job differs from the training pod in SCREENING_GREETING (another value)",
        "the notebook differs from the training pod in SCREENING_GREETING (another value)",
        "the endpoint differs from the serving pod in SCREENING_GREETING (another value)",
    ):
        assert line in demo.lines
    assert "of-the-image" not in demo.text


def test_without_the_image_it_says_so() -> None:
    demo = Demo("lyftlearn-no-such-image:1")
    assert demo.code == 1
    assert demo.lines[-1] == (
        "demo: there is no image lyftlearn-no-such-image:1: build it (`lyftlearn image build base`), or name another with --image"
    )


def test_a_cell_that_fails_is_told(start: Start) -> None:
    container: Container = start(environment={"SAGEMAKER_APP_TYPE": "JupyterLab"}, user="1000:100", network_mode="bridge")
    container.expect("token config is deprecated", "All authentication is disabled")
    container.until("/jupyterlab/default/lab")
    container.handle.reload()
    jupyter = Jupyter(f"http://{container.handle.attrs['NetworkSettings']['IPAddress']}:8888/jupyterlab/default")
    assert jupyter.healthy()

    cells = ["import sys; print('out', flush=True); print('err', file=sys.stderr)", "20 + 22"]
    assert jupyter.run("good.ipynb", cells, 300) == ("out\n", "err\n")
    saved = jupyter.call("GET", "/api/contents/good.ipynb")["content"]["cells"]
    assert [cell["execution_count"] for cell in saved] == [1, 2]
    assert saved[1]["outputs"][0]["data"]["text/plain"] == "42"
    with pytest.raises(ValueError, match=r"^ZeroDivisionError: division by zero$"):
        jupyter.run("bad.ipynb", ["1 / 0"], 300)
    with pytest.raises(TimeoutError, match="no end of its cells within 2 s"):
        jupyter.run("slow.ipynb", ["import time; time.sleep(600)"], 2)
