"""The cheap part of Spark's check: where a start would let it work, and whether the cluster's API answers. No pod is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyftlearn_entrypoint.cli.checks.model import Check, Finding, Trying
from lyftlearn_entrypoint.errors import BadSettings, Refused, StartError

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.checks.world import World


def checks(world: World) -> list[Check]:
    """One check."""
    spark = Check("spark", "LL0900", lambda trying: examine(spark, world, trying), optional=True)
    return [spark]


def examine(check: Check, world: World, trying: Trying) -> list[Finding]:
    """The API that a start's configuration names, asked as Spark asks it; before a start, where Spark would work."""
    if not world.takes("spark"):
        return [check.skipped(world.why_not("spark"))]
    if world.isolated:
        return [check.skipped("no network (isolation): Spark works here alone")]
    if (configured := _configured(world.environ)) is not None:
        return _ask(check, configured, trying)
    return _look(check, world, trying)


def _configured(environ: dict[str, str]) -> dict[str, str] | None:
    """What a start wrote for Kubernetes here, None where it did not."""
    from lyftlearn_entrypoint.cli.kubernetes import defaults

    if not environ.get("SPARK_CONF_DIR"):
        return None
    try:
        return defaults()
    except BadSettings:
        return None


def _ask(check: Check, configured: dict[str, str], trying: Trying) -> list[Finding]:
    from lyftlearn_entrypoint.cli.kubernetes import Api

    trying(f"a token, and GET /version of {configured['spark.master']}")
    try:
        api = Api.of_this_place(configured)
        trying(f"GET {api.server}/version")
        version = api.ask("GET", "/version")
    except StartError as error:
        code = {Refused: "LL0909", BadSettings: "LL0910"}.get(type(error), "LL0904")
        return [check.failed(code, error.what, error.remedy)]
    said = version.get("gitVersion", "") if isinstance(version, dict) else ""
    return [check.ok(f"{api.server} answers ({said or 'no version'}). Ports are tried by `lyftlearn doctor spark`, with a pod")]


def _look(check: Check, world: World, trying: Trying) -> list[Finding]:
    from lyftlearn_entrypoint.spark.address import route
    from lyftlearn_entrypoint.spark.step import LOCAL, mode

    _, host = world.start.host(world.settings)
    place = world.start.spark(world.settings, host)
    if place is None:
        configured = world.environ.get("SPARK_CONF_DIR")
        return [
            check.skipped(f"a start has set Spark up for this container alone ({configured})" if configured else "this image has no Spark")
        ]
    if place.asks is not None:
        trying(f"the route to the Kubernetes API at {place.asks[0]}")
        place.address = route(*place.asks)
    warnings: list[str] = []
    where = mode(world.context, world.settings, place, warnings)
    text = "Spark would work " + ("in this container" if where == LOCAL else f"as {where}, known to others as {place.address or '?'}")
    return [check.ok(text), *(check.said(line) for line in warnings)]
