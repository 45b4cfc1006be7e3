"""Examine this place, and print what was found."""

from __future__ import annotations

import json
import shlex
import time

import click

from lyftlearn_entrypoint.cli.checks import cloud, machine, metrics, network, place, spark
from lyftlearn_entrypoint.cli.checks.model import FAILED, OK, SKIPPED, WARNING, Finding, worst
from lyftlearn_entrypoint.cli.checks.run import run_all
from lyftlearn_entrypoint.cli.checks.world import World, build
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.process import Process

MARKS = {OK: "ok     ", WARNING: "warning", FAILED: "FAILED ", SKIPPED: "skipped"}


def examine(world: World) -> list[Finding]:
    """Every finding, in the order in which a start would meet them."""
    checks = place.checks(world)
    if not world.refusal:  # without settings nobody knows what to ask
        checks += cloud.checks(world) + network.checks(world)
        checks += metrics.checks(world) + spark.checks(world)
    checks += machine.checks(world)
    found = run_all(checks, world.seconds, world.http.waiting)
    return found if world.refusal else found + machine.clock(world)


def run(as_json: bool, seconds: float, args: str) -> int:
    """Print what was found; returns the exit code. Raises BadSettings for ARGS that are no words."""
    began = time.monotonic()
    try:
        words = shlex.split(args)
    except ValueError as error:
        raise BadSettings(f"--args: {error}", "Quote it as a shell would", finding="LL0201") from None
    world = build(Process.current(), words, seconds)
    found = examine(world)
    took = time.monotonic() - began
    code = worst(found)
    if as_json:
        facts = [finding.facts() for finding in found]
        sources = [{"source": who, "names": names} for who, names in world.sources.found]
        document = {"context": world.context.name, "exit": code, "seconds": round(took, 3), "deadline": seconds, "settings_from": sources}
        click.echo(json.dumps({**document, "findings": facts}, indent=2))
        return code
    for finding in found:
        for line in text(finding):
            click.echo(line)
    counts = {verdict: sum(finding.verdict == verdict for finding in found) for verdict in (FAILED, WARNING, OK, SKIPPED)}
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    click.echo(f"{told}, in {took:.1f} s; exit {code}. What a code means: lyftlearn doctor --explain CODE")
    return code


def text(finding: Finding) -> list[str]:
    """One finding as lines: the verdict, its code, the check, the evidence; then what to do."""
    lines = [f"{MARKS[finding.verdict]}  {finding.code}  {finding.check:15}  {finding.evidence}"]
    if finding.verdict in (FAILED, WARNING) and finding.remedy:
        lines.append(" " * 34 + "-> " + finding.remedy)
    return lines
