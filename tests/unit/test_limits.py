"""Limits come from botocore's model: the figures here are facts to find again in it (facts of the API reference, November 2025)."""

import pytest

from lyftlearn_local import limits
from lyftlearn_local.container import Passed, takes_arguments, violations
from lyftlearn_local.limits import ARGUMENTS, ENDPOINT, ENVIRONMENT, HYPERPARAMETERS, PROCESSING, STUDIO, TRAINING, TRANSFORM, TUNING


@pytest.mark.parametrize(
    ("kind", "what", "entries", "length"),
    [
        (TRAINING, ENVIRONMENT, 100, 512),
        (TRAINING, HYPERPARAMETERS, 100, 2500),
        (TUNING, ENVIRONMENT, 48, 512),
        (TUNING, HYPERPARAMETERS, 100, 2500),
        (PROCESSING, ENVIRONMENT, 100, 256),
        (TRANSFORM, ENVIRONMENT, 16, 10240),
        (STUDIO, ENVIRONMENT, 25, 256),
    ],
)
def test_a_map_is_taken_up_to_its_limits_and_no_further(kind: str, what: str, entries: int, length: int) -> None:
    full = {f"N{n}": "x" for n in range(entries)}
    assert limits.check(kind, what, full) == []
    assert limits.check(kind, what, {"N": "x" * length}) == []

    [one] = limits.check(kind, what, {**full, "more": "x"})
    assert f"{entries + 1} entries, the API takes {entries}" in one.line
    [one] = limits.check(kind, what, {"LONG": "x" * (length + 1)})
    assert f"'LONG': {length + 1} characters, the API takes {length}" in one.line
    assert "lyftlearn stage" in one.line


@pytest.mark.parametrize(("kind", "entries", "length"), [(TRAINING, 100, 256), (PROCESSING, 100, 256), (STUDIO, 50, 64)])
def test_arguments_are_a_list_with_limits_of_its_own(kind: str, entries: int, length: int) -> None:
    assert limits.check(kind, ARGUMENTS, ["x" * length] * entries) == []
    lines = [one.line for one in limits.check(kind, ARGUMENTS, ["x"] * entries + ["x" * (length + 1)])]
    assert len(lines) == 2
    assert f"{entries + 1} entries, the API takes {entries}" in lines[0]
    assert f"[{entries + 1}]: {length + 1} characters, the API takes {length}" in lines[1]


@pytest.mark.parametrize("name", ["a.b", "a-b", "1a", "é", "a b"])
def test_a_name_that_a_pod_takes_and_the_api_does_not(name: str) -> None:
    [one] = limits.check(TRAINING, ENVIRONMENT, {name: "x"})
    assert one.entry == f"name {name!a}"
    assert "pattern [a-zA-Z_]" in one.limit


def test_studio_takes_such_names_but_no_blank_one() -> None:
    assert limits.check(STUDIO, ENVIRONMENT, {"a.b": "x"}) == []
    [one] = limits.check(STUDIO, ENVIRONMENT, {"  ": "x"})
    assert "pattern" in one.limit


def test_a_line_feed_is_refused_in_a_hyperparameter_and_taken_in_a_variable() -> None:
    [one] = limits.check(TRAINING, HYPERPARAMETERS, {"h": "a\nb"})
    assert "line feed" in one.line
    assert limits.check(TRAINING, ENVIRONMENT, {"h": "a\nb"}) == []


def test_the_variables_of_a_model_have_a_limit_together_in_bytes() -> None:
    under = {f"N{n:02d}": "x" * 1021 for n in range(32)}  # 32 x 1024
    assert limits.check(ENDPOINT, ENVIRONMENT, under) == []
    [one] = limits.check(ENDPOINT, ENVIRONMENT, {**under, "N00": "é" + "x" * 1020})
    assert "32769 bytes of names and values, the API takes 32768" in one.line


def test_every_violation_is_told_and_no_value_is() -> None:
    lines = [one.line for one in limits.check(TRAINING, ENVIRONMENT, {f"N.{n}": "hush" * 200 for n in range(101)})]
    assert len(lines) == 1 + 101 * 2
    assert not any("hush" in line for line in lines)


def test_a_trial_and_a_model_take_no_command() -> None:
    long = ["x" * 300]
    assert limits.shape(TUNING, ARGUMENTS) is None
    assert limits.shape(ENDPOINT, ARGUMENTS) is None
    assert violations(TRAINING, Passed({}, {}, long, tuning=True)) == []
    assert not takes_arguments(ENDPOINT, False)
    assert len(violations(TRAINING, Passed({}, {}, long))) == 1


@pytest.mark.parametrize("context", ["kubernetes", "local"])
def test_a_pod_has_no_such_limits(context: str) -> None:
    assert violations(context, Passed({f"N.{n}": "x" * 9999 for n in range(999)}, {"h": "a\nb" * 9999}, ["x" * 9999])) == []
