"""`executor` as the only argument: Spark's contract of variables, a pure plan, and a real start with a Java that says what it was given."""

import json
import os
import random
import subprocess
import sysconfig
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from lyftlearn_entrypoint.errors import BadSettings
from lyftlearn_entrypoint.executor import BACKEND, Executor, class_path, java_options, plan, spark_home, working_directory
from lyftlearn_entrypoint.launch import Host
from tests.unit.helpers import refused, tree, user

if TYPE_CHECKING:
    from collections.abc import Callable

# What a driver of Spark 4.3 gives to an executor's container, but for names of its own application.
POD = MappingProxyType(
    {
        "SPARK_USER": "worker",
        "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.99.0.1:38000",
        "SPARK_EXECUTOR_CORES": "2",
        "SPARK_EXECUTOR_MEMORY": "512m",
        "SPARK_APPLICATION_ID": "spark-0123456789abcdef",
        "SPARK_CONF_DIR": "/opt/spark/conf",
        "SPARK_EXECUTOR_ID": "7",
        "SPARK_RESOURCE_PROFILE_ID": "3",
        "SPARK_JAVA_OPT_1": "-Dspark.driver.port=38000",
        "SPARK_JAVA_OPT_0": "-Dspark.app.name=night shift",
        "SPARK_EXECUTOR_POD_IP": "10.99.0.2",
        "SPARK_EXECUTOR_POD_NAME": "night-shift-exec-7",
        "SPARK_LOCAL_DIRS": "/var/data/spark-1,/var/data/spark-2",
        "HOME": "/home/worker",
        "USER": "worker",
        "LOGNAME": "worker",
    }
)
ARGUMENTS = [
    *("--driver-url", "spark://CoarseGrainedScheduler@10.99.0.1:38000"),
    *("--executor-id", "7"),
    *("--cores", "2"),
    *("--app-id", "spark-0123456789abcdef"),
    *("--hostname", "10.99.0.2"),
    *("--resourceProfileId", "3"),
    *("--podName", "night-shift-exec-7"),
]


def planned(
    environ: "dict[str, str] | None" = None,
    without: "tuple[str, ...]" = (),
    writable: "Callable[[str], bool]" = lambda path: True,
    directory: str = "/work",
) -> Executor:
    given = {name: value for name, value in {**POD, **(environ or {})}.items() if name not in without}
    return plan(given, "/opt/spark", Host(user(), writable, "/tmp/home-1000", None), directory)


def test_the_words_of_a_pod() -> None:
    assert planned().words == [
        "-Dspark.app.name=night shift",
        "-Dspark.driver.port=38000",
        "-Xmx512m",
        "-cp",
        "/opt/spark/conf:/opt/spark/jars/*:/work",
        BACKEND,
        *ARGUMENTS,
    ]


def test_what_an_older_driver_does_not_say_is_left_out() -> None:
    """An option without its value would swallow the next one."""
    words = planned({"SPARK_EXECUTOR_POD_NAME": ""}, without=("SPARK_RESOURCE_PROFILE_ID",)).words
    assert words[words.index(BACKEND) + 1 :] == ARGUMENTS[:-4]


NEEDED = [
    "SPARK_DRIVER_URL",
    "SPARK_EXECUTOR_ID",
    "SPARK_EXECUTOR_CORES",
    "SPARK_APPLICATION_ID",
    "SPARK_EXECUTOR_POD_IP",
    "SPARK_EXECUTOR_MEMORY",
]


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("empty", [True, False], ids=["empty", "unset"])
def test_what_cannot_be_left_out(name: str, empty: bool) -> None:
    error = refused(BadSettings, lambda: planned({name: ""} if empty else {}, without=() if empty else (name,)))
    assert error.what == f"executor: not set: {name}"


def test_a_word_typed_by_hand_is_told_everything_at_once() -> None:
    error = refused(BadSettings, lambda: planned(without=tuple(POD)))
    assert [name for name in NEEDED if name not in error.what] == []
    assert "Spark's driver" in error.remedy


def test_options_come_by_number_whatever_their_order() -> None:
    names = [f"SPARK_JAVA_OPT_{number}" for number in range(123)]
    random.Random(7).shuffle(names)
    assert java_options({name: "-D" + name[15:] for name in names}) == [f"-D{number}" for number in range(123)]


def test_an_option_is_one_word_whatever_it_holds() -> None:
    """Spark's own image reads them as lines."""
    environ = {"SPARK_JAVA_OPT_0": "-Da=one two\n three", "SPARK_JAVA_OPT_1": "", "SPARK_JAVA_OPT_x": "-Dfirst", "SPARK_JAVA_OPTS": "-Dno"}
    assert java_options(environ) == ["-Da=one two\n three", "-Dfirst", ""]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/s/conf:/s/jars/*:/work"),
        ({"SPARK_CONF_DIR": "/c"}, "/c:/s/jars/*:/work"),
        ({"SPARK_CONF_DIR": "/c", "HADOOP_CONF_DIR": "/h"}, "/c:/h:/s/jars/*:/work"),
        ({"SPARK_CLASSPATH": "/mine/*"}, "/s/conf:/mine/*:/s/jars/*:/work"),
        ({"SPARK_EXTRA_CLASSPATH": "/x.jar"}, "/s/conf:/s/jars/*:/x.jar:/work"),
        ({"SPARK_DIST_CLASSPATH": "/hadoop/*"}, "/s/conf:/s/jars/*:/work:/hadoop/*"),
        (dict.fromkeys(("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "SPARK_CLASSPATH", "SPARK_DIST_CLASSPATH"), ""), "/s/conf:/s/jars/*:/work"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_class_path(environ: "dict[str, str]", expected: str) -> None:
    assert class_path(environ, "/s", "/work") == expected


@pytest.mark.parametrize(
    ("writable", "expected"),
    [
        (("/work", "/var/data/spark-1", "/tmp"), "/work"),
        (("/var/data/spark-1", "/var/data/spark-2", "/tmp"), "/var/data/spark-1"),
        (("/var/data/spark-2", "/tmp"), "/var/data/spark-2"),
        (("/tmp",), "/tmp"),
        ((), "/work"),
    ],
)
def test_it_works_where_it_can_write(writable: "tuple[str, ...]", expected: str) -> None:
    """Spark puts the files of addFile and addPyFile into the working directory."""
    assert working_directory(dict(POD), "/work", writable.__contains__) == expected
    made = planned(writable=writable.__contains__, environ={"PWD": "/work"})
    assert made.directory == ("" if expected == "/work" else expected)
    assert made.env["PWD"] == expected
    assert made.words[made.words.index("-cp") + 1].endswith(":" + expected)


def test_a_working_directory_that_is_gone() -> None:
    assert planned(directory="").directory == "/var/data/spark-1"
    assert planned(directory="", writable=lambda path: False, without=("SPARK_LOCAL_DIRS",)).words[4] == "/opt/spark/conf:/opt/spark/jars/*"


def test_the_environment_is_the_pods_own() -> None:
    """Nothing that the driver set is changed; what is added is what each start adds, and Spark's place."""
    environ = {"SPARK_HOME": "/home/me/spark-3.4", "AWS_REGION": "eu-west-1", "LYFTLEARN_ENV_URI": "s3://b/k", "PYSPARK_PYTHON": "/p"}
    made = planned(environ)
    added = {"SPARK_HOME": "/opt/spark", "LYFTLEARN_CONTEXT": "kubernetes", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert made.env == {**POD, **environ, **added}
    kept = {"LYFTLEARN_CONTEXT": "studio", "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "eu-west-1"}
    assert planned(kept).env == {**POD, **kept, "SPARK_HOME": "/opt/spark"}


def test_a_user_without_a_home_gets_one() -> None:
    made = planned({"HOME": "/", "XDG_CACHE_HOME": "/.cache"}, writable=lambda path: path.startswith("/tmp"), without=("USER",))
    assert (made.env["HOME"], made.env["USER"], made.make_home) == ("/tmp/home-1000", "worker", "/tmp/home-1000")
    assert planned().make_home == ""


@pytest.mark.parametrize(
    ("there", "given", "expected"),
    [
        ([], "", ""),
        (["/opt/spark/"], "", ""),
        (["/opt/spark/jars/"], "", "/opt/spark"),
        (["/opt/spark/jars/", "/mine/jars/"], "/mine", "/mine"),
        (["/mine/jars/"], "/mine/", "/mine"),
        (["/opt/spark/jars/"], "/only/the/drivers", "/opt/spark"),
        ([], "/only/the/drivers", ""),
    ],
)
def test_an_image_with_spark(tmp_path: Path, there: "list[str]", given: str, expected: str) -> None:
    files = tree(tmp_path, dict.fromkeys(there, ""))
    assert spark_home({"SPARK_HOME": given} if given else {}, files) == (str(tmp_path) + expected if expected else "")


class Image:
    """An image with Spark whose java prints what it was given, and the launcher of the installed wheel."""

    JAVA = (
        "#!/usr/bin/python3 -IS\nimport json, os, sys\n"
        "print(json.dumps({'words': sys.argv, 'env': dict(os.environ), 'directory': os.getcwd()}))\nsys.exit(43)\n"
    )

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "spark"
        (self.home / "jars").mkdir(parents=True)
        self.java = self.program("jdk/bin/java")
        self.local = root / "local"
        self.local.mkdir()
        self.environ = {
            **POD,
            "PATH": "/usr/bin:/bin",
            "SPARK_HOME": str(self.home),
            "SPARK_LOCAL_DIRS": str(self.local),
            "HOME": str(root),
            "JAVA_HOME": str(root / "jdk"),
        }

    def program(self, place: str) -> Path:
        made = self.root / place
        made.parent.mkdir(parents=True)
        made.write_text(self.JAVA)
        made.chmod(0o755)
        return made

    def start(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        launcher = os.path.join(sysconfig.get_path("scripts"), "lyftlearn-entrypoint")
        env = {**self.environ, **environ}
        return subprocess.run([launcher, *words], env=env, cwd=self.root, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


def test_a_start_becomes_java(image: Image) -> None:
    done = image.start("executor")
    assert (done.returncode, done.stderr) == (43, "")  # its exit code is ours, and a pod's start says nothing
    given = json.loads(done.stdout)
    assert given["words"][0] == str(image.java)
    assert given["words"][-len(ARGUMENTS) :] == ARGUMENTS
    assert f"/opt/spark/conf:{image.home}/jars/*:{image.root}" in given["words"]
    assert given["directory"] == str(image.root)
    assert given["env"]["LYFTLEARN_CONTEXT"] == "kubernetes"


def test_nothing_can_stop_it(image: Image) -> None:
    """Settings that are wrong, a training job's variables, a document that nobody can fetch, a full list of steps: not looked at."""
    wrong = {
        "LYFTLEARN_CONTEXT": "nonsense",
        "LYFTLEARN_DEADLINE": "never",
        "LYFTLEARN_STEPS": "no-such-step",
        "LYFTLEARN_ENV_URI": "s3://nowhere/none.json",
        "LYFTLEARN_CONFIDANT_URL": "https://127.0.0.1:1",
        "LYFTLEARN_USER": "nobody-here",
        "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/x",
    }
    done = image.start("executor", **wrong)
    assert (done.returncode, done.stderr) == (43, "")
    assert json.loads(done.stdout)["env"].items() >= wrong.items()


def test_a_java_home_that_is_wrong(image: Image) -> None:
    beside = image.program("usr/bin/java")
    done = image.start("executor", JAVA_HOME="/no/such/jdk", PATH=f"/nowhere:{beside.parent}:/usr/bin")
    assert json.loads(done.stdout)["words"][0] == str(beside)
    done = image.start("executor", JAVA_HOME="/no/such/jdk", PATH="/nowhere")
    assert done.returncode == 127
    assert "java: command not found on PATH (/nowhere)" in done.stderr


def test_a_contract_that_is_not_kept_ends_with_78(image: Image) -> None:
    done = image.start("executor", SPARK_DRIVER_URL="")
    assert done.returncode == 78
    assert "error: executor: not set: SPARK_DRIVER_URL. Spark's driver sets" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("words", [("executor", "--help"), ("executor ",), ("Executor",)])
def test_only_that_word_alone(image: Image, words: "tuple[str, ...]") -> None:
    assert image.start(*words).returncode == 127


def test_in_an_image_without_spark_it_is_a_word_like_any_other(image: Image) -> None:
    (image.home / "jars").rmdir()
    done = image.start("executor", LYFTLEARN_ROOT=str(image.root))
    assert done.returncode == 127
    assert "executor: command not found" in done.stderr
    mine = image.root / "tools/executor"
    mine.parent.mkdir()
    mine.write_text("#!/bin/sh\necho mine\n")
    mine.chmod(0o755)
    assert image.start("executor", PATH=f"{mine.parent}:/usr/bin:/bin", LYFTLEARN_ROOT=str(image.root)).stdout == "mine\n"
