"""Which runtime is this? Every context and every false positive of the SageMaker contract, and which signal was believed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lyftlearn_entrypoint.context import (
    ENDPOINT,
    HYPERPARAMETERS,
    KUBERNETES,
    LOCAL,
    PROCESSING,
    PROCESSING_CONFIG,
    RESOURCE_CONFIG,
    RESOURCE_METADATA,
    STUDIO,
    TRAINING,
    TRANSFORM,
    Context,
    arn_resource,
    detect,
)
from tests.unit.helpers import arn, is_root, tree

NONE = "none of the above"
TUNING = "_tuning_objective_metric in " + HYPERPARAMETERS
ECS = {"AWS_EXECUTION_ENV": "AWS_ECS_EC2", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/0c1"}
FARGATE = {**ECS, "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE"}
POD = {"KUBERNETES_SERVICE_HOST": "10.100.0.1", "KUBERNETES_SERVICE_PORT": "443"}
HOSTS = {RESOURCE_CONFIG: {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}}
JOB = {"TRAINING_JOB_NAME": "churn", "TRAINING_JOB_ARN": arn("training-job/churn"), "AWS_REGION": "us-east-1", **ECS}
STUDIO_FILE = {RESOURCE_METADATA: {"AppType": "JupyterLab", "DomainId": "d-1", "ResourceArn": arn("app/d-1/x/jupyterlab/default")}}
# Dockerfile ENV of sagemaker-distribution and the deep learning containers: it travels with the image, to pods too.
BAKED = {
    "SAGEMAKER_LOGGING_DIR": "/var/log",
    "STUDIO_LOGGING_DIR": "/var/log",
    "SAGEMAKER_PROGRAM": "train.py",
    "SM_MODEL_DIR": "/opt/ml/model",
}


def processing(job_arn: object) -> dict[str, Any]:
    return {PROCESSING_CONFIG: {"ProcessingJobArn": job_arn, "ProcessingJobName": "clean"}}


class Case:
    """What a container has, the context that it is, and the signals that must be believed and distrusted, by name."""

    def __init__(
        self,
        title: str,
        expected: str,
        *,
        argv: str = "",
        env: Mapping[str, str] = {},
        files: Mapping[str, Any] = {},
        believed: tuple[str, ...] = (),
        distrusted: tuple[str, ...] = (),
        app: str = "",
        tuning: bool = False,
        emulated: bool = False,
    ) -> None:
        self.title = title
        self.expected = expected
        self.argv = argv.split()
        self.env = env
        self.files = files
        self.believed = believed
        self.distrusted = distrusted
        self.details = (app, tuning, emulated)


ARN, NAME, CREDENTIALS = "TRAINING_JOB_ARN", "TRAINING_JOB_NAME", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
K8S, EXECUTION = "KUBERNETES_SERVICE_HOST", "AWS_EXECUTION_ENV"

CASES = [
    # Training
    Case(
        "training job",
        TRAINING,
        argv="train",
        env=JOB,
        files=HOSTS,
        believed=(ARN, NAME),
        distrusted=("train", EXECUTION, CREDENTIALS, "/opt/ml"),
    ),
    Case("training job with ContainerEntrypoint", TRAINING, argv="python train.py", env=JOB, files=HOSTS, believed=(ARN,)),
    Case("training job that runs serve", TRAINING, argv="serve", env=JOB, files=HOSTS, believed=(ARN,), distrusted=("serve",)),
    Case("training job, no network", TRAINING, argv="train", env={ARN: JOB[ARN], NAME: "churn"}, files=HOSTS, believed=(ARN,)),
    Case("China", TRAINING, env={ARN: arn("training-job/a", "aws-cn", region="cn-north-1")}, files=HOSTS, believed=(ARN,)),
    Case("GovCloud", TRAINING, env={ARN: arn("training-job/a", "aws-us-gov", region="us-gov-west-1")}, files=HOSTS, believed=(ARN,)),
    Case(
        "isolated partition", TRAINING, env={ARN: arn("training-job/a", "aws-iso-b", region="us-isob-east-1")}, files=HOSTS, believed=(ARN,)
    ),
    Case(
        "tuning trial",
        TRAINING,
        argv="train",
        env=JOB,
        files={**HOSTS, HYPERPARAMETERS: {"_tuning_objective_metric": "auc", "eta": "0.1"}},
        believed=(ARN, TUNING),
        tuning=True,
    ),
    Case(
        "the metric's name in a value only",
        TRAINING,
        env=JOB,
        files={**HOSTS, HYPERPARAMETERS: {"note": "_tuning_objective_metric"}},
        believed=(ARN,),
    ),
    Case(
        "the metric's name deeper down",
        TRAINING,
        env=JOB,
        files={**HOSTS, HYPERPARAMETERS: {"a": {"_tuning_objective_metric": "x"}}},
        believed=(ARN,),
    ),
    Case(
        "broken hyperparameters with the metric's name",
        TRAINING,
        env=JOB,
        files={**HOSTS, HYPERPARAMETERS: '{"_tuning_objective_metric": '},
        believed=(ARN,),
        distrusted=(HYPERPARAMETERS,),
    ),
    Case(
        "notebook job: a Studio image in a training job",
        TRAINING,
        argv="train",
        env={**JOB, **BAKED, "SM_EXECUTION_INPUT_PATH": "/opt/ml/input/data"},
        files=HOSTS,
        believed=(ARN,),
    ),
    Case(
        "notebook job with Studio's variable",
        TRAINING,
        env={**JOB, "SAGEMAKER_APP_TYPE": "JupyterLab"},
        files=HOSTS,
        believed=(ARN,),
        distrusted=("SAGEMAKER_APP_TYPE",),
    ),
    # Training: what only looks like it
    Case("DeepRacer", LOCAL, env={ARN: arn("training_job/abc", service="deepracer")}, believed=(NONE,), distrusted=(ARN,)),
    Case("DeepRacer with a job name", LOCAL, env={ARN: arn("training_job/abc", service="deepracer"), NAME: "race"}, distrusted=(ARN, NAME)),
    Case("DeepRacer community: a fake ARN", LOCAL, env={ARN: arn("training-job/test-1")}, believed=(NONE,), distrusted=(ARN,)),
    Case("a fake ARN with a job name", LOCAL, env={ARN: arn("training-job/test-1"), NAME: "test-1"}, distrusted=(ARN, NAME)),
    Case("the ARN of another kind of job", LOCAL, env={ARN: arn("processing-job/a")}, files=HOSTS, distrusted=(ARN,)),
    Case("an ARN without an account", LOCAL, env={ARN: arn("training-job/a", account="")}, files=HOSTS, distrusted=(ARN,)),
    Case("an ARN without a job", LOCAL, env={ARN: arn("training-job/")}, files=HOSTS, distrusted=(ARN,)),
    Case("an empty ARN", LOCAL, env={ARN: ""}, files=HOSTS, believed=(NONE,)),
    Case("/opt/ml in the image", LOCAL, argv="train", files={"/opt/ml/code/": "", "/opt/ml/model/": ""}, distrusted=("/opt/ml", "train")),
    Case("resourceconfig.json alone", LOCAL, files=HOSTS, believed=(NONE,), distrusted=("/opt/ml",)),
    # Local mode
    Case(
        "local mode",
        TRAINING,
        argv="train",
        env={NAME: "job-x7k2p", "AWS_ACCESS_KEY_ID": "x"},
        files=HOSTS,
        believed=(NAME,),
        emulated=True,
    ),
    Case("local mode with an empty ARN", TRAINING, argv="train", env={NAME: "job", ARN: ""}, files=HOSTS, believed=(NAME,), emulated=True),
    Case(
        "local mode, the name for the ARN",
        TRAINING,
        env={NAME: "job", ARN: "job"},
        files=HOSTS,
        believed=(NAME,),
        distrusted=(ARN,),
        emulated=True,
    ),
    Case(
        "local mode, the name for the ARN, no hosts",
        TRAINING,
        env={NAME: "job", ARN: "job"},
        believed=(NAME,),
        distrusted=(ARN,),
        emulated=True,
    ),
    Case(
        "local mode on Studio's network",
        TRAINING,
        env={NAME: "job", "SM_STUDIO_LOCAL_MODE": "True"},
        files=HOSTS,
        believed=(NAME,),
        emulated=True,
    ),
    Case(
        "local mode, tuning",
        TRAINING,
        env={NAME: "job"},
        files={**HOSTS, HYPERPARAMETERS: {"_tuning_objective_metric": "auc"}},
        believed=(NAME, TUNING),
        tuning=True,
        emulated=True,
    ),
    Case("local mode, processing", PROCESSING, files=processing("clean"), believed=(PROCESSING_CONFIG,), emulated=True),
    Case(
        "local mode, transform",
        TRANSFORM,
        argv="serve",
        env={"SAGEMAKER_BATCH": "True"},
        believed=("SAGEMAKER_BATCH",),
        distrusted=("serve",),
    ),
    # Processing
    Case(
        "processing job",
        PROCESSING,
        argv="python clean.py",
        env=ECS,
        files=processing(arn("processing-job/clean")),
        believed=(PROCESSING_CONFIG,),
        distrusted=(CREDENTIALS,),
    ),
    Case("processing job in China", PROCESSING, files=processing(arn("processing-job/clean", "aws-cn")), believed=(PROCESSING_CONFIG,)),
    Case(
        "processing job of another service",
        LOCAL,
        files=processing(arn("processing-job/x", service="glue")),
        distrusted=(PROCESSING_CONFIG,),
    ),
    Case(
        "processing configuration with another job's ARN", LOCAL, files=processing(arn("training-job/x")), distrusted=(PROCESSING_CONFIG,)
    ),
    Case("processing configuration without an ARN", LOCAL, files={PROCESSING_CONFIG: {}}, distrusted=(PROCESSING_CONFIG,)),
    Case("processing configuration with an empty ARN", LOCAL, files=processing(""), distrusted=(PROCESSING_CONFIG,)),
    Case("processing configuration with a number for an ARN", LOCAL, files=processing(7), distrusted=(PROCESSING_CONFIG,)),
    Case(
        "processing configuration that is cut off",
        LOCAL,
        files={PROCESSING_CONFIG: '{"ProcessingJobArn": "arn:aws'},
        distrusted=(PROCESSING_CONFIG,),
    ),
    Case("processing configuration that is empty", LOCAL, files={PROCESSING_CONFIG: b""}, distrusted=(PROCESSING_CONFIG,)),
    Case("processing configuration that is a list", LOCAL, files={PROCESSING_CONFIG: "[]"}, distrusted=(PROCESSING_CONFIG,)),
    Case("processing configuration that is not UTF-8", LOCAL, files={PROCESSING_CONFIG: b"\xff\xfe{}"}, distrusted=(PROCESSING_CONFIG,)),
    Case("processing configuration that is a directory", LOCAL, files={PROCESSING_CONFIG + "/": ""}, distrusted=(PROCESSING_CONFIG,)),
    Case("PROCESSING_JOB_ARN, which SageMaker does not set", LOCAL, env={"PROCESSING_JOB_ARN": arn("processing-job/a")}, believed=(NONE,)),
    # Transform and endpoints
    Case(
        "transform job",
        TRANSFORM,
        argv="serve",
        env={**ECS, "SAGEMAKER_BATCH": "true", "TRANSFORM_JOB_ARN": arn("transform-job/t")},
        believed=("TRANSFORM_JOB_ARN", "SAGEMAKER_BATCH"),
        distrusted=("serve",),
    ),
    Case(
        "transform job, by its ARN",
        TRANSFORM,
        argv="serve",
        env={"TRANSFORM_JOB_ARN": arn("transform-job/t")},
        believed=("TRANSFORM_JOB_ARN",),
    ),
    Case(
        "transform ARN of another service",
        LOCAL,
        env={"TRANSFORM_JOB_ARN": arn("transform-job/t", service="x")},
        distrusted=("TRANSFORM_JOB_ARN",),
    ),
    Case("SAGEMAKER_BATCH=false", LOCAL, env={"SAGEMAKER_BATCH": "false"}, distrusted=("SAGEMAKER_BATCH",)),
    Case("SAGEMAKER_BATCH=1", LOCAL, argv="serve", env={"SAGEMAKER_BATCH": "1"}, distrusted=("SAGEMAKER_BATCH", "serve")),
    Case("endpoint", ENDPOINT, argv="serve", env=ECS, files={"/opt/ml/model/": ""}, believed=("serve",), distrusted=("/opt/ml", EXECUTION)),
    Case("endpoint, inference pipeline", ENDPOINT, argv="serve", env={"SAGEMAKER_BIND_TO_PORT": "8081"}, believed=("serve",)),
    Case("endpoint, multi-model", ENDPOINT, argv="serve", env={"SAGEMAKER_MULTI_MODEL": "true"}, believed=("serve",)),
    Case("serve typed at home", LOCAL, argv="serve", believed=(NONE,), distrusted=("serve",)),
    Case("serve typed at home, a model mounted", LOCAL, argv="serve", files={"/opt/ml/model/": ""}, distrusted=("serve", "/opt/ml")),
    Case("serve in a Fargate task", LOCAL, argv="serve", env=FARGATE, distrusted=("serve", EXECUTION, CREDENTIALS)),
    Case("serve, but not as the first word", LOCAL, argv="python serve", env=ECS, believed=(NONE,)),
    Case("ECS task", LOCAL, argv="python app.py", env=ECS, believed=(NONE,), distrusted=(EXECUTION, CREDENTIALS)),
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
    found = detect(case.argv, dict(case.env), tree(tmp_path, case.files))
    believed = {signal.name for signal in found.signals if signal.believed}
    distrusted = {signal.name for signal in found.signals if not signal.believed}
    assert (found.name, (found.app_type, found.tuning, found.emulated)) == (case.expected, case.details), found.facts()
    assert set(case.believed) <= believed, found.facts()
    assert set(case.distrusted) <= distrusted, found.facts()
    assert all(signal.why for signal in found.signals)
    assert found.job == (found.name.startswith("sagemaker-"))


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


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (arn("training-job/a"), "a"),
        (arn("training-job/a", "aws-cn"), "a"),
        (arn("training-job/a", "azure"), ""),
        (arn("training-job/a", region=""), ""),
        (arn("training-job/a", account="12345678901x"), ""),
        (arn("training-job/a", account="١٢٣٤٥٦٧٨٩٠١٢"), ""),
        (arn("training_job/a"), ""),
        ("xarn:aws:sagemaker:us-east-1:123456789012:training-job/a", ""),
        ("arn:aws:sagemaker", ""),
        ("", ""),
    ],
)
def test_arn_is_taken_apart_strictly(text: str, name: str) -> None:
    assert arn_resource(text, "training-job") == name
