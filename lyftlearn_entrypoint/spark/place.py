"""What Spark's step has to know of the place where a start runs: asked once, before the plan, which gets it as plain data.

Nothing here is loaded by an image without Spark (boot.py looks for its JARs first).
"""

import posix

from lyftlearn_entrypoint import context as contexts
from lyftlearn_entrypoint.executor import spark_home
from lyftlearn_entrypoint.files import TEMPORARY
from lyftlearn_entrypoint.spark.resources import Resources, measure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.adapt.hosts import Hosts
    from lyftlearn_entrypoint.adapt.identity import User
    from lyftlearn_entrypoint.context import Context
    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.settings import Settings

# SageMaker developer guide, "How Amazon SageMaker Processing configures your processing container".
PROCESSING_HOSTS = "/opt/ml/config/resourceconfig.json"
# Kubernetes, "Accessing the Kubernetes API from a Pod".
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
# Where images/distributed has it, made of images/distributed/watch.
WATCH = "/opt/lyftlearn/spark/watch.jar"
# A file of this size is no configuration: Spark itself leaves out what makes a ConfigMap larger than 1.5 MB.
LARGEST = 1 << 20  # bytes
_REGULAR, _TYPE = 0o100000, 0o170000


class Place:
    """What is known of a start's place. '' and None stand for what is not known, or not asked where it does not matter."""

    __slots__ = (
        "account",
        "address",
        "api",
        "asks",
        "cloud",
        "directory",
        "hadoop",
        "home",
        "hosts",
        "labels",
        "namespace",
        "own",
        "pod",
        "python",
        "resources",
        "root",
        "watch",
    )

    def __init__(self, home: str, resources: Resources) -> None:
        self.home = home  # Spark's directory
        self.hadoop = ""  # version of its Hadoop client, such as 3.5.0
        self.cloud = False  # whether Spark's module for cloud storage is there
        self.resources = resources
        self.root = ""  # LYFTLEARN_ROOT: before the path of what is written
        self.directory = ""  # where the configuration is to be written; '' where nothing can be
        self.own: Callable[[str], dict[str, bytes] | None] = lambda directory: None  # files of a directory of the user's, by name
        self.python: Callable[[str], str] = lambda path: ""  # the interpreter that is found on a PATH
        self.hosts: Hosts | None = None  # a job's, where there are several
        self.address = ""  # this machine's, where those that it works with reach it
        self.asks: tuple[str, int] | None = None  # the route to whom gives the address, where a name has to be looked up first
        self.api = ""  # the API server, as a pod's variables name it
        self.pod = ""  # this pod's name
        self.namespace = ""
        self.account = False  # whether the pod may ask the API as a service account
        self.labels: dict[str, str] = {}  # who owns what a notebook starts
        self.watch = ""  # the Java agent that tells why a session has no executors; '' where the image has none


def look(context: "Context", settings: "Settings", environ: "dict[str, str]", files: "Files", user: "User") -> "Place | None":
    """The place of this start; None where the image has no Spark, or a start around this one did it all. Raises nothing."""
    home = spark_home(environ, files)
    if not home:
        return None
    directory = settings["spark_dir"] or _directory(user.uid, files)
    if directory and environ.get("SPARK_CONF_DIR") == files.real(directory) + "/conf" and files.is_dir(directory + "/conf"):
        return None
    place = Place(home, measure(files))
    place.root = files.root
    place.directory = directory
    place.hadoop, place.cloud = _jars(home)
    if files.stat(WATCH) is not None:
        place.watch = files.real(WATCH)
    place.own = _own
    place.python = _python
    if context.name in (contexts.TRAINING, contexts.PROCESSING):
        _look_at_hosts(place, context, files)
    elif context.name == contexts.KUBERNETES:
        _look_at_pod(place, environ, files)
    elif context.name == contexts.STUDIO:
        _look_at_studio(place, settings, files)
    return place


def _look_at_hosts(place: Place, context: "Context", files: "Files") -> None:
    from lyftlearn_entrypoint.adapt import hosts

    path = PROCESSING_HOSTS if context.name == contexts.PROCESSING else contexts.RESOURCE_CONFIG
    place.hosts = hosts.read(files, "auto", path=path)
    if place.hosts is not None and not place.hosts.problem:
        from lyftlearn_entrypoint.spark.address import of_interface, of_name

        place.address = of_interface(place.hosts.interface) or of_name(place.hosts.current)


def _look_at_pod(place: Place, environ: "dict[str, str]", files: "Files") -> None:
    place.account = files.stat(ACCOUNT + "/token") is not None
    if not place.account:
        return
    from lyftlearn_entrypoint.spark.address import route

    try:
        place.namespace = (files.read(ACCOUNT + "/namespace", 300) or b"").decode("ascii", "replace").strip()
    except OSError:
        pass
    # A pod's host name is its own name, cut to 63 characters, unless its spec says otherwise.
    place.pod = environ.get("POD_NAME") or environ.get("HOSTNAME", "")
    if len(place.pod) >= 63 and not environ.get("POD_NAME"):
        place.pod = ""
    # Each pod has these two (client-go, rest.InClusterConfig): right also where the cluster's DNS has another domain.
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "") or "443"
    place.api = "https://" + ("[" + host + "]" if ":" in host else host) + ":" + port
    place.address = environ.get("POD_IP") or route(host, int(port) if port.isdigit() else 443)


def _look_at_studio(place: Place, settings: "Settings", files: "Files") -> None:
    endpoint = settings["spark_eks_endpoint"]
    if not endpoint:
        return
    from lyftlearn_entrypoint.documents import NotJson, parse
    from lyftlearn_entrypoint.fetch.url import split

    url = split(endpoint)
    place.asks = (url.host, url.port)
    try:
        document = parse(files.read(contexts.RESOURCE_METADATA) or b"{}")
    except (OSError, NotJson):
        return
    if isinstance(document, dict):
        for label, key in (("owner", "UserProfileName"), ("space", "SpaceName"), ("domain", "DomainId")):
            value = label_value(document.get(key))
            if value:
                place.labels["lyftlearn-" + label] = value


def label_value(value: object) -> str:
    """A text as a label's value may be: at most 63 of letters, digits, `-`, `_` and `.`, of which the first and the last are letters or
    digits. Source: Kubernetes, "Labels and Selectors", syntax."""
    if not isinstance(value, str):
        return ""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in value[:63])
    return plain.strip("-_.")


def _directory(uid: int, files: "Files") -> str:
    """A directory of this user's in the first place for temporary files that is there. One that somebody else made beforehand is not
    taken."""
    for parent in TEMPORARY:
        path = parent + "/lyftlearn-spark-" + str(uid)
        try:
            found = posix.lstat(files.real(path))
        except OSError:
            if posix.access(files.real(parent), posix.W_OK | posix.X_OK):
                return path
            continue
        if found.st_uid in (uid, 0) and found.st_mode & _TYPE == 0o040000:
            return path
        return path + "-" + posix.urandom(4).hex()
    return ""


def _jars(home: str) -> "tuple[str, bool]":
    """By the names of its JARs: the version of Hadoop's client, and whether Spark's module for cloud storage is there."""
    version, cloud = "", False
    for name in _names(home + "/jars"):
        if name.startswith("hadoop-client-api-"):
            version = name[len("hadoop-client-api-") :].removesuffix(".jar")
        cloud = cloud or name.startswith("spark-hadoop-cloud_")
    return version, cloud


def _own(directory: str) -> "dict[str, bytes] | None":
    """The files of a configuration directory, without those in directories below; None where there is no such directory."""
    if directory.endswith("/jars/../conf"):  # beside the JARs, which may be a link into pip's package
        try:
            directory = posix.readlink(directory[: -len("/../conf")]).removesuffix("/jars") + "/conf"
        except OSError:
            return None
    found: dict[str, bytes] = {}
    names = _names(directory)
    for name in names:
        path = directory + "/" + name
        try:
            status = posix.stat(path)
            if name.startswith("..") or status.st_mode & _TYPE != _REGULAR or status.st_size > LARGEST:
                continue
            fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            continue
        try:
            data = b""
            while part := posix.read(fd, LARGEST):
                data += part
        finally:
            posix.close(fd)
        found[name] = data
    return found if names else None


def _python(path: str) -> str:
    for name in ("python3", "python"):
        for directory in path.split(":"):
            if directory.startswith("/") and posix.access(directory + "/" + name, posix.X_OK):
                return directory + "/" + name
    return ""


def _names(directory: str) -> "list[str]":
    try:
        return posix.listdir(directory)
    except OSError:
        return []
