"""Compiled code from one job of a warm pool to the next, with the key from a real Confidant."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.job import Ended, Job, operator

pytest_plugins = ["tests.integration.platform_fixture"]

POOL = "/opt/ml/sagemaker/warmpoolcache"
DIGEST = "sha256:" + "a" * 64
KEY = "kept-by-confidant-and-nobody-else-0123456789"
Service = Callable[..., dict[str, str]]
# A program that compiles something, unless it finds it compiled.
COMPILES = """
import os
path = os.path.join(os.environ["TRITON_CACHE_DIR"], "ab", "kernel.so")
print("found" if os.path.exists(path) else "compiled")
os.makedirs(os.path.dirname(path), exist_ok=True)
if not os.path.exists(path):
    open(path, "w").write("machine code")
"""


def job_of(job: Job, settings: dict[str, str], **more: "str | None") -> Ended:
    """A job with a container of its own, but for the pool."""
    job.path(POOL).mkdir(parents=True, exist_ok=True)
    job.path("/tmp").mkdir(exist_ok=True)
    for path in job.path("/tmp").glob("lyftlearn-code-*"):
        shutil.rmtree(path)
    given = {
        "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": POOL,
        "LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_POOL_KEY",
        "LYFTLEARN_IMAGE_DIGEST": DIGEST,
        **settings,
        **more,
    }
    return job.start(sys.executable, "-I", "-c", COMPILES, **given)


def packs(job: Job) -> "list[Path]":
    return list(job.path(POOL).glob("lyftlearn/code/*/pack"))


def saved(job: Job, count: int = 1) -> "list[Path]":
    """The packs in the pool, waited for: the saver writes after the program has ended."""
    end = time.monotonic() + 60
    while len(packs(job)) < count:
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    return packs(job)


def test_the_second_job_finds_what_the_first_compiled(job: Job, service: Service) -> None:
    settings = service({"pool_key": KEY})
    first = job_of(job, settings)
    assert (first.code, first.out) == (0, "compiled\n"), first.err
    (pack,) = saved(job)
    second = job_of(job, settings)
    assert second.out == "found\n"
    assert "code: 1 files, " in second.err
    assert pack.stat().st_mode & 0o077 == 0
    for path in job.path(POOL).rglob("*"):
        assert KEY not in str(path)
        assert path.is_dir() or KEY.encode() not in path.read_bytes()
    assert KEY not in first.err + second.err


def test_another_image_another_team_or_another_user_finds_nothing(job: Job, service: Service) -> None:
    settings = service({"pool_key": KEY})
    job_of(job, settings)
    saved(job)
    assert job_of(job, settings, LYFTLEARN_IMAGE_DIGEST="sha256:" + "b" * 64).out == "compiled\n"
    saved(job, 2)
    assert job_of(job, service({"pool_key": KEY[::-1]})).out == "compiled\n"
    assert job_of(job, settings).out == "found\n"


def test_what_another_team_puts_under_our_name_is_one_warning_and_replaced(job: Job, service: Service) -> None:
    ours, theirs = service({"pool_key": KEY}), service({"pool_key": KEY[::-1]})
    job_of(job, ours)
    (mine,) = saved(job)
    job_of(job, theirs)
    (other,) = set(saved(job, 2)) - {mine}
    mine.unlink()
    shutil.copy(other, mine)
    ended = job_of(job, ours)
    assert ended.out == "compiled\n"
    warnings = [line for line in ended.err.splitlines() if "warning" in line]
    assert len(warnings) == 1
    assert "written with another key" in warnings[0]
    end = time.monotonic() + 60
    while job_of(job, ours).out != "found\n":
        assert time.monotonic() < end


def _half(pack: Path) -> None:
    pack.write_bytes(pack.read_bytes()[:-1])


def _link(pack: Path) -> None:
    pack.rename(pack.with_name("moved"))
    pack.symlink_to("moved")


def _pipe(pack: Path) -> None:
    pack.unlink()
    os.mkfifo(pack)


def _directory(pack: Path) -> None:
    pack.unlink()
    (pack / "deep").mkdir(parents=True)


def _huge(pack: Path) -> None:
    os.truncate(pack, 1 << 42)


@pytest.mark.parametrize("attack", [_half, _link, _pipe, _directory, _huge])
def test_a_pack_that_is_none(job: Job, service: Service, attack: "Callable[[Path], None]") -> None:
    settings = service({"pool_key": KEY})
    job_of(job, settings)
    (pack,) = saved(job)
    attack(pack)
    ended = job_of(job, settings)
    assert ended.out == "compiled\n"
    assert len([line for line in ended.err.splitlines() if "warning" in line]) == 1, ended.err
    end = time.monotonic() + 60
    while not (pack.is_file() and not pack.is_symlink() and pack.stat().st_size < 1 << 20 and job_of(job, settings).out == "found\n"):
        assert time.monotonic() < end, ended.err


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"LYFTLEARN_WARM_CODE_KEY": None}, "LYFTLEARN_WARM_CODE_KEY names no credential"),
        ({"LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_OTHER"}, "no credential gives the variable CREDENTIALS_OTHER"),
        ({"LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_SHORT"}, "shorter than 32 characters"),
        ({"LYFTLEARN_WARM_CODE_KEY": "PLAIN", "PLAIN": "x" * 40}, "no credential gives the variable PLAIN"),
        ({"LYFTLEARN_IMAGE_DIGEST": None}, "LYFTLEARN_IMAGE_DIGEST"),
    ],
)
def test_without_a_key_or_an_image_nothing_is_kept_and_one_debug_line_says_so(
    job: Job, service: Service, change: "dict[str, str | None]", why: str
) -> None:
    settings = service({"pool_key": KEY, "short": "k" * 31})
    ended = job_of(job, settings, LYFTLEARN_LOG_LEVEL="debug", TRITON_CACHE_DIR=str(job.root / "own"), **change)
    assert ended.out == "compiled\n"
    lines = [line for line in ended.err.splitlines() if "not kept in the warm pool" in line]
    assert len(lines) == 1, ended.err
    assert why in lines[0]
    assert lines[0].startswith("lyftlearn-entrypoint: debug: ")
    assert list(job.path(POOL).iterdir()) == []
    assert not list(job.path("/tmp").glob("lyftlearn-code-*"))


def test_the_users_own_variables_win(job: Job, service: Service) -> None:
    own = str(job.root / "own")
    ended = job_of(job, service({"pool_key": KEY}), TRITON_CACHE_DIR=own)
    assert ended.out == "compiled\n"
    assert (job.root / "own/ab/kernel.so").exists()
    no_process_left(job)
    assert packs(job) == []


def test_a_pool_that_cannot_be_used_leaves_the_caches_where_they_were(job: Job, service: Service) -> None:
    settings = service({"pool_key": KEY})
    own = {"SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": "/nowhere"}
    program = "import os; print([name for name in os.environ if 'CACHE_DIR' in name or 'CODE_DIR' in name])"
    given = {"LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_POOL_KEY", "LYFTLEARN_IMAGE_DIGEST": DIGEST, **settings}
    ended = job.start(sys.executable, "-I", "-c", program, **given, **own)
    assert ended.out == "['SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY']\n"
    assert len([line for line in ended.err.splitlines() if "warning: code: " in line]) == 1
    # And likewise where the program's own directory is somebody else's.
    job.path(POOL).mkdir(parents=True)
    job.path("/tmp").mkdir()
    job.path(f"/tmp/lyftlearn-code-{os.geteuid()}").mkdir(mode=0o777)
    job.path(f"/tmp/lyftlearn-code-{os.geteuid()}").chmod(0o777)
    ended = job.start(sys.executable, "-I", "-c", program, **given, SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY=POOL)
    assert ended.out == "['SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY']\n"
    assert "others can write it" in ended.err


def test_sparks_packages_are_kept_too(job: Job, service: Service) -> None:
    """Where the program's own directory is another's, Spark has them where it always had."""
    job.path("/opt/spark/jars").mkdir(parents=True)
    (job.path("/opt/spark/jars") / "hadoop-client-api-3.4.2.jar").touch()
    settings = service({"pool_key": KEY})
    conf = job.path(f"/tmp/lyftlearn-spark-{os.geteuid()}/conf/spark-defaults.conf")
    job_of(job, settings)
    ivy = f"spark.jars.ivy {job.root}/tmp/lyftlearn-code-{os.geteuid()}/ivy\n"
    with_it = conf.read_text()
    assert ivy in with_it
    job.path(f"/tmp/lyftlearn-code-{os.geteuid()}").chmod(0o777)
    given = {"LYFTLEARN_WARM_CODE_KEY": "CREDENTIALS_POOL_KEY", "LYFTLEARN_IMAGE_DIGEST": DIGEST, **settings}
    ended = job.start("true", **given, SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY=POOL)
    assert "others can write it" in ended.err
    assert conf.read_text() == with_it.replace(ivy, "")
    job.start("true", **settings)
    assert conf.read_text() == with_it.replace(ivy, "")


def test_the_saver_ends_with_a_start_that_fails(job: Job, service: Service) -> None:
    settings = service({"pool_key": KEY})
    ended = job_of(job, settings, LYFTLEARN_ENV_URI="s3://no-such-bucket-here/key")
    assert ended.code == 66
    no_process_left(job)


def no_process_left(job: Job) -> None:
    """Wait until the saver, which sees this container's variables, has ended."""
    end = time.monotonic() + 60
    while str(job.root).encode() in b"".join(_environ(process) for process in os.listdir("/proc") if process.isdigit()):
        assert time.monotonic() < end, "a process is left"
        time.sleep(0.1)


def _environ(process: str) -> bytes:
    try:
        return Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return b""


def test_plan_says_it(job: Job, service: Service) -> None:
    job.path(POOL).mkdir(parents=True)
    given = {"SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": POOL, "LYFTLEARN_IMAGE_DIGEST": DIGEST, **service({"pool_key": KEY})}
    ended = job.run(operator("plan", "--", "true"), LYFTLEARN_WARM_CODE_KEY="CREDENTIALS_POOL_KEY", **given)
    assert f"keeps      {job.root}/tmp/lyftlearn-code-{os.geteuid()} in the warm pool" in ended.out
    assert "keeps      no compiled code: LYFTLEARN_WARM_CODE_KEY names" in job.run(operator("plan", "--", "true"), **given).out
    assert list(job.path(POOL).iterdir()) == []


def test_a_document_does_not_say_where_root_writes(job: Job, service: Service) -> None:
    """The pool is the start's own variable's: a staged one of that name is the program's alone."""
    elsewhere = job.path("/elsewhere")
    elsewhere.mkdir()
    job.channel(environment={"SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY": "/elsewhere"})
    job_of(job, service({"pool_key": KEY}))
    assert saved(job)
    assert list(elsewhere.iterdir()) == []
