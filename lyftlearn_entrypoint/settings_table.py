"""The one table of settings. The start path, `lyftlearn settings` and docs/settings.md all read it, so none can disagree.

A row is (name, kind, default, step, meaning). `name` is the key in platform.yaml; the variable is LYFTLEARN_ + upper case.
`kind` is a reader in settings.py. `step` is the step that the setting belongs to: where that step ran, the user's program
does not see the variable. '' marks a setting of the whole start, which stays.
"""

PREFIX = "LYFTLEARN_"

STEPS = ("credentials", "environment", "hyperparameters", "statsd", "spark", "user", "model", "code")

TABLE: "tuple[tuple[str, str, str, str, str], ...]" = (
    ("context", "context", "", "",
     "Forces the context: one of `sagemaker-training`, `sagemaker-processing`, `sagemaker-transform`, `sagemaker-endpoint`, "
     "`studio`, `kubernetes`, `local`. The program always sees the context under this name."),
    ("steps", "steps", "", "",
     "The steps to take, a comma list of `credentials`, `environment`, `hyperparameters`, `statsd`, `spark`, `user`, `model`, `code`; "
     "`none` for nothing. Without it the context decides (docs/contexts.md)."),
    ("root", "root", "", "",
     "Prefix for every absolute path that the entrypoint itself reads or writes, those in settings included (not the command, "
     "not PATH, not HOME, and not the files that AWS_* variables name): development without root."),
    ("train_command", "words", "", "",
     "What `train` runs: split as a shell splits words, never run by a shell; further arguments are appended."),
    ("serve_command", "words", "", "",
     "What `serve` runs, likewise."),
    ("command", "words", "", "",
     "What runs when there are no arguments, outside Studio."),
    ("confidant_url", "url", "", "credentials",
     "Confidant server, `https://host[:port][/path]`. Without it no credentials are fetched."),
    ("confidant_service", "text", "", "credentials",
     "Confidant service id; also the token's `from`."),
    ("confidant_auth_key", "text", "", "credentials",
     "KMS key for the token: id, ARN or `alias/NAME`."),
    ("confidant_auth_context", "text", "", "credentials",
     "The token's `to`: the server's AUTH_CONTEXT."),
    ("credentials_prefix", "text", "CREDENTIALS_", "credentials",
     "Prefix of the variables; a credential's own `env_var_prefix` wins."),
    ("credentials_dir", "path", "", "credentials",
     "Also write the credentials as files here, in the layout of a Kubernetes Secret volume, mode 0400."),
    ("env_uri", "s3", "", "environment",
     "Staged environment, `s3://bucket/key`, optionally `?versionId=V` and `#sha256=HEX`."),
    ("env_keep", "names", "", "environment",
     "Names, separated by commas, whose present value wins over a fetched one; `*` for all."),
    ("hyperparameters_uri", "s3", "", "hyperparameters",
     "Staged hyperparameters, like LYFTLEARN_ENV_URI."),
    ("hyperparameters_dir", "path", "", "hyperparameters",
     "Old ConfigMap mount path: one file per hyperparameter, in a ConfigMap volume's layout."),
    ("statsd_gateway", "address", "", "statsd",
     "Metrics gateway, `host:port`."),
    ("statsd_relay", "relay", "auto", "statsd",
     "Relay on 127.0.0.1:8125: `auto` (in jobs and in Studio), `on` (wherever the step is taken) or `off`."),
    ("statsd_socket", "path", "", "statsd",
     "Unix datagram socket on which the relay listens too."),
    ("statsd_tags", "tags", "dogstatsd", "statsd",
     "How the gateway reads tags, for the metrics of the relay and of the start: `dogstatsd`, `influx`, or `name` (none: the "
     "context ends the name)."),
    ("spark_master", "master", "auto", "spark",
     "Where Spark works: `auto` (in EKS from Studio, across a job's hosts, in the cluster from a pod, else here), or `local`: here "
     "alone."),
    ("spark_dir", "path", "", "spark",
     "Directory of Spark's generated configuration, outside the user's home; by default one of the user's own in `/tmp`."),
    ("spark_image", "text", "", "spark",
     "Image of executors in Kubernetes: this very image, by its digest (`registry/name@sha256:...`). Without it a pod's driver and a "
     "notebook's work alone."),
    ("spark_namespace", "text", "", "spark",
     "Namespace of executors; by default a pod's own, and `default` from Studio."),
    ("spark_service_account", "text", "", "spark",
     "Service account of executors, with their role for S3."),
    ("spark_executors", "count", "10", "spark",
     "The most executors that a notebook's session scales to."),
    ("spark_pod_template", "path", "", "spark",
     "Pod template of executors, a file in the image: node selectors, tolerations, security contexts."),
    ("spark_eks_cluster", "text", "", "spark",
     "Name of the EKS cluster that notebooks in Studio use."),
    ("spark_eks_endpoint", "url", "", "spark",
     "Its API server, `https://...`, as DescribeCluster gives it."),
    ("spark_eks_ca", "text", "", "spark",
     "Its certificate authority in base64, as DescribeCluster gives it."),
    ("spark_eks_region", "text", "", "spark",
     "Its region; by default AWS_REGION."),
    ("spark_connect", "connect", "", "spark",
     "`sc://host:port` of a Spark Connect server for notebooks that executors cannot reach; there is no `sparkContext` then."),
    ("spark_wait", "seconds", "600", "spark",
     "Seconds until a host of a job gives up on a primary that never came."),
    ("spark_secret", "text", "", "spark",
     "Name of a variable, such as a credential's, with a secret that a job's hosts have in common: with it the cluster of several hosts "
     "authenticates, and encrypts what its hosts say to each other."),
    ("spark_patience", "seconds", "120", "spark",
     "Seconds until a Spark job that no executor works for fails with the reason. More where the cluster has to make nodes first; what "
     "no waiting helps (a closed port, a refusal, an image that is not there) is found out after 45 all the same."),
    ("user", "user", "", "user",
     "Who runs the program in a job: `name`, `uid` or `uid:gid`."),
    ("model_uri", "model", "", "model",
     "The model that a job begins with, `s3://bucket/key#sha256=HEX`, of any size: fetched before the program starts, and kept in a warm "
     "pool (docs/warm-pools.md)."),
    ("model_dir", "path", "/opt/ml/input/data/model", "model",
     "Directory of that model's file. The program finds its path in LYFTLEARN_MODEL_FILE."),
    ("warm_code_key", "text", "", "code",
     "Variable of a credential, such as `CREDENTIALS_WARM_POOL`, whose value proves which compiled code in a warm pool is this team's. "
     "Without it none is kept (docs/warm-pools.md)."),
    ("image_digest", "digest", "", "code",
     "Digest of the image that runs, `sha256:HEX`, as the job's request names it: compiled code is kept for this image alone."),
    ("warm_cache_size", "size", "", "",
     "The most that is kept in a warm pool, such as `50G`; without it half of what is free there. A twentieth of its file system, at "
     "most 4 GiB, stays free."),
    ("torch_hosts", "switch", "off", "",
     "Whether a training job tells torch of its hosts, with a PyTorchJob's variables: `auto` where it has several, `on`, `off`; the "
     "image `dl` has `auto` (docs/deep-learning.md)."),
    ("shared_memory_min", "size", "", "",
     "Warn at start where `/dev/shm` is smaller, such as `512M`; the image `dl` has `1G` (docs/deep-learning.md)."),
    ("snapshot", "destination", "", "snapshot",
     "Take a snapshot of what the program will see right before it runs, and write it there: a path, `file:///path` or "
     "`s3://bucket/key` (docs/parity.md)."),
    ("snapshot_key", "key", "", "snapshot",
     "The key of the snapshot's hashes, at least 32 characters (`openssl rand -hex 32`). Without one, values are left out."),
    ("snapshot_key_file", "path", "", "snapshot",
     "A file that holds the key instead."),
    ("snapshot_paths", "names", "", "snapshot",
     "More directories whose files are listed, with commas between them: a path, or `NAME=path` to list it by that name; a pod's "
     "`hyperparameters=/etc/hyperparameters` is compared with a job's LYFTLEARN_HYPERPARAMETERS_DIR, `credentials=` likewise."),
    ("snapshot_image", "text", "", "snapshot",
     "The image's digest, where the caller knows it: a container is not told."),
    ("deadline", "seconds", "60", "",
     "Seconds for everything before exec, all tries included."),
    ("log", "log", "text", "",
     "Form of the log lines on stderr: `text` or `json`."),
    ("log_level", "level", "", "",
     "`debug`, `info`, `warning` or `error`. By default `info`, and `warning` for a notebook kernel."),
    ("trace", "path", "", "",
     "File for a Chrome trace of the start (`lyftlearn trace` draws it, Perfetto opens it)."),
)  # fmt: skip

NAMES = tuple(row[0] for row in TABLE)
# Given to the program, never read as a setting.
OUTPUTS = ("hyperparameters_file", "model_file")
# `lyftlearn local` has variables of its own, which are no settings either.
LOCAL = "local_"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def nearest(word: str, known: "tuple[str, ...]") -> str:
    """The known name that `word` most likely means, or '' when none is near (edit distance at most a third of its length).

    Written out since difflib costs 6 ms and this runs on the start path, when something is already wrong.
    """
    word = word.lower().removeprefix("lyftlearn_")
    best, best_distance = "", max(2, len(word) // 3) + 1
    for candidate in known:
        row = list(range(len(candidate) + 1))
        for i, a in enumerate(word, 1):
            diagonal, row[0] = row[0], i
            for j, b in enumerate(candidate, 1):
                diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
        if row[-1] < best_distance:
            best, best_distance = candidate, row[-1]
    return best
