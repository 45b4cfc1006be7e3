"""The model that a job begins with: one object of S3, by its digest, in a file that is whole or not there.

In a warm pool it is copied from there, and hashed while it is copied, since others may write there at any time: then S3 is not asked.
"""

import _thread
import posix
import time

from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Unavailable
from lyftlearn_entrypoint.fetch.staged import parse_uri
from lyftlearn_entrypoint.volume import make_directories, random_hex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.aws import Aws
    from lyftlearn_entrypoint.fetch.download import Download
    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.log import Log
    from lyftlearn_entrypoint.settings import Settings
    from lyftlearn_entrypoint.trace import Tracer
    from lyftlearn_entrypoint.warm.pool import Pool

BEGUN = ".lyftlearn-model-"  # the name of one that is on its way
POOL = "warm pool"
_WAIT = 0.5  # the share of the time left that an entry of a pool may take: one that is nothing must not cost the download its own


class Arrived:
    """A model as it was found. `begun` is its file, not yet under its own name; '' where it was only looked for."""

    __slots__ = ("begun", "file", "keep", "origin", "sha256", "size", "uri")

    def __init__(
        self, uri: str, sha256: str, file: str, size: int, origin: str, begun: str = "", keep: "tuple[str, int | None] | None" = None
    ) -> None:
        self.uri = uri
        self.sha256 = sha256
        self.file = file
        self.size = size  # bytes; -1 where nobody looked
        self.origin = origin  # POOL, or S3
        self.begun = begun
        self.keep = keep  # path and limit of the pool that is to have it too


def choose(
    settings: "Settings",
    environ: "dict[str, str]",
    files: "Files",
    aws: "Callable[[], Aws]",
    deadline: "Deadline",
    log: "Log",
    tracer: "Tracer | None",
) -> "Model":
    """The model that the settings name."""
    path = files.real(settings["model_dir"]).rstrip("/")
    return Model(settings["model_uri"], path, pool_of(environ, settings, files), aws, deadline, log, tracer)


def pool_of(environ: "dict[str, str]", settings: "Settings", files: "Files") -> "Pool | None":
    """The warm pool's directory; None where this is no job of one."""
    path = environ.get("SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY", "")  # developer guide, "Use SageMaker managed warm pools"
    if not path.startswith("/"):
        return None
    from lyftlearn_entrypoint.adapt.memory import parse_size
    from lyftlearn_entrypoint.warm.pool import Pool

    return Pool(files.real(path), parse_size(settings["warm_cache_size"]) if settings["warm_cache_size"] else None)


class Model:
    """What `uri` names, for the directory `directory` (as it really is). `aws` gives the client, and is called only where S3 is asked."""

    def __init__(
        self,
        uri: str,
        directory: str,
        pool: "Pool | None",
        aws: "Callable[[], Aws]",
        deadline: "Deadline",
        log: "Log",
        tracer: "Tracer | None" = None,
    ) -> None:
        self.uri = parse_uri(uri)
        self.directory = directory
        self.pool = pool
        self._aws = aws
        self._deadline = deadline
        self._log = log
        self._tracer = tracer
        self._begun = ""
        self._discarded = False
        self._lock = _thread.allocate_lock()  # held by who makes the file, and by who takes it away
        self._download: Download | None = None

    def __str__(self) -> str:
        return str(self.uri)

    def held(self) -> bool:
        """Whether the pool has something of this name, which may yet prove to be nothing."""
        if self.pool is None:
            return False
        try:
            directory = self.pool.open("models")
            try:
                posix.stat(self.uri.sha256, dir_fd=directory, follow_symlinks=False)
            finally:
                posix.close(directory)
        except OSError:
            return False
        return True

    def look(self) -> Arrived:
        """What a start would fetch, without fetching it: for `lyftlearn plan`. Raises StartError."""
        if self.held():
            return self._arrived(-1, POOL)
        from lyftlearn_entrypoint.fetch.part import Part

        part = Part(0, 0, "", lambda position, data: None)
        self._aws().s3_range(self.uri.bucket, self.uri.key, self.uri.version or None, part)
        return self._arrived(max(part.total, 0), "S3")

    def fetch(self) -> Arrived:
        """The model, in a file that only this user can read. Raises StartError."""
        try:
            return self._fetch()
        except OSError as error:
            self.discard()
            raise self._unwritable(error.strerror or str(error)) from None
        except BaseException:
            self.discard()
            raise

    def take(self, arrived: Arrived, milliseconds: int) -> Arrived:
        """Say what came."""
        size = "" if arrived.size < 0 else ", " + str(arrived.size) + " bytes"
        self._log.info(
            "model: "
            + arrived.uri
            + " from "
            + ("the " if arrived.origin == POOL else "")
            + arrived.origin
            + size
            + f", in {milliseconds} ms",
            step="model",
            origin=arrived.origin,
            bytes=arrived.size,
            milliseconds=milliseconds,
        )
        return arrived

    def unfinished(self) -> Unavailable:
        """The error of a start whose time was over before the model was there."""
        self.discard()
        what = str(self.uri) + ": nothing within " + format(self._deadline.seconds, ".6g") + " s (LYFTLEARN_DEADLINE)"
        return Unavailable(
            what if self._download is None else self._download.unfinished(),
            "Give the start more time for a model of this size, or check the route to S3 from this subnet",
            finding="LL1203",
        )

    def discard(self) -> None:
        """Take away what is not yet under its own name. Raises nothing."""
        if self._download is not None:
            self._download.stopped = True
        with self._lock:
            self._discarded = True
            if self._begun:
                try:
                    posix.unlink(self._begun)
                except OSError:
                    pass  # it has its name by now, or was taken away before

    def _fetch(self) -> Arrived:
        make_directories(self.directory)
        self._sweep()
        flags = posix.O_RDWR | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
        begun = self.directory + "/" + BEGUN + random_hex(8)
        with self._lock:
            file = -1 if self._discarded else posix.open(begun, flags, 0o600)
            self._begun = begun
        if file < 0:  # the start has failed meanwhile, and what would be made now would stay
            raise self.unfinished()
        try:
            self._claim(file)
            size = self._from_pool(file)
            if size >= 0:
                return self._arrived(size, POOL, self._begun)
            from lyftlearn_entrypoint.fetch.download import Download

            tracer = self._tracer
            name = tracer.thread if tracer is not None else lambda text: None
            download = self._download = Download(self.uri, self._aws(), file, self._deadline, lambda size: self._fits(file, size), name)
            found = download.run()
        finally:
            posix.close(file)
        if found != self.uri.sha256:
            raise BadDocument(
                f"{self.uri} has sha256 {found[:12]}..., but {self.uri.sha256[:12]}... was asked for",
                "Someone wrote to the object, or the URI is of another one: pass the digest of the model that is meant",
                finding="LL1201",
            )
        return self._arrived(download.total, "S3", self._begun)

    def _arrived(self, size: int, origin: str, begun: str = "") -> Arrived:
        file = self.directory + "/" + self.uri.key.rpartition("/")[2]
        keep = (self.pool.path, self.pool.limit) if self.pool is not None and origin != POOL else None
        return Arrived(str(self.uri), self.uri.sha256, file, size, origin, begun, keep)

    def _from_pool(self, file: int) -> int:
        """Copy it from the pool; its size, or -1 where the pool has none. Whatever is wrong there is one warning."""
        if self.pool is None or not self.held():
            return -1
        from lyftlearn_entrypoint.warm.models import copied

        until = time.monotonic() + self._deadline.remaining() * _WAIT

        def run() -> int:
            assert self.pool is not None
            return copied(self.pool, self.uri.sha256, file, lambda size: self._fits(file, size), until, self._log)

        if self._tracer is None:
            return run()
        with self._tracer.timed("copy from the warm pool", "request") as timed:
            size = run()
            timed.facts["bytes"] = max(size, 0)
            return size

    def _fits(self, file: int, size: int) -> None:
        """Raises BadSettings where the file system has no room for it, before it is full."""
        found = posix.fstatvfs(file)
        free = found.f_bavail * found.f_frsize
        if size > free:
            raise self._unwritable(str(size) + " bytes, and " + str(free) + " are free", "Give the job a larger volume (VolumeSizeInGB)")

    def _unwritable(self, why: str, remedy: str = "Name a directory with room that can be made or written here") -> BadSettings:
        return BadSettings(
            str(self.uri) + " cannot be written to " + self.directory + " (LYFTLEARN_MODEL_DIR): " + why, remedy, finding="LL1204"
        )

    def _claim(self, file: int) -> bool:
        """Whether nobody else writes this file."""
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _sweep(self) -> None:
        """Take away what a start that was killed has left."""
        for name in posix.listdir(self.directory):
            if name.startswith(BEGUN):
                path = self.directory + "/" + name
                try:
                    file = posix.open(path, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC)
                    try:
                        if self._claim(file):
                            posix.unlink(path)
                    finally:
                        posix.close(file)
                except OSError:
                    pass
