"""Hyperparameters: SageMaker's own win, everything else is merged under them, in SageMaker's form and in a ConfigMap's."""

import json
from typing import Any

import pytest

from lyftlearn_entrypoint.adapt.hyperparameters import config_map, document, merge, own, text
from lyftlearn_entrypoint.errors import BadDocument
from tests.unit.helpers import refused


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ('"quoted"', '"quoted"'),
        ("line\nbreak é", "line\nbreak é"),
        (5, "5"),
        (0.001, "0.001"),
        (1e-07, "1e-07"),
        (10**30, str(10**30)),
        (True, "true"),
        (None, "null"),
        ([1, "a", {"b": None}], '[1,"a",{"b":null}]'),
        ({"layers": [64, 32], "ü": "é"}, '{"layers":[64,32],"ü":"é"}'),
        ({}, "{}"),
    ],
)
def test_value_is_a_string_as_sagemaker_writes_it(value: Any, expected: str) -> None:
    assert text(value) == expected
    if not isinstance(value, str):
        assert json.loads(text(value)) == value


def test_sagemakers_own_win_and_survive() -> None:
    platform = {"eta": "0.013", "_tuning_objective_metric": "auc", "sampled": "7"}
    merged, won = merge({"eta": 0.1, "depth": 6, "_tuning_objective_metric": "loss"}, platform, "s3://b/k")
    assert merged == {"eta": "0.013", "depth": "6", "_tuning_objective_metric": "auc", "sampled": "7"}
    assert sorted(won) == ["_tuning_objective_metric", "eta"]


def test_same_value_on_both_sides_is_no_news() -> None:
    assert merge({"depth": 6}, {"depth": "6"}, "here") == ({"depth": "6"}, [])


def test_file_is_a_flat_object_of_strings() -> None:
    merged, _ = merge({"a": 1, "b": {"c": [1]}, "d": "é\n"}, {}, "here")
    assert json.loads(document(merged)) == {"a": "1", "b": '{"c":[1]}', "d": "é\n"}


@pytest.mark.parametrize("data", [None, b"{}", b"\xef\xbb\xbf{}"])
def test_own_may_be_absent_or_empty(data: "bytes | None") -> None:
    assert own(data, "file") == {}


def test_own_keeps_every_value_as_text() -> None:
    assert own(b'{"a": "1", "b": 2, "c": [true]}', "file") == {"a": "1", "b": "2", "c": "[true]"}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"x"', b"hunter2", b'{"a": "hunter2"', b"\xff", b'{"a": "hunter2", "a": "x"}'])
def test_own_that_cannot_be_parsed_is_65_and_names_the_file(data: bytes) -> None:
    error = refused(BadDocument, lambda: own(data, "/opt/ml/input/config/hyperparameters.json"))
    assert error.code == 65
    assert error.what.startswith("/opt/ml/input/config/hyperparameters.json")
    assert "left as it is" in error.remedy
    assert "hunter2" not in str(error)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("", "x", "empty"), ("a", "\ud800", "surrogate"), ("\ud800", "x", "surrogate"), ("a", ["\ud800"], "surrogate")],
)
def test_what_cannot_be_written_is_refused(name: str, value: Any, says: str) -> None:
    error = refused(BadDocument, lambda: merge({name: value}, {}, "s3://b/k"))
    assert error.what.startswith("s3://b/k: hyperparameter ")
    assert says in error.what


def test_own_with_a_lone_surrogate_is_written_as_it_came() -> None:
    data = document(own(b'{"a": "x\\ud800\\\\y"}', "file"))
    data.decode("utf-8")
    assert json.loads(data) == {"a": "x\ud800\\y"}


def test_config_map() -> None:
    assert config_map({"learning.rate": "0.1", "empty": "", "ü": "é\n"}) == {"learning.rate": b"0.1", "empty": b"", "ü": "é\n".encode()}


@pytest.mark.parametrize("name", ["a/b", "..", "..data", "", "x" * 256])
def test_config_map_refuses_names_that_are_no_files(name: str) -> None:
    error = refused(BadDocument, lambda: config_map({name: "hunter2"}))
    assert "LYFTLEARN_HYPERPARAMETERS_DIR" in str(error)
    assert "hunter2" not in str(error)
