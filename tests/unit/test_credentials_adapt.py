"""Credentials as variables and as files: collisions, names that must not be, null."""

import itertools

import pytest

from lyftlearn_entrypoint.adapt.credentials import file_name_problem, files, variables
from lyftlearn_entrypoint.errors import BadDocument
from lyftlearn_entrypoint.fetch.confidant import Secret
from tests.unit.helpers import refused, short

VALUE = "hunter2-hunter2"


def secret(key: str, value: "str | None" = VALUE, origin: str = "id-1 (database)", name: "str | None" = None) -> Secret:
    return Secret(key, "CREDENTIALS_" + key.upper() if name is None else name, value, origin)


def test_variables() -> None:
    chosen, warnings = variables([secret("user", "me"), secret("a.b-c", "x"), secret("1st", ""), secret("é", "ü")])
    assert {name: item.value for name, item in chosen.items()} == {
        "CREDENTIALS_USER": "me",
        "CREDENTIALS_A.B-C": "x",
        "CREDENTIALS_1ST": "",
        "CREDENTIALS_É": "ü",
    }
    assert warnings == []


def test_null_is_left_out_with_a_warning() -> None:
    chosen, warnings = variables([secret("gone", None), secret("here")])
    assert list(chosen) == ["CREDENTIALS_HERE"]
    assert warnings == ["credential id-1 (database): gone is null in Confidant and is left out [LL0623]"]
    assert files([secret("gone", None)]) == {}


def test_null_claims_nothing() -> None:
    chosen, _ = variables([secret("user", None, "a"), secret("user", VALUE, "b")])
    assert chosen["CREDENTIALS_USER"].origin == "b"


def test_two_values_for_one_variable_name_both_and_the_variable() -> None:
    for pair in itertools.permutations([secret("user", "one-hunter2", "id-1 (a)"), secret("USER", "two-hunter2", "id-2 (b)")]):
        error = refused(BadDocument, lambda pair=pair: variables(list(pair)))  # type: ignore[misc]
        assert error.what == "credentials id-1 (a) and id-2 (b) both claim the variable CREDENTIALS_USER, with different values"
        assert "hunter2" not in str(error)


def test_one_value_twice_is_fine_in_any_order() -> None:
    for pair in itertools.permutations([secret("user", VALUE, "b"), secret("USER", VALUE, "a")]):
        chosen, warnings = variables(list(pair))
        assert (chosen["CREDENTIALS_USER"].origin, warnings) == ("a", [])


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("A=B", VALUE, "holds ="),
        ("", VALUE, "name is empty"),
        ("A\0", VALUE, "NUL"),
        ("A", VALUE + "\0", "NUL"),
        ("A", VALUE + "\ud800", "surrogate"),
        ("A", VALUE * 10_000, "kernel"),
    ],
    ids=short,
)
def test_what_exec_cannot_carry_names_credential_key_and_variable(name: str, value: str, says: str) -> None:
    error = refused(BadDocument, lambda: variables([secret("the-key", value, "id-9 (x)", name)]))
    assert "credential id-9 (x), key the-key, variable " in error.what
    assert says in error.what
    assert VALUE not in str(error)


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "PYTHONPATH", "PYTHON", "BASH_ENV", "ENV", "IFS"])
def test_loader_name_is_refused(name: str) -> None:
    error = refused(BadDocument, lambda: variables([secret(name, name=name)]))
    assert name in error.what
    assert "id-1 (database)" in error.what
    assert VALUE not in str(error)


def test_our_own_names_are_ignored_with_a_warning() -> None:
    chosen, warnings = variables([secret("user", name="LYFTLEARN_USER")])
    assert chosen == {}
    assert len(warnings) == 1
    assert "LYFTLEARN_USER is ignored" in warnings[0]
    assert VALUE not in warnings[0]


# Files ---------------------------------------------------------------------------------------------------------------------------


def test_files_are_named_by_the_stored_key_and_hold_the_value_alone() -> None:
    assert files([secret("db-password"), secret("tls.key", "line\nline\n", "b"), secret("é", "ü", "c"), secret(".hidden", "", "d")]) == {
        "db-password": VALUE.encode(),
        "tls.key": b"line\nline\n",
        "é": "ü".encode(),
        ".hidden": b"",
    }


def test_two_values_for_one_file_name_both() -> None:
    error = refused(BadDocument, lambda: files([secret("key", "one", "b", "X"), secret("key", "two", "a", "Y")]))
    assert "credentials a and b both claim the file key" in error.what
    assert files([secret("key", "one", "b", "X"), secret("key", "one", "a", "Y")]) == {"key": b"one"}


@pytest.mark.parametrize("name", ["", ".", "..", "..data", "..2024", "a/b", "/", "a\0b", "x" * 256, "é" * 128, "\ud800"], ids=short)
def test_name_that_a_volume_cannot_hold(name: str) -> None:
    assert file_name_problem(name)
    error = refused(BadDocument, lambda: files([secret(name, VALUE, "id-7", "X")]))
    assert "credential id-7" in error.what
    assert VALUE not in str(error)


@pytest.mark.parametrize("name", ["a", ".a", "a..b", "x" * 255, "é" * 127, "with blank", "-rf", "a\nb"], ids=short)
def test_name_that_a_volume_can_hold(name: str) -> None:
    assert file_name_problem(name) == ""


def test_secret_is_not_shown_when_printed() -> None:
    assert VALUE not in repr(secret("key"))
    assert VALUE not in str([secret("key")])
