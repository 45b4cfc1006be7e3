"""The plan of a standalone cluster across a job's hosts, and how its keeper is started. What a keeper does: cluster.py, which the start
path never imports: it runs in a Python of its own."""

import posix
import sys

from lyftlearn_entrypoint.command import Command
from lyftlearn_entrypoint.errors import Unavailable
from lyftlearn_entrypoint.spark import conf, sizing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.launch import Launch
    from lyftlearn_entrypoint.settings import Settings
    from lyftlearn_entrypoint.spark.place import Place

_CODE = "import sys; sys.path.append(sys.argv[1]); from lyftlearn_entrypoint.spark.cluster import main; sys.exit(main(sys.argv[2:]))"


def keep(launch: "Launch", settings: "Settings", place: "Place") -> "dict[str, str]":
    """Spark's settings for this host's driver. The launch gets its keeper: beside the program on the primary, instead of it elsewhere."""
    assert place.hosts is not None
    names = place.hosts.names
    primary = names[0]  # sorted as text, as SageMaker gives them: algo-10 comes before algo-2
    drives = place.hosts.current == primary
    resources = place.resources
    share = sizing.share(resources.cpus, resources.memory, drives)
    from lyftlearn_entrypoint.documents import dump

    host = dump(
        {
            "home": place.home,
            "address": place.address,
            "primary": place.address if drives else primary,
            "cores": share.executors * share.cores,
            "memory": share.offered,
            "directory": place.root + place.directory + "/cluster",
            "others": len(names) - 1,
            "patience": float(settings["spark_wait"]),
            "offer": [share.executors, share.cores, share.offered, share.left],
            "defaults": place.root + place.directory + "/conf/spark-defaults.conf",
        }
    )
    if drives:
        launch.keeper = command("primary", host)
    else:
        launch.command = Command([*command("worker", host), "0"], "spark: " + primary + " drives")
        launch.notes.append("spark: " + primary + " runs the program; this host, " + place.hosts.current + ", works for it")
    return conf.cluster(place.address if drives else primary, len(names), share, len(place.hosts.groups) < 2)


def command(role: str, host: str) -> "list[str]":
    """The words that start a keeper with this Python, without the user's environment for Python, but for the program's process id."""
    package = __file__.rpartition("/")[0].rpartition("/")[0].rpartition("/")[0]
    return [sys.executable, "-ISXutf8", "-c", _CODE, package, role, host]


def start(words: "list[str]", env: "dict[str, str]") -> None:
    """Start the keeper beside this process, which will be the program, and wait until its cluster takes work. Raises Unavailable (69)."""
    import _signal

    block = {name.encode("utf-8", "surrogateescape"): value.encode("utf-8", "surrogateescape") for name, value in env.items()}
    child = posix.posix_spawn(words[0], [*words, str(posix.getpid())], block, setsigdef=[_signal.SIGPIPE, _signal.SIGTERM, _signal.SIGINT])
    _, status = posix.waitpid(child, 0)
    if status != 0:
        raise Unavailable(
            "Spark's cluster did not start on this host (the line before says why)",
            "Look for another program on port 7077 or 7070, or set LYFTLEARN_SPARK_MASTER=local",
            finding="LL0902",
        )
