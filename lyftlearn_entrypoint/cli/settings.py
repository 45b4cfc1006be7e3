"""`lyftlearn settings`: compile the platform's file, and print the table of settings."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import click
import yaml

from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.settings import LINES, PLATFORM_YAML, check, plain
from lyftlearn_entrypoint.settings_table import NAMES, TABLE, nearest, variable


@click.group()
def settings() -> None:
    """The settings of the entrypoint."""


def compile_text(text: str, source: str) -> tuple[dict[str, object], list[str]]:
    """(what platform.json holds, warnings) of a platform.yaml. Raises BadSettings naming file and line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadSettings(f"{source} line {line}: it is not YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadSettings(f"{source} line {line}: it is not YAML: {error.reason}") from None
    if root is None or root.tag == "tag:yaml.org,2002:null":
        return {LINES: {}}, []
    if not isinstance(root, yaml.MappingNode):
        raise BadSettings(f"{source} line 1: it is not a flat mapping of settings")
    kinds = {row[0]: row[1] for row in TABLE}
    values: dict[str, object] = {}
    lines: dict[str, int] = {}
    warnings: list[str] = []
    for key_node, value_node in root.value:
        line = key_node.start_mark.line + 1
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
        if key not in NAMES:
            meant = nearest(key, NAMES)
            hint = f"; is {meant!r} meant?" if meant else ""
            warnings.append(f"{source} line {line}: {key!r} is not a setting{hint}")
            lines[key] = line
            values[key] = ""
            continue
        if key in values:
            raise BadSettings(f"{source} line {line}: {key} stands twice (first in line {lines[key]})")
        try:
            value = plain(_value(value_node, kinds[key]))
        except TypeError as error:
            raise BadSettings(f"{source} line {line}: {key} is {error}") from None
        problem = check(kinds[key], value) if value else ""
        if problem:
            raise BadSettings(f"{source} line {line}: {key}: {problem}")
        values[key] = value
        lines[key] = line
    return {**values, LINES: lines}, warnings


def _value(node: yaml.Node, kind: str) -> object:
    """A node as it is written. YAML 1.1 would read the user 1000:50 as the number 60050 (base 60), and the name NO as false;
    the one kind that knows on and off takes YAML's other words for them too."""
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, kind) for item in node.value]
    if not isinstance(node, yaml.ScalarNode):
        return node  # plain() says what it should be
    if node.tag == "tag:yaml.org,2002:null":
        return None
    if node.tag == "tag:yaml.org,2002:bool" and kind == "relay":
        return yaml.SafeLoader.bool_values[node.value.lower()]
    return node.value


@settings.command("compile")
@click.argument("file", default=PLATFORM_YAML, type=click.Path(dir_okay=False, path_type=Path))
def compile_command(file: Path) -> None:
    """Check FILE (default /etc/lyftlearn/platform.yaml) and write platform.json beside it, which the start path reads.

    Run it in the Dockerfile, after the file is copied.
    """
    root = os.environ.get("LYFTLEARN_ROOT", "").rstrip("/")
    path = Path(root + str(file)) if root and file.is_absolute() and str(file) == PLATFORM_YAML else file
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None
    document, warnings = compile_text(text, str(path))
    for warning in warnings:
        click.echo(f"lyftlearn: warning: {warning}", err=True)
    target = path.with_suffix(".json")
    try:
        descriptor, new = tempfile.mkstemp(dir=target.parent, prefix=target.name)
    except OSError as error:
        raise BadSettings(f"{target} cannot be written: {error.strerror}", "Run it where the image is built, as root") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2, ensure_ascii=False)
            stream.write("\n")
        os.chmod(new, 0o644)
        # Never older than its source, whatever the clock did to the source.
        written = os.stat(path).st_mtime_ns
        os.utime(new, ns=(max(written, os.stat(new).st_mtime_ns),) * 2)
        os.replace(new, target)
    except BaseException:
        Path(new).unlink(missing_ok=True)
        raise
    count = len(document) - 1
    click.echo(f"{target}: {count} setting{'s' if count != 1 else ''}")


def table() -> str:
    """docs/settings.md, made of the code's own table."""
    rows = [
        "# Settings",
        "",
        "This page is made of the entrypoint's own table by `lyftlearn settings docs`; a test compares the two.",
        "",
        "Each setting is a key of `/etc/lyftlearn/platform.yaml`, written by the platform team, and an environment variable,",
        "which wins. An empty variable switches the platform's value off. Where a step ran, the program does not see that step's",
        "variables; where none ran, nothing is taken away.",
        "",
        "| variable | key | default | step | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, _, default, step, meaning in TABLE:
        rows.append(f"| `{variable(name)}` | `{name}` | {f'`{default}`' if default else ''} | {step} | {meaning} |")
    return "\n".join(rows) + "\n"


@settings.command("docs")
def docs() -> None:
    """Print the table of settings as docs/settings.md has it."""
    click.echo(table(), nl=False)
