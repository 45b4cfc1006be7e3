"""Which runtime is this? SageMaker's jobs and endpoints, and everything that only looks like one."""

from pathlib import Path

import pytest

from lyftlearn_entrypoint.context import (
    ENDPOINT,
    HYPERPARAMETERS,
    LOCAL,
    PROCESSING,
    PROCESSING_CONFIG,
    TRAINING,
    TRANSFORM,
    arn_resource,
)
from tests.unit.context_case import (
    ARN,
    BAKED,
    CREDENTIALS,
    ECS,
    EXECUTION,
    FARGATE,
    HOSTS,
    JOB,
    NAME,
    NONE,
    TUNING,
    Case,
    check,
    processing,
)
from tests.unit.helpers import arn

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
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_context(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


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
