"""`lyftlearn local`: the embedded platform, and anybody's command as a context would run it. Thin: the work is in lyftlearn_local."""

import json
import os
import shlex
import signal
import sys
from pathlib import Path

import click

_CONTEXTS = (
    "sagemaker-training",
    "sagemaker-processing",
    "sagemaker-transform",
    "sagemaker-endpoint",
    "studio",
    "kubernetes",
    "local",
)


def _say(line: str) -> None:
    click.echo(f"lyftlearn local: {line}", err=True)


def _fail(error: Exception) -> "click.ClickException":
    return click.UsageError(str(error)) if type(error).__name__ == "Unusable" else click.ClickException(str(error))


def _pair(_: click.Context, __: click.Parameter, values: "tuple[str, ...]") -> "dict[str, str]":
    pairs = {}
    for value in values:
        name, equals, rest = value.partition("=")
        if not equals or not name:
            raise click.BadParameter("wanted NAME=VALUE, and there is no '=' after a name")
        pairs[name] = rest
    return pairs


@click.group()
def local() -> None:
    """The platform on this machine: moto, Confidant, StatsD, and the containers' own surroundings."""
    try:
        import lyftlearn_local.platform  # noqa: F401  (what the extra brings is asked for once, here)
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'lyftlearn-entrypoint[local]'") from None


@local.command()
@click.option("--print", "form", type=click.Choice(["shell", "json"]), default="shell", help="Form of the variables on stdout.")
@click.option("--credentials", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="JSON object to store in Confidant.")
@click.option("--confidant/--no-confidant", default=True, help="With the real Confidant server, in a virtual environment of its own.")
def platform(form: str, credentials: "Path | None", confidant: bool) -> None:
    """Start the embedded platform, print the variables that point at it, and stay until Ctrl-C."""
    from lyftlearn_local import run as runs
    from lyftlearn_local.children import DidNotStart
    from lyftlearn_local.confidant.venv import CannotBuild
    from lyftlearn_local.platform import BUCKET, SERVICE, Platform

    signals = {signal.SIGINT, signal.SIGTERM}
    try:
        pairs = runs.document(credentials) if credentials else {}
        with Platform(_say, confidant) as running:
            signal.pthread_sigmask(signal.SIG_BLOCK, signals)
            service = ""
            if confidant:
                service = SERVICE
                running.confidant.service(service, [running.confidant.credential(pairs)] if pairs else [])
            variables = {**running.pointers(service), "LYFTLEARN_LOCAL_BUCKET": BUCKET, "LYFTLEARN_LOCAL_PLATFORM": running.link_local.url}
            if form == "json":
                click.echo(json.dumps(variables, indent=2))
            else:
                click.echo("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))
            sys.stdout.flush()
            _say(f"running; what the gateway counted: {running.link_local.url}/statsd; Ctrl-C ends it")
            signal.sigwait(signals)
    except (runs.Unusable, DidNotStart, CannotBuild) as error:
        raise _fail(error) from None


@local.command(context_settings={"ignore_unknown_options": True})
@click.option("--context", "where", required=True, type=click.Choice(_CONTEXTS))
@click.option("--environment", type=click.Path(path_type=Path), help="JSON object of variables, passed as a staged document.")
@click.option("--hyperparameters", type=click.Path(path_type=Path), help="JSON object of hyperparameters, passed as a staged document.")
@click.option("--credentials", type=click.Path(path_type=Path), help="JSON object, stored in the platform's Confidant for the command.")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", callback=_pair, help="A variable passed through the API.")
@click.option("--hyperparameter", "parameters", multiple=True, metavar="NAME=VALUE", callback=_pair, help="Likewise a hyperparameter.")
@click.option("--hyperparameters-dir", default="/etc/hyperparameters", show_default=True, help="The ConfigMap mount path of the old pods.")
@click.option("--tuning", is_flag=True, help="A trial of a tuning job.")
@click.option("--entrypoint", default="", help="The launcher; by default the installed lyftlearn-entrypoint.")
@click.option("--platform/--no-platform", "embedded", default=True, help="Start the embedded platform, or use what AWS_* points at.")
@click.option("--stop-after", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop the job then, as the platform stops one.")
@click.option("--name", default="local-job", show_default=True, help="Name of the job.")
@click.option("--user", default="", help="LYFTLEARN_USER: who runs the command.")
@click.option("--output", type=click.Path(path_type=Path), help="Directory for a copy of model.tar.gz and output.tar.gz.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON on stdout; the command's stdout goes to stderr.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def run(
    where: str,
    environment: "Path | None",
    hyperparameters: "Path | None",
    credentials: "Path | None",
    variables: "dict[str, str]",
    parameters: "dict[str, str]",
    hyperparameters_dir: str,
    tuning: bool,
    entrypoint: str,
    embedded: bool,
    stop_after: "float | None",
    name: str,
    user: str,
    output: "Path | None",
    as_json: bool,
    command: "tuple[str, ...]",
) -> None:
    """Run COMMAND as CONTEXT would, through the real entrypoint, with the limits of the real API enforced (exit 2).

    The exit code is COMMAND's; 128 + n when signal n ended it.
    """
    from lyftlearn_local import run as runs
    from lyftlearn_local.children import DidNotStart
    from lyftlearn_local.confidant.venv import CannotBuild

    request = runs.Request(
        context=where,
        command=list(command),
        environment_file=environment,
        hyperparameters_file=hyperparameters,
        credentials_file=credentials,
        environment=variables,
        hyperparameters=parameters,
        tuning=tuning,
        entrypoint=entrypoint,
        platform=embedded,
        stop_after=stop_after,
        name=name,
        user=user,
        hyperparameters_dir=hyperparameters_dir,
        output=output,
    )
    try:
        report = runs.run(request, dict(os.environ), _say, sys.stderr.fileno() if as_json else None)
    except (runs.Unusable, DidNotStart, CannotBuild, OSError) as error:
        raise _fail(error) from None
    for violation in report.refused:
        _say(violation.line)
    if report.refused:
        sys.exit(2)
    facts = report.facts()
    for key in ("FailureReason", "ExitMessage"):
        if facts.get(key):
            _say(f"{key}: {str(facts[key]).strip()}")
    _say(f"{facts['status']}, exit code {facts['exit_code']}, {report.ended.seconds:.1f} s")
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    sys.exit(report.ended.code)


@local.command()
@click.option("--tag", default="", help="The image to run; by default lyftlearn-NAME:latest.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Directory for the page, index.html, and the snapshots.")
@click.option("--contract", type=click.Path(path_type=Path), help="YAML of the differences that are meant; by default our own.")
@click.argument("name")
def parity(tag: str, out: Path, contract: "Path | None", name: str) -> None:
    """Take a snapshot in each place of image NAME, in containers, and compare them with the pod's. Needs root and a Docker Engine.

    Exit code 0 if every difference is explained, and every explanation of this image is needed; else 1.
    """
    from lyftlearn_entrypoint.cli.image.common import tag_of
    from lyftlearn_entrypoint.cli.parity import show
    from lyftlearn_entrypoint.cli.parity.contract import DEFAULT
    from lyftlearn_local.children import DidNotStart
    from lyftlearn_local.confidant.venv import CannotBuild
    from lyftlearn_local.containers.running import CannotRun
    from lyftlearn_local.demo.ways import Failed
    from lyftlearn_local.parity import matrix

    try:
        comparison = matrix.run(name, tag or tag_of(name), out, _say, dict(os.environ), contract or DEFAULT)
    except (CannotRun, Failed, DidNotStart, CannotBuild) as error:
        raise click.ClickException(str(error)) from None
    click.echo("\n".join(show.lines(comparison)))
    _say(f"the page: {out / matrix.PAGE}")
    sys.exit(0 if comparison.good(strict=True) else 1)
