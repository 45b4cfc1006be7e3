"""What the checks share: where this is, its settings, and the start's own clients under the doctor's deadline."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field

from lyftlearn_entrypoint.boot import Start
from lyftlearn_entrypoint.cli.checks.sources import Sources, gather
from lyftlearn_entrypoint.context import ENDPOINT, KUBERNETES, LOCAL, Context, detect
from lyftlearn_entrypoint.deadline import Deadline
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.fetch.aws import Aws
from lyftlearn_entrypoint.fetch.credentials import CredentialChain
from lyftlearn_entrypoint.fetch.gather import Fetch
from lyftlearn_entrypoint.fetch.http import Http
from lyftlearn_entrypoint.fetch.isolation import isolated
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.launch import Inputs
from lyftlearn_entrypoint.process import Process
from lyftlearn_entrypoint.settings import Settings

SHARE = 0.8  # of the doctor's deadline is the start's own: what is left is for saying what it then says


@dataclass
class Skew:
    """How far our clock is ahead of a server's, in seconds, by the Date header of its answer."""

    host: str
    seconds: float


@dataclass
class World:
    """One examination. Nothing here is a test's: effects come from `environ` and `files`."""

    start: Start
    settings: Settings
    sources: Sources
    seconds: float
    refusal: StartError | None = None  # the settings' own error
    argv: list[str] = field(default_factory=list)
    skews: list[Skew] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.deadline = Deadline(self.seconds * SHARE)
        self.http = Http(self.environ, self.deadline)
        self.chain = CredentialChain(self.environ, self.http, self.deadline)
        self.aws = Aws(self.environ, self.http, self.deadline, self.chain)
        self.isolated = isolated(self.context, self.environ)
        self.interfaces = self._interfaces()

    @property
    def environ(self) -> dict[str, str]:
        return self.start.process.environ

    @property
    def files(self) -> Files:
        return self.start.files

    @property
    def context(self) -> Context:
        return self.start.context

    def takes(self, step: str) -> bool:
        return step in self.start.steps

    def why_not(self, step: str) -> str:
        """Why a step is not taken here."""
        if self.settings.steps() is not None:
            return f"LYFTLEARN_STEPS leaves out the step {step}"
        left = {KUBERNETES: "is left to the cluster", LOCAL: "is off on a laptop"}.get(self.context.name, "is not taken")
        return f"the step {step} {left} ({self.context.name})"

    def fetch(self) -> Fetch:
        """A start's fetching, with the shared client. Each check has its own: it keeps what it collected."""
        quiet = self.start.log
        fetch = Fetch(self.context, self.settings, self.start.steps, self.environ, self.files, self.deadline, quiet, Inputs())
        fetch.client = self.aws
        return fetch

    @property
    def alone(self) -> bool:
        """Whether the container has no network interface but its own loopback."""
        return self.interfaces is not None and not set(self.interfaces) - {"lo"}

    def _interfaces(self) -> list[str] | None:
        try:
            return sorted(os.listdir("/sys/class/net"))
        except OSError:
            return None


def build(process: Process, argv: list[str], seconds: float) -> World:
    """Detect and settle as a start does, from all that shows what a start was given. Raises nothing: a refusal is kept."""
    root = process.environ.get("LYFTLEARN_ROOT", "")
    sources = gather(process.environ, os.getpid(), Files(root))
    environ = dict(sources.environ)
    argv = argv or (["serve"] if environ.get("LYFTLEARN_CONTEXT") == ENDPOINT else [])
    told = environ.get("LYFTLEARN_CONTEXT", "")
    if told and detect(argv, {k: v for k, v in environ.items() if k != "LYFTLEARN_CONTEXT"}, Files(root)).name == told:
        del environ["LYFTLEARN_CONTEXT"]  # what a start said to its program: it forces nothing
    start = Start(Process(argv, environ, lambda line: None))
    try:
        return World(start, start.detect(), sources, seconds, argv=argv)
    except StartError as error:
        return World(start, Settings({}, {}, []), sources, seconds, error, argv)
