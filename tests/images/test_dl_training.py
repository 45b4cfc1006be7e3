"""The image with PyTorch at work: imports, a training job, kernels that are compiled where they run, and GPUs where there are some."""

import json
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_local.container import STUDIO, TRAINING, Passed
from tests.images.conftest import Start
from tests.images.platform_files import Mounted, readable
from tests.remarks import remark

pytestmark = [pytest.mark.image("dl"), pytest.mark.slow]

PROGRAMS = Path(__file__).parent / "dl"
IMPORT = """
import importlib, importlib.metadata
wanted = ["setuptools"]  # before pip, which takes distutils away from it
wanted += ["torch.distributed.run", "torch.utils.data", "torch._dynamo", "torch.testing", "torchvision.ops", "cuda.bindings"]
wanted += sorted(name for name in importlib.metadata.packages_distributions() if name.isidentifier())
for name in wanted:
    try:
        importlib.import_module(name)
    except BaseException as error:
        print("FAILED", name, type(error).__name__, error)
import torch, torchvision
boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30]])
print(torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist())
print(torch.version.cuda.split(".")[0], torch.distributed.is_nccl_available(), torch.distributed.is_gloo_available())
"""


@pytest.mark.parametrize("user", ["0:0", "1000:100", "1000680000:0"])
def test_every_package_can_be_imported(start: Start, dl: str, user: str) -> None:
    """On a read-only root, without a capability. torchvision's own kernels are found too."""
    options = {"user": user, "read_only": True, "tmpfs": {"/tmp": "mode=1777"}, "cap_drop": ["ALL"], "shm_size": "1g"}
    container = start("python", "-c", IMPORT, image=dl, **options)
    assert container.wait() == 0, container.log
    assert container.stdout == "[0, 2]\n13 True True\n"


def test_a_training_job(start: Start, dl: str, tmp_path: Path) -> None:
    """A script of the user's own, one epoch on CPU with two DataLoader workers, as SageMaker starts it."""
    variables = {"LYFTLEARN_TRAIN_COMMAND": "python /code/train.py", "LYFTLEARN_USER": "lyftlearn"}
    job = Mounted(readable(tmp_path), TRAINING, Passed(variables, {}, ["train"]))
    container = start("train", image=dl, shm_size="1g", **job.options(PROGRAMS))
    assert container.wait() == 0, container.log
    assert container.stdout == "trained\n"
    facts = json.loads((job.ml / "output/data/facts.json").read_text())
    assert facts["before"] < 0.5  # four classes: chance is 0.25
    assert facts["after"] > 0.9
    assert facts["uid"] == 1000
    assert (job.ml / "model/model.pt").stat().st_uid == 1000
    reads = "import torch; print(sorted(torch.load('/opt/ml/model/model.pt', weights_only=True)))"
    served = start("python", "-c", reads, image=dl, shm_size="1g", volumes=job.options(PROGRAMS)["volumes"])
    assert served.wait() == 0, served.log
    assert served.stdout == "['0.bias', '0.weight', '4.bias', '4.weight']\n"


@pytest.mark.parametrize("user", ["1000:100", pytest.param("1000680000:0", marks=pytest.mark.thorough)])
def test_torch_compile_finds_its_compiler(start: Start, dl: str, user: str) -> None:
    options = {"user": user, "read_only": True, "tmpfs": {"/tmp": "mode=1777,exec"}, "shm_size": "1g"}
    container = start("python", "/code/compiled.py", image=dl, volumes={str(PROGRAMS): {"bind": "/code", "mode": "ro"}}, **options)
    assert container.wait() == 0, container.log
    assert container.stdout == "compiled\n"


def test_a_notebooks_user_starts_as_quietly(start: Start, dl: str, tmp_path: Path) -> None:
    """Studio starts a kernel below the application: it says nothing of shared memory again, and sees torch."""
    job = Mounted(readable(tmp_path), STUDIO, Passed({}, {}, []))
    words = ["python", "-c", "import torch; print(torch.ones(2).sum().item())"]
    container = start(*words, image=dl, user="1000:100", shm_size="64m", **job.options(PROGRAMS))
    assert container.wait() == 0, container.log
    assert container.log == "2.0\n"


@pytest.fixture
def gpus(client: Any, request: pytest.FixtureRequest) -> bool:
    """Whether this engine can give a GPU to a container."""
    there = "nvidia" in client.info().get("Runtimes", {}) and Path("/dev/nvidiactl").exists()
    if not there:
        remark(request.config, "no GPU: CUDA checks not run")
    return there


def test_cuda(start: Start, dl: str, gpus: bool) -> None:
    """With a GPU: a product and a sum over NCCL. Without: the same program says so, and so does pytest's summary."""
    options: dict[str, Any] = {"volumes": {str(PROGRAMS): {"bind": "/code", "mode": "ro"}}, "shm_size": "1g"}
    if gpus:
        import docker.types

        options["device_requests"] = [docker.types.DeviceRequest(count=-1, capabilities=[["gpu"]])]
    container = start("python", "/code/gpu.py", image=dl, **options)
    code = container.wait()
    if gpus:
        assert code == 0, container.log
        assert "NCCL 2." in container.stdout
    else:
        assert code == 3, container.log
        assert container.stdout == "no GPU: torch.cuda.is_available() is False\n"
