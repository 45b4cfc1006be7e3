"""JSON without the json package: json itself is the oracle, over generated documents and over damaged ones."""

import json
import random
import string
from typing import Any

import pytest

from lyftlearn_entrypoint.documents import NotJson, dump, kind, parse
from tests.unit.helpers import short

CHARACTERS = string.ascii_letters + string.digits + ' "\\/\b\f\n\r\t\x00\x1f\x7f{}[]:,é€\u2028\ufeff\U0001f600\ud800'


def value(chance: random.Random, depth: int = 0) -> Any:
    choice = chance.randrange(9 if depth < 4 else 6)
    if choice == 0:
        return chance.choice([None, True, False])
    if choice == 1:
        return chance.choice([0, -1, 7, 10**18, -(10**40), chance.randrange(-(10**6), 10**6)])
    if choice == 2:
        return chance.choice([0.0, -0.5, 1e22, 1.5e-9, chance.uniform(-1e9, 1e9)])
    if choice <= 5:
        return "".join(chance.choice(CHARACTERS) for _ in range(chance.randrange(12)))
    if choice == 6:
        return [value(chance, depth + 1) for _ in range(chance.randrange(5))]
    return {str(value(chance, 9)): value(chance, depth + 1) for _ in range(chance.randrange(5))}


def test_parse_and_dump_as_json_over_generated_documents() -> None:
    chance = random.Random(1)
    for _ in range(3000):
        document = value(chance)
        text = json.dumps(document, ensure_ascii=chance.random() < 0.5, indent=chance.choice([None, 2]))
        assert parse(text) == document
        assert json.dumps(parse(text)) == json.dumps(document)  # 1 and 1.0 and True are equal, and must not be confused
        assert dump(document) == json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        assert json.loads(dump(document, indent=True)) == document


def has_twins(document: str) -> bool:
    """Whether a name stands twice in one of the document's objects."""
    twins: list[bool] = []
    json.loads(document, object_pairs_hook=lambda pairs: twins.append(len(dict(pairs)) < len(pairs)))
    return any(twins)


def test_errors_are_those_of_json_over_damaged_documents() -> None:
    chance = random.Random(2)
    damaged = 0
    for _ in range(6000):
        text = list(json.dumps(value(chance)))
        for _ in range(chance.randrange(1, 3)):
            at = chance.randrange(len(text) + 1)
            text[at : at + chance.randrange(2)] = chance.choice(
                ["", "{", "}", "[", "]", ",", ":", '"', "\\", "1", "-", ".", "e", "\x01", "x", " "]
            )
        document = "".join(text)
        try:
            expected = json.dumps(json.loads(document))
        except ValueError:
            damaged += 1
            with pytest.raises(NotJson):
                parse(document)
            continue
        try:
            found = json.dumps(parse(document))
        except NotJson as error:
            found = str(error)
        # Two things json takes, and we refuse: a name that stands twice, and a number that is an infinity.
        same = found == expected
        assert same or ("twice" in found and has_twins(document)) or ("too large" in found and "Infinity" in expected), document
    assert 1000 < damaged < 6000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is empty"),
        (" \n ", "it is empty"),
        ("\ufeff", "it is empty"),
        ('{"a": 1', "it ends too early, at line 1, column 8"),
        ('{"a":\n  oops}', "it is not JSON at line 2, column 3"),
        ('{"a": 1}\n{"b": 2}', "something follows the JSON value at line 2, column 1"),
        ("{'a': 1}", "it is not JSON at line 1, column 2"),
        ('{"a": 1,}', "it is not JSON at line 1"),
        ('{"a": "\n"}', "it is not JSON at line 1, column 8"),
        ("[1 2]", "it is not JSON at line 1, column 4"),
        ("NaN", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("1e999", "a number in it is too large"),
        ("[-1e999]", "a number in it is too large"),
        ('{"a": 1, "b": 2, "a": 1}', "the name 'a' stands twice in one object"),
        ('{"x": {"é\\n": 1, "é\\n": 2}}', "the name '\\xe9\\n' stands twice in one object"),
        ("[" * 200_000, "nested too deeply"),
        ("<html>", "it is not JSON at line 1, column 1"),
    ],
    ids=short,
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(NotJson) as caught:
        parse(text)
    assert says in str(caught.value)


def test_bytes_must_be_utf8() -> None:
    assert parse('{"ä": "€"}'.encode()) == {"ä": "€"}
    assert parse(b"\xef\xbb\xbf[1]") == [1]
    for data, at in ((b'{"a": "\xff"}', 7), ("{}".encode("utf-16"), 0), (b'"\xed\xa0\x80"', 1)):
        with pytest.raises(NotJson, match=rf"not UTF-8 \(byte {at}\)"):
            parse(data)


def test_deep_but_not_too_deep() -> None:
    assert parse("[" * 100 + "]" * 100) == json.loads("[" * 100 + "]" * 100)


def test_huge_integer_survives_or_is_refused_in_words() -> None:
    digits = "7" * 4000
    assert dump(parse(digits)) == digits
    with pytest.raises(NotJson, match="too large") as caught:
        parse("[" + "7" * 1_000_000 + "]")
    assert "777" not in str(caught.value)


def test_an_error_never_quotes_the_document() -> None:
    for text in ('{"password": hunter2}', '{"password": "hunter2"', '["hunter2" "hunter2"]', "hunter2", '{"a": "hunter2\x00"}'):
        with pytest.raises(NotJson) as caught:
            parse(text)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_dump_refuses_what_json_has_not() -> None:
    for wrong in ({1, 2}, b"bytes", [object()]):
        with pytest.raises(TypeError, match="not a JSON type"):
            dump(wrong)
    with pytest.raises(ValueError, match="JSON"):
        dump([float("nan")])


def test_dump_one_name_a_line() -> None:
    assert dump({"b": [1, {"c": None}], "a": "x"}, indent=True) == '{\n  "b": [1,{"c":null}],\n  "a": "x"\n}'
    assert dump({}, indent=True) == "{}"


@pytest.mark.parametrize(
    ("thing", "word"),
    [(None, "null"), (True, "a boolean"), (1, "a number"), (1.5, "a number"), ("", "a string"), ([], "an array"), ({}, "an object")],
)
def test_kind(thing: object, word: str) -> None:
    assert kind(thing) == word
