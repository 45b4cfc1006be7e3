"""Checks of the network: each host that a setting names, by the start's own resolver, client, proxy choice and certificates."""

from __future__ import annotations

import ipaddress
import ssl
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.adapt.statsd import split_address
from lyftlearn_entrypoint.cli.checks.model import Check, Finding, Trying
from lyftlearn_entrypoint.cli.checks.world import Skew, World
from lyftlearn_entrypoint.context import CHANNEL, STUDIO
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.fetch.answers import clock_skew
from lyftlearn_entrypoint.fetch.aws import region_of
from lyftlearn_entrypoint.fetch.dial import resolve
from lyftlearn_entrypoint.fetch.endpoints import endpoint, s3_url
from lyftlearn_entrypoint.fetch.staged import ENVIRONMENT, HYPERPARAMETERS, parse_uri
from lyftlearn_entrypoint.fetch.tls import TlsStream
from lyftlearn_entrypoint.fetch.url import HttpError, split
from lyftlearn_entrypoint.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = 2.0  # seconds for a name: glibc waits 5 for a server that is silent, then asks the next
SOON = 14 * 86400  # seconds until a certificate expires
REACH_TIMEOUT = 5.0  # seconds


@dataclass
class Endpoint:
    """A host that a start would ask. `url` is '' where it is not HTTP; `proxy` False where none is ever used."""

    label: str
    host: str
    port: int
    url: str = ""
    proxy: bool = True
    needed: bool = True  # a start fails without it


def endpoints(world: World) -> list[Endpoint]:
    """Every host that a setting names, for the steps that are taken here. What is malformed is left out: another check says it."""
    found: list[Endpoint] = []
    settings, region = world.settings, world.aws.region or ""
    if world.takes("credentials") and settings["confidant_url"]:
        _http(found, "Confidant", lambda: settings["confidant_url"], proxy=False)
        own = region_of(settings["confidant_auth_key"])
        _http(found, "KMS", lambda: endpoint(world.environ, "kms", own or region or "us-east-1"))
    for step, setting, name in (("hyperparameters", "hyperparameters_uri", HYPERPARAMETERS), ("environment", "env_uri", ENVIRONMENT)):
        if world.takes(step) and settings[setting] and world.files.stat(CHANNEL + "/" + name) is None:
            bucket = parse_uri(settings[setting]).bucket
            _http(found, "S3", partial(s3_url, world.environ, region or "us-east-1", bucket, "", None))
    if world.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and found:
        _http(found, "STS", lambda: endpoint(world.environ, "sts", region) if region else "https://sts.amazonaws.com")
    if world.takes("statsd") and settings["statsd_gateway"]:
        host, port = split_address(settings["statsd_gateway"])
        found.append(Endpoint("the metrics gateway", host, port, needed=False))
    if world.takes("spark") and world.context.name == STUDIO and settings["spark_eks_endpoint"]:
        parts = split(settings["spark_eks_endpoint"])
        found.append(Endpoint("the Kubernetes API", parts.host, parts.port, needed=False))
    if world.takes("spark") and settings["spark_connect"]:
        host, _, digits = settings["spark_connect"][5:].partition("/")[0].partition(":")
        found.append(Endpoint("Spark Connect", host, int(digits) if digits.isdigit() else 15002, needed=False))
    unique = {(each.host, each.port, each.label): each for each in found}
    return list(unique.values())


def _http(found: list[Endpoint], label: str, url: Callable[[], str], proxy: bool = True) -> None:
    try:
        text = url()
        parts = split(text)
    except (BadSettings, HttpError):
        return
    found.append(Endpoint(label, parts.host, parts.port, text, proxy))


def is_loopback(host: str) -> bool:
    """Whether asking this host leaves the container."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def checks(world: World) -> list[Check]:
    """One for each name, and one for each server."""
    asked = endpoints(world)
    found: list[Check] = []
    hosts: dict[str, list[str]] = {}
    needed: set[str] = set()
    for each in asked:
        via = _via(world, each)
        # A name behind a proxy is the proxy's to resolve.
        needed |= {via or each.host} if each.needed else set()
        hosts.setdefault(via or each.host, []).append(each.label + ("'s proxy" if via else ""))
    for host, labels in hosts.items():
        found.append(_dns(world, host, ", ".join(dict.fromkeys(labels)), host in needed))
    return found + [_reach(world, each) for each in asked if each.url]


def _via(world: World, each: Endpoint) -> str:
    """The host of the proxy that is used for it, or ''."""
    if not each.url or not each.proxy:
        return ""
    try:
        via = world.http.proxy_for(split(each.url))
    except HttpError:
        return ""
    return via.host if via else ""


def cut_off(world: World, host: str) -> str:
    """Why it is no use to ask this host, or ''."""
    if world.isolated and not is_loopback(host):
        return "no network (isolation)"
    return "no network interface but lo" if world.alone and not is_loopback(host) else ""


def _dns(world: World, host: str, label: str, needed: bool) -> Check:
    def run(trying: Trying) -> list[Finding]:
        try:
            ipaddress.ip_address(host)
            return [check.skipped(f"{host} ({label}) is an address, there is no name to look up")]
        except ValueError:
            pass
        if why := cut_off(world, host):
            return [check.skipped(f"{host} ({label}): {why}")]
        trying(f"looking up {host} ({label}); nameservers: {', '.join(nameservers()) or 'none in /etc/resolv.conf'}")
        began = time.monotonic()
        try:
            addresses = list(dict.fromkeys(str(address[0]) for _, address in resolve(host, 0)))
        except (OSError, UnicodeError) as error:
            problem = getattr(error, "strerror", None) or "it is no legal name"
            text = f"{host} ({label}): {problem.lower()}; nameservers: {', '.join(nameservers()) or 'none'}"
            if not needed:
                return [check.warning("LL0801" if label == "the metrics gateway" else "LL0703", text)]
            return [check.failed("LL0703", text)]
        seconds = time.monotonic() - began
        text = f"{host} ({label}) is {', '.join(addresses[:4])}, in {seconds * 1000:.0f} ms"
        return [check.warning("LL0721", text) if seconds > SLOW else check.ok(text)]

    check = Check("dns", "LL0720", run, host, optional=not needed)
    return check


def nameservers() -> list[str]:
    """Those of /etc/resolv.conf."""
    try:
        text = (Files().read("/etc/resolv.conf") or b"").decode("ascii", "replace")
    except OSError:
        return []
    return [words[1] for line in text.splitlines() if len(words := line.split()) > 1 and words[0] == "nameserver"]


def _reach(world: World, each: Endpoint) -> Check:
    def run(trying: Trying) -> list[Finding]:
        if why := cut_off(world, each.host):
            return [check.skipped(f"{each.label} at {each.host}: {why}")]
        parts = split(each.url)
        via = world.http.proxy_for(parts) if each.proxy else None
        how = f" through the proxy {via.where}" if via else ""
        trying(f"a GET of {parts.scheme}://{parts.where}/{how}, for {each.label}")
        url = f"{parts.scheme}://{parts.authority}/"
        try:
            reply = world.http.request("GET", url, {}, read_timeout=REACH_TIMEOUT, proxy=each.proxy)
        except HttpError as error:
            return [check.failed(error.finding or "LL0705", f"{each.label}: {error}")]
        now = time.time()
        skew = clock_skew(reply, now)
        if skew is not None:
            with world.lock:
                world.skews.append(Skew(f"{each.label} at {parts.where}", skew))
        found = [check.ok(f"{each.label} at {parts.where} answers with status {reply.status}{how}")]
        return found + (_certificate(world, check, each, trying) if parts.scheme == "https" else [])

    check = Check("reach", "LL0700", run, f"{each.host}:{each.port}")
    return check


def _certificate(world: World, check: Check, each: Endpoint, trying: Trying) -> list[Finding]:
    """How long the certificate of a server is still good. That it is trusted was seen before."""
    parts = split(each.url)
    trying(f"a TLS handshake with {parts.where}")
    try:
        stream = world.http.open(parts, world.http.proxy_for(parts) if each.proxy else None, 3.0)
    except HttpError as error:
        return [check.failed(error.finding or "LL0709", f"{each.label}: {error}")]
    try:
        certificate = stream.certificate() if isinstance(stream, TlsStream) else {}
    finally:
        stream.close()
    until = str(certificate.get("notAfter", ""))
    left = ssl.cert_time_to_seconds(until) - time.time() if until else SOON
    text = f"{each.label} at {parts.where}: certificate trusted, good until {until or '?'} ({left / 86400:.0f} days)"
    tls = Check("tls", "LL0740", check.run, check.about)
    return [tls.warning("LL0741", text) if left < SOON else tls.ok(text)]
