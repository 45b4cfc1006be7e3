"""A note in a notebook's home about a start that went on without something. Studio hides the log that says so."""

import posix

from lyftlearn_entrypoint.volume import replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.errors import StartError

NAME = "LYFTLEARN-WARNING.txt"
_FIRST = "This notebook was started without something that it should have:\n\n"
_LAST = "\nPrograms that need it will fail. Restart when it is mended; a start without trouble takes this file away.\n"


def leave_notice(home: str, passed: "list[StartError]", owner: "User | None") -> None:
    """Write the note, or take an old one away where nothing failed. Raises nothing: the log has the same lines."""
    if not home.startswith("/"):
        return
    path = home + "/" + NAME
    try:
        if passed:
            text = _FIRST + "".join("- " + str(error) + "\n" for error in passed) + _LAST
            replace_file(path, text.encode("utf-8", "backslashreplace"), 0o644, (owner.uid, owner.gid) if owner else None)
        else:
            posix.unlink(path)
    except OSError:
        pass
