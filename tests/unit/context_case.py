"""The table of contexts: what a container has, the context that it is, and the signals that must be believed and distrusted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lyftlearn_entrypoint.context import (
    HYPERPARAMETERS,
    PROCESSING_CONFIG,
    RESOURCE_CONFIG,
    RESOURCE_METADATA,
    detect,
)
from tests.unit.helpers import arn, tree

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


def check(case: Case, root: Path) -> None:
    found = detect(case.argv, dict(case.env), tree(root, case.files))
    believed = {signal.name for signal in found.signals if signal.believed}
    distrusted = {signal.name for signal in found.signals if not signal.believed}
    assert (found.name, (found.app_type, found.tuning, found.emulated)) == (case.expected, case.details), found.facts()
    assert set(case.believed) <= believed, found.facts()
    assert set(case.distrusted) <= distrusted, found.facts()
    assert all(signal.why for signal in found.signals)
    assert found.job == found.name.startswith("sagemaker-")
