"""Checks that need no network: settings, context, isolation, user, capabilities, command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lyftlearn_entrypoint import command as commands
from lyftlearn_entrypoint.cli.checks.model import Check, Finding, Trying
from lyftlearn_entrypoint.cli.checks.network import endpoints, is_loopback
from lyftlearn_entrypoint.context import ENDPOINT, STUDIO, TRAINING, TRANSFORM
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.files import Files
from lyftlearn_entrypoint.settings import PLATFORM_JSON
from lyftlearn_entrypoint.snapshot.process import CAPABILITIES, capability_names

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.checks.world import World

NEEDED = ("SETUID", "SETGID")
HANDING_OVER = ("CHOWN", "DAC_OVERRIDE", "FOWNER")


def checks(world: World) -> list[Check]:
    """In the order in which a start would meet them."""
    found = [
        Check("settings", "LL0200", lambda _: settings(found[0], world)),
        Check("context", "LL0210", lambda _: context(found[1], world)),
        Check("user", "LL1000", lambda _: user(found[2], world)),
        Check("capabilities", "LL1010", lambda _: capabilities(found[3], world)),
        Check("command", "LL0100", lambda trying: command(found[4], world, trying)),
        Check("isolation", "LL0760", lambda _: isolation(found[5], world)),
    ]
    return found


def settings(check: Check, world: World) -> list[Finding]:
    """What is set, and where that was found."""
    found = [check.error(world.refusal)] if world.refusal else []
    found += [check.said(line) for line in world.settings.warnings]
    platform = sum(1 for place in world.settings.places.values() if ": " in place)
    parts = []
    if platform:
        parts.append(f"{platform} from {world.files.real(PLATFORM_JSON)}")
    for who, names in world.sources.found:
        parts.append(f"from {who}: " + ", ".join(names))
    if world.sources.hidden and world.sources.started:
        parts.append("not readable by this user: " + ", ".join(world.sources.hidden))
    text = "; ".join(parts) or "none: neither a platform file nor LYFTLEARN_ variables"
    hidden = "a start ran before this process and took its settings away"
    # A start that takes no step but Spark's leaves the others' settings where they are.
    lost = world.sources.lost and bool(set(world.start.steps) - {"spark"})
    if lost and not platform:
        found.append(check.warning("LL0212", f"{hidden}; what is known: {text}"))
    elif not world.refusal:
        found.append(check.ok(text + (f". {hidden}: what it was given beside these is not known" if lost else "")))
    return found


def context(check: Check, world: World) -> list[Finding]:
    """Which runtime, by which evidence, and what a start does in it."""
    here = world.context
    more = [here.app_type] if here.app_type else []
    more += ["a tuning trial"] if here.tuning else []
    more += ["emulated"] if here.emulated else []
    name = here.name + (f" ({', '.join(more)})" if more else "")
    believed = [f"{signal.name}: {signal.why}" for signal in here.signals if signal.believed]
    text = f"{name}, by {'; '.join(believed[:2])}; steps: {', '.join(world.start.steps) or 'none'}"
    against = [signal for signal in here.signals if signal.believed and signal.why.startswith("it forces the context")]
    evidence = against[0].why.rpartition("which says ")[2].rstrip(")") if against else here.name
    if evidence != here.name:
        return [check.warning("LL0211", text)]
    return [check.ok(text)]


def isolation(check: Check, world: World) -> list[Finding]:
    """Whether there is a network at all: known at once, and the others do not wait."""
    needs = [each.label for each in endpoints(world) if each.needed]
    if world.isolated:
        text = "this job has no AWS credentials, as under network isolation"
        if needs:
            return [check.failed("LL0715", f"{text}, and it needs {', '.join(needs)}")]
        return [check.ok(text + "; nothing that is set needs the network")]
    if world.alone:
        text = "this container has no network interface but lo"
        if any(not is_loopback(each.host) for each in endpoints(world) if each.needed):
            return [check.failed("LL0715", f"{text}, and a start needs {', '.join(needs)}")]
        return [check.ok(text + "; nothing that is set needs another")]
    names = [name for name in world.interfaces or [] if name != "lo"]
    return [check.ok("a network: " + (", ".join(names[:4]) + ", ..." * (len(names) > 4) or "its interfaces are not shown here"))]


def user(check: Check, world: World) -> list[Finding]:
    """As whom the program would run, and whether its home can be used. Raises BadSettings for a user that is none."""
    switch, host = world.start.host(world.settings)
    home = world.environ.get("HOME", "") or host.user.home
    text = (f"switches from root to {host.user}" if switch else f"runs as {host.user}, as started") + f", groups {host.user.groups}"
    text += f"; HOME {home or 'is not set'} " + ("can be written" if home and host.writable(home) else f"gives way to {host.fallback_home}")
    return [check.ok(text)]


def capabilities(check: Check, world: World) -> list[Finding]:
    """What this process may do, beside what a start here would use."""
    try:
        lines = (Files().read("/proc/self/status") or b"").decode().splitlines()
    except OSError:
        lines = []
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    if "CapEff" not in status:
        return [check.skipped("/proc/self/status does not show them")]
    has = names(int(status["CapEff"], 16))
    shown = "none" if not has else f"all {len(has)}" if len(has) >= len(CAPABILITIES) else ", ".join(has)
    text = shown + ("; no_new_privs is set" if status.get("NoNewPrivs") == "1" else "")
    try:
        switch, host = world.start.host(world.settings)
    except StartError as error:
        return [check.skipped(f"effective: {text}; who would run is not known ({error.finding}, above)")]
    if not switch:
        return [check.ok(f"effective: {text}; a start here needs none")]
    lacking = [name for name in NEEDED if name not in has]
    if lacking:
        return [check.failed("LL1011", f"to become {host.user} a start needs {', '.join(lacking)}; effective: {text}")]
    less = [name for name in HANDING_OVER if name not in has]
    if less:
        return [check.warning("LL1004", f"directories of other users cannot be handed over without {', '.join(less)}; effective: {text}")]
    return [check.ok(f"effective: {text}; a start here uses SETUID, SETGID and CHOWN")]


def names(bits: int) -> list[str]:
    """The capabilities of a mask, as Kubernetes and Docker write them."""
    return [name.upper() for name in capability_names(bits)]


def command(check: Check, world: World, trying: Trying) -> list[Finding]:
    """What would be exec'd, looked up as a start does. Raises StartError: 64, 126 or 127."""
    known = world.argv or world.settings["command"] or world.context.name == STUDIO
    if not known or (world.context.name == ENDPOINT and world.argv == ["serve"] and world.sources.started):
        hint = " train" if world.context.name == TRAINING else " serve" if world.context.name in (ENDPOINT, TRANSFORM) else " PROGRAM"
        return [check.skipped(f"the image's arguments are not known here: give them, `lyftlearn doctor --args{hint}`")]
    try:
        switch, host = world.start.host(world.settings)
    except StartError as error:
        return [check.skipped(f"who would run it is not known ({error.finding}, above)")]
    found = commands.choose(world.argv, world.context, world.settings, host.user.uid == 0)
    trying("looking for " + found.argv[0])
    world.start.check_early(found, world.settings, host, switch)
    if not world.start.program:
        return [
            check.skipped(f"{found.argv[0]} (from {found.origin}) is looked up once the staged environment is there: it may change PATH")
        ]
    return [check.ok(f"{world.start.program} (from {found.origin})")]
