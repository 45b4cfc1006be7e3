"""A note about a start that went on without something, where a notebook's user sees it: in its home, and as a banner in JupyterLab.
Studio hides the log that says so."""

import posix

from lyftlearn_entrypoint.volume import replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.errors import StartError

NAME = "LYFTLEARN-WARNING.txt"
FIRST = "This notebook was started without something that it should have:"
FAILED = "A start of this notebook or of one of its kernels failed:"
LAST = "Programs that need it will fail. Restart when it is mended; a start without trouble takes this away."
AGAIN = "Start it again when it is mended; a start without trouble takes this away."


def leave_notice(env: "Mapping[str, str]", passed: "list[StartError]", owner: "User | None", failed: bool = False) -> None:
    """Write the note, or take an old one away where nothing failed. Raises nothing: the log has the same lines.

    `env` is the program's; `owner` is who gets the note, None for whoever runs this; `failed` where the start ended for it.
    """
    home = env.get("HOME", "")
    if not home.startswith("/"):
        return
    path = home + "/" + NAME
    notes = [str(error) for error in passed]
    first, last = (FAILED, AGAIN) if failed else (FIRST, LAST)
    try:
        if passed:
            text = first + "\n\n" + "".join("- " + note + "\n" for note in notes) + "\n" + last + "\n"
            replace_file(path, text.encode("utf-8", "backslashreplace"), 0o644, (owner.uid, owner.gid) if owner else None)
        else:
            posix.unlink(path)  # and only then, a banner
        from lyftlearn_entrypoint import banner

        if passed:
            banner.write(env, first, notes, last)
        else:
            banner.remove(env)
    except (OSError, ImportError):
        pass
