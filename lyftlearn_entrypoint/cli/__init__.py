"""`lyftlearn`, the operator's commands. Never imported by the start path."""

from __future__ import annotations

import importlib
import sys

import click

from lyftlearn_entrypoint import __version__
from lyftlearn_entrypoint.errors import StartError

# Command -> (module, attribute): a module is imported when its command is asked for, since boto3 and moto take their time.
COMMANDS = {
    "context": ("lyftlearn_entrypoint.cli.inspect", "context"),
    "plan": ("lyftlearn_entrypoint.cli.inspect", "plan"),
    "stage": ("lyftlearn_entrypoint.cli.stage", "stage"),
    "settings": ("lyftlearn_entrypoint.cli.settings", "settings"),
    "local": ("lyftlearn_entrypoint.cli.local", "local"),
    "spark": ("lyftlearn_entrypoint.cli.spark", "spark"),
    "doctor": ("lyftlearn_entrypoint.cli.doctor", "doctor"),
    "trace": ("lyftlearn_entrypoint.cli.trace.commands", "trace"),
    "snapshot": ("lyftlearn_entrypoint.cli.snapshot", "snapshot"),
    "parity": ("lyftlearn_entrypoint.cli.parity.command", "parity"),
    "image": ("lyftlearn_entrypoint.cli.image.commands", "image"),
}


class _Commands(click.Group):
    """Commands that are loaded when they are used, and our errors as one line with our exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except StartError as error:
            click.echo(f"lyftlearn: error: {error} (exit {error.code})", err=True)
            sys.exit(error.code)


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="lyftlearn")
def main() -> None:
    """Look at, prepare and rehearse what the entrypoint does in a container."""
