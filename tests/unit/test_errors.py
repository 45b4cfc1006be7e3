"""The exit codes are a contract: each has one meaning and one error."""

import os

import pytest

from lyftlearn_entrypoint.errors import EXIT_CODES, StartError


def test_codes_are_the_contract() -> None:
    assert {code: kind.__name__ for code, kind in EXIT_CODES.items()} == {
        64: "NothingToRun",
        65: "BadDocument",
        66: "Missing",
        69: "Unavailable",
        77: "Refused",
        78: "BadSettings",
        126: "CommandNotExecutable",
        127: "CommandNotFound",
    }


def test_codes_are_those_of_sysexits() -> None:
    names = ("EX_USAGE", "EX_DATAERR", "EX_NOINPUT", "EX_UNAVAILABLE", "EX_NOPERM", "EX_CONFIG")
    assert [getattr(os, name) for name in names] == [code for code in EXIT_CODES if code < 100]


def test_table_holds_every_error() -> None:
    assert set(EXIT_CODES.values()) == set(StartError.__subclasses__())
    assert all(kind.code == code for code, kind in EXIT_CODES.items())
    assert len({kind.meaning for kind in EXIT_CODES.values()}) == len(EXIT_CODES)


@pytest.mark.parametrize("kind", EXIT_CODES.values())
def test_text_is_what_happened_and_what_to_do(kind: type[StartError]) -> None:
    assert str(kind("it broke", "Mend it")) == "it broke. Mend it"
    assert str(kind("it broke")) == "it broke"
