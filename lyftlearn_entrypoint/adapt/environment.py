"""The environment that the program gets, and who wins: image < staged document < credentials < names that are kept."""

from lyftlearn_entrypoint.errors import BadDocument
from lyftlearn_entrypoint.settings_table import PREFIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# One string of argv or environ, NUL included: MAX_ARG_STRLEN, 32 pages (linux/binfmts.h).
MAX_STRING = 131072  # bytes

# What the loader, an interpreter or a shell obeys before the program's first line. A credential must not set them: who may
# write a secret would run code. (ld.so(8), python(1), bash(1).)
_LOADER_PREFIXES = ("LD_", "PYTHON")
_LOADER_NAMES = ("PATH", "BASH_ENV", "ENV", "IFS")


class Environment:
    """An environment being made. `variables` are the values, `origins` say where a name came from, `notes` what to log."""

    __slots__ = ("_image", "keep", "notes", "origins", "overwritten", "variables")

    def __init__(self, image: "dict[str, str]", keep: "set[str]") -> None:
        self.variables = dict(image)
        self.origins = dict.fromkeys(image, "image or job")
        self.keep = keep
        self.notes: list[str] = []
        self.overwritten: list[str] = []
        self._image = image

    def kept(self, name: str) -> bool:
        return name in self._image and ("*" in self.keep or name in self.keep)

    def put(self, name: str, value: str, origin: str) -> None:
        """Set a fetched value, unless the present one is to be kept. Overwritten names are remembered for the log."""
        if self.kept(name):
            note = name + " is kept as it is (LYFTLEARN_ENV_KEEP)"
            if note not in self.notes:
                self.notes.append(note)
            return
        if name in self.variables and self.variables[name] != value:
            self.overwritten.append(name)
        self.variables[name] = value
        self.origins[name] = origin

    def fill(self, name: str, value: str, origin: str) -> None:
        """Set a derived default: it only fills a gap."""
        if name not in self.variables:
            self.variables[name] = value
            self.origins[name] = origin

    def force(self, name: str, value: str, origin: str) -> None:
        self.variables[name] = value
        self.origins[name] = origin

    def drop(self, name: str) -> None:
        self.variables.pop(name, None)
        self.origins.pop(name, None)


def illegal(name: str, value: str) -> str:
    """Why execve(2) cannot carry this variable, or ''. `.`, `-` and a leading digit are legal, as in a pod."""
    if not name:
        return "its name is empty"
    if "=" in name:
        return "its name holds ="
    if "\0" in name:
        return "its name holds a NUL"
    if "\0" in value:
        return "its value holds a NUL"
    try:
        size = len(name.encode("utf-8", "surrogateescape")) + len(value.encode("utf-8", "surrogateescape")) + 2
    except UnicodeEncodeError:
        return "it holds a lone surrogate, which no encoding can carry"
    if size > MAX_STRING:
        return "name and value have " + str(size) + " bytes; the kernel takes " + str(MAX_STRING) + " in one string"
    return ""


def staged_variables(document: "dict[str, Any]", origin: str) -> "tuple[dict[str, str], list[str]]":
    """(variables, warnings) of a staged environment. Raises BadDocument (65), naming the variable, never its value."""
    variables: dict[str, str] = {}
    warnings: list[str] = []
    for name, value in document.items():
        if not isinstance(value, str):
            from lyftlearn_entrypoint.documents import kind

            raise BadDocument(
                origin + ": " + show(name) + " is " + kind(value) + ", not a string", "Quote the value and stage again", finding="LL0506"
            )
        problem = lone_surrogate(name) or lone_surrogate(value) or illegal(name, value)
        if problem:
            raise BadDocument(
                origin + ": variable " + show(name) + ": " + problem, "Correct the document and stage it again", finding="LL0507"
            )
        if name.startswith(PREFIX):
            warnings.append(origin + ": " + show(name) + " is ignored: a document does not set the entrypoint's own variables [LL0513]")
            continue
        variables[name] = value
    return variables, warnings


def loader_name(name: str) -> bool:
    """True for names that a credential may not set."""
    return name.startswith(_LOADER_PREFIXES) or name in _LOADER_NAMES


def lone_surrogate(text: str) -> str:
    """A JSON text can hold a lone surrogate; one that came from our own environ (surrogateescape) cannot be in a document."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "it holds a lone surrogate, which no encoding can carry"
    return ""


def show(name: str) -> str:
    """A variable's name for a message: as it is when it can be printed, escaped and cut when not."""
    return name if name and name.isprintable() and name.isascii() and len(name) <= 256 else ascii(name[:256])


def total_size(argv: "list[bytes]", environ: "dict[bytes, bytes]") -> int:
    """Bytes that execve(2) copies: each string with its NUL, and a pointer for each."""
    return sum(len(word) + 9 for word in argv) + sum(len(name) + len(value) + 10 for name, value in environ.items()) + 16
