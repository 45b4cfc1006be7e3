"""Everything that a start fetches, side by side, under one deadline."""

from lyftlearn_entrypoint.errors import BadSettings, StartError, Unavailable
from lyftlearn_entrypoint.fetch.parallel import OPTIONAL, Task, run_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.context import Context
    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.aws import Aws
    from lyftlearn_entrypoint.fetch.confidant import Confidant, Secret
    from lyftlearn_entrypoint.fetch.model import Model
    from lyftlearn_entrypoint.fetch.staged import Document
    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.launch import Inputs
    from lyftlearn_entrypoint.log import Log
    from lyftlearn_entrypoint.settings import Settings
    from lyftlearn_entrypoint.trace import Tracer


class Fetch:
    """What one start fetches. Effects come in through `files`, `environ`, `deadline` and `log`; `tracer`, if any, is told of all."""

    __slots__ = (
        *("client", "context", "deadline", "environ", "fail_open", "files", "inputs", "log", "model", "settings", "spans", "steps"),
        *("tasks", "tracer"),
    )

    def __init__(
        self,
        context: "Context",
        settings: "Settings",
        steps: "tuple[str, ...]",
        environ: "dict[str, str]",
        files: "Files",
        deadline: "Deadline",
        log: "Log",
        inputs: "Inputs",
        tracer: "Tracer | None" = None,
    ) -> None:
        self.context = context
        self.settings = settings
        self.steps = steps
        self.environ = environ
        self.files = files
        self.deadline = deadline
        self.log = log
        self.inputs = inputs
        self.tracer = tracer
        # Studio shows a failed start as "InternalFailure" and hides its log: better a notebook without secrets that says so.
        self.fail_open = context.name == "studio"
        self.tasks: list[Task] = []
        self.spans: list[tuple[str, float, float]] = []
        self.client: Aws | None = None
        self.model: Model | None = None

    def run(self) -> "list[StartError]":
        """Fill the inputs. Returns the errors that were let pass (Studio); raises StartError for the others."""
        passed: list[StartError] = []
        for step in ("hyperparameters", "environment", "credentials", "model"):
            if step in self.steps:
                try:
                    self.collect(step)
                except StartError as error:
                    if not self._forgiven(step):
                        raise
                    passed.append(error)
        self._statsd()
        self._spark()
        held = ("model",) if self.model is not None and self.model.held() else ()
        needed = [task for task in self.tasks if task.step not in (*OPTIONAL, *held)]
        if needed and self._isolated():
            raise Unavailable(
                "no network: this job has no AWS credentials, as under network isolation, and it needs "
                + " and ".join(t.asks for t in needed),
                "Pass the documents as an input channel named lyftlearn (`lyftlearn stage --print channel`) and unset what needs "
                "the network, or run the job without network isolation",
                finding="LL0715",
            )
        if self.tracer is not None:
            for task in self.tasks:
                task.run = self.tracer.task(task.step, task.run, task.asks)
        ended = run_all(self.tasks, self.deadline, lambda task: not self._forgiven(task.step))
        self.spans += [(task.step, task.started, task.ended) for task in ended]
        outcomes = [(task, task.error if task in ended else self._unfinished(task)) for task in self.tasks]
        if any(task in ended and error is not None and not self._forgiven(task.step) for task, error in outcomes):
            # Another task that was still under way when this one failed is not to blame.
            outcomes = [(task, error) for task, error in outcomes if task in ended]
        fatal = [error for task, error in outcomes if error is not None and not self._forgiven(task.step)]
        if fatal:
            raise _together(fatal)
        for task, failure in outcomes:
            if failure is None:
                self._take(task)
            elif task.step in OPTIONAL:
                self.log.warning(task.step + ": " + str(failure), step=task.step)
            else:
                passed.append(failure)
        return passed

    def _forgiven(self, step: str) -> bool:
        return step in OPTIONAL or self.fail_open

    def _isolated(self) -> bool:
        from lyftlearn_entrypoint.fetch.isolation import isolated

        return isolated(self.context, self.environ)

    def _unfinished(self, task: Task) -> StartError:
        if task.step == "spark":
            return Unavailable(task.asks + " does not resolve: no answer yet", "Check DNS in this subnet", finding="LL0901")
        if task.step in OPTIONAL:
            return Unavailable(task.asks + " does not resolve: no answer yet", self._fate() + ": check DNS", finding="LL0801")
        if task.step == "model" and self.model is not None:
            return self.model.unfinished()
        if task.thread in self.deadline.failed:
            return self.deadline.failed[task.thread]
        waiting = self.client.http.waiting() if self.client is not None else []
        whom = "; still waiting for " + " and ".join(waiting) if waiting else ""
        return Unavailable(
            task.asks + ": nothing within " + format(self.deadline.seconds, ".6g") + " s (LYFTLEARN_DEADLINE)" + whom,
            "Check the route, the security groups and the VPC endpoints from this subnet",
            finding="LL0714",
        )

    # What to fetch ----------------------------------------------------------------------------------------------------

    def collect(self, step: str) -> None:
        """What one step has to fetch: tasks, or what is here already. Raises StartError: 65 or 78."""
        if step == "hyperparameters":
            self._hyperparameters()
        elif step == "environment":
            self._environment()
        elif step == "model":
            self._model()
        else:
            self._credentials()

    def _environment(self) -> None:
        from lyftlearn_entrypoint.fetch import staged

        document = staged.from_channel(self.files, staged.ENVIRONMENT)
        if document is not None:
            self._take_environment(document, 0)
        elif self.settings["env_uri"]:
            self._staged("environment", self.settings["env_uri"])

    def _hyperparameters(self) -> None:
        from lyftlearn_entrypoint.adapt import hyperparameters
        from lyftlearn_entrypoint.context import HYPERPARAMETERS
        from lyftlearn_entrypoint.fetch import staged

        try:
            data = hyperparameters.delivered(self.files.read(HYPERPARAMETERS), self.files.read(hyperparameters.OWN))
        except OSError as error:
            raise BadSettings(HYPERPARAMETERS + " cannot be read: " + (error.strerror or "error"), finding="LL0511") from None
        self.inputs.own_hyperparameters = hyperparameters.own(data, HYPERPARAMETERS)
        document = staged.from_channel(self.files, staged.HYPERPARAMETERS)
        if document is not None:
            self._take_hyperparameters(document, 0)
        elif self.settings["hyperparameters_uri"]:
            self._staged("hyperparameters", self.settings["hyperparameters_uri"])

    def _staged(self, step: str, uri: str) -> None:
        from lyftlearn_entrypoint.fetch import staged

        aws = self.aws()
        self.tasks.append(Task(step, str(staged.parse_uri(uri)), lambda: staged.from_s3(uri, aws.s3_get)))

    def _credentials(self) -> None:
        source = self.confidant()
        if source is not None:
            prefix = self.settings["credentials_prefix"]
            self.tasks.append(Task("credentials", str(source), lambda: source.secrets(prefix)))

    def confidant(self) -> "Confidant | None":
        """The service whose credentials a start fetches; None where no setting names one. Raises BadSettings (78)."""
        url = self.settings["confidant_url"]
        if not url:
            return None
        names = ("confidant_service", "confidant_auth_key", "confidant_auth_context")
        absent = ["LYFTLEARN_" + name.upper() for name in names if not self.settings[name]]
        if absent:
            raise BadSettings(
                self.settings.place("confidant_url") + " is set, but not " + ", ".join(absent),
                "A token needs all of them: set them, or unset LYFTLEARN_CONFIDANT_URL",
                finding="LL0617",
            )
        from lyftlearn_entrypoint.fetch.confidant import Confidant

        aws = self.aws()
        service, auth_key, auth_context = (self.settings[name] for name in names)
        return Confidant(url, service, auth_key, auth_context, aws.http, self.deadline, aws.kms_encrypt, aws.kms_decrypt, aws.region)

    def _model(self) -> None:
        if not self.settings["model_uri"]:
            return
        from lyftlearn_entrypoint.fetch.model import choose

        self.model = model = choose(self.settings, self.environ, self.files, self.aws, self.deadline, self.log, self.tracer)
        self.inputs.undo.append(model.discard)
        self.tasks.append(Task("model", str(model), model.look if self.inputs.look else model.fetch))

    def _statsd(self) -> None:
        if "statsd" not in self.steps or not self.settings["statsd_gateway"]:
            return
        if self._isolated():
            self.log.warning("statsd: this job has no network, as under network isolation: its metrics are dropped [LL0804]", step="statsd")
            return
        from lyftlearn_entrypoint.adapt import statsd

        host, port = statsd.split_address(self.settings["statsd_gateway"])
        self.inputs.relay = statsd.relay(self.settings, self.context.name)
        self.tasks.append(Task("statsd", "the metrics gateway " + host, lambda: (statsd.resolve(host, port, self._fate()), port)))

    def _fate(self) -> str:
        """What becomes of the metrics where the gateway's name does not resolve. The relay looks it up again."""
        return "Metrics are dropped until it does" if self.inputs.relay else "Metrics of this start are dropped"

    def _spark(self) -> None:
        place = self.inputs.spark
        if place is None or place.asks is None:
            return
        from lyftlearn_entrypoint.spark.address import route

        host, port = place.asks
        self.tasks.append(Task("spark", "the Kubernetes API at " + host, lambda: route(host, port)))

    def aws(self) -> "Aws":
        """One client for all tasks, so that the AWS credentials are asked for once."""
        from lyftlearn_entrypoint.fetch.aws import Aws
        from lyftlearn_entrypoint.fetch.credentials import CredentialChain
        from lyftlearn_entrypoint.fetch.http import Http

        if self.client is None:
            if self.tracer is None:
                http = Http(self.environ, self.deadline)
                chain = CredentialChain(self.environ, http, self.deadline)
            else:
                from lyftlearn_entrypoint.fetch.traced import TracedChain, TracedHttp

                http = TracedHttp(self.environ, self.deadline, self.tracer)
                chain = TracedChain(self.environ, http, self.deadline, self.tracer)
            self.client = Aws(self.environ, http, self.deadline, chain)
        return self.client

    # What came ---------------------------------------------------------------------------------------------------------

    def _take(self, task: Task) -> None:
        result = task.result
        if task.step == "environment":
            self._take_environment(result, task.milliseconds)  # type: ignore[arg-type]
        elif task.step == "hyperparameters":
            self._take_hyperparameters(result, task.milliseconds)  # type: ignore[arg-type]
        elif task.step == "model" and self.model is not None:
            self.inputs.model = self.model.take(result, task.milliseconds)  # type: ignore[arg-type]
        elif task.step == "spark":
            assert self.inputs.spark is not None
            self.inputs.spark.address = str(result)
        elif task.step == "statsd":
            self.inputs.gateway = result  # type: ignore[assignment]
            self.log.info("statsd: gateway " + self.settings["statsd_gateway"], step="statsd")
        else:
            self._take_secrets(result, task)  # type: ignore[arg-type]

    def _take_environment(self, document: "Document", milliseconds: int) -> None:
        self.inputs.environment = document
        self._say("environment", "variable", len(document.value), document.origin, document.size, milliseconds)

    def _take_hyperparameters(self, document: "Document", milliseconds: int) -> None:
        self.inputs.hyperparameters = document
        self._say("hyperparameters", "hyperparameter", len(document.value), document.origin, document.size, milliseconds)

    def _take_secrets(self, secrets: "list[Secret]", task: Task) -> None:
        self.inputs.secrets = secrets
        count = len({secret.origin for secret in secrets})
        self.log.info(
            "credentials: "
            + str(len(secrets))
            + (" value of " if len(secrets) == 1 else " values of ")
            + str(count)
            + (" credential from " if count == 1 else " credentials from ")
            + task.asks
            + ", service "
            + self.settings["confidant_service"]
            + ", in "
            + str(task.milliseconds)
            + " ms",
            step="credentials",
            count=len(secrets),
            origin=task.asks,
            milliseconds=task.milliseconds,
        )

    def _say(self, step: str, what: str, count: int, origin: str, size: int, milliseconds: int) -> None:
        line = f"{step}: {count} {what}{'' if count == 1 else 's'} from {origin}, {size} bytes, in {milliseconds} ms"
        self.log.info(line, step=step, count=count, origin=origin, bytes=size, milliseconds=milliseconds)


def _together(errors: "list[StartError]") -> StartError:
    """One error for several: the first one's code, every one's text. Their order is that of the steps, not of time."""
    if len(errors) == 1:
        return errors[0]
    return type(errors[0])("; and ".join(str(error).rstrip(".") for error in errors))  # each text has its own finding
