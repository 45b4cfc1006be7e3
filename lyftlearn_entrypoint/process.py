"""The process that a start runs in: its words, environment, streams, signals, users, and the exec at the end.

This is where effects live. Tests run it for real, in processes of their own.
"""

import posix
import sys

from lyftlearn_entrypoint import command as commands
from lyftlearn_entrypoint.adapt.identity import User, can_write, resolve
from lyftlearn_entrypoint.errors import BadDocument, CommandNotExecutable, CommandNotFound
from lyftlearn_entrypoint.files import TEMPORARY
from lyftlearn_entrypoint.launch import Host
from lyftlearn_entrypoint.log import write_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from lyftlearn_entrypoint.files import Files

# What Python itself ignores from its first moment (Python/pylifecycle.c, init_signals).
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ", "SIGXFZ")
# LC_CTYPE that Python's C locale coercion (PEP 538) sets in its own environment.
_COERCED = (b"C.UTF-8", b"C.utf8", b"UTF-8")
_ENOENT, _ENOEXEC, _E2BIG = 2, 8, 7  # errno.h; the errno module would be one import more


class Terminated(BaseException):
    """A stop signal came while this process was PID 1, where the kernel would have ignored it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Process:
    """The running process. `argv` are the ARGs without our own name; `environ` is decoded as os.environ is."""

    def __init__(self, argv: "list[str]", environ: "dict[str, str]", write: "Callable[[bytes], None]" = write_stderr) -> None:
        self.argv = argv
        self.environ = environ
        self.write = write

    @classmethod
    def current(cls) -> "Process":
        environ = dict(posix.environ)
        environ.pop(b"", None)  # "=text" has no name: Python's execve takes no such entry
        if environ.get(b"LC_CTYPE") in _COERCED:
            given = _given_lc_ctype()
            if given is None:
                del environ[b"LC_CTYPE"]
            else:
                environ[b"LC_CTYPE"] = given
        argv = sys.argv[1:]
        coding = sys.getfilesystemencoding()
        if coding != "utf-8":  # a locale such as de_DE.ISO-8859-1: Python decoded the words with it
            argv = [_decode(word.encode(coding, "surrogateescape")) for word in argv]
        return cls(argv, {_decode(name): _decode(value) for name, value in environ.items()})

    def guard_streams(self) -> None:
        """Put /dev/null where a standard stream is closed, until exec: a file that we open must not get its number, since a
        log line would go into it."""
        for descriptor in (0, 1, 2):
            try:
                posix.fstat(descriptor)
            except OSError:
                try:
                    posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)  # takes the lowest free number: this one
                except OSError:
                    return

    def terminable(self) -> "_Terminable":
        return _Terminable()

    def host(self, wanted: str, place: str, files: "Files") -> "tuple[bool, Host]":
        """(whether to switch, the Host). Only root can switch; who is not root carries on and says nothing."""
        uid = posix.geteuid()
        here = self._passwd(uid)
        if wanted and uid == 0:
            user = resolve(wanted, place, self._passwd, self._group, posix.getgrouplist)
            if user.uid != 0 or user.gid != posix.getegid():
                return True, Host(
                    user, lambda path: _writable_for(path, user), self._fallback_home(user.uid, files), here[0] if here else "root"
                )
        name, _, _, home = here or ("", 0, 0, "")
        user = User(uid, posix.getegid(), posix.getgroups(), name, home)
        return False, Host(user, _writable, self._fallback_home(uid, files), None)

    def locate(self, name: str, path: "str | None", user: "User | None", staged: bool = False) -> str:
        return commands.locate(name, path, (user.uid, user.gid, user.groups) if user else None, staged)

    def check_size(self, argv: "list[str]", env: "dict[str, str]", fetched: bool) -> None:
        """Raises BadDocument (65) when fetched variables make the environment larger than the kernel takes."""
        size = sum(map(len, argv)) + sum(map(len, env.values()))
        if not fetched or size < 100_000:
            return
        import resource

        from lyftlearn_entrypoint.adapt.environment import total_size

        total = total_size([_encode(word) for word in argv], {_encode(n): _encode(v) for n, v in env.items()})
        stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
        # fs/exec.c, bprm_stack_limits: a quarter of the stack, at most 3/4 of 8 MiB, at least ARG_MAX (128 KiB).
        limit = max(131072, min(6 << 20, stack // 4 if stack > 0 else 6 << 20))
        if total > limit:
            largest = sorted(env, key=lambda name: -len(env[name]))[:3]
            raise BadDocument(
                "arguments and environment have " + str(total) + " bytes, and this kernel takes " + str(limit),
                "The largest variables are " + ", ".join(largest) + ": pass them as files",
                finding="LL0110",
            )

    def execute(self, argv: "list[str]", path: str, env: "dict[str, str]", staged: bool = False) -> "NoReturn":
        """Give back what Python changed in itself and become the program. Raises StartError when the kernel refuses.

        `staged`: PATH, by which `path` was found, is that of a staged document, so the message says the command alone."""
        self.restore()
        try:
            posix.execve(path, [_encode(word) for word in argv], {_encode(name): _encode(value) for name, value in env.items()})
        except OSError as error:
            raise _refusal(argv[0] if staged else path, error) from None

    def restore(self) -> None:
        """Give back the signals that Python ignores: over exec they would stay ignored."""
        import _signal

        for name in _IGNORED_BY_PYTHON:
            number = getattr(_signal, name, None)
            if number is not None:
                _signal.signal(number, _signal.SIG_DFL)

    def _passwd(self, who: "str | int") -> "tuple[str, int, int, str] | None":
        import pwd

        try:
            entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
        except (KeyError, OverflowError):
            return None
        return entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir

    def _group(self, name: str) -> "int | None":
        import grp

        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            return None

    def _fallback_home(self, uid: int, files: "Files") -> str:
        """A directory of the user's own in the first temporary directory that can be written. One that somebody else made
        there beforehand is not taken."""
        for parent in TEMPORARY:
            path = files.real(parent) + "/home-" + str(uid)
            try:
                found = posix.lstat(path)
            except OSError:
                if _writable(files.real(parent)):
                    return path
                continue
            if found.st_uid == uid and found.st_mode & 0o170000 == 0o040000:
                return path
            return path + "-" + posix.urandom(4).hex()
        return files.real("/tmp") + "/home-" + str(uid)


class _Terminable:
    """As PID 1 a process without a handler does not get a stop signal: stopping a start that waits would take the whole grace
    period. Elsewhere the default does the right thing. SageMaker documents SIGINT for processing jobs."""

    __slots__ = ("_numbers",)

    def __enter__(self) -> None:
        self._numbers: list[int] = []
        if posix.getpid() == 1:
            import _signal

            for number in (_signal.SIGTERM, _signal.SIGINT):
                if _signal.getsignal(number) == _signal.SIG_DFL:
                    _signal.signal(number, _terminate)
                    self._numbers.append(number)

    def __exit__(self, *_: object) -> None:
        if self._numbers:
            import _signal

            for number in self._numbers:
                _signal.signal(number, _signal.SIG_DFL)


def where(error: BaseException) -> str:
    """File and line of an unexpected error: enough to find it, without its text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return " at " + trace.tb_frame.f_code.co_filename.rpartition("/")[2] + ":" + str(trace.tb_lineno)


def _terminate(number: int, frame: object) -> None:
    raise Terminated(number)


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _given_lc_ctype() -> "bytes | None":
    """LC_CTYPE as this process was given it: the kernel keeps the block of execve(2). Coercion replaces C, POSIX and '' too."""
    try:
        fd = posix.open("/proc/self/environ", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            block = b"\0"
            while part := posix.read(fd, 1 << 16):
                block += part
        finally:
            posix.close(fd)
    except OSError:
        return posix.environ[b"LC_CTYPE"]  # without /proc nobody knows
    _, found, rest = block.partition(b"\0LC_CTYPE=")
    return rest.partition(b"\0")[0] if found else None


def _writable(path: str) -> bool:
    try:
        return posix.stat(path).st_mode & 0o170000 == 0o040000 and posix.access(path, posix.W_OK | posix.X_OK, effective_ids=True)
    except OSError:
        return False


def _writable_for(path: str, user: User) -> bool:
    """For a user that we are about to become. Asking as root finds a read-only file system; the mode bits tell the rest."""
    try:
        return can_write(posix.stat(path), user) and posix.access(path, posix.W_OK)
    except OSError:
        return False


def _refusal(path: str, error: OSError) -> "CommandNotFound | CommandNotExecutable":
    """What a shell says of an execve(2) that failed: 127 when something is missing, 126 for everything else."""
    word = error.strerror or "cannot be executed"
    if error.errno == _ENOENT:
        return CommandNotFound(
            path + ": the interpreter in its first line, or its dynamic loader, is not there",
            "Correct its #! line in the image",
            finding="LL0106",
        )
    if error.errno == _ENOEXEC:
        return CommandNotExecutable(
            path + ": " + word,
            "It has no #! line and is no program of this machine's architecture: add a #! line, or build for this platform",
            finding="LL0107",
        )
    if error.errno == _E2BIG:
        return CommandNotExecutable(
            path + ": " + word, "Arguments and environment are larger than the kernel takes: pass large values as files", finding="LL0108"
        )
    return CommandNotExecutable(path + ": " + word, "Check its permissions and the mount options of its file system", finding="LL0109")
