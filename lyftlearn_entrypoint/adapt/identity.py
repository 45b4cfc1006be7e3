"""Who runs the program, and a HOME, USER and LOGNAME that this user can use.

The measured trouble without it: getpass raises KeyError, Jupyter and matplotlib cannot write, for every uid that has no
passwd entry or no writable HOME (docs/users.md).
"""

from lyftlearn_entrypoint.errors import BadSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    # (name or uid) -> (name, uid, gid, home), None where the system knows no such user
    PasswdLookup = Callable[[str | int], tuple[str, int, int, str] | None]
    # group name -> gid
    GroupLookup = Callable[[str], int | None]
    # (user name, primary gid) -> all groups
    GroupList = Callable[[str, int], list[int]]

# Caches and configuration that hang on HOME (XDG base directories; matplotlib, numba, torch, Jupyter documentation).
HOME_VARIABLES = (
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "MPLCONFIGDIR",
    "NUMBA_CACHE_DIR",
    "TORCH_HOME",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
    "HF_HOME",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
)


class User:
    """A user of the program: ids, supplementary groups, and what passwd says (name and home '' where it says nothing)."""

    __slots__ = ("gid", "groups", "home", "name", "uid")

    def __init__(self, uid: int, gid: int, groups: "list[int]", name: str, home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.name = name
        self.home = home

    def __str__(self) -> str:
        return (self.name + " " if self.name else "") + "(" + str(self.uid) + ":" + str(self.gid) + ")"


def resolve(setting: str, place: str, passwd: "PasswdLookup", group: "GroupLookup", grouplist: "GroupList") -> User:
    """The user that `name`, `uid` or `uid:gid` means. Raises BadSettings (78) for a name that the image does not have.

    A uid without a passwd entry gets gid 0 unless one is named, as a pod's runAsUser without runAsGroup does.
    """
    first, _, second = setting.partition(":")
    entry = passwd(int(first)) if first.isdigit() else passwd(first)
    if entry is None and not first.isdigit():
        raise BadSettings(
            place + ": the image has no user named " + first,
            "Add the user to the image, or give a number: uid or uid:gid",
            finding="LL1001",
        )
    name, uid, gid, home = entry or ("", int(first), 0, "")
    if second:
        found = int(second) if second.isdigit() else group(second)
        if found is None:
            raise BadSettings(
                place + ": the image has no group named " + second, "Add the group to the image, or give a number", finding="LL1002"
            )
        gid = found
    groups = sorted(set(grouplist(name, gid))) if name else [gid]
    return User(uid, gid, groups, name, home)


def can_write(found: "os.stat_result | None", user: User) -> bool:
    """True when the mode bits let `user` make files in this directory. For a user that this process is not."""
    if found is None or found.st_mode & 0o170000 != 0o040000:
        return False
    if user.uid == 0:
        return True
    if found.st_uid == user.uid:
        bits = found.st_mode >> 6
    elif found.st_gid == user.gid or found.st_gid in user.groups:
        bits = found.st_mode >> 3
    else:
        bits = found.st_mode
    return bits & 3 == 3


def home_variables(
    variables: "dict[str, str]", user: User, writable: "Callable[[str], bool]", fallback: str, switched_from: "str | None"
) -> "tuple[dict[str, str], bool]":
    """(variables to set, whether `fallback` has to be made). `writable` asks for the user who will run.

    A HOME that the user can write stays, and so do USER and LOGNAME, unless they are those of the user that the start began
    as (`switched_from`, its name).
    """
    changes: dict[str, str] = {}
    make = False
    old = variables.get("HOME", "")
    if not old or not old.startswith("/") or not writable(old):
        if user.home and user.home != old and writable(user.home):
            changes["HOME"] = user.home
        else:
            changes["HOME"] = fallback
            make = True
        new = changes["HOME"]
        if old.startswith("/") and old != "/":
            for name in HOME_VARIABLES:
                value = variables.get(name, "")
                if (value == old or value.startswith(old.rstrip("/") + "/")) and not writable(value):
                    changes[name] = new + value[len(old.rstrip("/")) :]
    name = user.name or "user" + str(user.uid)
    for variable in ("USER", "LOGNAME"):
        if not variables.get(variable) or (switched_from is not None and variables[variable] == switched_from):
            changes[variable] = name
    return changes, make
