"""Everything that a plan is made of, with defaults."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lyftlearn_entrypoint.command import Command
from lyftlearn_entrypoint.context import TRAINING, Context
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.fetch.confidant import Secret
from lyftlearn_entrypoint.fetch.staged import Document
from lyftlearn_entrypoint.launch import Host, Inputs, Launch, plan
from lyftlearn_entrypoint.settings_table import variable
from tests.unit.helpers import settings, user

HOME = {"HOME": "/home/worker", "USER": "worker", "LOGNAME": "worker"}
CONFIG = "/opt/ml/input/config/hyperparameters.json"


def inputs(
    environment: "dict[str, Any] | None" = None,
    secrets: "dict[str, str | None] | None" = None,
    hyperparameters: "dict[str, Any] | None" = None,
    own: "dict[str, str] | None" = None,
    gateway: "tuple[str, int] | None" = None,
) -> Inputs:
    result = Inputs()
    result.environment = None if environment is None else Document(environment, "s3://b/environment.json", 9)
    result.hyperparameters = None if hyperparameters is None else Document(hyperparameters, "s3://b/hyperparameters.json", 9)
    result.secrets = None if secrets is None else [Secret(name.lower(), name, value, "id-1") for name, value in secrets.items()]
    result.own_hyperparameters = own
    result.gateway = gateway
    return result


class World:
    """Everything that `plan` is given, with defaults; `launch` makes the plan."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def launch(
        self,
        given: "Inputs | None" = None,
        environ: "dict[str, str] | None" = None,
        context: str = TRAINING,
        /,
        *,
        switch: bool = False,
        writable: Callable[[str], bool] = lambda path: True,
        also: Mapping[str, str] = MappingProxyType({}),
        forgive: Callable[[StartError], bool] = lambda error: False,
        **chosen: str,
    ) -> Launch:
        chosen |= also
        environ = {**HOME, **(environ or {}), **{variable(name): value for name, value in chosen.items()}}
        host = Host(user(), writable, "/tmp/home-1000", "root" if switch else None)
        command = Command(["python"], "arguments")
        return plan(command, Context(context, []), settings(self.root, **chosen), environ, given or Inputs(), host, switch, forgive)
