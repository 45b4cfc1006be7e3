"""Which runtime is this? Pure over (argv, environ, files); every signal that was seen is kept, believed or not.

The order of evidence, the traps and their sources: docs/contexts.md. In short: a variable alone is never enough where an
image, a shell or another service can carry it along; a job is believed when its ARN is SageMaker's *and* the file that the
platform writes for such a job is there.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.files import Reader

TRAINING = "sagemaker-training"
PROCESSING = "sagemaker-processing"
TRANSFORM = "sagemaker-transform"
ENDPOINT = "sagemaker-endpoint"
STUDIO = "studio"
KUBERNETES = "kubernetes"
LOCAL = "local"
CONTEXTS = (TRAINING, PROCESSING, TRANSFORM, ENDPOINT, STUDIO, KUBERNETES, LOCAL)
JOBS = (TRAINING, PROCESSING, TRANSFORM, ENDPOINT)

# Paths of the SageMaker developer guide: "How Amazon SageMaker provides training information", "Build your own processing
# container", "Get app metadata" (Studio).
RESOURCE_CONFIG = "/opt/ml/input/config/resourceconfig.json"
HYPERPARAMETERS = "/opt/ml/input/config/hyperparameters.json"
PROCESSING_CONFIG = "/opt/ml/config/processingjobconfig.json"
RESOURCE_METADATA = "/opt/ml/metadata/resource-metadata.json"
# An input channel of this name is downloaded by SageMaker itself: no call, no credentials, works under network isolation.
CHANNEL = "/opt/ml/input/data/lyftlearn"
TUNING_METRIC = "_tuning_objective_metric"  # the one hyperparameter that a tuning job adds to each of its trials

_APP_TYPES = {"jupyterlab": "jupyterlab", "codeeditor": "codeeditor", "kernelgateway": "kernelgateway"}


class Signal:
    """One piece of evidence: its name, whether it was believed, and why."""

    __slots__ = ("believed", "name", "why")

    def __init__(self, name: str, believed: bool, why: str) -> None:
        self.name = name
        self.believed = believed
        self.why = why


class Context:
    """Where this start happens. `name` is one of CONTEXTS, `app_type` is Studio's application or ''."""

    __slots__ = ("app_type", "emulated", "name", "signals", "trial", "tuning")

    def __init__(
        self,
        name: str,
        signals: "list[Signal]",
        app_type: str = "",
        tuning: bool = False,
        emulated: bool = False,
    ) -> None:
        self.name = name
        self.signals = signals
        self.app_type = app_type
        self.tuning = tuning
        self.emulated = emulated
        self.trial = tuning  # whether the hyperparameters are those of a tuning trial, whatever the context

    @property
    def job(self) -> bool:
        """True in the four contexts that SageMaker starts without a person watching."""
        return self.name in JOBS

    def forced(self, name: str, place: str) -> "Context":
        """The same evidence under a context that somebody chose (LYFTLEARN_CONTEXT)."""
        why = "it forces the context, whatever the evidence (which says " + self.name + ")"
        app_type = (self.app_type or "jupyterlab") if name == STUDIO else ""
        same = name == self.name
        tuning = name == TRAINING and self.trial
        forced = Context(name, [Signal(place, True, why), *self.signals], app_type, tuning, same and self.emulated)
        forced.trial = self.trial
        return forced

    def facts(self) -> "dict[str, object]":
        """What `lyftlearn context --json` prints."""
        return {
            "context": self.name,
            "app_type": self.app_type or None,
            "tuning": self.tuning,
            "emulated": self.emulated,
            "signals": [{"name": s.name, "believed": s.believed, "why": s.why} for s in self.signals],
        }


def arn_resource(arn: str, resource_type: str) -> str:
    """The resource name in a SageMaker ARN of the given type, or '' when it is anything else.

    arn:PARTITION:sagemaker:REGION:ACCOUNT:TYPE/NAME, as in the API reference; every partition is accepted.
    """
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or not parts[1].startswith("aws") or parts[2] != "sagemaker":
        return ""
    region, account = parts[3], parts[4]
    if not region or len(account) != 12 or not (account.isascii() and account.isdigit()):
        return ""
    kind, _, name = parts[5].partition("/")
    return name if kind == resource_type else ""


def detect(argv: "list[str]", environ: "dict[str, str]", files: "Reader") -> Context:
    """The context of a start. `argv` are the ARGs, without our own name. Raises nothing: what cannot be read is not evidence."""
    return _Detection(argv, environ, files).run()


def processing_outputs(files: "Reader") -> "list[str]":
    """Where a processing job's program puts what SageMaker uploads: LocalPath of its outputs (API reference, ProcessingS3Output)."""
    from lyftlearn_entrypoint.documents import NotJson, parse

    try:
        document = parse(files.read(PROCESSING_CONFIG) or b"")
        outputs = document["ProcessingOutputConfig"]["Outputs"]
        paths = [(output.get("S3Output") or output).get("LocalPath") for output in outputs]
    except (OSError, NotJson, KeyError, TypeError, AttributeError):
        return []
    return [path for path in paths if isinstance(path, str) and path.startswith("/opt/ml/processing/") and ".." not in path]


class _Detection:
    __slots__ = ("argv", "environ", "files", "found", "signals")

    def __init__(self, argv: "list[str]", environ: "dict[str, str]", files: "Reader") -> None:
        self.argv = argv
        self.environ = environ
        self.files = files
        self.signals: list[Signal] = []
        self.found: Context | None = None

    def run(self) -> Context:
        env = self.environ
        if env.get("KUBERNETES_SERVICE_HOST"):
            self.settle("KUBERNETES_SERVICE_HOST", KUBERNETES, "the kubelet sets it in every container of a pod")
        self.studio_or_training()
        self.processing()
        self.transform()
        self.emulated_training()
        self.endpoint()
        self.traps()
        if self.found is None:
            self.found = Context(LOCAL, self.signals)
            self.note("none of the above", True, "no evidence of SageMaker, Studio or Kubernetes: local")
        if self.environ.get("LYFTLEARN_CONTEXT") and not self.found.trial:
            self.found.trial = self.tuning()
        return self.found

    def note(self, name: str, believed: bool, why: str) -> None:
        self.signals.append(Signal(name, believed, why))

    def settle(self, name: str, context: str, why: str, app_type: str = "", emulated: bool = False) -> None:
        """Believe a signal, unless a stronger one has decided before."""
        if self.found is not None:
            if self.found.name == context:
                self.note(name, True, why)
            else:
                self.note(name, False, why + "; but " + self.found.name + " has stronger evidence")
            return
        self.note(name, True, why)
        tuning = context == TRAINING and self.tuning()
        self.found = Context(context, self.signals, app_type, tuning, emulated)

    def document(self, path: str) -> "dict[str, object] | None":
        """The JSON object in a platform file; None, with the reason noted, when it is not one."""
        try:
            data = self.files.read(path)
        except OSError as error:
            self.note(path, False, "it cannot be read: " + (error.strerror or "error"))
            return None
        if data is None:
            return None
        from lyftlearn_entrypoint.documents import NotJson, parse

        try:
            value = parse(data)
        except NotJson as error:
            self.note(path, False, "it is no JSON document: " + str(error))
            return None
        if not isinstance(value, dict):
            self.note(path, False, "it holds no JSON object")
            return None
        return value

    def present(self, path: str) -> bool:
        return self.files.stat(path) is not None

    def tuning(self) -> bool:
        try:
            data = self.files.read(HYPERPARAMETERS)
        except OSError:
            return False
        if data is None or TUNING_METRIC.encode() not in data:
            return False
        document = self.document(HYPERPARAMETERS)
        if document is None or TUNING_METRIC not in document:
            return False
        self.note(TUNING_METRIC + " in " + HYPERPARAMETERS, True, "only a tuning job adds this hyperparameter: a trial")
        return True

    def studio_or_training(self) -> None:
        arn = self.environ.get("TRAINING_JOB_ARN", "")
        if arn:
            if not arn_resource(arn, "training-job"):
                self.note("TRAINING_JOB_ARN", False, "not the ARN of a SageMaker training job (other services use the name too)")
            elif not self.present(RESOURCE_CONFIG):
                self.note("TRAINING_JOB_ARN", False, "SageMaker writes " + RESOURCE_CONFIG + " for each job, and it is not there")
            else:
                why = "a SageMaker training job's ARN, and " + RESOURCE_CONFIG + " is there"
                self.settle("TRAINING_JOB_ARN", TRAINING, why)
        metadata = self.document(RESOURCE_METADATA)
        if metadata is not None:
            app = metadata.get("AppType")
            if not isinstance(app, str):
                self.note(RESOURCE_METADATA, False, "without AppType it is that of a classic notebook instance, not of Studio")
            elif app.lower() in _APP_TYPES:
                self.settle(RESOURCE_METADATA, STUDIO, "Studio writes it, AppType " + app, _APP_TYPES[app.lower()])
            else:
                self.note(RESOURCE_METADATA, False, "AppType " + ascii(app[:40]) + " is none that runs this image")
        for name in ("SAGEMAKER_APP_TYPE", "SM_APP_TYPE"):
            app_type = self.environ.get(name, "")
            if app_type.lower() in _APP_TYPES:
                self.settle(name, STUDIO, "Studio sets it in its applications", _APP_TYPES[app_type.lower()])
            elif app_type:
                self.note(name, False, ascii(app_type[:40]) + " is no type of a Studio application")

    def processing(self) -> None:
        document = self.document(PROCESSING_CONFIG)
        if document is None:
            return
        arn = document.get("ProcessingJobArn")
        if isinstance(arn, str) and arn_resource(arn, "processing-job"):
            self.settle(PROCESSING_CONFIG, PROCESSING, "it names a SageMaker processing job's ARN")
        elif isinstance(arn, str) and arn and ":" not in arn:
            why = "it names a job but no ARN: SageMaker's local mode"
            self.settle(PROCESSING_CONFIG, PROCESSING, why, emulated=True)
        else:
            self.note(PROCESSING_CONFIG, False, "its ProcessingJobArn is not that of a SageMaker processing job")

    def transform(self) -> None:
        arn = self.environ.get("TRANSFORM_JOB_ARN", "")
        if arn_resource(arn, "transform-job"):
            self.settle("TRANSFORM_JOB_ARN", TRANSFORM, "a SageMaker transform job's ARN")
        elif arn:
            self.note("TRANSFORM_JOB_ARN", False, "not the ARN of a SageMaker transform job")
        batch = self.environ.get("SAGEMAKER_BATCH", "")
        if batch.lower() == "true":
            self.settle("SAGEMAKER_BATCH", TRANSFORM, "SageMaker sets it in every transform job")
        elif batch:
            self.note("SAGEMAKER_BATCH", False, "only the value true (in any case) means a transform job")

    def emulated_training(self) -> None:
        if not self.environ.get("TRAINING_JOB_NAME"):
            return
        arn = self.environ.get("TRAINING_JOB_ARN", "")
        if arn_resource(arn, "training-job"):
            if self.present(RESOURCE_CONFIG):
                self.settle("TRAINING_JOB_NAME", TRAINING, "SageMaker sets it beside the ARN")
            else:
                self.note("TRAINING_JOB_NAME", False, "it comes with an ARN that is not believed")
        elif not arn.startswith("arn:") or self.present(RESOURCE_CONFIG):
            why = "a job name without a SageMaker ARN: SageMaker's local mode"
            self.settle("TRAINING_JOB_NAME", TRAINING, why, emulated=True)
        else:
            self.note("TRAINING_JOB_NAME", False, "it comes with another service's ARN, and no " + RESOURCE_CONFIG)

    def endpoint(self) -> None:
        serve = self.argv[:1] == ["serve"]
        env = self.environ
        hosting = [n for n in ("SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE", "SAGEMAKER_MULTI_MODEL") if env.get(n)]
        container = bool(env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"))
        if env.get("AWS_EXECUTION_ENV") == "AWS_ECS_FARGATE":
            container = False
        if serve and (container or hosting):
            with_what = hosting[0] if hosting else "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
            self.settle("serve", ENDPOINT, "SageMaker starts hosting with it, and " + with_what + " is set")
        elif serve:
            self.note("serve", False, "an argument alone says nothing: people type it too")

    def traps(self) -> None:
        """What others take for evidence, and is none. Shown so that a wrong expectation can be explained."""
        env = self.environ
        if self.argv[:1] == ["train"]:
            self.note("train", False, "an argument alone says nothing: people type it too")
        if self.files.is_dir("/opt/ml"):
            self.note("/opt/ml", False, "images and Python packages create this directory too")
        if env.get("AWS_EXECUTION_ENV"):
            self.note("AWS_EXECUTION_ENV", False, "ECS, training jobs and others share its values")
        for name in ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            if env.get(name):
                self.note(name, False, "ECS tasks, EKS pods, jobs and Studio have it alike: credentials, not a place")
        known = ("SAGEMAKER_APP_TYPE", "SAGEMAKER_BATCH")
        others = sorted(n for n in env if n.startswith(("SAGEMAKER_", "STUDIO_", "SM_")) and n not in known and n != "SM_APP_TYPE")
        if others:
            self.note(", ".join(others[:6]), False, "images and toolkits carry such names along, to pods too")
