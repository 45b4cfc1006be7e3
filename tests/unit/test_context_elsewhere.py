"""Which runtime is this? Studio, Kubernetes, anywhere else; and what is said about the evidence."""

from pathlib import Path

import pytest

from lyftlearn_entrypoint.context import (
    HYPERPARAMETERS,
    KUBERNETES,
    LOCAL,
    PROCESSING_CONFIG,
    RESOURCE_METADATA,
    STUDIO,
    TRAINING,
    Context,
    detect,
)
from tests.unit.context_case import ARN, BAKED, CREDENTIALS, ECS, HOSTS, JOB, K8S, NAME, NONE, POD, STUDIO_FILE, Case, check, processing
from tests.unit.helpers import arn, is_root, tree

CASES = [
    # Studio
    Case(
        "Studio JupyterLab",
        STUDIO,
        env={**ECS, "SAGEMAKER_APP_TYPE": "JupyterLab"},
        files=STUDIO_FILE,
        believed=(RESOURCE_METADATA, "SAGEMAKER_APP_TYPE"),
        app="jupyterlab",
    ),
    Case(
        "Studio Code Editor", STUDIO, files={RESOURCE_METADATA: {"AppType": "CodeEditor"}}, believed=(RESOURCE_METADATA,), app="codeeditor"
    ),
    Case(
        "Studio Classic kernel, which has no variables",
        STUDIO,
        files={RESOURCE_METADATA: {"AppType": "KernelGateway"}},
        believed=(RESOURCE_METADATA,),
        app="kernelgateway",
    ),
    Case(
        "Studio, the file wins over the variable",
        STUDIO,
        env={"SAGEMAKER_APP_TYPE": "JupyterLab"},
        files={RESOURCE_METADATA: {"AppType": "CodeEditor"}},
        believed=(RESOURCE_METADATA,),
        app="codeeditor",
    ),
    Case("Studio without the file", STUDIO, env={"SAGEMAKER_APP_TYPE": "CodeEditor"}, believed=("SAGEMAKER_APP_TYPE",), app="codeeditor"),
    Case("Studio, the newer variable", STUDIO, env={"SM_APP_TYPE": "JupyterLab"}, believed=("SM_APP_TYPE",), app="jupyterlab"),
    Case(
        "a training job started from Studio's own shell",
        STUDIO,
        env={ARN: arn("training-job/a")},
        files=STUDIO_FILE,
        believed=(RESOURCE_METADATA,),
        distrusted=(ARN,),
        app="jupyterlab",
    ),
    Case(
        "classic notebook instance",
        LOCAL,
        files={RESOURCE_METADATA: {"ResourceArn": arn("notebook-instance/n"), "ResourceName": "n"}},
        believed=(NONE,),
        distrusted=(RESOURCE_METADATA,),
    ),
    Case("Studio's own Jupyter server", LOCAL, files={RESOURCE_METADATA: {"AppType": "JupyterServer"}}, distrusted=(RESOURCE_METADATA,)),
    Case("metadata that is no JSON", LOCAL, files={RESOURCE_METADATA: "AppType: JupyterLab"}, distrusted=(RESOURCE_METADATA,)),
    Case("an application type that there is not", LOCAL, env={"SAGEMAKER_APP_TYPE": "true"}, distrusted=("SAGEMAKER_APP_TYPE",)),
    Case(
        "the lower-case name that only one image's script sets",
        LOCAL,
        env={"SAGEMAKER_APP_TYPE_LOWERCASE": "jupyterlab"},
        distrusted=("SAGEMAKER_APP_TYPE_LOWERCASE",),
    ),
    # Kubernetes
    Case("pod", KUBERNETES, argv="python app.py", env=POD, believed=(K8S,)),
    Case(
        "pod that serves", KUBERNETES, argv="serve", env=POD, files={"/opt/ml/model/": ""}, believed=(K8S,), distrusted=("serve", "/opt/ml")
    ),
    Case(
        "pod with pod identity",
        KUBERNETES,
        argv="serve",
        env={
            **POD,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/var/run/t",
        },
        believed=(K8S,),
        distrusted=("AWS_CONTAINER_CREDENTIALS_FULL_URI", "serve"),
    ),
    Case(
        "pod with a SageMaker image",
        KUBERNETES,
        env={**POD, **BAKED},
        believed=(K8S,),
        distrusted=("SAGEMAKER_LOGGING_DIR, SAGEMAKER_PROGRAM, SM_MODEL_DIR, STUDIO_LOGGING_DIR",),
    ),
    Case(
        "pod with leftovers of a training job",
        KUBERNETES,
        argv="train",
        env={**POD, **JOB},
        files=HOSTS,
        believed=(K8S,),
        distrusted=(ARN, NAME, "train"),
    ),
    Case(
        "pod with leftovers of a tuning trial",
        KUBERNETES,
        env={**POD, **JOB},
        files={**HOSTS, HYPERPARAMETERS: {"_tuning_objective_metric": "x"}},
        believed=(K8S,),
        distrusted=(ARN,),
    ),
    Case(
        "pod with leftovers of a transform job",
        KUBERNETES,
        argv="serve",
        env={**POD, **ECS, "SAGEMAKER_BATCH": "true"},
        believed=(K8S,),
        distrusted=("SAGEMAKER_BATCH", "serve"),
    ),
    Case(
        "pod with Studio's variable",
        KUBERNETES,
        env={**POD, "SAGEMAKER_APP_TYPE": "JupyterLab"},
        believed=(K8S,),
        distrusted=("SAGEMAKER_APP_TYPE",),
    ),
    Case(
        "pod with a processing job's file",
        KUBERNETES,
        env=POD,
        files=processing(arn("processing-job/a")),
        believed=(K8S,),
        distrusted=(PROCESSING_CONFIG,),
    ),
    # Local
    Case("a laptop", LOCAL, argv="python train.py", believed=(NONE,)),
    Case("a laptop, train", LOCAL, argv="train", believed=(NONE,), distrusted=("train",)),
    Case(
        "a SageMaker image at home",
        LOCAL,
        env={**BAKED, "IMAGE_VERSION": "4.4"},
        believed=(NONE,),
        distrusted=("SAGEMAKER_LOGGING_DIR, SAGEMAKER_PROGRAM, SM_MODEL_DIR, STUDIO_LOGGING_DIR",),
    ),
    Case("an empty KUBERNETES_SERVICE_HOST", LOCAL, env={K8S: ""}, believed=(NONE,)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_context(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def test_facts_are_what_the_command_prints(tmp_path: Path) -> None:
    facts = detect(["train"], {**JOB, **ECS}, tree(tmp_path, HOSTS)).facts()
    assert list(facts) == ["context", "app_type", "tuning", "emulated", "signals"]
    signals = facts["signals"]
    assert isinstance(signals, list)
    assert all(list(signal) == ["name", "believed", "why"] for signal in signals)
    assert (facts["context"], facts["app_type"], facts["tuning"], facts["emulated"]) == (TRAINING, None, False, False)


def test_no_signal_shows_a_value(tmp_path: Path) -> None:
    secret = "hunter2-hunter2"
    env = {**BAKED, **ECS, "SAGEMAKER_PROGRAM": secret, "TRAINING_JOB_ARN": "arn:aws:" + secret, CREDENTIALS: "/v2/" + secret}
    found = detect(
        ["train", secret], env, tree(tmp_path, {HYPERPARAMETERS: '{"_tuning_objective_metric": "' + secret, PROCESSING_CONFIG: secret})
    )
    assert secret not in str(found.facts())


def test_unreadable_file_is_no_evidence(tmp_path: Path) -> None:
    files = tree(tmp_path, {**STUDIO_FILE, **processing(arn("processing-job/a"))})
    for path in (RESOURCE_METADATA, PROCESSING_CONFIG):
        (tmp_path / path.lstrip("/")).chmod(0)
    found = detect([], {}, files)
    if is_root():  # to whom no file is unreadable
        assert found.name == STUDIO
        return
    assert found.name == LOCAL
    whys = {signal.name: signal.why for signal in found.signals if not signal.believed}
    assert "Permission denied" in whys[RESOURCE_METADATA]
    assert "Permission denied" in whys[PROCESSING_CONFIG]


def test_file_that_cannot_be_read_even_by_root_is_no_evidence() -> None:
    class Broken:
        """An NFS mount that went away: stat answers from the cache, read does not."""

        def read(self, path: str, limit: int = 0) -> "bytes | None":
            raise OSError(5, "Input/output error")

        def stat(self, path: str) -> None:
            return None

        def is_dir(self, path: str) -> bool:
            return True

    found = detect([], {}, Broken())
    assert found.name == LOCAL
    assert [s.why for s in found.signals if s.name == RESOURCE_METADATA] == ["it cannot be read: Input/output error"]


def test_forced_context_keeps_the_evidence(tmp_path: Path) -> None:
    found = detect(["train"], JOB, tree(tmp_path, HOSTS))
    forced = found.forced(KUBERNETES, "LYFTLEARN_CONTEXT")
    assert forced.name == KUBERNETES
    assert forced.signals[0].name == "LYFTLEARN_CONTEXT"
    assert forced.signals[0].believed
    assert TRAINING in forced.signals[0].why
    assert forced.signals[1:] == found.signals


@pytest.mark.parametrize(
    ("to", "details"), [(TRAINING, ("", True, True)), (STUDIO, ("jupyterlab", False, False)), (LOCAL, ("", False, False))]
)
def test_forced_context_keeps_only_what_fits_it(to: str, details: tuple[str, bool, bool]) -> None:
    forced = Context(TRAINING, [], "", tuning=True, emulated=True).forced(to, "platform.yaml line 1")
    assert (forced.app_type, forced.tuning, forced.emulated) == details
