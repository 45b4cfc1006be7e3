"""JSON by the interpreter's own C scanner and encoder, without the `json` package.

Importing `json` costs 7 to 9 ms, since it brings `re` and `enum` (benchmarks/start.py); the C parts that it wraps cost
none of that and behave the same (tests/unit/test_documents.py compares them over generated documents).
"""

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPACE = " \t\n\r"  # RFC 8259, section 2


class NotJson(ValueError):
    """The text is not one JSON value. Its message never quotes the text: it may hold a secret."""


def _no_constant(name: str) -> "Any":
    raise NotJson(name + " is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if number - number != 0:  # an infinity: what stood there is lost, and it could not be written again
        raise NotJson("a number in it is too large")
    return number


def _object(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotJson("the name " + ascii(name) + " stands twice in one object")
            seen.add(name)
    return result


class _Scanner:
    """What `_json.make_scanner` asks for; the fields are those of json.JSONDecoder."""

    strict = True
    object_hook = None
    object_pairs_hook = staticmethod(_object)
    parse_float = staticmethod(_float)
    parse_int = int
    parse_constant = staticmethod(_no_constant)


_scan = _json.make_scanner(_Scanner())  # type: ignore[arg-type]


def parse(data: "bytes | str") -> "Any":
    """The value of a JSON text (UTF-8, one byte order mark allowed). Raises `NotJson`.

    A name that stands twice in one object is an error: either value would be lost in silence.
    """
    if isinstance(data, bytes):
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NotJson("it is not UTF-8 (byte " + str(error.start) + ")") from None
    else:
        text = data
    start = 1 if text.startswith("\ufeff") else 0
    end = len(text)
    while start < end and text[start] in _SPACE:
        start += 1
    if start == end:
        raise NotJson("it is empty")
    try:
        try:
            value, at = _scan(text, start)
        except SystemError:
            # The scanner raises json.decoder's error, and none at all where nobody imported that (Modules/_json.c, raise_errmsg).
            import json.decoder  # noqa: F401

            value, at = _scan(text, start)
    except StopIteration as stop:
        raise NotJson(_place(text, stop.value)) from None
    except RecursionError:
        raise NotJson("it is nested too deeply") from None
    except NotJson:
        raise
    except ValueError as error:  # json.JSONDecodeError, whose own text quotes nothing but names no line either
        position = getattr(error, "pos", None)
        if position is None:
            raise NotJson("a number in it is too large") from None
        if str(error).startswith("Unterminated string"):
            raise NotJson("it ends too early, in the string that begins at " + _line(text, position)) from None
        raise NotJson(_place(text, position)) from None
    while at < end and text[at] in _SPACE:
        at += 1
    if at != end:
        raise NotJson("something follows the JSON value at " + _line(text, at))
    return value


def _line(text: str, at: int) -> str:
    return "line " + str(text.count("\n", 0, at) + 1) + ", column " + str(at - text.rfind("\n", 0, at))


def _place(text: str, at: int) -> str:
    return ("it ends too early, at " if at >= len(text.rstrip(_SPACE)) else "it is not JSON at ") + _line(text, at)


def _no_default(value: object) -> "Any":
    raise TypeError("not a JSON type: " + type(value).__name__)


def dump(value: object, *, indent: bool = False) -> str:
    """`value` as JSON, characters as they are: compact, or (`indent`) an object with one name a line."""
    if indent and isinstance(value, dict) and value:
        return "{\n" + ",\n".join("  " + dump(str(k)) + ": " + dump(v) for k, v in value.items()) + "\n}"
    encode = _json.make_encoder(None, _no_default, _json.encode_basestring, None, ":", ",", False, False, False)
    if isinstance(value, str):
        return _json.encode_basestring(value)
    return "".join(encode(value, 0))


def kind(value: object) -> str:
    """JSON's own word for the type of a parsed value, for messages that must not quote it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"
