"""Settings: the platform's file first, then LYFTLEARN_* variables, which win. What each one means: settings_table.py.

The platform's file is /etc/lyftlearn/platform.yaml; the start path reads the platform.json that `lyftlearn settings compile`
made of it, since a YAML parser costs 14 ms. A YAML file that is newer than its JSON is an error, not a surprise.
"""

from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.settings_table import LOCAL, NAMES, OUTPUTS, PREFIX, STEPS, TABLE, nearest, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.files import Files

PLATFORM_YAML = "/etc/lyftlearn/platform.yaml"
PLATFORM_JSON = "/etc/lyftlearn/platform.json"
LINES = "_lines"  # in platform.json: where each key stands in platform.yaml, for messages


class Settings:
    """The settled values, by name of setting. A setting that is absent or empty has its default, or ''."""

    __slots__ = ("places", "values", "warnings")

    def __init__(self, values: "dict[str, str]", places: "dict[str, str]", warnings: "list[str]") -> None:
        self.values = values
        self.places = places
        self.warnings = warnings

    def __getitem__(self, name: str) -> str:
        return self.values.get(name) or _DEFAULTS[name]

    def place(self, name: str) -> str:
        """Where the value was set, for messages: a variable's name, or a file and line."""
        return self.places.get(name, variable(name))

    @property
    def deadline(self) -> float:
        return float(self["deadline"])

    @property
    def keep(self) -> "set[str]":
        return {name.strip() for name in self["env_keep"].split(",") if name.strip()}

    def steps(self) -> "tuple[str, ...] | None":
        """The steps that LYFTLEARN_STEPS chooses; None where the context decides."""
        chosen = self["steps"]
        if not chosen:
            return None
        return () if chosen == "none" else tuple(part.strip() for part in chosen.split(","))


_DEFAULTS = {row[0]: row[2] for row in TABLE}


def load(environ: "dict[str, str]", files: "Files") -> Settings:
    """Settle the settings. Raises BadSettings (78) naming the file and line, or the variable, of a bad value."""
    values: dict[str, str] = {}
    places: dict[str, str] = {}
    warnings: list[str] = []
    _read_platform(files, values, places, warnings)
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        key = name[len(PREFIX) :].lower()
        if key in NAMES and name == variable(key):
            values[key] = value.strip()
            places[key] = name
        elif key not in OUTPUTS and not key.startswith(LOCAL):
            meant = nearest(key, NAMES)
            warnings.append(name + " is not a setting" + ("; is " + variable(meant) + " meant?" if meant else "") + " [LL0207]")
    for name, kind, _, _, _ in TABLE:
        if values.get(name):
            problem = check(kind, values[name])
            if problem:
                raise BadSettings(places[name] + ": " + problem, "Correct the value, or take it away", finding="LL0201")
    return Settings(values, places, warnings)


def _read_platform(files: "Files", values: "dict[str, str]", places: "dict[str, str]", warnings: "list[str]") -> None:
    try:
        compiled = files.probe(PLATFORM_JSON)
        source = files.probe(PLATFORM_YAML)
    except OSError as error:
        raise BadSettings(
            files.real(PLATFORM_JSON) + " cannot be looked up: " + (error.strerror or "error"), "Make it readable for all", finding="LL0202"
        ) from None
    remedy = "Run `lyftlearn settings compile` where the image is built"
    if compiled is None:
        if source is not None:
            raise BadSettings(
                files.real(PLATFORM_YAML) + " is there, but " + PLATFORM_JSON + ", which is what is read, is not", remedy, finding="LL0203"
            )
        return
    if source is not None and source.st_mtime_ns > compiled.st_mtime_ns:
        raise BadSettings(
            files.real(PLATFORM_YAML) + " is newer than " + PLATFORM_JSON + ", which is what is read", remedy, finding="LL0204"
        )
    from lyftlearn_entrypoint.documents import NotJson, parse

    try:
        document = parse(files.read(PLATFORM_JSON) or b"")
    except OSError as error:
        raise BadSettings(files.real(PLATFORM_JSON) + " cannot be read: " + (error.strerror or "error"), finding="LL0202") from None
    except NotJson as error:
        raise BadSettings(files.real(PLATFORM_JSON) + " is not JSON: " + str(error), remedy, finding="LL0205") from None
    if not isinstance(document, dict):
        raise BadSettings(files.real(PLATFORM_JSON) + " holds no JSON object", remedy, finding="LL0205")
    lines = document.pop(LINES, {})
    for key, value in document.items():
        line = lines.get(key) if isinstance(lines, dict) else None
        place = files.real(PLATFORM_YAML) + " line " + str(line) if line else files.real(PLATFORM_JSON)
        if key not in NAMES:
            meant = nearest(key, NAMES)
            warnings.append(
                place + ": " + ascii(key) + " is not a setting" + ("; is " + ascii(meant) + " meant?" if meant else "") + " [LL0207]"
            )
            continue
        try:
            values[key] = plain(value)
        except TypeError as error:
            raise BadSettings(place + ": " + key + " is " + str(error), finding="LL0206") from None
        places[key] = place + ": " + key


def plain(value: object) -> str:
    """A value of the platform's file as a variable would hold it. Raises TypeError for what cannot be one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"  # YAML reads a bare on or off as a boolean
    if isinstance(value, (str, int, float)):
        return str(value).strip()
    if isinstance(value, list) and all(isinstance(item, (str, int)) for item in value):
        return ",".join(str(item) for item in value)
    raise TypeError("neither a string, a number nor a list of strings")


def _one_of(*allowed: str) -> "Callable[[str], str]":
    def reader(value: str) -> str:
        return "" if value in allowed else ascii(value) + " is none of " + ", ".join(allowed)

    return reader


def _context(value: str) -> str:
    from lyftlearn_entrypoint.context import CONTEXTS

    return _one_of(*CONTEXTS)(value)


def _steps(value: str) -> str:
    if value == "none":
        return ""
    for part in value.split(","):
        step = part.strip()
        if step not in STEPS:
            meant = "" if step == "none" else nearest(step, STEPS)
            hint = "; is " + meant + " meant?" if meant else ": it is one of " + ", ".join(STEPS) + ", or none alone"
            return ascii(step) + " is not a step" + hint
    return ""


def _absolute(value: str) -> str:
    return "" if value.startswith("/") else ascii(value) + " is not an absolute path"


def _words(value: str) -> str:
    from lyftlearn_entrypoint.command import split

    try:
        return "" if split(value) else "it holds no word"
    except ValueError as error:
        return str(error)


def _url(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    host = rest.split("/", 1)[0]
    if not separator or scheme not in ("http", "https") or not host or " " in value or any(ord(c) < 33 or ord(c) > 126 for c in value):
        return "it is not a URL such as https://confidant.example.com"
    if "@" in host or "?" in value or "#" in value:
        return "a URL with a user, a query or a fragment is not accepted"
    return ""


def _text(value: str) -> str:
    return "it holds a control character" if any(ord(c) < 32 or ord(c) == 127 for c in value) else ""


def _staged(name: str) -> "Callable[[str], str]":
    """A reader that fetch/staged.py has, and raises ValueError."""

    def reader(value: str) -> str:
        from lyftlearn_entrypoint.fetch import staged

        try:
            getattr(staged, name)(value)
        except ValueError as error:
            return str(error)
        return ""

    return reader


def _address(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or " " in value or not (port.isascii() and port.isdigit() and len(port) < 6) or not 0 < int(port) < 65536:
        return ascii(value) + " is not host:port"
    return ""


def _user(value: str) -> str:
    first, separator, second = value.partition(":")
    if not first or " " in value or (separator and not second) or "/" in value:
        return ascii(value) + " is not name, uid or uid:gid"
    for part in (first, second):
        if part.lstrip("-").isdigit() and not (part.isascii() and part.isdigit() and len(part) < 20 and int(part) < 2**32 - 1):
            return ascii(value) + " holds a number that is no uid or gid"
    return ""


def _seconds(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    return "" if 0 < number <= 86400 else ascii(value) + " is not a number of seconds between 0 and 86400"


def _size(value: str) -> str:
    from lyftlearn_entrypoint.adapt.memory import parse_size

    try:
        parse_size(value)
    except ValueError as error:
        return str(error)
    return ""


def _count(value: str) -> str:
    return "" if value.isascii() and value.isdigit() and 0 < int(value[:9]) <= 10000 else ascii(value) + " is not a number from 1 to 10000"


def _connect(value: str) -> str:
    # Its token would be in the notebook's environment, and in logs of whoever prints that.
    if not value.startswith("sc://") or len(value) < 6 or "token=" in value or any(ord(c) < 33 or ord(c) > 126 for c in value):
        return "it is not sc://host:port without a token"
    return ""


def _destination(value: str) -> str:
    from lyftlearn_entrypoint.snapshot.deliver import problem

    return problem(value)


def _key(value: str) -> str:
    from lyftlearn_entrypoint.snapshot.mask import weak

    return weak(value)


_CHECKS: "dict[str, Callable[[str], str]]" = {
    "context": _context,
    "steps": _steps,
    "root": _absolute,
    "path": _absolute,
    "words": _words,
    "url": _url,
    "text": _text,
    "names": _text,
    "s3": _staged("parse_uri"),
    "model": _staged("parse_model"),
    "digest": _staged("parse_digest"),
    "address": _address,
    "relay": _one_of("auto", "on", "off"),
    "switch": _one_of("auto", "on", "off"),
    "master": _one_of("auto", "local"),
    "count": _count,
    "connect": _connect,
    "size": _size,
    "tags": _one_of("dogstatsd", "influx", "name"),
    "destination": _destination,
    "key": _key,
    "user": _user,
    "seconds": _seconds,
    "log": _one_of("text", "json"),
    "level": lambda value: _one_of("debug", "info", "warning", "error")(value.lower()),
}


def check(kind: str, value: str) -> str:
    """What is wrong with a value of this kind, or ''."""
    try:
        value.encode("utf-8", "strict" if kind in ("s3", "model", "destination") else "surrogateescape")
    except UnicodeEncodeError:
        return "it is not Unicode text"
    if "\0" in value:
        return "it holds a NUL"
    return _CHECKS[kind](value)
