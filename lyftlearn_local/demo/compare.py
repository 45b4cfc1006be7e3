"""What was seen of each run, and whether it agrees: one table for the training runs, one for the servers."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from lyftlearn_local.demo import inputs
from lyftlearn_local.demo.table import Table
from lyftlearn_local.gateway import Counts

# Names that tell of the place and not of the program's input, beside those that `container.contain` lists: of the user (docs/users.md), of
# the entrypoint and its gateway (docs/settings.md, docs/statsd.md), of a kernel (jupyter_server 2, jupyter_client 8), and where things are.
_PLACE = re.compile(
    r"HOME|USER|LOGNAME|HOSTNAME|LYFTLEARN_.*|AWS_DEFAULT_REGION|STATSD_(HOST|PORT|ADDR)|DD_(AGENT_HOST|DOGSTATSD_(PORT|URL))"
    r"|JPY_(PARENT_PID|SESSION_NAME)|MODEL_DIR|(HYPERPARAMETERS|SECRETS)_PATH"
)


@dataclass
class Environ:
    """The variables of a running program. `own` are the names that its platform gives; the rest is input, the same everywhere."""

    variables: dict[str, str]
    own: set[str]

    @property
    def of_the_place(self) -> "set[str]":
        return {name for name in self.variables if name in self.own or _PLACE.fullmatch(name)}

    @property
    def given(self) -> "dict[str, str]":
        place = self.of_the_place
        return {name: value for name, value in self.variables.items() if name not in place}


@dataclass
class Seen:
    """What was seen of one training run. `start` is the start's duration (seconds, or None). The last five are of containers alone.

    `model` is the model's sha256, `image` the id that the container was made from, `user` who ran the program.
    """

    report: dict[str, Any]
    printed: str
    counts: Counts
    start: "float | None"
    model: str
    artifacts: list[str] = field(default_factory=list)
    image: str = ""
    user: str = ""
    environ: "Environ | None" = None


@dataclass
class Served:
    """What was seen of one server: the answers' predictions and signatures, what it counted, and how it ended (exit code, seconds)."""

    predictions: list[float]
    signatures: list[str]
    regions: set[str]
    counts: Counts
    model: str
    image: str
    user: str
    environ: "Environ | None"
    start: "float | None"
    code: int
    seconds: float


def sha256(data: "str | bytes") -> str:
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def short(digest: str) -> str:
    return "sha256 " + digest.removeprefix("sha256:")[:8]


def fingerprint(pairs: "dict[str, str]") -> str:
    """One digest over names and values: tells whether they are the same, and not what they are."""
    return sha256("".join(f"{name}\0{value}\0" for name, value in sorted(pairs.items())))


def training(names: "list[str]", seen: "list[Seen]", secrets: int, colour: bool) -> bool:
    """Prints the table of training runs. True when all agree, and nothing that was given is missing. `secrets` is how many were."""
    made = Table(names, colour)
    _images(made, [one.image for one in seen])
    for name in ("secrets", "secret_files", "variables", "hyperparameters"):
        found = [one.report[name] for one in seen]
        made.add(name.replace("_", " "), [f"{one['count']}, {short(one['sha256'])}" for one in found])
    for name in sorted(seen[0].report["read"]):
        made.add(f"read: {name}", [str(one.report["read"].get(name)) for one in seen])
    made.add("10 kB hyperparameter", [f"{one.report['notes']} characters" for one in seen])
    made.add("AUC of the model", [str(one.report["auc"]) for one in seen])
    made.add("scores", [short(one.report["scores"]) for one in seen])
    made.add("model.joblib", [short(one.model) for one in seen])
    made.add("printed", [f"{len(one.printed.strip())} characters, {sha256(one.printed.strip())[:8]}" for one in seen])
    _counts(made, [one.counts for one in seen])
    _environs(made, [one.environ for one in seen])
    _users(made, [one.user for one in seen], [one.environ for one in seen])
    _starts(made, [one.start for one in seen])
    print(made.render())
    same = _differences(made, names, [one.environ for one in seen])
    expected = {"secrets": secrets, "secret_files": secrets, "variables": inputs.VARIABLES, "hyperparameters": inputs.HYPERPARAMETERS}
    for name, count in expected.items():
        if seen[0].report[name]["count"] != count:
            same = _lacking(made, f"{names[0]} saw {seen[0].report[name]['count']} {name.replace('_', ' ')}, and {count} were given")
    if not seen[0].counts.lines:
        same = _lacking(made, "nothing was counted at the gateway")
    return made.same and same


def serving(names: "list[str]", served: "list[Served]", targets: "list[bool]", colour: bool) -> bool:
    """Prints the table of servers. True when all agree, are mostly right about `targets`, were counted, and ended cleanly."""
    made = Table(names, colour)
    _images(made, [one.image for one in served])
    made.add("model.joblib", [short(one.model) for one in served])
    made.add("predictions", [f"{len(one.predictions)}, {short(sha256(repr(one.predictions)))}" for one in served])
    made.add("signatures", [f"{len(one.signatures)}, {short(sha256(repr(one.signatures)))}" for one in served])
    made.add("region", [", ".join(sorted(one.regions)) for one in served])
    right = [_right(one.predictions, targets) for one in served]
    made.add("right", [f"{share:.1%}" for share in right])
    _counts(made, [one.counts for one in served])
    made.add("exit code after SIGTERM", [str(one.code) for one in served])
    _environs(made, [one.environ for one in served])
    _users(made, [one.user for one in served], [one.environ for one in served])
    _starts(made, [one.start for one in served])
    made.add("end, after SIGTERM", [f"{one.seconds * 1000:.0f} ms" for one in served], compared=False)
    print(made.render())
    same = _differences(made, names, [one.environ for one in served])
    for name, one, share in zip(names, served, right, strict=True):
        if share <= 0.9:
            same = _lacking(made, f"{name}: {share:.1%} of the predictions are right")
        if not one.counts.lines:
            same = _lacking(made, f"{name}: nothing was counted at the gateway")
        if one.code:
            same = _lacking(made, f"{name}: exit code {one.code} after SIGTERM")
    return made.same and same


def _right(predictions: "list[float]", targets: "list[bool]") -> float:
    if len(predictions) != len(targets):
        return 0.0
    return sum((value > 0.5) == target for value, target in zip(predictions, targets, strict=True)) / len(targets)


def _lacking(made: Table, line: str) -> bool:
    print(made.paint(line, False))
    return False


def _images(made: Table, images: "list[str]") -> None:
    if any(images):
        made.add("image", [image.removeprefix("sha256:")[:12] for image in images])


def _users(made: Table, users: "list[str]", environs: "list[Environ | None]") -> None:
    if any(users):
        made.add("user of the program", users, compared=False)
        made.add("its home", [one.variables.get("HOME", "") if one else "" for one in environs], compared=False)


def _starts(made: Table, starts: "list[float | None]") -> None:
    made.add("start, entrypoint to exec", [f"{one * 1000:.0f} ms" if one is not None else "says nothing" for one in starts], compared=False)


def _counts(made: Table, counts: "list[Counts]") -> None:
    for name in sorted({name for one in counts for name in one.metrics}):
        made.add(f"statsd {name}", [str(one.metrics.get(name, 0)) for one in counts])
    made.add("statsd in all", [str(one.lines) for one in counts])


def _environs(made: Table, environs: "list[Environ | None]") -> None:
    if not any(environs):
        return
    values = [f"{len(one.given)}, {short(fingerprint(one.given))}" if one else "not seen" for one in environs]
    made.add("its whole environment", values)
    made.add("variables of the place", [str(len(one.of_the_place)) if one else "" for one in environs], compared=False)


def _differences(made: Table, names: "list[str]", environs: "list[Environ | None]") -> bool:
    """Names the variables that are the place's, and those that differ and are not: never a value. False when any differ."""
    known = {name: one for name, one in zip(names, environs, strict=True) if one is not None}
    if not known:
        return True
    print("  variables of the place, which differ by right:")
    by_places: dict[tuple[str, ...], list[str]] = {}
    for variable in sorted(set().union(*(one.of_the_place for one in known.values()))):
        by_places.setdefault(tuple(name for name, one in known.items() if variable in one.of_the_place), []).append(variable)
    for places, variables in sorted(by_places.items(), key=lambda item: -len(item[0])):
        where = "everywhere" if len(places) == len(known) else ", ".join(places)
        print(f"    {where}: {' '.join(variables)}")
    same, first = True, next(iter(known))
    for name, one in known.items():
        a, b = known[first].given, one.given
        told = [f"{variable} (not in the {name})" for variable in sorted(a.keys() - b.keys())]
        told += [f"{variable} (not in the {first})" for variable in sorted(b.keys() - a.keys())]
        told += [f"{variable} (another value)" for variable in sorted(a.keys() & b.keys()) if a[variable] != b[variable]]
        if told:
            more = f" and {len(told) - 20} more" if len(told) > 20 else ""
            same = _lacking(made, f"the {name} differs from the {first} in " + ", ".join(told[:20]) + more)
    return same
