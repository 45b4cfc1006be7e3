"""A model out of the warm pool, and into it; and the name and owner of one that has arrived."""

import posix
import time

from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.fetch.large import sha256
from lyftlearn_entrypoint.warm.pool import BLOCK, BadEntry, Pool, add, open_entry, used_now, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.fetch.model import Arrived
    from lyftlearn_entrypoint.log import Log


def copied(pool: Pool, digest: str, file: int, fits: "Callable[[int], None]", until: float, log: "Log") -> int:
    """Copy the pool's entry of this digest into an open, empty file; its size, or -1 with a warning where it is none, and `file` is empty.

    `fits(size)` raises BadSettings where there is no room; `until` (monotonic seconds) is when to give up.
    """
    try:
        directory = pool.open("models")
        try:
            entry, size = open_entry(directory, digest, pool.bound())
        finally:
            posix.close(directory)
        try:
            fits(size)
            if _copy(entry, file, size, until) != digest:
                raise BadEntry("its sha256 is another one")
            used_now(entry)
        finally:
            posix.close(entry)
    except (BadEntry, BadSettings) as bad:
        why = str(bad)
    except OSError as error:
        why = error.strerror or str(error)
    else:
        return size
    posix.ftruncate(file, 0)
    posix.lseek(file, 0, 0)
    log.warning("model: what the warm pool has under its digest is not used: " + why + " [LL1211]", step="model")
    return -1


def _copy(entry: int, file: int, size: int, until: float) -> str:
    """The digest of the bytes that were written, whatever the entry holds before or after."""
    digest = sha256()
    while size:
        data = posix.read(entry, min(BLOCK, size))
        if not data:
            raise BadEntry("it became shorter while it was read")
        if time.monotonic() > until:
            raise BadEntry("to read it takes too long")
        digest.update(data)
        write_all(file, data)
        size -= len(data)
    return str(digest.hexdigest())


def settle(model: "Arrived", owner: "tuple[int, int] | None", log: "Log") -> None:
    """Give it its name, and `owner` (uid, gid) where that is not None. Raises BadSettings (78) where its directory does not let us."""
    file = posix.open(model.begun, posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    try:
        if model.keep is not None:
            keep(model, file, log)
        if owner is not None:
            posix.fchown(file, *owner)
        posix.fchmod(file, 0o644)
        posix.rename(model.begun, model.file)
    except OSError as error:
        raise BadSettings(
            "the model cannot be " + model.file + ": " + (error.strerror or str(error)),
            "Name another LYFTLEARN_MODEL_DIR",
            finding="LL1204",
        ) from None
    finally:
        posix.close(file)


def keep(model: "Arrived", file: int, log: "Log") -> None:
    """Put it into the pool, while nobody but us can write the file. A pool that cannot have it is a line for who looks for it, no more."""
    assert model.keep is not None
    path, limit = model.keep
    pool = Pool(path, limit)
    try:
        directory = pool.open("models", make=True)
        try:
            if not pool.room(model.size):
                log.info("model: the warm pool has no room for its " + str(model.size) + " bytes", step="model")
                return
            add(directory, model.sha256, file, model.size)
        finally:
            posix.close(directory)
    except OSError as error:
        log.warning("model: the warm pool does not take it: " + (error.strerror or str(error)) + " [LL1212]", step="model")
    else:
        log.debug("model: kept in the warm pool", step="model")
