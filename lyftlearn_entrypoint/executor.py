"""`executor`, as the only argument in an image with Spark: become a Spark executor.

Spark's driver makes pods whose only argument is that word, and says all else in variables. Nothing is looked at before: no context, no
setting, no document. Whoever wants something fetched for its executors passes it with spark.executorEnv or a volume.

The contract is that of Spark's own images, in 3.5 and 4.x alike (resource-managers/kubernetes/docker, entrypoint.sh; the driver's side is
BasicExecutorFeatureStep.scala). On purpose otherwise here:
- The heap starts small instead of at its full size (-Xms): Python's workers share the pod's memory. spark.executor.extraJavaOptions may
  set it.
- The executor keeps the working directory only where it can write there, and else takes one of SPARK_LOCAL_DIRS: Spark puts the files of
  addFile and addPyFile there.
- HADOOP_HOME is not asked for a class path: who adds Hadoop to an image sets SPARK_DIST_CLASSPATH.
"""

import posix

from lyftlearn_entrypoint.adapt.identity import home_variables
from lyftlearn_entrypoint.errors import BadSettings, CommandNotExecutable, CommandNotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.files import Files
    from lyftlearn_entrypoint.launch import Host
    from lyftlearn_entrypoint.process import Process

SPARK = "/opt/spark"  # where images/distributed has it, as Spark's own images do
BACKEND = "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
OPTION = "SPARK_JAVA_OPT_"

# Option of the backend, variable, and whether it can be left out. Both lines of Spark have the same.
ARGUMENTS = (
    ("--driver-url", "SPARK_DRIVER_URL", True),
    ("--executor-id", "SPARK_EXECUTOR_ID", True),
    ("--cores", "SPARK_EXECUTOR_CORES", True),
    ("--app-id", "SPARK_APPLICATION_ID", True),
    ("--hostname", "SPARK_EXECUTOR_POD_IP", True),
    ("--resourceProfileId", "SPARK_RESOURCE_PROFILE_ID", False),
    ("--podName", "SPARK_EXECUTOR_POD_NAME", False),
)
MEMORY = "SPARK_EXECUTOR_MEMORY"


class Executor:
    """What will be exec'd: `words` after the name of java, `env`, the `directory` it works in, and a HOME to make ('' for none)."""

    __slots__ = ("directory", "env", "make_home", "words")

    def __init__(self, words: "list[str]", env: "dict[str, str]", directory: str, make_home: str) -> None:
        self.words = words
        self.env = env
        self.directory = directory
        self.make_home = make_home


def spark_home(environ: "dict[str, str]", files: "Files") -> str:
    """Where the image has Spark, '' where it has none. A SPARK_HOME that is not there, a driver's say, is passed over."""
    given = environ.get("SPARK_HOME", "").rstrip("/")
    if given and files.is_dir(given + "/jars"):
        return files.real(given)
    return files.real(SPARK) if files.is_dir(SPARK + "/jars") else ""


def plan(environ: "dict[str, str]", home: str, host: "Host", directory: str) -> Executor:
    """The executor of these variables, with Spark in `home`, started in `directory` ('' where it is gone). Pure.

    Raises BadSettings (78) that names each variable that the driver should have set.
    """
    missing = [name for _, name, needed in ARGUMENTS if needed and not environ.get(name)]
    if not environ.get(MEMORY):
        missing.append(MEMORY)
    if missing:
        raise BadSettings(
            "executor: not set: " + ", ".join(missing),
            "Spark's driver sets them in the pods that it makes. To run a program of that name, give its path",
            finding="LL0111",
        )
    env = dict(environ)
    env["SPARK_HOME"] = home
    env.setdefault("LYFTLEARN_CONTEXT", "kubernetes")
    if env.get("AWS_REGION"):
        env.setdefault("AWS_DEFAULT_REGION", env["AWS_REGION"])
    changes, make = home_variables(env, host.user, host.writable, host.fallback_home, host.switched_from)
    env.update(changes)
    place = working_directory(environ, directory, host.writable)
    if "PWD" in env and place:
        env["PWD"] = place
    words = [*java_options(environ), "-Xmx" + environ[MEMORY], "-cp", class_path(environ, home, place), BACKEND]
    for option, name, _ in ARGUMENTS:
        if environ.get(name):
            words += [option, environ[name]]
    return Executor(words, env, place if place != directory else "", host.fallback_home if make else "")


def java_options(environ: "dict[str, str]") -> "list[str]":
    """The values of SPARK_JAVA_OPT_0, _1, ... by their numbers: 10 comes after 9. A name without one comes first, as with `sort -n`."""
    found = []
    for name, value in environ.items():
        if name.startswith(OPTION):
            number = name[len(OPTION) :]
            found.append((int(number) if number.isascii() and number.isdigit() else 0, name, value))
    return [value for _, _, value in sorted(found)]


def class_path(environ: "dict[str, str]", home: str, directory: str) -> str:
    """Java's class path. What is empty is left out: an empty part would mean the working directory."""
    parts = (
        environ.get("SPARK_CONF_DIR") or home + "/conf",
        environ.get("HADOOP_CONF_DIR"),
        environ.get("SPARK_CLASSPATH"),
        home + "/jars/*",
        environ.get("SPARK_EXTRA_CLASSPATH"),
        directory,
        environ.get("SPARK_DIST_CLASSPATH"),
    )
    return ":".join(part for part in parts if part)


def working_directory(environ: "dict[str, str]", directory: str, writable: "Callable[[str], bool]") -> str:
    """The first that can be written of where the start is, SPARK_LOCAL_DIRS and /tmp; else where it is."""
    for place in (directory, *environ.get("SPARK_LOCAL_DIRS", "").split(","), "/tmp"):
        if place and writable(place):
            return place
    return directory


def run(process: "Process", files: "Files") -> None:
    """Become the executor. Returns where the image has no Spark: then `executor` is a command like any other.

    Raises BadSettings (78), and CommandNotFound (127) or CommandNotExecutable (126) for Java.
    """
    home = spark_home(process.environ, files)
    if not home:
        return
    try:
        directory = posix.getcwd()
    except OSError:
        directory = ""
    _, host = process.host("", "", files)
    executor = plan(process.environ, home, host, directory)
    java = _java(process)
    if executor.make_home:
        try:
            posix.mkdir(executor.make_home, 0o700)
        except OSError:
            pass  # an earlier start's, or no place can be written at all: the executor may not need one
    if executor.directory:
        posix.chdir(executor.directory)
    process.execute([java, *executor.words], java, executor.env)


def _java(process: "Process") -> str:
    """JAVA_HOME's, else the first on PATH."""
    given = process.environ.get("JAVA_HOME", "")
    if given:
        try:
            return process.locate(given.rstrip("/") + "/bin/java", None, None)
        except (CommandNotFound, CommandNotExecutable):
            pass
    return process.locate("java", process.environ.get("PATH"), None)
