"""Spark's settings for one start, as plain data. Pure: what has to be known of the machine is passed in.

The user's own settings come after ours in the file, and Java's Properties take the last (java.util.Properties.load), so they win.
What each setting is for, and what was measured without it: docs/spark.md.
"""

from lyftlearn_entrypoint.spark import sizing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.spark.resources import Resources

# Notebook ports: the driver's own, and one for its blocks; each further session takes the next free two (spark.port.maxRetries).
DRIVER_PORT = 38000
SESSIONS = 16
EXECUTOR_PORT = 7079  # Spark's own default for executors' blocks on Kubernetes (Constants.scala, DEFAULT_BLOCKMANAGER_PORT)

_QUIET = {"spark.ui.showConsoleProgress": "false"}  # progress bars are hundreds of lines in a job's log


def local(resources: "Resources") -> "dict[str, str]":
    """The driver does all the work: a job on one host, a laptop."""
    return {
        "spark.master": "local[" + str(resources.cpus) + "]",
        "spark.driver.memory": sizing.text(sizing.local(resources.memory)),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        **_QUIET,
    }


def cluster(primary: str, address: str, hosts: int, share: sizing.Share, alike: bool) -> "dict[str, str]":
    """The driver on the primary of a job with several hosts. `alike`: all hosts are of one kind, so the whole is known beforehand, and
    the first job waits until most of it is there (standalone does not wait without spark.cores.max)."""
    found = {
        "spark.master": "spark://" + primary + ":7077",
        "spark.submit.deployMode": "client",
        "spark.driver.host": address,
        "spark.driver.memory": sizing.text(share.driver),
        "spark.executor.memory": sizing.text(share.executor),
        "spark.executor.cores": str(share.cores),
        **_QUIET,
    }
    if alike:
        found["spark.cores.max"] = str(hosts * share.executors * share.cores)
        found["spark.scheduler.minRegisteredResourcesRatio"] = "0.8"
    return found


def kubernetes(resources: "Resources", pod: str, address: str, namespace: str, image: str, account: str) -> "dict[str, str]":
    """The driver in a pod, executors beside it in the same cluster. '' leaves a setting to the user."""
    found = {
        "spark.master": "k8s://https://kubernetes.default.svc",
        "spark.submit.deployMode": "client",
        "spark.driver.host": address,
        "spark.driver.bindAddress": address,
        "spark.driver.memory": sizing.text(sizing.driver(resources.memory)),
        # Named, so that executors belong to this pod and go with it (ownerReference).
        "spark.kubernetes.driver.pod.name": pod,
        "spark.kubernetes.namespace": namespace,
        "spark.kubernetes.container.image": image,
        "spark.kubernetes.authenticate.executor.serviceAccountName": account,
        **_EXECUTORS,
    }
    return {name: value for name, value in found.items() if value}


# Executors in pods, wherever the driver is.
_EXECUTORS = {
    # From 4.3 on executors look for the driver at a pod's address unless told otherwise (SPARK-57351), also where there is no pod.
    "spark.kubernetes.executor.useDriverPodIP": "false",
    # A Python driver in client mode counts as a JVM one (0.10): Python workers were killed for memory.
    "spark.executor.memoryOverheadFactor": str(sizing.PYTHON_FACTOR),
}
