"""One size for the executors of a job's hosts, once they have said what they have: Spark's standalone master knows one size for each
application, and hosts differ: the primary drives too, and instance groups are of several types.

The keeper on the primary does this before the program starts; without it executors have the size that fits the primary best.
"""

from pathlib import Path

from lyftlearn_entrypoint.spark import sizing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

OTHERS = ", which wins:"  # after this line of the file comes the user's own (conf.properties)


def agree(offers: "Sequence[Sequence[int]]") -> "dict[str, str]":
    """Spark's settings for hosts that offer (executors, cores of each, bytes for heaps, bytes in all); none where nothing fits."""
    shares = [sizing.Share(executors * cores, 0, executors, cores, 0, offered, left) for executors, cores, offered, left in offers]
    cores, heap, number = sizing.common(shares)
    if not number:
        return {}
    return {
        "spark.executor.cores": str(cores),
        "spark.executor.memory": sizing.text(heap),
        "spark.cores.max": str(number * cores),
        "spark.scheduler.minRegisteredResourcesRatio": "0.8",
    }


def settle(path: Path, settings: "dict[str, str]") -> bool:
    """Put these into our part of spark-defaults.conf, before the user's own. Returns whether anything changed. Raises OSError."""
    lines = path.read_text(errors="surrogateescape").splitlines(keepends=True)
    border = next((number for number, line in enumerate(lines) if line.startswith("# ") and line.rstrip().endswith(OTHERS)), len(lines))
    ours = [line for line in lines[:border] if line.partition(" ")[0] not in settings]
    made = [f"{name} {value}\n" for name, value in settings.items()]
    changed = not set(made) <= set(lines[:border])
    if changed:
        path.write_text("".join([*ours[:1], *made, *ours[1:], *lines[border:]]), errors="surrogateescape")
    return changed
