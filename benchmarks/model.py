"""A model of 1 GiB into a job: seconds, processor time and memory, beside a plain boto3 download in the same run.

    python benchmarks/model.py [--size MIB] [--rounds N] [--tls] [--json]

Each is a process of its own, from its start to its end: a start of the entrypoint that fetches the model and ends in /bin/true; the same
in a warm pool, which keeps it; the next job's, which copies it from there; boto3's download_file, without and with a SHA-256 afterwards.
The object comes over loopback (servers/objects.py), by TLS where asked. Round robin; medians. Memory is the most that was resident.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from benchmarks.start import interpreter, launcher  # noqa: E402

TRUE = "/bin/true"


def object_of(path: Path, mebibytes: int) -> str:
    """Write a file that does not compress; its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(mebibytes):
            data = os.urandom(1 << 20)
            digest.update(data)
            file.write(data)
    return digest.hexdigest()


def certificate(directory: Path) -> Path:
    """A self-signed one for 127.0.0.1, with its key, as openssl makes it."""
    key, made, both = directory / "key.pem", directory / "certificate.pem", directory / "both.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=benchmark", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(words, check=True, capture_output=True)
    both.write_bytes(made.read_bytes() + key.read_bytes())
    return both


def run(words: list[str], environ: dict[str, str]) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and MB that were resident at most."""
    began = time.perf_counter()
    pid = os.posix_spawn(words[0], words, environ)
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"benchmark: ended with {os.waitstatus_to_exitcode(status)}: {' '.join(words)}")
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def measure(directory: Path, size: int, rounds: int, tls: bool) -> dict[str, list[float]]:
    digest = object_of(directory / "object", size)
    own = [str(certificate(directory))] if tls else []
    with subprocess.Popen(
        [sys.executable, "-I", str(HERE / "servers/objects.py"), str(directory / "object"), *own], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        try:
            return _measure(directory, f"{'https' if tls else 'http'}://127.0.0.1:{port}", digest, rounds)
        finally:
            server.kill()


def _measure(directory: Path, url: str, digest: str, rounds: int) -> dict[str, list[float]]:
    root, pool = directory / "root", directory / "root/pool"
    (root / "opt/ml/input/config").mkdir(parents=True)
    (root / "opt/ml/input/config/resourceconfig.json").write_text("{}")
    keys = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_REGION": "us-east-1", "PATH": "/usr/bin:/bin"}
    if url.startswith("https"):
        keys["AWS_CA_BUNDLE"] = str(directory / "certificate.pem")
    job = {
        **keys,
        "HOME": "/",
        "LYFTLEARN_ROOT": str(root),
        "LYFTLEARN_LOG_LEVEL": "warning",
        "LYFTLEARN_DEADLINE": "600",
        "TRAINING_JOB_NAME": "benchmark",
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/benchmark",
        "AWS_ENDPOINT_URL": url,
        "LYFTLEARN_MODEL_URI": f"s3://bucket/model.bin#sha256={digest}",
    }
    warm = {**job, "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": "/pool"}
    start = [interpreter(launcher()), "-I", "-S", "-X", "utf8", launcher(), TRUE]
    boto3 = [sys.executable, str(HERE / "rivals/boto3_model.py"), url, str(directory / "boto3.bin")]
    commands = {
        "entrypoint, from S3": (start, job),
        "entrypoint, from S3, and kept": (start, warm),
        "entrypoint, from the warm pool": (start, warm),
        "boto3": (boto3, keys),
        "boto3, and sha256": ([*boto3, "digest"], keys),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for _ in range(rounds):
        shutil.rmtree(pool, ignore_errors=True)
        pool.mkdir()
        for name, (words, environ) in commands.items():
            shutil.rmtree(root / "opt/ml/input/data", ignore_errors=True)
            (directory / "boto3.bin").unlink(missing_ok=True)
            os.sync()  # what one wrote must not slow the next
            found[name].append(run(words, environ))
    return {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="MiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="lyftlearn-benchmark-"))
    try:
        found = measure(directory, options.size, options.rounds, options.tls)
    finally:
        shutil.rmtree(directory)
    if options.as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"{'':32}{'seconds':>9}{'MiB/s':>8}{'CPU s':>8}{'MB':>7}")
    for name, (seconds, cpu, memory) in found.items():
        print(f"{name:32}{seconds:9.2f}{options.size / seconds:8.0f}{cpu:8.2f}{memory:7.1f}")


if __name__ == "__main__":
    main()
