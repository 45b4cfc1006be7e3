"""The table of what was seen: whatever differs and is not the place's own is found, and no value is ever shown."""

import copy
from typing import Any

import pytest

from lyftlearn_local.demo import compare, inputs
from lyftlearn_local.demo.compare import Environ, Seen, Served
from lyftlearn_local.gateway import Counts

SECRET = "hunter2-hunter2"


def facts(count: int) -> "dict[str, Any]":
    return {"count": count, "sha256": f"{count:02x}" * 32}


def seen(**more: Any) -> Seen:
    report = {
        "secrets": facts(7),
        "secret_files": facts(7),
        "variables": facts(inputs.VARIABLES),
        "hyperparameters": facts(inputs.HYPERPARAMETERS),
        "read": {"port": True},
        "notes": 10240,
        "auc": 0.99,
        "scores": "ab" * 32,
    }
    made = Seen(report, "auc=0.99\n", Counts(3, 3, 30, {"screening.auc": 3}), 0.1, "cd" * 32)
    made.image, made.user = "sha256:" + "ef" * 32, "1000:100"
    made.environ = Environ({"HOME": "/root", "PATH": "/bin", "CREDENTIALS_KEY": SECRET, "TRAINING_JOB_NAME": "x"}, {"TRAINING_JOB_NAME"})
    for name, value in more.items():
        setattr(made, name, value)
    return made


def trained(*all_of_them: Seen) -> bool:
    return compare.training([f"run {n}" for n in range(len(all_of_them))], list(all_of_them), 7, colour=False)


def environ(**variables: str) -> Environ:
    return Environ({"HOME": "/x", "PATH": "/bin", "CREDENTIALS_KEY": SECRET, **variables}, {"KUBERNETES_PORT"})


def test_the_same_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained(seen(), seen(environ=environ(KUBERNETES_PORT="tcp://"), user="0:0", start=None))
    printed = capsys.readouterr().out
    assert "DIFFERENT" not in printed
    assert "everywhere: HOME" in printed
    assert "run 1: KUBERNETES_PORT" in printed
    assert "run 0: TRAINING_JOB_NAME" in printed
    assert "says nothing" in printed


@pytest.mark.parametrize(
    "change",
    [
        {"image": "sha256:" + "00" * 32},
        {"model": "00" * 32},
        {"printed": "auc=0.98\n"},
        {"counts": Counts(3, 3, 30, {"screening.loss": 3})},
        {"environ": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_differs_is_marked(change: "dict[str, Any]", capsys: pytest.CaptureFixture[str]) -> None:
    assert not trained(seen(), seen(**change))
    assert "DIFFERENT" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["secrets", "secret_files", "variables", "hyperparameters", "auc", "scores", "notes"])
def test_each_fact_of_the_report_counts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = copy.deepcopy(seen())
    is_digest = isinstance(other.report[name], dict)
    other.report[name] = {**other.report[name], "sha256": "00" * 32} if is_digest else "00" * 32
    assert not trained(seen(), other)
    assert "DIFFERENT" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (environ(CREDENTIALS_KEY="another"), "CREDENTIALS_KEY (another value)"),
        (environ(DEBUG="1"), "DEBUG (not in the run 0)"),
        (Environ({"PATH": "/bin"}, set()), "CREDENTIALS_KEY (not in the run 1)"),
    ],
)
def test_variables_that_differ_are_named_without_their_values(other: Environ, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert not trained(seen(environ=environ()), seen(environ=other))
    printed = capsys.readouterr().out
    assert "the run 1 differs from the run 0 in " + told in printed
    assert SECRET not in printed
    assert "another " not in printed.replace("another value", "")


def test_the_same_nothing_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = seen(counts=Counts(0, 0, 0, {}))
    assert not trained(nothing, nothing)
    less = copy.deepcopy(seen())
    less.report["secrets"] = facts(6)
    assert not trained(less, less)
    printed = capsys.readouterr().out
    assert "nothing was counted at the gateway" in printed
    assert "run 0 saw 6 secrets, and 7 were given" in printed
    assert "DIFFERENT" not in printed


def served(**more: Any) -> Served:
    made = Served(
        [0.9, 0.1], ["s"], {"eu"}, Counts(1, 1, 9, {"screening.predict": 1}), "cd" * 32, "sha256:ef", "0:0", environ(), None, 0, 0.5
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_servers_are_compared_and_must_be_right(capsys: pytest.CaptureFixture[str]) -> None:
    def same(*all_of_them: Served) -> bool:
        return compare.serving([f"server {n}" for n in range(len(all_of_them))], list(all_of_them), [True, False], colour=False)

    assert same(served(), served(seconds=2.0, user="1000:100"))
    assert not same(served(), served(signatures=["t"]))
    assert not same(served(), served(regions={"us"}))
    assert not same(served(), served(predictions=[0.8, 0.1]))
    wrong = served(predictions=[0.1, 0.9])
    capsys.readouterr()
    assert not same(wrong, wrong)
    assert not same(served(predictions=[0.9]), served(predictions=[0.9]))
    assert not same(served(code=137), served(code=137))
    printed = capsys.readouterr().out
    assert "server 0: 0.0% of the predictions are right" in printed
    assert "server 1: exit code 137 after SIGTERM" in printed
    assert "DIFFERENT" not in printed
