"""Which command is exec'd, and where it is. DESIGN: ARGs, `train` and `serve`, no ARGs; 126 and 127 as a shell gives them."""

import posix

from lyftlearn_entrypoint import context as contexts
from lyftlearn_entrypoint.errors import CommandNotExecutable, CommandNotFound, NothingToRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.context import Context
    from lyftlearn_entrypoint.settings import Settings

# What execvp(3) searches where PATH is unset: confstr(_CS_PATH).
DEFAULT_PATH = "/bin:/usr/bin"
_REGULAR, _TYPE = 0o100000, 0o170000


class Command:
    """What will be exec'd: `argv` as the program sees it, and where the words come from."""

    __slots__ = ("argv", "origin")

    def __init__(self, argv: "list[str]", origin: str) -> None:
        self.argv = argv
        self.origin = origin


def choose(argv: "list[str]", context: "Context", settings: "Settings", root: bool) -> Command:
    """The command of a start. `root` says whether the program will run as root. Raises NothingToRun (64).

    `train` and `serve` without a setting stay as they are: a program of that name on PATH.
    """
    if argv:
        if argv[0] in ("train", "serve"):
            name = argv[0] + "_command"
            words = settings[name]
            if words:
                return Command(split(words) + argv[1:], settings.place(name))
        return Command(list(argv), "arguments")
    if context.name == contexts.STUDIO:
        return Command(jupyter(context.app_type, root), "Studio without arguments")
    words = settings["command"]
    if words:
        return Command(split(words), settings.place("command"))
    raise NothingToRun(
        "There is no command: no arguments were given, and LYFTLEARN_COMMAND is not set",
        "Give the image a CMD, the container arguments, or set LYFTLEARN_COMMAND",
        finding="LL0101",
    )


def jupyter(app_type: str, root: bool) -> "list[str]":
    """JupyterLab as Studio wants it: port 8888 on all addresses, the base URL of the application named `default`, and no
    authentication of its own (Studio's proxy does that). Source: SageMaker developer guide, "Custom image specifications"."""
    base = "codeeditor" if app_type == "codeeditor" else "jupyterlab"
    words = [
        "jupyter",
        "lab",
        "--ServerApp.ip=0.0.0.0",
        "--ServerApp.port=8888",
        "--ServerApp.base_url=/" + base + "/default",
        "--ServerApp.token=",
        "--ServerApp.allow_origin=*",
        "--no-browser",
    ]
    return [*words, "--allow-root"] if root else words


def split(text: str) -> "list[str]":
    """The words of a command line, split as a POSIX shell splits them: blanks, '...', "...", backslash. A backslash before a
    newline continues the line. Nothing is expanded.

    Raises ValueError for an open quote or a backslash at the end. (shlex costs 6 ms, for `re`.)
    """
    words: list[str] = []
    word: list[str] = []
    inside = False
    quote = ""
    position, end = 0, len(text)
    while position < end:
        character = text[position]
        position += 1
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and quote == '"' and text[position : position + 1] in ('"', "\\", "$", "`", "\n"):
                word.append(text[position].strip("\n"))
                position += 1
            else:
                word.append(character)
        elif character == "\\" and text[position : position + 1] == "\n":
            position += 1
        elif character in " \t\n":
            if inside:
                words.append("".join(word))
                word, inside = [], False
        else:
            inside = True
            if character in "'\"":
                quote = character
            elif character == "\\":
                if position == end:
                    raise ValueError("a backslash ends the command line")
                word.append(text[position])
                position += 1
            else:
                word.append(character)
    if quote:
        raise ValueError("a quote (" + quote + ") is never closed")
    if inside:
        words.append("".join(word))
    return words


def locate(command: str, path: "str | None", user: "tuple[int, int, list[int]] | None" = None, staged: bool = False) -> str:
    """The file that execve(2) will get, searched as a shell searches PATH.

    `user` is (uid, gid, groups) when someone else than this process will run it. `staged`: PATH comes from a staged document,
    so no message shows any of it. Raises CommandNotFound (127), and
    CommandNotExecutable (126) when a file of that name is there and cannot be executed.
    """
    if "/" in command:
        problem = _problem(command, user)
        if not problem:
            return command
        if problem == "missing":
            raise CommandNotFound(
                _say(command) + ": no such file", "Check the path in the image, and the working directory", finding="LL0102"
            )
        raise CommandNotExecutable(_say(command) + ": " + problem, _executable_remedy(problem), finding="LL0103")
    blocked = ""
    for directory in (DEFAULT_PATH if path is None else path).split(":") if command else ():
        candidate = (directory or ".") + "/" + command
        problem = _problem(candidate, user)
        if not problem:
            return candidate
        if problem != "missing" and problem != "it is a directory" and not blocked:
            blocked = (_say(command) + " on the staged PATH" if staged else candidate) + ": " + problem
    if blocked:
        raise CommandNotExecutable(blocked, _executable_remedy(blocked), finding="LL0103")
    if command in ("train", "serve"):
        raise CommandNotFound(
            "SageMaker started the image with `" + command + "`, and nothing says what that is",
            "Set LYFTLEARN_" + command.upper() + "_COMMAND, or put an executable named " + command + " on PATH in the image",
            finding="LL0104",
        )
    where = "the staged environment sets it" if staged else DEFAULT_PATH if path is None else path
    raise CommandNotFound(
        _say(command) + ": command not found on PATH (" + where + ")", "Check the spelling, and that the image has it", finding="LL0105"
    )


def _say(command: str) -> str:
    return command if command.isprintable() and command else ascii(command)


def _executable_remedy(problem: str) -> str:
    return "Run `chmod a+x` on it in the image" if "permission" in problem else "Name a program"


def _problem(path: str, user: "tuple[int, int, list[int]] | None") -> str:
    """Why execve(2) would refuse this file; '' if it would not, 'missing' if there is none."""
    try:
        found = posix.stat(path)
    except PermissionError:
        return "permission denied on the way to it"
    except (OSError, ValueError):
        return "missing"
    mode = found.st_mode
    if mode & _TYPE == 0o040000:
        return "it is a directory"
    if mode & _TYPE != _REGULAR:
        return "it is not a regular file"
    if user is None:
        allowed = posix.access(path, posix.X_OK, effective_ids=True)
    else:
        uid, gid, groups = user
        if uid == 0:
            allowed = bool(mode & 0o111)
        elif found.st_uid == uid:
            allowed = bool(mode & 0o100)
        elif found.st_gid == gid or found.st_gid in groups:
            allowed = bool(mode & 0o010)
        else:
            allowed = bool(mode & 0o001)
    return "" if allowed else "permission denied"
