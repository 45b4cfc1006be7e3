"""`lyftlearn snapshot`: what a program that is started here can observe, as one JSON document without a value of anything."""

from __future__ import annotations

import json
import os

import click

from lyftlearn_entrypoint.command import locate
from lyftlearn_entrypoint.context import detect
from lyftlearn_entrypoint.errors import BadSettings, StartError
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.process import Process
from lyftlearn_entrypoint.settings_table import PREFIX
from lyftlearn_entrypoint.snapshot import deliver, mask, schema
from lyftlearn_entrypoint.snapshot.order import Order, observe
from lyftlearn_entrypoint.snapshot.step import NO_KEY, key_of
from lyftlearn_entrypoint.snapshot.tree import SPARK

_OWN = PREFIX + "SNAPSHOT"  # the beginning of our settings' names, which the program does not see


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--to", "uri", default="", help="A path, file:///path or s3://bucket/key; by default stdout.")
@click.option("--key-file", default="", help="File of the key, at least 32 characters; by default LYFTLEARN_SNAPSHOT_KEY.")
@click.option("--path", "paths", multiple=True, metavar="[NAME=]DIR", help="A directory whose files are listed, by NAME.")
@click.option("--image", default="", help="The image's digest, where you know it.")
@click.option("--schema", "print_schema", is_flag=True, help="Print the JSON Schema of a snapshot instead.")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def snapshot(uri: str, key_file: str, paths: tuple[str, ...], image: str, print_schema: bool, args: tuple[str, ...]) -> None:
    """Record what a program started here would see. ARGS are its command line, `python train.py` say; it is not run.

    Of values (variables, arguments, contents of files, the hostname) there is a hash under your key alone, or nothing without a key.
    """
    if print_schema:
        click.echo(json.dumps(schema.load(), indent=2))
        return
    process, files = Process.current(), Files()
    key = key_of("", os.path.abspath(key_file), files) if key_file else process.environ.get(f"{_OWN}_KEY", "")
    if key and (weak := mask.weak(key)):
        raise BadSettings(f"{_OWN}_KEY: {weak}")
    if not key:
        click.echo(NO_KEY, err=True)
    if uri and "://" not in uri:
        uri = os.path.abspath(uri)
    if uri and (wrong := deliver.problem(uri)):
        raise BadSettings(f"--to: {wrong}")
    env = {name: value for name, value in process.environ.items() if not name.startswith(_OWN)}
    program = locate(args[0], env.get("PATH")) if args else ""
    context = env.get(PREFIX + "CONTEXT") or detect(list(args), process.environ, files).name
    order = Order("hand", key, context, list(args), program, image)
    if directory := env.get("SPARK_CONF_DIR"):
        order.trees[SPARK] = directory
    order.look_at(list(paths), os.path.abspath)
    try:
        document = observe(order, env, process.restore)
        if uri:
            deliver.Delivery(uri, process.environ, files, 60.0).write(document)
    except OSError as error:
        where = uri or "here"
        raise StartError(f"snapshot: {where}: {error.strerror or 'it cannot be taken'}") from None
    if not uri:
        click.echo(document.decode("ascii"), nl=False)
