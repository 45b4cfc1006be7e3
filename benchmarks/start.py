"""From process start to exec, as ratios over `python3 -I -S -c pass` in the same run.

    python benchmarks/start.py [--rounds N] [--json]

The commands run round robin, so that a machine that slows down slows all of them; each is started by posix_spawn and ends in
/bin/true, whose own time (spawn, exec and wait) is taken off, of the yardstick too. Medians.
A pod's start has nothing to do; a SageMaker job's asks for container
credentials, makes a Confidant token with KMS, gets the service's credentials, 150 variables and 140 hyperparameters, all over
HTTP from servers/loopback.py. The rivals do the job's work with the libraries that it is usually written with; confidant-client lives
in a virtual environment of its own, made on first use.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLIENT = "confidant-client==2.7.1"
TARGETS = {"pod": 1.2, "job": 6.0}
TRUE = "/bin/true"


def launcher() -> str:
    """The installed launcher, with the interpreter that its first line names."""
    installed = Path(sysconfig.get_path("scripts"), "lyftlearn-entrypoint")
    return str(installed if installed.exists() else HERE.parent / "bin" / "lyftlearn-entrypoint")


def interpreter(path: str) -> str:
    """The interpreter of a script's first line; ours where it is not yet written (a checkout)."""
    first = Path(path).read_text(encoding="utf-8").partition("\n")[0]
    words = first[2:].split()
    return words[0] if words and words[0].startswith("/") else os.path.realpath(sys.executable)


def prepare(directory: Path, port: int) -> dict[str, str]:
    """The job's tree and variables."""
    objects = {
        "environment.json": {f"VARIABLE_{number}": "value " * 8 for number in range(150)},
        "hyperparameters.json": {f"hyperparameter_{number}": number / 7 for number in range(140)},
        "service.json": {
            "id": "benchmark",
            "credentials": [
                {"id": f"c{n}", "name": f"n{n}", "enabled": True, "metadata": {}, "credential_pairs": {f"key_{n}": "value " * 8}}
                for n in range(10)
            ],
            "blind_credentials": [],
        },
    }
    config = directory / "root/opt/ml/input/config"
    config.mkdir(parents=True)
    (config / "resourceconfig.json").write_text("{}")
    uris = {}
    for name, value in objects.items():
        data = json.dumps(value).encode()
        (directory / name).write_bytes(data)
        uris[name] = f"s3://bucket/{name}#sha256={hashlib.sha256(data).hexdigest()}"
    url = f"http://127.0.0.1:{port}"
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": os.environ.get("HOME", "/"),
        "USER": "user",
        "LOGNAME": "user",
        "LYFTLEARN_ROOT": str(directory / "root"),
        "LYFTLEARN_LOG_LEVEL": "warning",
        "TRAINING_JOB_NAME": "benchmark",
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/benchmark",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "LYFTLEARN_STATSD_GATEWAY": f"localhost:{port}",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": url + "/v2/credentials/x",
        "LYFTLEARN_CONFIDANT_URL": url,
        "LYFTLEARN_CONFIDANT_SERVICE": "benchmark",
        "LYFTLEARN_CONFIDANT_AUTH_KEY": "alias/auth",
        "LYFTLEARN_CONFIDANT_AUTH_CONTEXT": "confidant",
        "LYFTLEARN_ENV_URI": uris["environment.json"],
        "LYFTLEARN_HYPERPARAMETERS_URI": uris["hyperparameters.json"],
    }


def client_python() -> str | None:
    """A Python with confidant-client, made on first use; None, with the reason said, where it cannot be had."""
    tag = hashlib.sha256((CLIENT + sys.version).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lyftlearn" / f"benchmark-{tag}"
    python = cache / "bin" / "python"
    if not (cache / "done").exists():
        print(f"benchmark: making a virtual environment with {CLIENT} ...", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache)], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([str(python), "-m", "pip", "install", "-q", CLIENT, "setuptools<81"], check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"benchmark: without confidant-client: {error}", file=sys.stderr)
            return None
        (cache / "done").touch()
    return str(python)


def measure(commands: dict[str, tuple[list[str], dict[str, str]]], rounds: int) -> dict[str, list[float]]:
    """Seconds from spawn to the end of each command, round robin. A command that fails ends the benchmark."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, (argv, env) in commands.items():
            began = time.perf_counter()
            pid = os.posix_spawn(argv[0], argv, env)
            _, status = os.waitpid(pid, 0)
            took = time.perf_counter() - began
            if status != 0:
                raise SystemExit(f"benchmark: {name} ended with {os.waitstatus_to_exitcode(status)}: {' '.join(argv)}")
            if number:  # the first round warms caches up
                times[name].append(took)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    start = launcher()
    python = interpreter(start)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server = subprocess.Popen([sys.executable, str(HERE / "servers" / "loopback.py"), name], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            job = prepare(directory, int(server.stdout.readline()))
            pod = {key: job[key] for key in ("PATH", "HOME")} | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
            entry = [python, "-ISXutf8", start, TRUE]
            commands = {
                "python3 -I -S -c pass": ([python, "-I", "-S", "-c", "pass"], pod),
                "true": ([TRUE], pod),
                "pod": (entry, pod),
                "job": (entry, job),
                "job, traced": (entry, job | {"LYFTLEARN_TRACE": "/trace.json"}),
                "boto3 + requests": ([sys.executable, str(HERE / "rivals/with_boto3_requests.py"), TRUE], job),
            }
            client = client_python()
            if client:
                commands["confidant-client + boto3"] = ([client, str(HERE / "rivals/with_confidant_client.py"), TRUE], job)
            times = measure(commands, options.rounds)
        finally:
            server.kill()
            server.wait()
    report({name: statistics.median(values) for name, values in times.items()}, times, options.json)


def report(medians: dict[str, float], times: dict[str, list[float]], as_json: bool) -> None:
    floor = medians["python3 -I -S -c pass"] - medians["true"]
    rows = []
    for name, median in medians.items():
        if name == "true":
            continue
        own = median - medians["true"]
        rows.append(
            {"name": name, "milliseconds": round(own * 1000, 2), "least": round(min(times[name]) * 1000, 2), "ratio": round(own / floor, 2)}
        )
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'':28} {'ms, median':>10} {'ratio':>7}  {'to reach':>8}")
    for row in rows:
        target = TARGETS.get(str(row["name"]))
        print(f"{row['name']:28} {row['milliseconds']:>10} {row['ratio']:>7}  {target or '':>8}")


if __name__ == "__main__":
    main()
