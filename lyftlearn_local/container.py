"""What the platform gives to a container in each context: variables, files, arguments, and how it is stopped. Pure.

Sources: SageMaker developer guide ("How Amazon SageMaker provides training information", "Build your own processing container",
"Use your own inference code", "Custom image specifications" of Studio), and dumps of real jobs' variables; Kubernetes 1.32 for pods.
"""

import json
import shlex
from dataclasses import dataclass, field

from lyftlearn_local import configmap, limits
from lyftlearn_local.platform import ACCOUNT, BUCKET, REGION, ROLE

TRAINING, PROCESSING, TRANSFORM = limits.TRAINING, limits.PROCESSING, limits.TRANSFORM
ENDPOINT, STUDIO = limits.ENDPOINT, limits.STUDIO
KUBERNETES, LOCAL = "kubernetes", "local"
CONTEXTS = (TRAINING, PROCESSING, TRANSFORM, ENDPOINT, STUDIO, KUBERNETES, LOCAL)

_INSTANCE = "ml.m5.xlarge"
# docker stop -t 120 for jobs ("StopTrainingJob" in the API reference); 30 s for hosting ("How containers serve inference requests")
# and, by terminationGracePeriodSeconds' default, for a pod.
_GRACE = {TRAINING: 120.0, PROCESSING: 120.0, TRANSFORM: 120.0, ENDPOINT: 30.0, STUDIO: 30.0, KUBERNETES: 30.0, LOCAL: 30.0}


@dataclass
class Container:
    """`files` are absolute paths to bytes, `links` to their targets; all of it lies below a directory in `private`.

    `reason_file` is where the program says why it failed, '' where nobody reads one. `entrypoint` stands for the image's, where not empty.
    """

    context: str
    job: str
    argv: list[str]
    environ: dict[str, str]
    grace: float
    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)
    private: list[str] = field(default_factory=list)
    reason_file: str = ""
    entrypoint: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Passed:
    """What a user passes to the API (or puts into the pod): variables, hyperparameters, and the command.

    `entrypoint` is the API's ContainerEntrypoint where it takes the image's place. `outputs` are the directories that a processing job
    uploads. `secrets` are the files of a pod's Secret volume, which is mounted at `secrets_dir`.
    """

    environment: dict[str, str]
    hyperparameters: dict[str, str]
    command: list[str]
    tuning: bool = False
    entrypoint: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict)
    secrets_dir: str = ""


def violations(context: str, passed: Passed) -> "list[limits.Violation]":
    """What the context's API would refuse."""
    kind = limits.TUNING if passed.tuning and context == TRAINING else context
    found = limits.check(kind, limits.ENVIRONMENT, passed.environment)
    found += limits.check(kind, limits.HYPERPARAMETERS, passed.hyperparameters)
    if passed.command and takes_arguments(context, passed.tuning):
        found += limits.check(kind, limits.ARGUMENTS, passed.command)
    return found


def takes_arguments(context: str, tuning: bool) -> bool:
    """False where the API has no member for a command: the platform itself says `train` or `serve`."""
    return context not in (TRANSFORM, ENDPOINT) and not (context == TRAINING and tuning)


def contain(context: str, job: str, passed: Passed, base: "dict[str, str]", hyperparameters_dir: str, bind_port: int) -> Container:
    """The container of a context. `base` is what every container has (PATH, HOME, pointers); what the user passed wins over it.

    `hyperparameters_dir` is the old ConfigMap mount path. `bind_port` is a free TCP port, for contexts that serve.
    """
    made = Container(context, job, list(passed.command), {**base}, _GRACE[context], entrypoint=list(passed.entrypoint))
    if context in (TRAINING, PROCESSING, TRANSFORM, ENDPOINT, STUDIO):
        made.private = ["/opt/ml"]
        made.environ["AWS_REGION"] = base.get("AWS_REGION", REGION)
    if not takes_arguments(context, passed.tuning):
        _by_the_platform(made, "train" if context == TRAINING else "serve")
    {
        TRAINING: _training,
        PROCESSING: _processing,
        TRANSFORM: _transform,
        ENDPOINT: _endpoint,
        STUDIO: _studio,
        KUBERNETES: _kubernetes,
        LOCAL: _local,
    }[context](made, passed, hyperparameters_dir, bind_port)
    platform_wins = context == STUDIO  # "SageMaker-specific variables take precedence": developer guide, custom images of Studio
    made.environ = {**passed.environment, **made.environ} if platform_wins else {**made.environ, **passed.environment}
    made.environ |= {name: value for name, value in passed.environment.items() if name.startswith("LYFTLEARN_")}
    for name in ("LYFTLEARN_HYPERPARAMETERS_DIR", "LYFTLEARN_CREDENTIALS_DIR"):
        place = made.environ.get(name, "")
        if place.startswith("/") and not place.startswith(("/dev/shm", "/tmp")):
            made.private.append(place)
    return made


def _by_the_platform(made: Container, word: str) -> None:
    """The API takes no command here: the platform starts the image with one word, and a setting says what that runs."""
    if made.argv[:1] == [word]:
        return
    name = f"LYFTLEARN_{word.upper()}_COMMAND"
    made.environ[name] = shlex.join(made.argv)
    made.notes.append(f"the API takes no command here: the platform says `{word}`, and {name} holds yours")
    made.argv = [word]


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _hosts() -> "dict[str, object]":
    """resourceconfig.json as a job of December 2025 had it: current_group_name, and topology null."""
    group = {"hosts": ["algo-1"], "instance_group_name": "homogeneousCluster", "instance_type": _INSTANCE}
    return {
        "current_group_name": "homogeneousCluster",
        "current_host": "algo-1",
        "current_instance_type": _INSTANCE,
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "eth0",
        "topology": None,
    }


def _job(made: Container) -> None:
    made.environ["AWS_EXECUTION_ENV"] = "AWS_ECS_EC2"
    made.environ["DMLC_INTERFACE"] = "eth0"
    made.environ["NVIDIA_VISIBLE_DEVICES"] = "void"
    made.environ["HOSTNAME"] = "ip-10-0-0-10.ec2.internal"


def _training(made: Container, passed: Passed, hyperparameters_dir: str, bind_port: int) -> None:
    _job(made)
    made.environ["TRAINING_JOB_NAME"] = made.job
    made.environ["TRAINING_JOB_ARN"] = _arn("training-job", made.job)
    hyperparameters = dict(passed.hyperparameters)
    if passed.tuning:
        hyperparameters["_tuning_objective_metric"] = "objective"
    config = "/opt/ml/input/config/"
    made.files[config + "hyperparameters.json"] = _json(hyperparameters)
    made.files[config + "resourceconfig.json"] = _json(_hosts())
    made.files[config + "inputdataconfig.json"] = _json({})
    made.directories = ["/opt/ml/input/data", "/opt/ml/model", "/opt/ml/output/data", "/opt/ml/checkpoints"]
    made.reason_file = "/opt/ml/output/failure"
    if hyperparameters_dir:
        made.environ["LYFTLEARN_HYPERPARAMETERS_DIR"] = hyperparameters_dir


def _processing(made: Container, passed: Passed, hyperparameters_dir: str, bind_port: int) -> None:
    _job(made)
    application: dict[str, object] = {"ImageUri": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/lyftlearn:local"}
    if passed.entrypoint:
        application["ContainerEntrypoint"] = passed.entrypoint
    if passed.command:
        application["ContainerArguments"] = passed.command
    s3 = f"s3://{BUCKET}/{made.job}/output/output-"
    outputs = [
        {
            "OutputName": f"output-{number}",
            "AppManaged": False,
            "S3Output": {"LocalPath": path, "S3Uri": s3 + str(number), "S3UploadMode": "EndOfJob"},
        }
        for number, path in enumerate(passed.outputs, 1)
    ]
    cluster = {"InstanceCount": 1, "InstanceType": _INSTANCE, "VolumeSizeInGB": 30, "VolumeKmsKeyId": None}
    made.files["/opt/ml/config/processingjobconfig.json"] = _json(
        {
            "ProcessingJobArn": _arn("processing-job", made.job),
            "ProcessingJobName": made.job,
            "AppSpecification": application,
            "Environment": passed.environment,
            "ProcessingInputs": [],
            "ProcessingOutputConfig": {"Outputs": outputs, "KmsKeyId": None},
            "ProcessingResources": {"ClusterConfig": cluster},
            "RoleArn": ROLE,
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        }
    )
    made.files["/opt/ml/config/resourceconfig.json"] = _json({"current_host": "algo-1", "hosts": ["algo-1"]})
    made.directories = ["/opt/ml/processing", "/opt/ml/output", *passed.outputs]
    made.reason_file = "/opt/ml/output/message"


def _transform(made: Container, passed: Passed, hyperparameters_dir: str, bind_port: int) -> None:
    _endpoint(made, passed, hyperparameters_dir, bind_port)
    made.environ["SAGEMAKER_BATCH"] = "true"
    made.environ["TRANSFORM_JOB_ARN"] = _arn("transform-job", made.job)


def _endpoint(made: Container, passed: Passed, hyperparameters_dir: str, bind_port: int) -> None:
    _job(made)
    # What hosting sets where it does not leave the port at 8080; here that one may be somebody else's.
    made.environ["SAGEMAKER_BIND_TO_PORT"] = str(bind_port)
    made.directories = ["/opt/ml/model"]
    made.notes.append(f"serve on port {bind_port} (SAGEMAKER_BIND_TO_PORT)")


def _studio(made: Container, passed: Passed, hyperparameters_dir: str, bind_port: int) -> None:
    made.environ.update(
        AWS_ACCOUNT_ID=ACCOUNT,
        AWS_DEFAULT_REGION=made.environ["AWS_REGION"],
        SAGEMAKER_SPACE_NAME="local-space",
        SAGEMAKER_APP_TYPE="JupyterLab",
        HOSTNAME="default",
    )
    made.files["/opt/ml/metadata/resource-metadata.json"] = _json(
        {
            "AppType": "JupyterLab",
            "DomainId": "d-localdomain01",
            "SpaceName": "local-space",
            "UserProfileName": "local-user",
            "ExecutionRoleArn": ROLE,
            "ResourceArn": _arn("app", "d-localdomain01/local-space/JupyterLab/default"),
            "ResourceName": "default",
            "AppImageVersion": "",
        }
    )
    if hyperparameters_dir:
        made.environ["LYFTLEARN_HYPERPARAMETERS_DIR"] = hyperparameters_dir


def _kubernetes(made: Container, passed: Passed, hyperparameters_dir: str, bind_port: int) -> None:
    service = "10.100.0.1"
    made.environ.update(
        HOSTNAME=made.job,
        KUBERNETES_SERVICE_HOST=service,
        KUBERNETES_SERVICE_PORT="443",
        KUBERNETES_SERVICE_PORT_HTTPS="443",
        KUBERNETES_PORT=f"tcp://{service}:443",
        KUBERNETES_PORT_443_TCP=f"tcp://{service}:443",
        KUBERNETES_PORT_443_TCP_PROTO="tcp",
        KUBERNETES_PORT_443_TCP_PORT="443",
        KUBERNETES_PORT_443_TCP_ADDR=service,
    )
    mounted = {
        hyperparameters_dir: {name: value.encode() for name, value in passed.hyperparameters.items()},
        passed.secrets_dir: passed.secrets,
    }
    for directory, values in mounted.items():
        if directory and values:
            made.private.append(directory)
            files, links = configmap.layout(directory, values)
            made.files.update(files)
            made.links.update(links)


def _local(made: Container, passed: Passed, hyperparameters_dir: str, bind_port: int) -> None:
    """A plain shell on a developer's machine has nothing of a platform."""
