"""Checks of the machine: directories, shared memory, certificate authorities, clock, proxies."""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.adapt import memory, saving
from lyftlearn_entrypoint.cli.checks import proxies
from lyftlearn_entrypoint.cli.checks.model import Check, Finding, Trying
from lyftlearn_entrypoint.cli.checks.network import endpoints
from lyftlearn_entrypoint.context import TRAINING
from lyftlearn_entrypoint.fetch import tls
from lyftlearn_entrypoint.fetch.url import HttpError, split

if TYPE_CHECKING:
    from lyftlearn_entrypoint.cli.checks.world import World

LITTLE_SHARE, LITTLE = 0.05, 1 << 30
REFUSED = 300.0  # seconds of skew: AWS refuses a signature then ("Signing requests", IAM user guide)
MUCH = 60.0  # seconds


def checks(world: World) -> list[Check]:
    """Directories and shared memory, and what programs find as CA bundles."""
    found = [_disk(world, path, name) for path, name in directories(world)]
    shm = Check("shared memory", "LL1030", lambda _: shared_memory(shm, world))
    authorities = Check("tls", "LL0740", lambda trying: bundle(authorities, world, trying), "certificate authorities")
    proxy = Check("proxy", "LL0730", lambda _: proxied(proxy, world))
    return [proxy, authorities, *found, shm]


def directories(world: World) -> list[tuple[str, str]]:
    """(path, what it is called): those that programs write to here."""
    home = world.environ.get("HOME", "")
    jobs = ("/opt/ml", "/opt/ml/model", "/opt/ml/output") if world.context.name == TRAINING else ("/opt/ml",)
    found = [(world.files.real(path), path) for path in jobs if world.files.is_dir(path)]
    found.append((world.files.real("/tmp"), "/tmp"))
    return found + ([(home, "HOME")] if home.startswith("/") else [])


def _disk(world: World, path: str, name: str) -> Check:
    def run(trying: Trying) -> list[Finding]:
        trying(f"writing a file in {path}")
        try:
            found = os.statvfs(path)
        except OSError as error:
            return [_unwritable(check, name, f"{path}: {(error.strerror or 'error').lower()}")]
        free, size = found.f_frsize * found.f_bavail, found.f_frsize * found.f_blocks
        text = f"{path}: {memory.show(free)} of {memory.show(size)} free"
        try:
            with tempfile.TemporaryFile(dir=path) as file:
                file.write(b"x" * 4096)
                file.flush()
        except OSError as error:
            return [_unwritable(check, name, f"{text}, and cannot be written: {(error.strerror or 'error').lower()}")]
        no_inodes = found.f_files > 0 and found.f_favail == 0
        if no_inodes or (free < LITTLE and free < size * LITTLE_SHARE):
            return [check.warning("LL1022", text + (", no inodes left" if no_inodes else ""))]
        return [check.ok(text + ", written")]

    check = Check("disk", "LL1020", run, name, optional=True)
    return check


def _unwritable(check: Check, name: str, text: str) -> Finding:
    if name == "HOME":
        return check.ok(text + "; a start gives its program another HOME then")
    if name == "/opt/ml":
        return check.ok(text + "; it is root's, and programs write below it")
    return check.warning("LL1006" if name == saving.MODEL else "LL1021", text)


def shared_memory(check: Check, world: World) -> list[Finding]:
    """Its size, by the start's own measure where a minimum is set."""
    wanted = world.settings["shared_memory_min"]
    warnings = memory.lacking(wanted, world.files, world.context.name) if wanted else []
    if warnings:
        return [check.said(line) for line in warnings]
    try:
        found = os.statvfs(world.files.real(memory.SHARED_MEMORY))
    except OSError as error:
        return [check.warning("LL1031", f"{memory.SHARED_MEMORY}: {(error.strerror or 'error').lower()}")]
    size, free = found.f_frsize * found.f_blocks, found.f_frsize * found.f_bavail
    asked = f", at least {wanted} is wanted" if wanted else "; LYFTLEARN_SHARED_MEMORY_MIN is not set"
    return [check.ok(f"{memory.SHARED_MEMORY}: {memory.show(size)}, {memory.show(free)} free{asked}")]


def bundle(check: Check, world: World, trying: Trying) -> list[Finding]:
    """The certificate authorities that a start loads, and those that the variables of common clients name."""
    results = []
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = world.environ.get(name, "")
        if path and not os.access(path, os.R_OK):
            results.append(check.warning("LL0742", f"{name} is {path}, which cannot be read"))
    trying("loading certificate authorities")
    try:
        where = tls.authorities(world.environ)
        tls.Tls(world.environ)
    except HttpError as error:
        needed = any(each.url.startswith("https:") for each in endpoints(world))
        return [*results, check.failed(error.finding, str(error)) if needed else check.warning(error.finding, str(error))]
    for file, _, origin in where:
        if file and origin != file:
            known = ssl.create_default_context(cafile=file).get_ca_certs()
            dead = [each for each in known if ssl.cert_time_to_seconds(str(each["notAfter"])) < time.time()]
            text = f"{origin}: {file}: {len(known)} authorities, {len(dead)} expired"
            return [*results, check.warning("LL0743", text) if known and len(dead) == len(known) else check.ok(text)]
    return [
        *results,
        check.ok("; ".join(origin if (file or folder) == origin else f"{origin}: {file or folder}" for file, folder, origin in where)),
    ]


def proxied(check: Check, world: World) -> list[Finding]:
    """Which variable applies to which host."""
    ways = []
    asked = [each for each in endpoints(world) if each.url]
    try:
        for each in asked:
            parts = split(each.url)
            ways.append(f"{each.label} ({parts.where}) {proxies.route(world.environ, each.url, each.proxy)}")
    except HttpError as error:
        return [check.failed(error.finding or "LL0716", str(error))]
    found = [check.warning(trap.code, trap.what) for trap in proxies.traps(world.environ)]
    text = "; ".join(dict.fromkeys(ways)) or "nothing that is set is asked over HTTP"
    return [check.ok(text), *found]


def clock(world: World) -> list[Finding]:
    """Our clock against those of the servers that answered. Called once all others are done."""
    check = Check("clock", "LL0750", lambda _: [])
    with world.lock:
        skews = sorted(world.skews, key=lambda each: -abs(each.seconds))
    if not skews:
        return [check.skipped("no server has answered with a Date to compare with")]
    first = skews[0]
    way = "ahead of" if first.seconds > 0 else "behind"
    # A Date header has whole seconds.
    by = "less than 1.5 s off" if abs(first.seconds) < 1.5 else f"{abs(first.seconds):.1f} s {way}"
    text = f"{by} {first.host}" + (f", the most of {len(skews)} servers" if len(skews) > 1 else "")
    if abs(first.seconds) > REFUSED:
        return [check.failed("LL0431", text)]
    return [check.warning("LL0751", text) if abs(first.seconds) > MUCH else check.ok(text)]
