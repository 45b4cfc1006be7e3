r"""Which differences from the pod are meant, and why: contract.yaml, one list for each program. Nothing else is forgiven.

    home.py:
      - in: [training, studio]        places where it holds
        stream: stdout                stdout (default), stderr, code, statsd or left
        pod: text that the pod's output has
        there: text that stands in its place
        why: the reason
    spark.py:
      - stream: stderr
        mask: '^\d\d:\d\d '           a regular expression, for what is never twice the same: left out of the pod's output and of all others
        why: the reason

A rule of the first kind says both sides: what the pod says is replaced by what that place says, and the result must be equal, every byte
of it. A rule that the pod's output no longer needs, or that no place does, is stale, and that is a failure too.
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

FILE = Path(__file__).resolve().parents[1] / "contract.yaml"
STREAMS = ("stdout", "stderr", "code", "statsd", "left")
_LONGEST = 40  # lines of a difference that are shown

# What a program said and left: a text for each of STREAMS.
Output = dict[str, str]


class BadContract(Exception):
    """A rule that says too little, or something unknown."""


@dataclass(frozen=True)
class Rule:
    """In `places`, the pod's text `pod` of a stream is `there`, because of `why`; or `mask`, where not '', is left out of the stream."""

    places: "tuple[str, ...]"
    stream: str
    pod: str
    there: str
    why: str
    mask: str = ""


def load(places: "tuple[str, ...]", file: Path = FILE) -> "dict[str, list[Rule]]":
    """The rules of each program. Raises BadContract."""
    found: dict[str, list[Rule]] = {}
    for program, rules in (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).items():
        found[program] = [_rule(program, rule, places) for rule in rules]
    return found


def _rule(program: str, given: "dict[str, object]", places: "tuple[str, ...]") -> Rule:
    stream = str(given.get("stream", "stdout"))
    if stream not in STREAMS:
        raise BadContract(f"{program}: stream: one of {', '.join(STREAMS)}")
    if given.keys() - {"stream"} == {"mask", "why"} and given["why"] and given["mask"]:
        return Rule(places, stream, "", "", str(given["why"]), str(given["mask"]))
    unknown = given.keys() - {"in", "stream", "pod", "there", "why"}
    where = given.get("in")
    if unknown or not given.get("why") or not given.get("pod") or "there" not in given or not isinstance(where, list) or not where:
        raise BadContract(f"{program}: a rule has in, pod, there and why, or mask and why, and may have stream")
    if set(where) - set(places):
        raise BadContract(f"{program}: in: some of {', '.join(places)}")
    return Rule(tuple(where), stream, str(given["pod"]), str(given["there"]), str(given["why"]))


def differences(place: str, pod: Output, there: Output, rules: "list[Rule]") -> "list[str]":
    """Lines that tell in what a program differs in `place` from what it says in the pod and the rules; none where it does not."""
    told: list[str] = []
    expected, there = dict(pod), dict(there)
    for rule in rules:
        if place not in rule.places:
            continue
        text = expected.get(rule.stream, "")
        if rule.mask:
            expected[rule.stream], count = re.subn(rule.mask, "", text, flags=re.MULTILINE)
            there[rule.stream] = re.sub(rule.mask, "", there.get(rule.stream, ""), flags=re.MULTILINE)
            if not count:
                told.append(f"stale: nothing in the pod's {rule.stream} is like {rule.mask}, of which the contract says: {rule.why}")
            continue
        if rule.pod not in text:
            told.append(f"stale: the pod's {rule.stream} does not say {rule.pod!r}, of which the contract says: {rule.why}")
        expected[rule.stream] = text.replace(rule.pod, rule.there)
    for stream in STREAMS:
        before, after = expected.get(stream, ""), there.get(stream, "")
        if before != after:
            lines = difflib.unified_diff(
                before.splitlines(), after.splitlines(), f"{stream} of the pod, by the contract", f"{stream} in {place}", lineterm="", n=1
            )
            shown = list(lines)
            told += shown[:_LONGEST] or [f"{stream}: only the ends of lines differ"]
    return told
