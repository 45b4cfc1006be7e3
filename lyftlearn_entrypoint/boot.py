"""main(): the six steps of a start, in order. This module tells the order, and nothing else does.

detect -> settle -> fetch -> plan -> apply -> exec
"""

import posix
import time

from lyftlearn_entrypoint import command as commands
from lyftlearn_entrypoint.context import KUBERNETES, LOCAL, STUDIO, Context, detect
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.launch import Host, Inputs, Launch, plan, steps_of
from lyftlearn_entrypoint.log import Log
from lyftlearn_entrypoint.process import Process, Terminated, where
from lyftlearn_entrypoint.settings import Settings, load


def main() -> None:
    """Become the user's program; where that is impossible, end with a code of errors.EXIT_CODES."""
    process = Process.current()
    process.guard_streams()
    # At once: a thread may still hang in a name lookup, and there is nothing to flush.
    posix._exit(Start(process).run())  # noqa: SLF001


class Start:
    """One start. What each step found is kept, so that a failure can say what it knew."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.began = time.monotonic()
        self.files = Files(process.environ.get("LYFTLEARN_ROOT", ""))
        self.log = Log(write=process.write)
        self.spans: list[tuple[str, float, float]] = []
        self.context = Context(LOCAL, [])
        self.steps: tuple[str, ...] = ()
        self.passed: list[StartError] = []  # what failed and was let pass (Studio)

    def run(self) -> int:
        try:
            with self.process.terminable():
                launch, settings = self.prepare()
                self.apply(launch, settings)
            self.process.execute(launch.command.argv, self.locate(launch), launch.env, launch.path_staged)
        except StartError as error:
            return self.fail(error)
        except Terminated:
            return 128 + 15
        except KeyboardInterrupt:
            return self.process.interrupted()
        except Exception as error:  # noqa: BLE001  a defect ends in one line too; its own text might hold a value
            what = "unexpected " + type(error).__name__ + where(error)
            return self.fail(StartError(what, "This is a defect of the entrypoint: report this line"))

    def prepare(self) -> "tuple[Launch, Settings]":
        """detect, settle, fetch, plan: everything that changes nothing. `lyftlearn plan` stops here."""
        settings = self.detect()
        switch, host = self.host(settings)
        command = commands.choose(self.process.argv, self.context, settings, host.user.uid == 0)
        self.check_early(command, settings, host, switch)
        inputs = self.fetch(settings)
        with self.span("plan"):
            launch = plan(command, self.context, settings, self.process.environ, inputs, host, switch, self.forgive)
        for warning in launch.warnings:
            self.log.warning(warning)
        for note in launch.notes:
            self.log.info(note)
        self.check_path(launch)
        return launch, settings

    def detect(self) -> Settings:
        """The context and the settings. `lyftlearn context` stops here."""
        with self.span("detect"):
            self.context = detect(self.process.argv, self.process.environ, self.files)
            self.log.context = self.context.name
        with self.span("settle"):
            return self.settle()

    def settle(self) -> Settings:
        settings = load(self.process.environ, self.files)
        forced = settings["context"]
        if forced:
            self.context = self.context.forced(forced, settings.place("context"))
        # A kernel's stderr is nobody's to read until something is wrong.
        kernel = self.context.name == STUDIO and bool(self.process.argv)
        level = settings["log_level"] or ("warning" if kernel else "info")
        self.log = Log(level, settings["log"], write=self.process.write)
        self.log.context = self.context.name
        if settings["root"] != self.files.root:
            self.files = Files(settings["root"])
        for warning in settings.warnings:
            self.log.warning(warning)
        self.steps = steps_of(self.context, settings)
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
        if may_change and (settings["env_uri"] or self.files.is_dir("/opt/ml/input/data/lyftlearn")):
            return
        self.process.locate(name, self.process.environ.get("PATH"), host.user if switch else None)

    def fetch(self, settings: Settings) -> Inputs:
        inputs = Inputs()
        if not any(step in self.steps for step in ("credentials", "environment", "hyperparameters", "statsd")):
            return inputs
        from lyftlearn_entrypoint.deadline import Deadline
        from lyftlearn_entrypoint.fetch.gather import Fetch

        deadline = Deadline(settings.deadline)
        fetch = Fetch(self.context, settings, self.steps, self.process.environ, self.files, deadline, self.log, inputs)
        try:
            with self.span("fetch"):
                passed = fetch.run()
        finally:
            self.spans += fetch.spans
        for error in passed:
            self.forgive(error)
        return inputs

    def forgive(self, error: StartError) -> bool:
        """In Studio a start goes on without what failed, and says so; elsewhere it fails."""
        if self.context.name != STUDIO:
            return False
        self.passed.append(error)
        self.log.warning("this start goes on without it: " + str(error), code=error.code)
        return True

    def check_path(self, launch: Launch) -> None:
        """What execve(2) would refuse is found out before anything is applied."""
        self.process.locate(launch.command.argv[0], launch.env.get("PATH"), launch.user if launch.switch else None, launch.path_staged)
        self.process.check_size(launch.command.argv, launch.env, "environment" in self.steps)

    def apply(self, launch: Launch, settings: Settings) -> None:
        # A pod's start with nothing to do does not even load the module.
        if launch.switch or launch.volumes or launch.hyperparameters or launch.make_home or launch.names_hyperparameters:
            from lyftlearn_entrypoint.apply import apply

            with self.span("apply"):
                apply(launch, self.files, self.log, self.forgive)
        if self.context.name == STUDIO:
            from lyftlearn_entrypoint.notice import leave_notice

            leave_notice(launch.env.get("HOME", ""), self.passed, launch.user if launch.switch else None)
        if self.context.name not in (KUBERNETES, LOCAL):
            elapsed = round((time.monotonic() - self.began) * 1000)
            who = " as " + str(launch.user) if launch.switch else ""
            self.log.info(
                "start: " + launch.command.argv[0] + who + " in " + self.context.name + " after " + str(elapsed) + " ms",
                step="exec",
                milliseconds=elapsed,
            )
        if settings["trace"]:
            from lyftlearn_entrypoint.trace import write_trace

            write_trace(self.files.real(settings["trace"]), self.spans, self.began, self.log)

    def locate(self, launch: Launch) -> str:
        return commands.locate(launch.command.argv[0], launch.env.get("PATH"), staged=launch.path_staged)

    def fail(self, error: StartError) -> int:
        """One line on stderr, and the same where SageMaker looks for it."""
        from lyftlearn_entrypoint.failure import write_reason

        reason = str(error)
        self.log.error(reason + " (exit " + str(error.code) + ")", code=error.code, meaning=error.meaning)
        write_reason(self.context, self.files, "lyftlearn-entrypoint: " + reason)
        return error.code

    def span(self, name: str) -> "Span":
        return Span(self.spans, name)


class Span:
    """Times a block for the trace."""

    __slots__ = ("_began", "_name", "_spans")

    def __init__(self, spans: "list[tuple[str, float, float]]", name: str) -> None:
        self._spans = spans
        self._name = name

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._spans.append((self._name, self._began, time.monotonic()))
