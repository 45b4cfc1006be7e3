"""main(): the six steps of a start, in order. This module tells the order, and nothing else does.

detect -> settle -> fetch -> plan -> apply -> exec
"""

import posix
import time

from lyftlearn_entrypoint import command as commands
from lyftlearn_entrypoint.context import CHANNEL, CONTEXTS, LOCAL, PROCESSING, STUDIO, TRAINING, Context, detect
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.handover import hand_over
from lyftlearn_entrypoint.launch import Host, Inputs, Launch, plan, steps_of
from lyftlearn_entrypoint.log import Log
from lyftlearn_entrypoint.process import Process, Terminated, where
from lyftlearn_entrypoint.settings import Settings, load
from lyftlearn_entrypoint.span import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.relay.leave import Waiting
    from lyftlearn_entrypoint.spark.place import Place
    from lyftlearn_entrypoint.trace import Tracer
    from lyftlearn_entrypoint.warm.saver import Waiting as Saver


def main() -> None:
    """Become the user's program; where that is impossible, end with a code of errors.EXIT_CODES."""
    process = Process.current()
    process.guard_streams()
    start = Start(process)
    code = start.run()
    for undo in start.undo:
        undo()
    # At once: a thread may still hang in a name lookup, and there is nothing to flush.
    posix._exit(code)  # noqa: SLF001


# Jupyter gives a kernel 60 s to answer (jupyter_client, startup_timeout); what is left of them is for the kernel itself.
KERNEL_DEADLINE = 20.0  # seconds
SPARK = "/opt/spark/jars"  # an image with Spark has it there, as Spark's own images do


class Start:
    """One start. What each step found is kept, so that a failure can say what it knew."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.began = time.monotonic()
        self.files = Files(process.environ.get("LYFTLEARN_ROOT", ""))
        self.log = Log(form="json" if process.environ.get("LYFTLEARN_LOG") == "json" else "text", write=process.write)
        self.spans: list[tuple[str, float, float]] = []  # this thread's
        self.fetched: list[tuple[str, float, float]] = []  # side by side
        self.parts: list[tuple[str, float, float]] = []  # of applying, for the trace alone
        self.tracer: Tracer | None = None
        self.context = Context(LOCAL, [])
        self.steps: tuple[str, ...] = ()
        self.warm = False  # whether compiled code may be kept for the next job
        self.unkept = ""  # why not, where this is a warm pool
        self.kernel = False  # a notebook kernel's start, or another program's inside a Studio application
        self.program = ""  # the file that execve(2) gets
        self.passed: list[StartError] = []  # what failed and was let pass (Studio)
        self.relay: Waiting | None = None  # the StatsD relay, forked and not yet told what to do
        self.saver: Saver | None = None  # likewise, of what is compiled
        self.undo: list[Callable[[], None]] = []  # what a start that fails has to take back

    def run(self) -> int:
        try:
            if self.process.argv == ["executor"]:
                from lyftlearn_entrypoint import executor

                executor.run(self.process, self.files)  # comes back where the image has no Spark
            with self.process.terminable():
                launch, settings = self.prepare(self.leave)
                hand_over(self, launch, settings)
            self.process.execute(launch.command.argv, self.program, launch.env, launch.path_staged)
        except StartError as error:
            return self.fail(error)
        except Terminated as stopped:
            self.log.warning("stopped by signal " + str(stopped.number) + " before the program ran")
            self.write_trace(128 + stopped.number)
            return 128 + stopped.number
        except Exception as error:  # noqa: BLE001  a defect ends in one line too; its own text might hold a value
            what = "unexpected " + type(error).__name__ + where(error)
            return self.fail(StartError(what, "This is a defect of the entrypoint: report this line", finding="LL0112"))

    def prepare(self, before_fetch: "Callable[[Settings, User | None], None] | None" = None) -> "tuple[Launch, Settings]":
        """detect, settle, fetch, plan: everything that changes nothing. `lyftlearn plan` stops here."""
        settings = self.detect()
        switch, host = self.host(settings)
        command = commands.choose(self.process.argv, self.context, settings, host.user.uid == 0)
        self.check_early(command, settings, host, switch)
        if before_fetch is not None:
            before_fetch(settings, host.user if switch else None)
        inputs = self.fetch(settings, self.spark(settings, host), before_fetch is None)
        with self.span("plan"):
            while True:
                try:
                    launch = self.plan(command, settings, inputs, host, switch)
                    break
                except StartError as error:
                    if (inputs.environment is None and inputs.secrets is None) or not self.forgive(error):
                        raise
                    # The document first, the larger one: without it the credentials may do.
                    if inputs.environment is not None:
                        inputs.environment = None
                    else:
                        inputs.secrets = None
        for warning in launch.warnings:
            self.log.warning(warning)
        for note in launch.notes:
            self.log.info(note)
        return launch, settings

    def plan(self, command: commands.Command, settings: Settings, inputs: Inputs, host: Host, switch: bool) -> Launch:
        launch = plan(command, self.context, settings, self.process.environ, inputs, host, switch, self.forgive)
        if launch.command is not command:  # a host that works for another one's program
            self.program = ""
        self.check_path(launch)
        return launch

    def detect(self) -> Settings:
        """The context and the settings. `lyftlearn context` stops here."""
        with self.span("detect"):
            self.context = detect(self.process.argv, self.process.environ, self.files)
            forced = self.process.environ.get("LYFTLEARN_CONTEXT", "").strip()
            if forced in CONTEXTS:  # known before the settings are read, so that their errors are told in the right place
                self.context = self.context.forced(forced, "LYFTLEARN_CONTEXT")
            self.log.context = self.context.name
        with self.span("settle"):
            return self.settle()

    def settle(self) -> Settings:
        settings = load(self.process.environ, self.files)
        forced = settings["context"]
        if forced and settings.place("context") != "LYFTLEARN_CONTEXT":
            self.context = self.context.forced(forced, settings.place("context"))
        if settings["root"] != self.files.root:
            self.files = Files(settings["root"])
        # A kernel's stderr is nobody's to read until something is wrong.
        self.kernel = self.context.name == STUDIO and bool(self.process.argv)
        level = settings["log_level"].lower() or ("warning" if self.kernel else "info")
        write = self.process.write
        if settings["trace"]:
            from lyftlearn_entrypoint.trace import Tracer

            self.tracer = Tracer(self.began, self.files.real(settings["trace"]))
            write = self.tracer.watch(write)
        self.log = Log(level, settings["log"], write=write)
        self.log.context = self.context.name
        for warning in settings.warnings:
            self.log.warning(warning)
        for signal in self.context.signals:
            self.log.debug("context: " + signal.name + ": " + ("" if signal.believed else "not believed: ") + signal.why)
        self.steps = steps_of(self.context, settings)
        if "code" in self.steps and "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY" in self.process.environ:
            self.warm = bool(settings["warm_code_key"] and settings["image_digest"])
            if not self.warm:
                key = "LYFTLEARN_WARM_CODE_KEY names no credential that proves who wrote it"
                self.unkept = "LYFTLEARN_IMAGE_DIGEST does not say for which image it is" if settings["warm_code_key"] else key
                self.log.debug("code: what is compiled is not kept in the warm pool: " + self.unkept, step="code")
        return settings

    def host(self, settings: Settings) -> "tuple[bool, Host]":
        """Who will run the program, and what this machine lets that user do."""
        wanted = settings["user"] if "user" in self.steps else ""
        return self.process.host(wanted, settings.place("user"), self.files)

    def check_early(self, command: commands.Command, settings: Settings, host: Host, switch: bool) -> None:
        """A typing error in the command costs no network, unless a staged document may still bring the PATH that has it."""
        name = command.argv[0]
        keep = settings.keep
        may_change = "environment" in self.steps and "*" not in keep and "PATH" not in keep and "/" not in name
        if may_change and (settings["env_uri"] or self.files.is_dir(CHANNEL)):
            return
        self.program = self.process.locate(name, self.process.environ.get("PATH"), host.user if switch else None)

    def spark(self, settings: Settings, host: Host) -> "Place | None":
        """Where Spark would work. On an image without Spark this is one look at the file system."""
        if "spark" not in self.steps or not (self.files.is_dir(SPARK) or self.process.environ.get("SPARK_HOME")):
            return None
        from lyftlearn_entrypoint.spark.place import look

        with self.span("spark"):
            return look(self.context, settings, self.process.environ, self.files, host.user)

    def fetch(self, settings: Settings, spark: "Place | None", dry: bool = False) -> Inputs:
        """`dry` only looks for what is large, as `lyftlearn plan` does."""
        inputs = Inputs()
        inputs.spark, inputs.look, inputs.undo = spark, dry, self.undo
        inputs.warm = self.files if self.warm else None
        memory = settings["shared_memory_min"] and not self.kernel
        training = self.context.name == TRAINING and (posix.geteuid() != 0 or settings["torch_hosts"] != "off")
        if settings.steps() != () and (memory or training):
            from lyftlearn_entrypoint.adapt.look import look

            look(self.context, settings, self.process.environ, self.files, posix.geteuid(), inputs)
        if self.context.name == PROCESSING and "user" in self.steps:
            from lyftlearn_entrypoint.context import processing_outputs

            inputs.outputs = processing_outputs(self.files)
        asks = spark is not None and spark.asks is not None
        if not asks and not any(step in self.steps for step in ("credentials", "environment", "hyperparameters", "statsd", "model")):
            return inputs
        from lyftlearn_entrypoint.deadline import Deadline
        from lyftlearn_entrypoint.fetch.gather import Fetch

        seconds = settings.deadline
        if self.kernel and not settings.values.get("deadline"):
            seconds = KERNEL_DEADLINE
        deadline = Deadline(seconds) if self.tracer is None else Deadline(seconds, sleep=self.tracer.sleep)
        fetch = Fetch(self.context, settings, self.steps, self.process.environ, self.files, deadline, self.log, inputs, self.tracer)
        try:
            with self.span("fetch"):
                passed = fetch.run()
        finally:
            self.fetched = fetch.spans
        for error in passed:
            self.forgive(error)
        return inputs

    def leave(self, settings: Settings, user: "User | None", again: bool = False) -> None:
        """Fork what stays beside the program, where something is to."""
        if ("statsd" in self.steps and settings["statsd_gateway"]) or self.warm:
            from lyftlearn_entrypoint import beside

            beside.leave(self, settings, user, again)

    def forgive(self, error: StartError) -> bool:
        """In Studio a start goes on without what failed, and says so; elsewhere it fails."""
        if self.context.name != STUDIO:
            return False
        self.passed.append(error)
        self.log.warning("this start goes on without it: " + str(error), code=error.code, finding=error.finding)
        return True

    def check_path(self, launch: Launch) -> None:
        """What execve(2) would refuse is found out before anything is applied."""
        path = launch.env.get("PATH")
        if not self.program or path != self.process.environ.get("PATH"):
            self.program = self.process.locate(launch.command.argv[0], path, launch.user if launch.switch else None, launch.path_staged)
        self.process.check_size(launch.command.argv, launch.env, "environment" in self.steps or "credentials" in self.steps)

    def write_trace(self, code: int, command: str = "") -> None:
        """The trace, where one is wanted: of a start that failed with `code` too."""
        if self.tracer is not None:
            facts = {"context": self.context.name, "code": code, **({"command": command} if command else {})}
            self.tracer.write([*self.spans, *self.parts], facts, self.log)

    def fail(self, error: StartError) -> int:
        """One line on stderr, and the same where SageMaker looks for it."""
        from lyftlearn_entrypoint.failure import leave_reason

        reason = str(error)
        self.log.error(reason + " (exit " + str(error.code) + ")", code=error.code, meaning=error.meaning, finding=error.finding)
        leave_reason(self.context, self.files, self.process.environ, error)
        self.write_trace(error.code)
        return error.code

    def span(self, name: str) -> Span:
        return Span(self.spans, name)
