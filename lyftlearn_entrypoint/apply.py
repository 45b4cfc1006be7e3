"""Carry out a Launch: files, ownership, user. Everything that can be refused was checked before; what the kernel refuses now is
said with the path and the kernel's own word."""

import posix

from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.files import TEMPORARY
from lyftlearn_entrypoint.launch import HYPERPARAMETERS_FILE
from lyftlearn_entrypoint.settings_table import variable
from lyftlearn_entrypoint.volume import make_directories, random_hex, replace_file, write_volume

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.errors import StartError
    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.launch import Launch
    from lyftlearn_entrypoint.log import Log
    from lyftlearn_entrypoint.span import Span
    from lyftlearn_entrypoint.warm.code import Place

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_EROFS = 30  # errno.h
_FIFO, _CHARACTER, _DIRECTORY, _TYPE = 0o010000, 0o020000, 0o040000, 0o170000


def apply(
    launch: "Launch", files: "Files", log: "Log", forgive: "Callable[[StartError], bool]", timed: "Callable[[str], Span]"
) -> "Place | None":
    """Do what the plan says, in the order in which each part needs the ones before. Raises StartError.

    `forgive` may let the start go on without a volume that cannot be written; `timed` times a part of it. Returns where compiled code is
    kept, for who keeps it.
    """
    user = launch.user
    owner = (user.uid, user.gid) if launch.switch else None
    if launch.keeper:  # loaded while whoever can read our files still runs
        from lyftlearn_entrypoint.spark import keeper
    if launch.make_home:
        _make_home(launch.make_home, user)
    for volume in launch.volumes:
        directory = files.real(volume.directory).rstrip("/")
        try:
            with timed("files of " + volume.step):
                place = write_volume(directory, volume.files, volume.mode, owner, files, volume.memory)
        except OSError as error:
            refusal = BadSettings(
                variable(volume.step + "_dir") + ": " + directory + " cannot be written: " + (error.strerror or str(error)),
                "Name a directory that can be made or written here",
                finding="LL0209",
            )
            if forgive(refusal):
                continue
            raise refusal from None
        where = directory if place == directory else directory + " (on tmpfs)"
        (log.debug if volume.step == "spark" else log.info)(
            volume.step + ": " + str(len(volume.files)) + (" file in " if len(volume.files) == 1 else " files in ") + where,
            step=volume.step,
            files=len(volume.files),
        )
    if launch.model is not None:
        from lyftlearn_entrypoint.warm import models

        with timed("model"):
            models.settle(launch.model, owner, log)
    kept = None
    if launch.code is not None:
        from lyftlearn_entrypoint.warm import code

        kept = code.prepare(launch.code, user, log)
    # Last, so that a start that fails above leaves SageMaker's file as it was.
    if launch.hyperparameters is not None:
        with timed("hyperparameters.json"):
            _write_hyperparameters(launch, files, log, owner)
    elif launch.names_hyperparameters:
        launch.env[HYPERPARAMETERS_FILE] = files.real(launch.env[HYPERPARAMETERS_FILE])
    if launch.switch:
        import lyftlearn_entrypoint.failure  # noqa: F401  for an exec that fails later, likewise

        for path in launch.owned:
            with timed("ownership of " + path):
                _give(files.real(path), user, log, make=files.is_dir("/opt/ml"))
        with timed("switch user"):
            switch_user(user, log)
    if launch.code is not None:  # as the program's user
        with timed("code of the warm pool"):
            kept = code.restore(launch, kept, log)
    if launch.keeper:  # likewise
        with timed("Spark's cluster"):
            keeper.start(launch.keeper, launch.env)
    return kept


def _make_home(path: str, user: "User") -> None:
    try:
        make_directories(path.rpartition("/")[0] or "/")
        posix.mkdir(path, 0o700)
        if posix.geteuid() != user.uid:
            posix.chown(path, user.uid, user.gid)
    except FileExistsError:
        pass  # an earlier start's, which belongs to the same user: the probe looked
    except OSError:
        pass  # no place at all can be written: the program may not need one


def _write_hyperparameters(launch: "Launch", files: "Files", log: "Log", owner: "tuple[int, int] | None") -> None:
    content, candidates = launch.hyperparameters or (b"", [])
    refused = ""
    for number, candidate in enumerate([*candidates, ""]):
        # The last resort is a directory of our own where everybody may write: one that is there may be somebody else's.
        path = files.real(candidate) if candidate else _own_directory(files) + "/hyperparameters.json"
        try:
            mode, its_owner = 0o644, owner
            found = files.stat(candidate) if candidate else None
            if found is not None:
                mode = found.st_mode & 0o777 | 0o400
                its_owner = owner or ((found.st_uid, found.st_gid) if posix.geteuid() == 0 else None)
            make_directories(path.rpartition("/")[0])
            replace_file(path, content, mode, its_owner)
        except OSError as error:
            if not candidate or not _holds(files, candidate, content):
                refused = refused or path + ": " + (error.strerror or str(error))
                continue
            # A start inside a start, by the program's user: what is wanted is there.
        launch.env[HYPERPARAMETERS_FILE] = path
        if number == 0:
            _keep_own(launch, files, content)
        if number:
            log.warning("hyperparameters: written to " + path + ", since " + refused + " [LL0514]", step="hyperparameters", path=path)
        return
    raise BadSettings("hyperparameters cannot be written anywhere: " + refused, "Mount a writable /opt/ml/input or /tmp", finding="LL0512")


def _holds(files: "Files", path: str, content: bytes) -> bool:
    try:
        return files.read(path, len(content)) == content
    except OSError:
        return False


def _keep_own(launch: "Launch", files: "Files", content: bytes) -> None:
    """Keep what SageMaker delivered: a start on the same files, a restart say, must not take ours for SageMaker's."""
    from lyftlearn_entrypoint.adapt.hyperparameters import OWN, own_record

    path = files.real(OWN)
    try:
        make_directories(path.rpartition("/")[0])
        replace_file(path, own_record(launch.own_hyperparameters, content), 0o644)
    except OSError:
        pass  # then a restart with another document keeps the old values, and says so


def _own_directory(files: "Files") -> str:
    path = ""
    for parent in TEMPORARY:
        path = files.real(parent) + "/lyftlearn-input-" + random_hex()
        try:
            posix.mkdir(path, 0o755)
            posix.chmod(path, 0o755)
            break
        except OSError:
            continue  # writing to the last one fails, and says why
    return path


def _give(path: str, user: "User", log: "Log", make: bool) -> None:
    """Make a tree the user's own. Links are not followed; what the file system refuses is a warning, not the end."""
    try:
        found = posix.lstat(path)
    except OSError:
        if not make:
            return
        try:
            posix.mkdir(path, 0o755)
            found = posix.lstat(path)
        except OSError:
            return
    pending = [(path, found)]
    refused = ""
    while pending:
        current, found = pending.pop()
        try:
            if found.st_uid != user.uid:
                posix.chown(current, user.uid, user.gid, follow_symlinks=False)
            if found.st_mode & _TYPE == _DIRECTORY:
                if found.st_mode & 0o700 != 0o700:
                    posix.chmod(current, found.st_mode & 0o7777 | 0o700)
                with posix.scandir(current) as entries:
                    pending += [(entry.path, entry.stat(follow_symlinks=False)) for entry in entries]
        except OSError as error:
            if error.errno != _EROFS:  # a model that is mounted read-only is nobody's to write
                refused = refused or current + ": " + (error.strerror or str(error))
    if refused:
        log.warning("user: cannot be made " + str(user) + "'s: " + refused + " [LL1004]", step="user")


def switch_user(user: "User", log: "Log") -> None:
    """Become `user` for good: groups, gid, uid, no way back, and no new privileges by setuid files (prctl(2)).

    Standard streams are handed over as runc does for a pod's runAsUser, or the program could not open /dev/stdout.
    """
    for descriptor in (0, 1, 2):
        try:
            found = posix.fstat(descriptor)
            kind = found.st_mode & _TYPE
            terminal = kind == _CHARACTER and posix.isatty(descriptor)
            if (kind == _FIFO or terminal) and found.st_uid != user.uid:
                posix.chown(descriptor, user.uid, -1)
        except OSError:
            pass
    prctl = prctl_function()  # before: the new user need not be able to read our Python
    try:
        posix.setgroups(user.groups)
        posix.setresgid(user.gid, user.gid, user.gid)
        posix.setresuid(user.uid, user.uid, user.uid)
    except OSError as error:
        raise BadSettings(
            "cannot become " + str(user) + ": " + (error.strerror or str(error)),
            "The container needs the capabilities SETUID and SETGID for LYFTLEARN_USER; or start it as that user",
            finding="LL1003",
        ) from None
    if prctl is None or not prctl(_PR_SET_NO_NEW_PRIVS, 1):
        log.warning("user: no_new_privs cannot be set on this system [LL1005]", step="user")


def prctl_function() -> "Callable[[int, int], bool] | None":
    """prctl(2), which no module of the standard library wraps. `_ctypes` alone: ctypes costs 5 ms more."""
    try:
        import _ctypes

        address = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    except (ImportError, OSError, AttributeError):
        return None
    return lambda option, value: _ctypes.call_function(address, (option, value, 0, 0, 0)) == 0
