"""Where SageMaker looks for the reason of a failed job, and a person for that of a notebook."""

import posix

from lyftlearn_entrypoint import context as contexts
from lyftlearn_entrypoint.volume import make_directories, random_hex, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.context import Context
    from lyftlearn_entrypoint.errors import StartError
    from lyftlearn_entrypoint.files import Files

# SageMaker shows the first 1024 characters of it as FailureReason (developer guide, "Use your own training algorithms").
FAILURE = "/opt/ml/output/failure"
# The first 1 KB becomes ExitMessage; text that is not UTF-8 fails the job (developer guide, "Build your own processing container").
MESSAGE = "/opt/ml/output/message"
LIMIT = 1024


def place(context: "Context") -> str:
    """The file for this context's reason, '' where there is none."""
    return {contexts.TRAINING: FAILURE, contexts.PROCESSING: MESSAGE}.get(context.name, "")


def cut(reason: str, path: str) -> bytes:
    """The reason as the file takes it: 1024 characters, or for a processing job 1024 bytes of whole characters. Its code stays."""
    text = reason.encode("utf-8", "backslashreplace").decode()
    code = text[-9:] if text[-9:-5] == " [LL" and text[-1] == "]" else ""
    room = LIMIT - len(code)
    data = text[: len(text) - len(code)][:room].encode()
    if path == MESSAGE:
        data = data[:room].decode("utf-8", "ignore").encode()
    return data + code.encode()


def leave_reason(context: "Context", files: "Files", environ: "dict[str, str]", error: "StartError") -> None:
    """Leave the reason where the context's people look: a job's in SageMaker's file, a notebook's in its home. Raises nothing."""
    if context.name == contexts.STUDIO:
        try:
            from lyftlearn_entrypoint.notice import leave_notice
        except ImportError:  # whom the start has become cannot read our files
            return
        leave_notice(environ, [error], None, failed=True)
    else:
        write_reason(context, files, "lyftlearn-entrypoint: " + str(error))


def write_reason(context: "Context", files: "Files", reason: str) -> str:
    """Write the reason, unless a file is there already, and return its path, '' if nothing was written. Raises nothing: the
    exit code and the log still tell."""
    name = place(context)
    if not name:
        return ""
    path = files.real(name)
    data = cut(reason, name)
    new = path + "." + random_hex()
    try:
        make_directories(path.rpartition("/")[0])
        write_file(new, data, 0o644)
        try:
            posix.link(new, path)  # whole at once, and fails where a file is: it is never overwritten
        except FileExistsError:
            return ""
        except OSError:
            write_file(path, data, 0o644)  # a file system without hard links; this too fails where a file is
        finally:
            posix.unlink(new)
    except OSError:
        return ""
    return path
