"""Compiled code between the jobs of a warm pool: kernels of torch.compile, Triton, CUDA's JIT and numba, and what else a program adds.

Code that somebody else wrote would run as this team, so it is taken only with a message authentication code, made with a key that other
teams' jobs do not have: a credential of Confidant's. Without one nothing is kept.
"""

import posix

from lyftlearn_entrypoint.fetch.model import pool_of
from lyftlearn_entrypoint.warm.pack import derive, signature, unpack, verify, walk
from lyftlearn_entrypoint.warm.pool import BadEntry, Pool, open_directory, open_entry, remove, used_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.adapt.environment import Environment
    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.fetch.confidant import Secret
    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.launch import Launch
    from lyftlearn_entrypoint.log import Log
    from lyftlearn_entrypoint.settings import Settings

DIRECTORY = "LYFTLEARN_CODE_DIR"
# Where each looks for its cache: torch/_inductor/runtime/cache_dir_utils.py; triton/knobs.py; CUDA C++ programming guide, "Environment
# variables"; numba reference manual, "Environment variables".
VARIABLES = {
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "CUDA_CACHE_PATH": "cuda",
    "NUMBA_CACHE_DIR": "numba",
}
# Where Spark keeps what spark.jars.packages brings (Spark, "Configuration", spark.jars.ivy).
IVY = "spark.jars.ivy"
ENTRY = "pack"
_SHORTEST = 32  # characters of a key: others can read a pack, and try keys on it
_LARGEST = 1 << 30  # bytes of a pack
_RESERVE = 256 << 20  # bytes that models leave for one


class Code:
    """What is to be done about compiled code. `key` is a secret, and bound to the image; `why` says why nothing is, or is ''."""

    __slots__ = ("directory", "key", "limit", "pool", "why")

    @property
    def ivy(self) -> str:
        """The directory for Spark's packages; '' where nothing is kept."""
        return self.directory + "/ivy" if self.key else ""

    def __init__(self, pool: str, limit: "int | None", directory: str, key: bytes, why: str = "") -> None:
        self.pool = pool  # its path and its limit in bytes
        self.limit = limit
        self.directory = directory
        self.key = key
        self.why = why


def carry(
    launch: "Launch",
    environment: "Environment",
    settings: "Settings",
    files: "Files",
    environ: "dict[str, str]",
    secrets: "list[Secret]",
) -> bool:
    """Plan it; whether anything will be kept. What the user set stays, and is not kept.

    The pool is where the start's own `environ` says: what a document says of it must not steer what root writes.
    """
    pool = pool_of(environ, settings, files)
    if pool is None:
        return False
    directory = files.real("/tmp") + "/lyftlearn-code-" + str(launch.user.uid)
    key, why = _key(settings, secrets)
    if key:
        key = derive(key, "lyftlearn code 1", settings["image_digest"], str(launch.user.uid))
        environment.force(DIRECTORY, directory, "warm pool")
        for name, below in VARIABLES.items():
            environment.fill(name, directory + "/" + below, "warm pool")
    launch.code = Code(pool.path, pool.limit, directory, key, why)
    return bool(key)


def _key(settings: "Settings", secrets: "list[Secret]") -> "tuple[bytes, str]":
    name = settings["warm_code_key"]
    value = next((secret.value for secret in secrets if secret.name == name), None)
    if not value:
        return b"", "no credential gives the variable " + name + " (LYFTLEARN_WARM_CODE_KEY)"
    if len(value) < _SHORTEST:
        return b"", "the credential in " + name + " is shorter than " + str(_SHORTEST) + " characters (LYFTLEARN_WARM_CODE_KEY)"
    return value.encode(), ""


class Place:
    """The entry's directory in the pool, and the program's own: opened as whoever the start is, used as the program's user."""

    __slots__ = ("_code", "_entries", "before", "largest")

    def __init__(self, code: Code, entries: int, largest: int) -> None:
        self._code = code
        self._entries = entries
        self.largest = largest  # bytes of a pack that may be written
        self.before = [0, 0, 0]  # the signature of what was found

    def order(self) -> "tuple[dict[str, object], int]":
        """What the saver is told, and the open directory that it writes to. The key is among it."""
        code = self._code
        return {"key": code.key.hex(), "directory": code.directory, "largest": self.largest, "before": self.before}, self._entries

    def restore(self, log: "Log") -> bool:
        """Fill the program's directory with what is in the pool. False, with a warning, where there can be no such directory."""
        try:
            directory = _own(self._code.directory)
        except OSError as error:
            log.warning("code: " + self._code.directory + " is not used: " + (error.strerror or str(error)) + " [LL1214]", step="code")
            return False
        try:
            if not walk(directory):  # else an earlier start's in this container
                self._fill(directory, log)
            self.before = signature(walk(directory))
        finally:
            posix.close(directory)
        return True

    def _fill(self, directory: int, log: "Log") -> None:
        try:
            entry, size = open_entry(self._entries, ENTRY, _LARGEST)
            try:
                count = _taken(entry, size, directory, self._code.key)
                used_now(entry)
            finally:
                posix.close(entry)
        except FileNotFoundError:
            log.debug("code: the warm pool has none of this team's for this image", step="code")
        except (BadEntry, OSError) as error:
            for name in posix.listdir(directory):
                remove(directory, name)
            why = str(error) if isinstance(error, BadEntry) else error.strerror or str(error)
            log.warning("code: what the warm pool has is not used: " + why + " [LL1213]", step="code")
        except BaseException:  # stopped: a half would be taken for an earlier start's
            for name in posix.listdir(directory):
                remove(directory, name)
            raise
        else:
            log.info("code: " + str(count) + " files, " + str(size) + " bytes from the warm pool", step="code", files=count, bytes=size)


def _taken(entry: int, size: int, directory: int, key: bytes) -> int:
    flags = posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
    private = posix.open(".pack", flags, 0o600, dir_fd=directory)
    try:
        posix.unlink(".pack", dir_fd=directory)  # gone with the descriptor
        verify(entry, size, private, key)
        return unpack(private, directory)
    finally:
        posix.close(private)


def _own(path: str) -> int:
    """A directory that this user alone can write, made or found. Raises OSError."""
    try:
        posix.mkdir(path, 0o700)
    except FileExistsError:
        pass
    directory = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    found = posix.fstat(directory)
    if found.st_uid != posix.geteuid() or found.st_mode & 0o022:
        posix.close(directory)
        raise OSError(1, "it is another user's, or others can write it")
    return directory


def prepare(code: Code, user: "User", log: "Log") -> "Place | None":
    """The place in the pool for the program's user, made while the start is still who it was. None where there can be none."""
    if code.why:
        log.debug("code: what is compiled is not kept in the warm pool: " + code.why, step="code")
        return None
    pool = Pool(code.pool, code.limit)
    try:
        kind = pool.open("code", make=True)
        try:
            pool.room(min(_RESERVE, max(0, pool.longest() // 8)))
            entries = open_directory(kind, derive(code.key, "name").hex()[:32], make=True)
        finally:
            posix.close(kind)
        if posix.fstat(entries).st_uid != user.uid:
            posix.fchown(entries, user.uid, user.gid)
        posix.fchmod(entries, 0o700)
        return Place(code, entries, min(_LARGEST, pool.left()))
    except OSError as error:
        log.warning("code: the warm pool cannot be used: " + (error.strerror or str(error)) + " [LL1214]", step="code")
        return None


def restore(launch: "Launch", place: "Place | None", log: "Log") -> "Place | None":
    """Restore what the place holds, as the program's user. Without a place of its own the program has its caches where they always were."""
    assert launch.code is not None
    if launch.code.why or (place is not None and place.restore(log)):
        return place
    for name in (DIRECTORY, *VARIABLES):
        if launch.env.get(name, "").startswith(launch.code.directory):
            del launch.env[name]
    if launch.spark:
        from lyftlearn_entrypoint.spark import conf

        conf.forget(launch.env["SPARK_CONF_DIR"], IVY, launch.code.ivy)
    return None
