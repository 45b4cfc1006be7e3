"""Lines on stderr, as text or JSON. A value of a credential, a hyperparameter or a variable is never passed in here.

`logging` costs 12 ms to import and gives nothing that a start needs. A stderr that is closed, broken or
on a full disk stops nothing; a full pipe waits for its reader, as
the program itself would.
"""

import posix
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def write_stderr(line: bytes) -> None:
    """Write all of `line` to descriptor 2, or give up in silence."""
    try:
        while line:
            line = line[posix.write(2, line) :]
    except OSError:
        pass  # a broken pipe or a closed stderr must not stop a start


class Log:
    """What a start says. `level` is a name of LEVELS; `form` is `text` or `json`; `write` takes one encoded line."""

    __slots__ = ("_clock", "_lowest", "_write", "context", "form")

    def __init__(
        self,
        level: str = "info",
        form: str = "text",
        write: "Callable[[bytes], None]" = write_stderr,
        clock: "Callable[[], float]" = time.time,
    ) -> None:
        self._lowest = LEVELS[level]
        self.form = form
        self.context = ""
        self._write = write
        self._clock = clock

    def debug(self, message: str, **facts: object) -> None:
        self._say("debug", message, facts)

    def info(self, message: str, **facts: object) -> None:
        self._say("info", message, facts)

    def warning(self, message: str, **facts: object) -> None:
        self._say("warning", message, facts)

    def error(self, message: str, **facts: object) -> None:
        self._say("error", message, facts)

    def _say(self, level: str, message: str, facts: "dict[str, object]") -> None:
        """One line. `facts` are the machine-readable parts of it: JSON shows them, text has them in the message."""
        if LEVELS[level] < self._lowest:
            return
        if self.form == "json":
            from lyftlearn_entrypoint.documents import dump

            now = self._clock()
            record: dict[str, object] = {
                "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z",
                "level": level,
                "source": "lyftlearn-entrypoint",
                "context": self.context,
                "message": message,
            }
            line = dump({**record, **facts})
        else:
            word = "" if level == "info" else level + ": "
            line = "lyftlearn-entrypoint: " + word + message.replace("\n", " ").replace("\r", " ")
            if not line.isprintable():  # a document's name must not steer the terminal that shows the line
                line = "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in line)
        self._write(line.encode("utf-8", "backslashreplace") + b"\n")
