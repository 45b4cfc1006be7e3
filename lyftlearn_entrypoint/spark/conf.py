"""Spark's settings for one start, as plain data. Pure: what has to be known of the machine is passed in.

The user's own settings come after ours in the file, and Java's Properties take the last (java.util.Properties.load), so they win.
What each setting is for, and what was measured without it: docs/spark.md.
"""

from lyftlearn_entrypoint.spark import sizing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.spark.resources import Resources

# A notebook's ports: the driver's own, and one for its blocks; each further session takes the next free ones (spark.port.maxRetries).
DRIVER_PORT = 38000
EXECUTOR_PORT = 7079  # Spark's own default for executors' blocks on Kubernetes (Constants.scala, DEFAULT_BLOCKMANAGER_PORT)

# A file of a notebook's configuration, which Spark sends to the session's ConfigMap with the others: whose it is and where its driver is,
# for `lyftlearn spark reap`.
MARKER = "lyftlearn-driver"

# The last lines of a notebook's spark-env.sh, which bin/spark-class reads before it becomes the JVM (bin/load-spark-env.sh). JupyterLab
# ends a stuck kernel, and a dead one within 3 s, by SIGKILL to its process group (jupyter_client, LocalProvisioner.kill), and a JVM in that
# group leaves its executors and their ConfigMap in the cluster. In a session of its own it sees that the kernel is gone, and cleans up.
# Only where Python started it: Ctrl-C in a terminal has to reach spark-submit. And not where it leads a group already: there setsid(1)
# forks, and whoever waits for it thinks that it ended.
_OUTLIVE = b"""
# From here on written by lyftlearn-entrypoint: docs/spark.md
if [ "$1" = org.apache.spark.deploy.SparkSubmit ] && [ "${!#}" = pyspark-shell ] && command -v setsid >/dev/null &&
    read -r _ _ _ _ lyftlearn_group _ </proc/$$/stat && [ "$lyftlearn_group" != $$ ]; then
    exec setsid "$0" "$@"
fi
"""

_QUIET = {"spark.ui.showConsoleProgress": "false"}  # progress bars are hundreds of lines in a job's log

# One value for the driver and its executors, since Spark ships the driver's: keys that a program sets by itself, then those of each
# place: variables, a pod's web identity, a profile, SageMaker's and EKS' container credentials, the instance's role.
_SDK_2 = (
    "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
    "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
    "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider",
    "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider",
    "software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider",  # S3A's own raises where there is no file
    "org.apache.hadoop.fs.s3a.auth.IAMInstanceCredentialsProvider",
)
# The AWS SDK 1 has a chain of its own in that order; its single providers raise NullPointerException where they have nothing.
_SDK_1 = (
    "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
    "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
    "com.amazonaws.auth.DefaultAWSCredentialsProviderChain",
)
# A rename in S3 is a copy, and no atomic one: the magic committer finishes uploads instead. Spark 4 takes it by itself where its module
# is there; said here for 3.5 too. (Hadoop, "Committing work to S3 with the S3A Committers"; Spark, "Integration with Cloud
# Infrastructures")
_COMMITTER = {
    "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
    "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
    "spark.hadoop.fs.s3a.committer.name": "magic",
    "spark.hadoop.fs.s3a.committer.magic.enabled": "true",
}
# Where keys are variables of the driver's, Spark copies them into what it sends to executors (SparkHadoopUtil.scala,
# appendS3CredentialsFromEnvironment). Settings come after that: these empty ones stay at home.
_KEYS_STAY = {
    "spark.hadoop.fs.s3a.access.key": "",
    "spark.hadoop.fs.s3a.secret.key": "",
    "spark.hadoop.fs.s3a.session.token": "",
}
# Executors in pods, wherever the driver is.
_EXECUTORS = {
    # From 4.3 on executors look for the driver at a pod's address unless told otherwise (SPARK-57351), also where there is no pod.
    "spark.kubernetes.executor.useDriverPodIP": "false",
    # A Python driver in client mode counts as a JVM one (0.10): Python workers were killed for memory.
    "spark.executor.memoryOverheadFactor": str(sizing.PYTHON_FACTOR),
    # Of a small executor that is too little for a JVM and a worker with pandas. (Since 4.0; 3.5 has 384 MiB, and no setting for it.)
    "spark.executor.minMemoryOverhead": sizing.text(2 * sizing.LEAST_OVERHEAD),
    **_KEYS_STAY,
}


def s3a(hadoop: str, cloud: bool) -> "dict[str, str]":
    """Reading and writing s3a:// with each one's own credentials. `hadoop` is the version of Spark's Hadoop client, `cloud` says whether
    Spark's module for cloud storage is there."""
    providers = _SDK_1 if hadoop.startswith("3.3.") else _SDK_2
    return {"spark.hadoop.fs.s3a.aws.credentials.provider": ",".join(providers), **(_COMMITTER if cloud else {})}


def statsd(gateway: "tuple[str, int] | None") -> "dict[str, str]":
    """Where Spark's own StatsD sink sends to, for whoever turns it on by its class (Spark, "Monitoring and Instrumentation", StatsdSink):
    without that no sink is made."""
    if gateway is None:
        return {}
    return {"spark.metrics.conf.*.sink.statsd.host": gateway[0], "spark.metrics.conf.*.sink.statsd.port": str(gateway[1])}


def local(resources: "Resources", alone: bool) -> "dict[str, str]":
    """The driver does all the work: a job on one host, a laptop. The JVM counts processors as resources.py does. `alone`: nobody else is to
    reach the driver, whatever this machine's own name means."""
    found = {"spark.master": "local[*]", "spark.driver.memory": sizing.text(sizing.local(resources.memory))}
    if alone:
        found.update({"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", **_QUIET})
    return found


def cluster(address: str, hosts: int, share: sizing.Share, alike: bool) -> "dict[str, str]":
    """The driver on the primary, at `address`, of a job with several hosts. `alike`: all hosts are of one kind, so the whole is known
    beforehand, and the first job waits until most of it is there (standalone does not wait without spark.cores.max)."""
    found = {
        "spark.master": "spark://" + address + ":7077",
        "spark.submit.deployMode": "client",
        "spark.driver.host": address,
        "spark.driver.memory": sizing.text(share.driver),
        "spark.executor.memory": sizing.text(share.executor),
        "spark.executor.cores": str(share.cores),
        **_KEYS_STAY,
        **_QUIET,
    }
    if alike:
        found["spark.cores.max"] = str(hosts * share.executors * share.cores)
        found["spark.scheduler.minRegisteredResourcesRatio"] = "0.8"
    return found


def authenticated(secret: str) -> "dict[str, str]":
    """Master, workers, driver and executors prove to each other that they know it, and encrypt. All of them read the same file; executors
    get it from their worker, in a variable (Spark, "Security"; CommandUtils.scala)."""
    return {"spark.authenticate": "true", "spark.authenticate.secret": secret, "spark.network.crypto.enabled": "true"}


class Executors:
    """What the platform says of executors in Kubernetes. '' leaves it to the user."""

    __slots__ = ("account", "image", "most", "namespace", "template")

    def __init__(self, image: str, namespace: str, account: str, template: str, most: str) -> None:
        self.image = image
        self.namespace = namespace
        self.account = account
        self.template = template
        self.most = most

    def settings(self) -> "dict[str, str]":
        found = {
            "spark.kubernetes.namespace": self.namespace,
            "spark.kubernetes.container.image": self.image,
            "spark.kubernetes.authenticate.executor.serviceAccountName": self.account,
            "spark.kubernetes.executor.podTemplateFile": self.template,
        }
        return {**{name: value for name, value in found.items() if value}, **_EXECUTORS}


def kubernetes(resources: "Resources", api: str, pod: str, address: str, executors: Executors) -> "dict[str, str]":
    """The driver in a pod, executors beside it in the same cluster. No credential is named: Spark's client finds the pod's service account,
    and reads its token again (fabric8, Config.autoConfigure)."""
    found = {
        "spark.master": "k8s://" + api,
        "spark.submit.deployMode": "client",
        "spark.driver.host": address,
        "spark.driver.bindAddress": address,
        "spark.driver.memory": sizing.text(sizing.driver(resources.memory)),
        # Named, so that executors belong to this pod and go with it (ownerReference).
        "spark.kubernetes.driver.pod.name": pod,
    }
    return {**{name: value for name, value in found.items() if value}, **executors.settings()}


def studio(
    resources: "Resources", endpoint: str, address: str, executors: Executors, labels: "dict[str, str]", region: str
) -> "dict[str, str]":
    """The driver in a notebook, executors in a cluster that reaches it on the ports from DRIVER_PORT on, and nowhere else."""
    found = {
        "spark.master": "k8s://" + endpoint,
        "spark.submit.deployMode": "client",
        "spark.driver.host": address,
        "spark.driver.bindAddress": "0.0.0.0",  # noqa: S104  the firewall in front of Studio opens the two ports alone
        "spark.driver.port": str(DRIVER_PORT),
        "spark.driver.blockManager.port": str(DRIVER_PORT + 1),
        "spark.blockManager.port": str(EXECUTOR_PORT),
        "spark.port.maxRetries": "16",
        "spark.driver.memory": sizing.text(sizing.driver(resources.memory)),
        **executors.settings(),
        # A notebook holds executors only while it uses them, and does not wait for the first.
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "0",
        "spark.dynamicAllocation.initialExecutors": "0",
        "spark.dynamicAllocation.maxExecutors": executors.most,
        "spark.dynamicAllocation.executorIdleTimeout": "120s",
        "spark.dynamicAllocation.cachedExecutorIdleTimeout": "30m",
        "spark.dynamicAllocation.shuffleTracking.timeout": "30m",
        "spark.scheduler.minRegisteredResourcesRatio": "0",
        # The traffic leaves the cluster. Spark makes a secret of its own for each session.
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        "spark.io.encryption.enabled": "true",
        # Results of tasks come by the driver's own port up to this size: nothing small needs a connection from here into the cluster.
        "spark.task.maxDirectResultSize": "100m",
        # A closed port is found out in half a minute instead of four (Spark's own: 120 s each).
        "spark.rpc.lookupTimeout": "15s",
        "spark.rpc.io.connectionCreationTimeout": "10s",
        "spark.executorEnv.LYFTLEARN_CONTEXT": "studio",
    }
    if region:
        found["spark.executorEnv.AWS_REGION"] = found["spark.executorEnv.AWS_DEFAULT_REGION"] = region
    for label, value in labels.items():
        found["spark.kubernetes.executor.label." + label] = value
    return found


def outlive(own: bytes) -> bytes:
    """spark-env.sh of a notebook with executors elsewhere: the user's own, then what lets its JVM end after its kernel."""
    return own + _OUTLIVE


def properties(settings: "dict[str, str]", own: bytes, own_from: str) -> bytes:
    """spark-defaults.conf: ours, then what the user's own file says, as it is."""
    lines = [
        "# Written by lyftlearn-entrypoint at each start, for the place of that start: docs/spark.md",
        *(name + " " + value.replace("\\", "\\\\") for name, value in settings.items()),
    ]
    if own:
        lines += ["", "# " + own_from + ", which wins:"]
    return "\n".join(lines).encode() + b"\n" + own


def forget(directory: str, name: str, value: str) -> None:
    """Take a setting of ours out of the configuration that was written there, since it turned out not to work."""
    line = (name + " " + value + "\n").encode()
    try:
        with open(directory + "/spark-defaults.conf", "rb+", 0) as file:
            content = file.read()
            if line in content:
                file.seek(0)
                file.write(content.replace(line, b"", 1))
                file.truncate()
    except OSError:
        pass
