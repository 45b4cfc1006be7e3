"""The plan: what will be done, as plain data, before anything is. `plan` touches nothing.

The same Launch is what `lyftlearn plan` prints, what tests assert and what `apply` carries out. What a pod's start does not
need is imported where a step needs it: each module costs 0.1 to 0.4 ms.
"""

from lyftlearn_entrypoint import context as contexts
from lyftlearn_entrypoint.adapt.environment import Environment, staged_variables
from lyftlearn_entrypoint.adapt.identity import home_variables
from lyftlearn_entrypoint.errors import BadSettings, StartError
from lyftlearn_entrypoint.settings_table import TABLE, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.adapt.hosts import Hosts
    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.command import Command
    from lyftlearn_entrypoint.context import Context
    from lyftlearn_entrypoint.fetch.confidant import Secret
    from lyftlearn_entrypoint.fetch.model import Arrived
    from lyftlearn_entrypoint.fetch.staged import Document
    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.settings import Settings
    from lyftlearn_entrypoint.spark.place import Place
    from lyftlearn_entrypoint.warm.code import Code

HYPERPARAMETERS_FILE = "LYFTLEARN_HYPERPARAMETERS_FILE"
# What SageMaker uploads from, or restores: the program's user has to write there.
OWNED = ("/opt/ml/model", "/opt/ml/output", "/opt/ml/checkpoints")

_JOB = ("credentials", "environment", "statsd", "spark", "user", "model")
_STEPS = {
    contexts.TRAINING: (*_JOB, "hyperparameters", "code"),
    contexts.PROCESSING: _JOB,
    contexts.TRANSFORM: _JOB,
    contexts.ENDPOINT: _JOB,
    contexts.STUDIO: ("credentials", "environment", "statsd", "spark"),
    contexts.KUBERNETES: ("spark",),
    contexts.LOCAL: ("spark",),
}


def steps_of(context: "Context", settings: "Settings") -> "tuple[str, ...]":
    """The steps of a start: the context's own, or those that LYFTLEARN_STEPS chooses."""
    chosen = settings.steps()
    return _STEPS[context.name] if chosen is None else chosen


class Inputs:
    """What was fetched. None means that the step was off, had nothing to do, or failed where that is allowed."""

    __slots__ = (
        "environment",
        "gateway",
        "hosts",
        "hyperparameters",
        "look",
        "model",
        "outputs",
        "own_hyperparameters",
        "relay",
        "secrets",
        "spark",
        "undo",
        "warm",
        "warnings",
    )

    def __init__(self) -> None:
        self.secrets: list[Secret] | None = None
        self.environment: Document | None = None
        self.hyperparameters: Document | None = None
        self.own_hyperparameters: dict[str, str] | None = None
        self.gateway: tuple[str, int] | None = None  # numeric address and port
        self.hosts: Hosts | None = None  # a training job's, where torch is to be told of them
        self.relay: tuple[str, int] | None = None  # name and port of the gateway that a relay shall serve
        self.spark: Place | None = None  # in an image with Spark
        self.model: Arrived | None = None
        self.look = False  # whether what is large is looked for and not fetched
        self.undo: list[Callable[[], None]] = []  # for a start that fails
        self.warm: Files | None = None  # in a warm pool, where compiled code is to be kept
        self.outputs: list[str] = []  # a processing job's output directories
        self.warnings: list[str] = []  # about the machine


class Host:
    """What the plan has to know of the machine, asked before it is made. `writable(path)` is for the user who will run."""

    __slots__ = ("fallback_home", "switched_from", "user", "writable")

    def __init__(self, user: "User", writable: "Callable[[str], bool]", fallback_home: str, switched_from: "str | None") -> None:
        self.user = user
        self.writable = writable
        self.fallback_home = fallback_home
        self.switched_from = switched_from


class Volume:
    """A directory in a Kubernetes volume's layout. `mode` is that of its files; `memory`: on tmpfs where there is one."""

    __slots__ = ("directory", "files", "memory", "mode", "step")

    def __init__(self, step: str, directory: str, files: "dict[str, bytes]", mode: int, memory: bool) -> None:
        self.step = step
        self.directory = directory
        self.files = files
        self.mode = mode
        self.memory = memory


class Launch:
    """Everything that `apply` does and `exec` gets. Plain data; values of variables are secrets."""

    __slots__ = (
        "code",
        "command",
        "env",
        "gateway",
        "hyperparameters",
        "keeper",
        "make_home",
        "model",
        "names_hyperparameters",
        "notes",
        "origins",
        "own_hyperparameters",
        "owned",
        "relay",
        "spark",
        "switch",
        "user",
        "volumes",
        "warnings",
    )

    def __init__(self, command: "Command", user: "User") -> None:
        self.command = command
        self.user = user
        self.switch = False  # whether `user` is someone else than the user that we started as
        self.env: dict[str, str] = {}
        self.origins: dict[str, str] = {}
        self.hyperparameters: tuple[bytes, list[str]] | None = None  # content, and paths to try in this order
        self.names_hyperparameters = False  # whether LYFTLEARN_HYPERPARAMETERS_FILE is set
        self.own_hyperparameters = b""  # what SageMaker delivered, kept for a start on the same files
        self.volumes: list[Volume] = []
        self.make_home = ""
        self.owned: list[str] = []
        self.gateway: tuple[str, int] | None = None  # the metrics gateway's numeric address and port, where they are known
        self.relay: tuple[str, int] | None = None  # the gateway's name and port, for the relay on 127.0.0.1:8125
        self.spark: dict[str, object] | None = None  # where Spark works, and its settings but the user's own
        self.model: Arrived | None = None  # what gets its name and its owner, and is kept in a warm pool
        self.code: Code | None = None  # what is done about compiled code in a warm pool
        self.keeper: list[str] = []  # what keeps a cluster beside the program
        self.notes: list[str] = []
        self.warnings: list[str] = []

    @property
    def path_staged(self) -> bool:
        """Whether PATH is a staged document's, whose values no message may show."""
        return self.origins.get("PATH") == "staged environment"

    def facts(self) -> "dict[str, object]":
        """What `lyftlearn plan --json` prints."""
        from lyftlearn_entrypoint.facts import facts

        return facts(self)


def plan(
    command: "Command",
    context: "Context",
    settings: "Settings",
    environ: "dict[str, str]",
    inputs: Inputs,
    host: Host,
    switch: bool,
    forgive: "Callable[[StartError], bool]" = lambda error: False,
) -> Launch:
    """The Launch of a start. Pure, but for what `forgive` does with an error: True lets the start go on without that step.

    Raises BadDocument (65) for documents and credentials that cannot be carried out.
    """
    launch = Launch(command, host.user)
    launch.switch = switch
    launch.warnings += inputs.warnings
    environment = Environment(environ, settings.keep)
    ran: set[str] = set()

    for step, given, carry in (
        ("environment", inputs.environment, _plan_environment),
        ("credentials", inputs.secrets, _plan_credentials),
    ):
        if given is not None:
            try:
                carry(launch, environment, settings, inputs)
                ran.add(step)
            except StartError as error:
                if not forgive(error):
                    raise
    if environment.overwritten:
        launch.notes.append("overwritten: " + ", ".join(sorted(set(environment.overwritten))))
    launch.notes += environment.notes
    if inputs.own_hyperparameters is not None:
        ran.add("hyperparameters")
        from lyftlearn_entrypoint.adapt import hyperparameters

        hyperparameters.carry(launch, settings, inputs)
    launch.gateway, launch.relay = inputs.gateway, inputs.relay
    if inputs.relay is not None:
        ran.add("statsd")
    if inputs.gateway is not None:
        from lyftlearn_entrypoint.adapt import statsd

        ran.add("statsd")
        for group in statsd.variables(*inputs.gateway):
            # All or none: a host of the user's own with the gateway's port would be nowhere.
            if not any(name in environment.variables for name in group):
                for name, value in group.items():
                    environment.fill(name, value, "metrics gateway")
    if inputs.model is not None:
        ran.add("model")
        launch.model = inputs.model
    if inputs.warm is not None:
        from lyftlearn_entrypoint.warm import code

        if code.carry(launch, environment, settings, inputs.warm, environ, inputs.secrets or []):
            ran.add("code")
    if inputs.hosts is not None:
        inputs.hosts.fill(environment, launch.notes, launch.warnings)
    if switch:
        ran.add("user")
        launch.owned = [*OWNED, *inputs.outputs]
    if inputs.spark is not None:
        from lyftlearn_entrypoint.spark import step as spark

        ran.add("spark")
        spark.carry(launch, environment, settings, context, inputs.spark, inputs.gateway)

    if settings["snapshot"] or settings["snapshot_key"]:
        ran.add("snapshot")  # with it or without, the program sees the same, and the key is none of its business
    if len({volume.directory.rstrip("/") for volume in launch.volumes}) < len(launch.volumes):
        raise BadSettings(
            "LYFTLEARN_CREDENTIALS_DIR and LYFTLEARN_HYPERPARAMETERS_DIR name one directory",
            "Each needs one of its own: it replaces what is there",
            finding="LL0208",
        )
    for name, _, _, step, _ in TABLE:
        if step in ran:
            environment.drop(variable(name))
    if environment.variables.get("AWS_REGION"):
        environment.fill("AWS_DEFAULT_REGION", environment.variables["AWS_REGION"], "AWS_REGION")
    changes, make = home_variables(environment.variables, host.user, host.writable, host.fallback_home, host.switched_from)
    for name, value in changes.items():
        environment.force(name, value, "made usable for " + str(host.user))
    launch.make_home = host.fallback_home if make else ""
    # A start inside a start that leaves hyperparameters alone keeps the name that the outer one gave.
    if inputs.own_hyperparameters is not None or (context.name == contexts.TRAINING and HYPERPARAMETERS_FILE not in environ):
        launch.names_hyperparameters = True
        environment.force(HYPERPARAMETERS_FILE, contexts.HYPERPARAMETERS, "hyperparameters")
    if launch.model is not None:
        environment.force("LYFTLEARN_MODEL_FILE", launch.model.file, "model")
    environment.force("LYFTLEARN_CONTEXT", context.name, "context")
    launch.env = environment.variables
    launch.origins = environment.origins
    return launch


def _plan_environment(launch: Launch, environment: Environment, settings: "Settings", inputs: Inputs) -> None:
    document = inputs.environment
    if document is None:
        return
    staged, warnings = staged_variables(document.value, document.origin)
    launch.warnings += warnings
    for name, value in staged.items():
        environment.put(name, value, "staged environment")


def _plan_credentials(launch: Launch, environment: Environment, settings: "Settings", inputs: Inputs) -> None:
    from lyftlearn_entrypoint.adapt import credentials

    secrets = inputs.secrets or []
    chosen, warnings = credentials.variables(secrets)
    files = credentials.files(secrets) if settings["credentials_dir"] else None
    launch.warnings += warnings
    for name, secret in chosen.items():
        environment.put(name, secret.value or "", "credential " + secret.origin)
    if files is not None:
        launch.volumes.append(Volume("credentials", settings["credentials_dir"], files, 0o400, memory=True))
