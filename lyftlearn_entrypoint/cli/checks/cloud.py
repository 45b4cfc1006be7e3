"""Checks of what a start fetches: credentials and whose they are, KMS, Confidant, staged documents. By a start's own requests."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from lyftlearn_entrypoint.adapt import credentials as variables
from lyftlearn_entrypoint.adapt import hyperparameters as parameters
from lyftlearn_entrypoint.adapt.environment import staged_variables
from lyftlearn_entrypoint.cli.checks.model import Check, Finding, Trying
from lyftlearn_entrypoint.cli.checks.network import cut_off, endpoints
from lyftlearn_entrypoint.context import KUBERNETES, STUDIO
from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.fetch.answers import aws_error, xml_text
from lyftlearn_entrypoint.fetch.endpoints import endpoint
from lyftlearn_entrypoint.fetch.sigv4 import sign
from lyftlearn_entrypoint.fetch.staged import Document, parse_uri
from lyftlearn_entrypoint.fetch.url import HttpError, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.cli.checks.world import World
    from lyftlearn_entrypoint.fetch.confidant import Confidant

NO_NETWORK = "no network (isolation)"


def checks(world: World) -> list[Check]:
    """In the order in which a start reports them: hyperparameters, environment, credentials."""
    found = [Check("credentials", "LL0300", lambda trying: credentials(found[0], world, trying))]
    found += [_document(world, "hyperparameters", "hyperparameters_uri"), _document(world, "environment", "env_uri")]
    kms = Check("kms", "LL0400", lambda trying: token(kms, world, trying))
    confidant = Check("confidant", "LL0600", lambda trying: secrets(confidant, world, trying))
    return [*found, kms, confidant]


def credentials(check: Check, world: World, trying: Trying) -> list[Finding]:
    """Which source a start would take, and whose the credentials are."""
    if world.isolated:
        return [check.skipped(NO_NETWORK)]
    needed = any(each.needed for each in endpoints(world))
    trying("asking the sources of AWS credentials, in a start's order")
    try:
        found = world.chain.get()
    except StartError as error:
        if needed:
            raise
        if error.finding != "LL0301":
            return [check.warning(error.finding or "LL0301", error.what, error.remedy)]
        return [check.skipped("nothing that is set needs any. " + error.what)]
    source = f"from {found.source}"
    fallback = found.source == "instance metadata" and (world.context.job or world.context.name in (STUDIO, KUBERNETES))
    sts = split(endpoint(world.environ, "sts", world.aws.region or "us-east-1")).host
    if why := cut_off(world, sts):
        return [check.ok(f"{source}; {sts} was not asked whose they are: {why}")]
    trying(f"sts:GetCallerIdentity with the credentials {source}")
    who, problem = _within(world, lambda: identity(world))
    text = f"{source}: {who or 'whose they are, STS does not say: ' + problem}"
    results = [check.warning("LL0317", text + "; every source before it has none")] if fallback else []
    if not who:
        results.append(check.warning("LL0318", text))
    return results or [check.ok(text)]


def _within(world: World, ask: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """Ask, but leave a name lookup that hangs behind: a start does not ask STS, so it may not fail this check."""
    answers: list[tuple[str, str]] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(world.deadline.remaining())
    return answers[0] if answers else ("", f"no answer within {world.deadline.seconds:g} s")


def identity(world: World) -> tuple[str, str]:
    """(the ARN behind the credentials, what went wrong). STS answers any identity: the call needs no permission."""
    region = world.aws.region or "us-east-1"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Accept": "application/xml"}
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    try:
        url = endpoint(world.environ, "sts", region)
        parts = split(url)
        signed = sign("POST", parts, headers, body, world.chain.get(), region, "sts", time.time())
        reply = world.http.request("POST", url, signed, body, limit=1 << 16, read_timeout=3.0)
    except (HttpError, StartError) as error:
        return "", str(error)
    arn = xml_text(reply.body.decode("utf-8", "replace"), "Arn")
    return (arn, "") if reply.status == 200 and arn else ("", f"{parts.where}: status {reply.status} {aws_error(reply)[0]}".strip())


def _source(check: Check, world: World) -> Confidant | list[Finding]:
    """The service that a start would ask, or why there is none. Raises BadSettings."""
    if not world.settings["confidant_url"]:
        return [check.skipped("LYFTLEARN_CONFIDANT_URL is not set")]
    if not world.takes("credentials"):
        return [check.skipped(world.why_not("credentials"))]
    source = world.fetch().confidant()
    assert source is not None
    if world.isolated:
        return [check.skipped(NO_NETWORK)]
    if why := cut_off(world, split(source.url).host):
        return [check.skipped(why)]
    return source


def token(check: Check, world: World, trying: Trying) -> list[Finding]:
    """The real kms:Encrypt behind a token. Raises StartError."""
    source = _source(check, world)
    if isinstance(source, list):
        return source
    context = f"from={source.service}, to={source.auth_context}, user_type=service"
    trying(f"kms:Encrypt with {source.auth_key} under {context}")
    source.token()
    return [check.ok(f"kms:Encrypt with {source.auth_key} under the encryption context {context}")]


def secrets(check: Check, world: World, trying: Trying) -> list[Finding]:
    """The real request to Confidant, and what its credentials would become. Raises StartError."""
    source = _source(check, world)
    if isinstance(source, list):
        return source
    trying(f"a token from KMS ({source.auth_key}) for {source}")
    try:
        source.token()
    except StartError as error:
        return [check.skipped(f"{source} was not asked for service {source.service}: there is no token ({error.finding}, above)")]
    trying(f"a GET of {source.url}/v1/services/{source.service}")
    found = source.secrets(world.settings["credentials_prefix"])
    chosen, warnings = variables.variables(found)
    if world.settings["credentials_dir"]:
        variables.files(found)
    count = len({secret.origin for secret in found})
    text = f"{source}, service {source.service}: {count} credential{'s' * (count != 1)}, {len(chosen)} variable{'s' * (len(chosen) != 1)}"
    return [check.ok(text), *(check.said(line) for line in warnings)]


def _document(world: World, step: str, setting: str) -> Check:
    """One staged document: fetched whole, checked, read; then what a start's plan would say of it."""

    def run(trying: Trying) -> list[Finding]:
        uri = world.settings[setting]
        if not world.takes(step):
            return [check.skipped(world.why_not(step) if uri else f"LYFTLEARN_{setting.upper()} is not set")]
        fetch = world.fetch()
        trying("the channel lyftlearn, and what SageMaker delivered")
        fetch.collect(step)
        document: Document | None = getattr(fetch.inputs, step)
        for task in fetch.tasks:
            if why := NO_NETWORK if world.isolated else _cut(world):
                return [check.skipped(f"{task.asks}: {why}")]
            trying(f"s3:GetObject of {task.asks}")
            document = task.run()  # type: ignore[assignment]
        if document is None:
            return [check.skipped(f"LYFTLEARN_{setting.upper()} is not set, and there is no channel lyftlearn")]
        pinned = "" if not fetch.tasks else ", sha256 as in the URI" if parse_uri(uri).sha256 else ", not pinned by a sha256"
        if step == "environment":
            found, warnings = staged_variables(document.value, document.origin)
            said = f"{len(found)} variable{'s' * (len(found) != 1)}"
        else:
            merged, won = parameters.merge(document.value, fetch.inputs.own_hyperparameters or {}, document.origin)
            if world.settings["hyperparameters_dir"]:
                parameters.config_map(merged)
            warnings = []
            said = f"{len(document.value)} hyperparameter{'s' * (len(document.value) != 1)}"
            said += f" ({len(won)} of SageMaker's own stay)" if won else ""
        return [check.ok(f"{said} from {document.origin}, {document.size} bytes{pinned}"), *(check.said(line) for line in warnings)]

    check = Check(step, "LL0410", run, f"LYFTLEARN_{setting.upper()}")
    return check


def _cut(world: World) -> str:
    """Why it is no use to ask S3, or ''."""
    return next((why for each in endpoints(world) if each.label == "S3" and (why := cut_off(world, each.host))), "")
