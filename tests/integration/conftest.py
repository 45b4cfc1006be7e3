"""How the integration tests start the entrypoint: as a process, by the launcher, with an environment of which every byte is known."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import lyftlearn_entrypoint

CHECKOUT = Path(__file__).parents[2]
NOBODY = 65534  # a uid and gid that is neither root's nor ours
PATH = "/usr/local/bin:/usr/bin:/bin"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:training-job/night-shift"
Words = list[str | bytes]
Need = Callable[[object, str], None]


class Starter:
    """Starts the entrypoint. `words` is the command line before the ARGs; `environ` is what a start gets unless a test adds to it.

    HOME is a directory that can be written, and USER and LOGNAME are set, so that nothing has to be made usable: what the program
    then sees beyond `environ` is LYFTLEARN_CONTEXT alone.
    """

    def __init__(self, words: list[str], root: Path) -> None:
        self.words = words
        self.root = root
        home = root / "home"
        home.mkdir(exist_ok=True)
        self.environ: dict[str, str] = {"PATH": PATH, "HOME": str(home), "USER": "author", "LOGNAME": "author"}

    def training(self) -> None:
        """Make the context of all starts a SageMaker training job, below LYFTLEARN_ROOT. No credentials, no network."""
        config = self.root / "opt/ml/input/config"
        config.mkdir(parents=True, exist_ok=True)
        for name in ("model", "output", "input/data"):
            (self.root / "opt/ml" / name).mkdir(exist_ok=True)
        (config / "resourceconfig.json").write_text('{"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}')
        self.environ |= {
            "LYFTLEARN_ROOT": str(self.root),
            "TRAINING_JOB_NAME": "night-shift",
            "TRAINING_JOB_ARN": ARN,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def channel(self, environment: str, hyperparameters: str) -> None:
        """The input channel `lyftlearn`: both staged documents, as SageMaker itself downloads them."""
        channel = self.root / "opt/ml/input/data/lyftlearn"
        channel.mkdir(parents=True)
        (channel / "environment.json").write_text(environment)
        (channel / "hyperparameters.json").write_text(hyperparameters)

    def popen(
        self, *argv: str | bytes, before: Words | None = None, env: Mapping[Any, Any] | None = None, **how: Any
    ) -> "subprocess.Popen[bytes]":
        """Start with these ARGs; `before` are words in front of the command line (unshare, tini), `env` is added to `environ`."""
        how.setdefault("stdin", subprocess.DEVNULL)
        how.setdefault("stdout", subprocess.PIPE)
        how.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([*(before or []), *self.words, *argv], env={**self.environ, **(env or {})}, **how)

    def run(
        self, *argv: str | bytes, data: bytes | None = None, before: Words | None = None, env: Mapping[Any, Any] | None = None, **how: Any
    ) -> "subprocess.CompletedProcess[bytes]":
        """As popen, until it ends (120 s at most). `data` goes to stdin."""
        if data is not None:
            how["stdin"] = subprocess.PIPE
        with self.popen(*argv, before=before, env=env, **how) as process:
            try:
                out, err = process.communicate(data, timeout=120)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def direct(self, *argv: str | bytes, **how: Any) -> "subprocess.CompletedProcess[bytes]":
        """The same program in the same environment without us: what a start has to equal."""
        words, self.words = self.words, []
        try:
            return self.run(*argv, **how)
        finally:
            self.words = words


@pytest.fixture(scope="session")
def launcher() -> str:
    """The installed script beside this Python, else that of the checkout."""
    installed = Path(sys.executable).parent / "lyftlearn-entrypoint"
    return str(installed if installed.exists() else CHECKOUT / "bin" / "lyftlearn-entrypoint")


@pytest.fixture
def starter(launcher: str, tmp_path: Path) -> Starter:
    return Starter([sys.executable, "-I", "-S", "-X", "utf8", launcher], tmp_path)


@pytest.fixture
def root(need: Need) -> None:
    need(os.geteuid() == 0, "only root can start a process as another user")


@pytest.fixture(scope="session")
def open_python() -> str:
    """A Python that any user can run, '' where there is none: this one may lie below a home directory that nobody else can enter."""
    found = [os.path.realpath(sys.executable), *(f"/usr/bin/python3.{minor}" for minor in (13, 12, 11, 10)), "/usr/bin/python3"]
    check = "import sys; sys.exit(sys.version_info < (3, 10))"
    for python in found:
        try:
            done = subprocess.run(
                [python, "-I", "-S", "-c", check], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return ""


@pytest.fixture
def open_starter(root: None, need: Need, open_python: str, launcher: str) -> Iterator[Starter]:
    """A Starter that every user can run, in the layout of the image, with everything below a directory that every user can enter."""
    need(open_python, "no Python 3.10 or newer that another user can run")
    directory = Path(tempfile.mkdtemp(prefix="lyftlearn-test-"))
    try:
        directory.chmod(0o755)
        skip = shutil.ignore_patterns("__pycache__", "start.*")
        shutil.copytree(Path(lyftlearn_entrypoint.__file__).parent, directory / "lib/lyftlearn_entrypoint", ignore=skip)
        (directory / "bin").mkdir()
        shutil.copy(launcher, directory / "bin/lyftlearn-entrypoint")
        for name, mode in (("tmp", 0o1777), ("dev", 0o755)):
            (directory / name).mkdir()
            (directory / name).chmod(mode)
        yield Starter([open_python, "-I", "-S", "-X", "utf8", str(directory / "bin/lyftlearn-entrypoint")], directory)
    finally:
        shutil.rmtree(directory)


def _first_process() -> list[str]:
    words = ["unshare", "--pid", "--fork", "--mount-proc"]
    if os.geteuid() != 0:
        words[1:1] = ["--user", "--map-root-user"]
    try:
        return words if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0 else []
    except OSError:
        return []


@pytest.fixture
def first_process(need: Need) -> Words:
    """The words that make what follows them PID 1 of a namespace of its own."""
    words = _first_process()
    need(words, "this machine gives no PID namespace (unshare --pid)")
    return list(words)
