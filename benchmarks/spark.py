"""From a container's start to Spark's first result, with the entrypoint and as plain pyspark without it, in the same run.

    python benchmarks/spark.py [--rounds N] [--image TAG] [--json]

Each round starts one container of each kind, one after the other, so that a machine that slows down slows both; medians. `plain` runs
the interpreter itself as the container's first process, with nothing of ours; `job` is a training job on one host, `pod` a pod without
a service account. `local[2]` and two processors everywhere, and the same program: a session, a Python UDF's sum, the end.

aws/sagemaker-spark-container is not among them: it starts HDFS and YARN of Amazon EMR's packages, which only its image in Amazon ECR has.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

PROGRAM = (
    "from pyspark.sql import SparkSession, functions as f; s = SparkSession.builder.master('local[2]').getOrCreate(); "
    "print(s.range(1000).select(f.udf(lambda n: n + 1, 'long')('id').alias('n')).agg(f.sum('n')).first()[0])"
)
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/benchmark"
KINDS = {
    "plain": (["--entrypoint", "/opt/venv/bin/python"], []),
    "job": (["-e", "TRAINING_JOB_NAME=benchmark", "-e", "TRAINING_JOB_ARN=" + ARN], ["python"]),
    "pod": (["-e", "KUBERNETES_SERVICE_HOST=10.0.0.1"], ["python"]),
}
TARGET = 1.05


def seconds(image: str, kind: str) -> float:
    """How long one container takes until it has ended well."""
    options, words = KINDS[kind]
    command = ["docker", "run", "--rm", "--network", "none", "--cpus", "2", *options, image, *words, "-c", PROGRAM]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or done.stdout.split() != ["500500"]:
        sys.exit(f"{kind}: {done.stdout}{done.stderr}")
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--image", default="lyftlearn-distributed")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(given.rounds):
        for kind, times in taken.items():
            times.append(seconds(given.image, kind))
    medians = {kind: statistics.median(times) for kind, times in taken.items()}
    ratios = {kind: medians[kind] / medians["plain"] for kind in KINDS}
    if given.json:
        print(json.dumps({"rounds": given.rounds, "seconds": medians, "ratios": ratios, "target": TARGET}))
        return
    for kind in KINDS:
        print(f"{kind:6} {medians[kind]:6.2f} s  {ratios[kind]:5.2f}   (least {min(taken[kind]):.2f}, most {max(taken[kind]):.2f})")


if __name__ == "__main__":
    main()
