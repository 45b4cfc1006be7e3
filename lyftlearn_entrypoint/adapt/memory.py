"""Is /dev/shm large enough? Docker and Kubernetes give a container 64 MiB, and a DataLoader's worker that fills it dies: of a bus error,
or, since torch asks for the space first, with "No space left on device".

(Docker Engine API, HostConfig.ShmSize; PyTorch, torch.utils.data; NCCL user guide, "Troubleshooting", which wants 1 GiB.)
"""

import posix

from lyftlearn_entrypoint.context import JOBS, KUBERNETES, STUDIO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.files import Files

SHARED_MEMORY = "/dev/shm"
SETTING = "LYFTLEARN_SHARED_MEMORY_MIN"
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes in `64m`, `1G`, `1Gi` or `1GiB`, all powers of 1024 as in `docker run --shm-size`. Raises ValueError."""
    lower = text.lower().removesuffix("b").removesuffix("i")
    number, unit = (lower[:-1], lower[-1]) if lower[-1:] in "kmgt" and lower else (lower, "")
    if not (number.isascii() and number.isdigit()) or int(number) == 0 or len(number) > 15:
        raise ValueError(ascii(text) + " is not a size such as 512M or 1G")
    return int(number) * _UNITS[unit]


def lacking(wanted: str, files: "Files", context: str) -> "list[str]":
    """A warning where shared memory is smaller than `wanted` (a size), with what to do in this context; else nothing."""
    try:
        found = posix.statvfs(files.real(SHARED_MEMORY))
        size = found.f_frsize * found.f_blocks
    except OSError:
        size = 0
    if size >= parse_size(wanted):
        return []
    has = "has " + show(size) if size else "is missing"
    return [
        SHARED_MEMORY + " " + has + ", " + SETTING + " wants " + show(parse_size(wanted)) + ": where it is full, DataLoader workers die "
        '(bus error, "No space left on device"). ' + _remedy(context, wanted) + " [LL1031]"
    ]  # fmt: skip


def show(size: int) -> str:
    """Bytes as text, in the largest unit of which there is one, with one decimal where it is not whole."""
    for name, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= unit:
            whole = size % unit == 0
            return (str(size // unit) if whole else str(round(size / unit, 1))) + " " + name
    return str(size) + " bytes"


def _remedy(context: str, wanted: str) -> str:
    if context == KUBERNETES:
        return "Mount an emptyDir with medium Memory on " + SHARED_MEMORY
    if context == STUDIO or context in JOBS:
        return "SageMaker gives more with a larger instance type; else use fewer workers (num_workers) or smaller batches"
    return "Start the container with --shm-size=" + wanted.lower().removesuffix("b").removesuffix("i")
