"""The step `spark` of a plan: which Spark a start gets, as plain data. Pure, as the plan is."""

from lyftlearn_entrypoint import context as contexts
from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.launch import Volume
from lyftlearn_entrypoint.spark import conf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.adapt.environment import Environment
    from lyftlearn_entrypoint.context import Context
    from lyftlearn_entrypoint.launch import Launch
    from lyftlearn_entrypoint.settings import Settings
    from lyftlearn_entrypoint.spark.place import Place

ORIGIN = "spark"
DEFAULTS = "spark-defaults.conf"
_SHORTEST = 16  # characters of a secret
LOCAL, CLUSTER, POD, EKS, CONNECT = "local", "cluster", "pod", "eks", "connect"


def mode(context: "Context", settings: "Settings", place: "Place", warnings: "list[str]") -> str:
    """Where Spark works."""
    if settings["spark_master"] == "local":
        return LOCAL
    if context.name == contexts.STUDIO:
        if settings["spark_connect"]:
            return CONNECT
        return EKS if _eks(settings, place, warnings) else LOCAL
    if context.name == contexts.KUBERNETES:
        return POD if place.account and place.address and settings["spark_image"] else LOCAL
    hosts = place.hosts
    if hosts is None:
        return LOCAL
    problem = hosts.problem
    if not problem and not place.address:
        problem = "the address of this host, " + hosts.current + ", is not known"
    if problem:
        warnings.append("spark: " + problem + ": each host works alone [LL0908]")
        return LOCAL
    if settings["torch_hosts"] != "off":
        return LOCAL  # a program that is meant for every host, and finds its peers by itself
    return CLUSTER


def _eks(settings: "Settings", place: "Place", warnings: "list[str]") -> bool:
    needed = ("spark_eks_endpoint", "spark_eks_cluster", "spark_image")
    absent = ["LYFTLEARN_" + name.upper() for name in needed if not settings[name]]
    if len(absent) == len(needed):
        return False
    if absent:
        warnings.append("spark: not set: " + ", ".join(absent) + ": Spark works in this notebook's own container [LL0905]")
        return False
    if not place.address:
        warnings.append(
            "spark: there is no route to " + settings["spark_eks_endpoint"] + ", or its name does not resolve: Spark works in this "
            "notebook's own container. Check DNS and the route from this subnet, and start the application again [LL0907]"
        )  # fmt: skip
        return False
    if "sha256:" not in settings["spark_image"]:
        warnings.append(
            settings.place("spark_image")
            + " has no digest: executors may get another image than this one. Pin it as name@sha256:... [LL0906]"
        )
    return True


def carry(
    launch: "Launch",
    environment: "Environment",
    settings: "Settings",
    context: "Context",
    place: "Place",
    gateway: "tuple[str, int] | None" = None,
) -> None:
    """Add Spark's part to a launch: variables, the configuration, and the keeper of a cluster. `gateway`: that of metrics.

    Raises BadSettings (78) for a secret that is not there.
    """
    chosen = mode(context, settings, place, launch.warnings)
    quiet = context.name in (contexts.KUBERNETES, contexts.LOCAL)
    if not place.directory:
        if not quiet:
            launch.warnings.append("spark: there is no place for its configuration: name one with LYFTLEARN_SPARK_DIR [LL0911]")
        return
    found = {**conf.s3a(place.hadoop, place.cloud), **conf.statsd(gateway)}
    if chosen == CLUSTER:
        from lyftlearn_entrypoint.spark.keeper import keep

        found.update(keep(launch, settings, place))
    elif chosen in (POD, EKS):
        found.update(_in_kubernetes(chosen, launch, environment, settings, place))
        if place.watch:  # which sees executors that come to nothing; Spark's own limit ends a notebook after its 20th lost executor
            found["spark.executor.maxNumFailures"] = "1000"
    else:
        found.update(conf.local(place.resources, not quiet))
    if launch.code is not None and launch.code.ivy:
        from lyftlearn_entrypoint.warm.code import IVY

        found[IVY] = launch.code.ivy
    directory = place.directory + "/conf"
    real = place.root + directory
    secret = _secret(environment, settings, place) if chosen == CLUSTER and settings["spark_secret"] else ""
    files = _merged({**found, **conf.authenticated(secret)} if secret else found, environment, place, real)
    if chosen == EKS:
        files["spark-env.sh"] = conf.outlive(files.get("spark-env.sh", b""))
        files[conf.MARKER] = ("driver " + place.address + "\nowner " + place.labels.get("lyftlearn-owner", "") + "\n").encode()
    launch.volumes.append(Volume("spark", directory, files, 0o600 if secret else 0o644, memory=False))
    if launch.switch:
        launch.owned.append(place.directory)
    # The user's own directory is part of it: what the variable said is merged, not lost.
    environment.force("SPARK_CONF_DIR", real, ORIGIN)
    python = _interpreter(launch, environment, place)
    if python:
        environment.fill("PYSPARK_PYTHON", python, ORIGIN)
        environment.fill("PYSPARK_DRIVER_PYTHON", python, ORIGIN)
    if place.watch and chosen in (CLUSTER, POD, EKS) and not (chosen == CLUSTER and not launch.keeper):
        _watched(environment, settings, place)
    if chosen == CONNECT:
        environment.fill("SPARK_REMOTE", settings["spark_connect"], ORIGIN)
        launch.notes.append(
            "spark: Spark Connect at " + settings["spark_connect"] + ": sessions work as ever, but there is no sparkContext (no RDDs, no "
            "addPyFile of its own), and .master() is refused"
        )  # fmt: skip
    launch.spark = {"mode": chosen, "settings": found}
    if not quiet and chosen != CONNECT and not (chosen == CLUSTER and not launch.keeper):
        launch.notes.append("spark: " + _summary(chosen, found, place))


def _summary(chosen: str, found: "dict[str, str]", place: "Place") -> str:
    driver = found.get("spark.driver.memory", "")
    if chosen == LOCAL:
        return "here alone, local[*] with " + str(place.resources.cpus) + " processors, driver " + driver
    if chosen == CLUSTER and place.hosts is not None:
        return (
            str(len(place.hosts.names))
            + " hosts, executors of "
            + found["spark.executor.cores"]
            + " cores and "
            + found["spark.executor.memory"]
        )
    return found["spark.master"] + ", driver at " + found["spark.driver.host"] + " with " + driver


def _merged(found: "dict[str, str]", environment: "Environment", place: "Place", real: str) -> "dict[str, bytes]":
    """The files of the configuration: the user's own directory, with our settings before theirs."""
    given = environment.variables.get("SPARK_CONF_DIR", "")
    home = environment.variables.get("SPARK_HOME", "") or place.home
    own: dict[str, bytes] | None = None
    origin = ""
    for origin in (given,) if given and given != real else (home + "/conf", home + "/jars/../conf"):
        own = place.own(origin)
        if own:
            break
    own = dict(own or {})
    theirs = own.get(DEFAULTS, b"")
    if "core-site.xml" in own:  # it may hold keys, which are the user's to ship
        found = {name: value for name, value in found.items() if value}
    own[DEFAULTS] = conf.properties(found, theirs, origin + "/" + DEFAULTS)
    return own


def _interpreter(launch: "Launch", environment: "Environment", place: "Place") -> str:
    """The Python that runs the user's program where that is known, else the one that is found on its PATH."""
    first = launch.command.argv[0]
    if first.startswith("/") and first.rpartition("/")[2].startswith("python"):
        return first
    return place.python(environment.variables.get("PATH", ""))


def _secret(environment: "Environment", settings: "Settings", place: "Place") -> str:
    """The secret of this job's cluster: made of one that its hosts have in common and of what tells this job from others."""
    from lyftlearn_entrypoint.fetch.sigv4 import hmac_sha256

    name = settings["spark_secret"]
    value = environment.variables.get(name, "")
    if len(value) < _SHORTEST:
        raise BadSettings(
            settings.place("spark_secret") + ": the variable " + name + (" is not set" if not value else " is shorter than 16 characters"),
            "Name a credential that every host of the job gets, with a long random value",
            finding="LL0912",
        )
    job = environment.variables.get("TRAINING_JOB_ARN", "") + "\n" + " ".join(place.hosts.names if place.hosts else [])
    return hmac_sha256(value.encode("utf-8", "surrogateescape"), job.encode("utf-8", "surrogateescape")).hex()


def _watched(environment: "Environment", settings: "Settings", place: "Place") -> None:
    """Have the driver's JVM watched. spark-submit gives it what this variable says, the user's own words too; and no setting of Spark's
    that a user may replace is needed (SparkSubmitCommandBuilder.java)."""
    program = place.watch.removesuffix("/spark/watch.jar") + "/bin/lyftlearn"
    agent = "-javaagent:" + place.watch + "=" + str(max(int(float(settings["spark_patience"])), 1)) + ":" + program
    given = environment.variables.get("SPARK_SUBMIT_OPTS", "")
    environment.force("SPARK_SUBMIT_OPTS", (given + " " + agent).strip(), ORIGIN)


def _in_kubernetes(chosen: str, launch: "Launch", environment: "Environment", settings: "Settings", place: "Place") -> "dict[str, str]":
    namespace = settings["spark_namespace"] or place.namespace or "default"
    executors = conf.Executors(
        settings["spark_image"], namespace, settings["spark_service_account"], settings["spark_pod_template"], settings["spark_executors"]
    )
    if chosen == POD:
        return conf.kubernetes(place.resources, place.api, place.pod, place.address, executors)
    from lyftlearn_entrypoint.spark import eks

    region = environment.variables.get("AWS_REGION") or environment.variables.get("AWS_DEFAULT_REGION", "")
    cluster = settings["spark_eks_cluster"]
    words = eks.command(cluster, settings["spark_eks_region"] or region)
    config = eks.kubeconfig(settings["spark_eks_endpoint"], settings["spark_eks_ca"], words)
    # Not beside the configuration, which Spark sends to the cluster.
    directory = place.directory + "/kube"
    launch.volumes.append(Volume("spark", directory, {"config": config.encode()}, 0o600, memory=False))
    if "KUBECONFIG" in environment.variables:
        launch.notes.append("spark: KUBECONFIG stays as it is: it has to name a user for " + settings["spark_eks_endpoint"])
    environment.fill("KUBECONFIG", place.root + directory + "/config", ORIGIN)
    return conf.studio(place.resources, settings["spark_eks_endpoint"], place.address, executors, place.labels, region)
