"""`lyftlearn context` and `lyftlearn plan`: the first steps of a start, printed instead of carried out."""

from __future__ import annotations

import json
import shlex

import click

from lyftlearn_entrypoint.boot import Start
from lyftlearn_entrypoint.process import Process

_ARGS = click.argument("args", nargs=-1, type=click.UNPROCESSED)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_VERBATIM = {"ignore_unknown_options": True}


def _start(args: tuple[str, ...]) -> Start:
    process = Process.current()
    process.argv = list(args)
    return Start(process)


@click.command(context_settings=_VERBATIM)
@_JSON
@_ARGS
def context(as_json: bool, args: tuple[str, ...]) -> None:
    """Say where this is, and each signal that was seen, believed or distrusted. ARGS are what the image would be given."""
    start = _start(args)
    start.detect()
    found = start.context
    if as_json:
        click.echo(json.dumps(found.facts(), indent=2))
        return
    more = [found.app_type] if found.app_type else []
    more += ["a tuning trial"] if found.tuning else []
    more += ["emulated (SageMaker's local mode)"] if found.emulated else []
    click.echo(found.name + (f" ({', '.join(more)})" if more else ""))
    for signal in found.signals:
        click.echo(f"  {'believed  ' if signal.believed else 'distrusted'}  {signal.name}: {signal.why}")


@click.command(context_settings=_VERBATIM)
@_JSON
@_ARGS
def plan(as_json: bool, args: tuple[str, ...]) -> None:
    """Fetch what a start would fetch and print what it would do, without doing it. Values are never shown."""
    start = _start(args)
    launch, _ = start.prepare()
    facts = launch.facts()
    if as_json:
        click.echo(json.dumps({"context": start.context.facts(), "steps": list(start.steps), **facts}, indent=2))
        return
    click.echo(f"context    {start.context.name}")
    click.echo(f"steps      {', '.join(start.steps) or 'none'}")
    click.echo(f"command    {shlex.join(launch.command.argv)}   (from {launch.command.origin})")
    user = launch.user
    click.echo(f"user       {user}, groups {', '.join(map(str, user.groups))}" + ("" if launch.switch else "   (as started)"))
    if launch.hyperparameters:
        click.echo(f"writes     {launch.hyperparameters[1][0]}")
    for volume in launch.volumes:
        click.echo(f"writes     {volume.directory}: {len(volume.files)} files, mode {volume.mode:04o}")
        for name in sorted(volume.files):
            click.echo(f"             {name}")
    if launch.model:
        size = "" if launch.model.size < 0 else f", {launch.model.size} bytes"
        click.echo(f"writes     {launch.model.file}: {launch.model.uri}{size}, from {launch.model.origin}")
    if start.unkept:
        click.echo(f"keeps      no compiled code: {start.unkept}")
    if launch.code:
        click.echo(
            f"keeps      {launch.code.directory} in the warm pool"
            if not launch.code.why
            else f"keeps      no compiled code: {launch.code.why}"
        )
    if launch.make_home:
        click.echo(f"makes      {launch.make_home}, as HOME")
    if launch.relay:
        click.echo(f"relays     127.0.0.1:8125 to {':'.join(map(str, launch.relay))}")
    for path in launch.owned:
        click.echo(f"owns       {path}")
    click.echo("variables")
    width = max((len(name) for name in launch.env), default=0)
    for name in sorted(launch.env):
        click.echo(f"  {name:{min(width, 48)}}  ***  {launch.origins[name]}")
