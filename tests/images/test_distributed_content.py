"""What images/distributed adds to the base: Java, Spark's programs, names for unknown users, and JARs that fit each other."""

import io
import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.images.conftest import PATIENCE, Start
from tests.images.platform_files import readable
from tests.images.spark.jobs import ANY_UID, RESTRICTED
from tests.images.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.image("distributed")

USERS = pytest.mark.parametrize("user", ["0:0", "1000:100", ANY_UID])


@pytest.fixture
def printed(start: Start, distributed: str) -> "Callable[..., str]":
    """What a command prints in the image; it must succeed."""

    def run(*command: str, seconds: int = PATIENCE, **options: Any) -> str:
        container = start(*command, image=distributed, **options)
        assert container.wait(seconds) == 0, container.log
        return container.stdout

    return run


def test_variables(client: Any, distributed: str) -> None:
    environ = dict(variable.split("=", 1) for variable in client.images.get(distributed).attrs["Config"]["Env"])
    assert environ["JAVA_HOME"] == "/usr/lib/jvm/default-java"
    # A driver takes the Spark that it imports, which a team may have changed; one with a cluster of its own says so itself.
    assert [name for name in environ if name in ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_PYTHON", "SPARK_LOCAL_DIRS")] == []
    assert {value for name, value in environ.items() if name.startswith("SPARK_")} == {"/tmp/spark-logs", "/tmp/spark-work"}


@USERS
def test_java_starts(printed: "Callable[..., str]", user: str) -> None:
    said = printed("sh", "-c", "$JAVA_HOME/bin/java -version 2>&1 && which java", **{**RESTRICTED, "user": user}).splitlines()
    assert said[0].startswith('openjdk version "17.')
    assert said[-1] == "/usr/bin/java"


def test_nothing_is_left_that_each_installation_of_java_makes_anew(printed: "Callable[..., str]") -> None:
    """The archives of shared classes, files of the JVM that made them, and a keystore that holds the time of day in each entry."""
    assert printed("sh", "-c", "find /usr/lib/jvm -name '*.jsa'; ls -d /tmp/hsperfdata* 2>/dev/null; true", entrypoint=[]) == ""
    times = set(re.findall(r", (\w+ \d+, \d{4}), trusted", printed("sh", "-c", "keytool -list -cacerts -storepass changeit 2>/dev/null")))
    assert len(times) == 1


@pytest.mark.slow
def test_sparks_programs_are_on_path(start: Start, distributed: str) -> None:
    script = "for name in spark-submit pyspark spark-shell spark-sql; do $name --version 2>&1 || exit 1; done; "
    script += "spark-class org.apache.spark.deploy.worker.Worker --help 2>&1"
    container = start("sh", "-c", script, image=distributed, **RESTRICTED)
    assert container.wait() == 0, container.log
    assert len(re.findall(r"version (3\.5|4)\.\d+", container.log)) == 4
    assert "Usage: Worker" in container.log


@pytest.mark.parametrize("entrypoint", [None, []], ids=["ours", "none"])
def test_every_user_has_a_name(printed: "Callable[..., str]", entrypoint: "list[str] | None") -> None:
    """Java's and Hadoop's login asks the system for one; so do ssh, git and bash. Whether our entrypoint ran or not."""
    options = {**RESTRICTED, "entrypoint": entrypoint, "environment": {"HOME": "/tmp"}}
    command = "id -un; getent passwd 1000680000 user1000680000; getent passwd 1000 lyftlearn; getent passwd 4711 user4711 nobody-here; true"
    me, users = "user1000680000:x:1000680000:0::/tmp:/bin/bash\n", "lyftlearn:x:1000:100::/home/sagemaker-user:/bin/bash\n"
    assert printed("sh", "-c", command, **options) == "user1000680000\n" + 2 * me + 2 * users
    java = "$JAVA_HOME/bin/java -XshowSettings:properties -version 2>&1 | grep -E 'user.(name|home)'"
    assert printed("sh", "-c", java, **options).split() == ["user.home", "=", "/tmp", "user.name", "=", "user1000680000"]


def test_a_name_is_no_way_to_another_user(start: Start, distributed: str) -> None:
    """Root's own lookup of a uid that nobody has stays without an answer: LYFTLEARN_USER does not take any name."""
    environment = {"LYFTLEARN_CONTEXT": "sagemaker-processing", "LYFTLEARN_USER": "user4711"}
    container = start("id", image=distributed, environment=environment).expect("the image has no user named user4711")
    assert container.wait() == 78


def test_a_buffer_that_is_too_small_is_asked_for_again(printed: "Callable[..., str]") -> None:
    """glibc starts with 1 KiB. A HOME that is longer makes it come again."""
    home = "/tmp/" + "h" * 3000
    assert printed("getent", "passwd", "1000680000", entrypoint=[], **RESTRICTED, environment={"HOME": home}).split(":")[5] == home
    assert printed("getent", "passwd", "1000680000", entrypoint=[], **RESTRICTED, environment={"HOME": "x"}).split(":")[5] == "/"


def test_the_machines_own_name_is_known_without_a_network(printed: "Callable[..., str]") -> None:
    """Spark asks for it first of all. Where the platform knows the name, nothing changes."""
    assert printed("sh", "-c", "getent hosts $(hostname) | cut -d' ' -f1") == "127.0.0.2\n"
    assert printed("getent", "hosts", "spark-here", extra_hosts={"spark-here": "10.1.2.3"}).split()[0] == "10.1.2.3"


def test_java_trusts_what_debian_trusts(printed: "Callable[..., str]") -> None:
    """And nothing that only the building machine does."""
    java = certificates(printed("sh", "-c", "keytool -list -rfc -cacerts -storepass changeit 2>/dev/null | tr -d '\\r'"))
    debian = certificates(printed("sh", "-c", "cat /usr/share/ca-certificates/mozilla/*.crt"))
    assert java == debian
    assert len(java) > 100


def certificates(text: str) -> "set[str]":
    return {"".join(found.split()) for found in re.findall(r"-----BEGIN CERTIFICATE-----([^-]+)-----END", text)}


def test_a_teams_authority_reaches_java(client: Any, distributed: str, start: Start, tmp_path: Path) -> None:
    """update-ca-certificates goes on from the keystore that the build made."""
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=team authority", "-days", "2"]
    subprocess.run([*make, "-keyout", "/dev/null", "-out", str(tmp_path / "team.crt")], check=True, capture_output=True)
    context = io.BytesIO()
    dockerfile = f"FROM {distributed}\nCOPY team.crt /usr/local/share/ca-certificates/\nRUN update-ca-certificates\n"
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, data in (("Dockerfile", dockerfile.encode()), ("team.crt", (tmp_path / "team.crt").read_bytes())):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    context.seek(0)
    image, _ = client.images.build(fileobj=context, custom_context=True, network_mode="none", rm=True, forcerm=True)
    try:
        container = start(
            "sh", "-c", "keytool -list -cacerts -storepass changeit | grep -i team; find /etc/ssl -name '*team*'", image=image.id
        )
        assert container.wait() == 0, container.log
        assert "debian:team.pem" in container.stdout
        assert len(container.stdout.splitlines()) == 2
    finally:
        client.images.remove(image.id, force=True)


# Runs in the image. Of S3A's JARs, those that pip knows as ours: which class is in another JAR too?
TWICE = """
import collections, json, pathlib, zipfile
from importlib.metadata import files, requires, version
ours = {path.locate().resolve() for path in files('lyftlearn-s3a') if path.suffix == '.jar'}
directory = next(iter(ours)).parent
where = collections.defaultdict(list)
for jar in directory.glob('*.jar'):
    for name in zipfile.ZipFile(jar).namelist():
        if name.endswith('.class') and not name.startswith(('META-INF/', 'org/apache/spark/unused/')):
            where[name].append(jar)
twice = sorted({jar.name for name, jars in where.items() if len(jars) > 1 and ours.intersection(jars) for jar in jars})
shaded = sorted({name.rpartition('/')[0] for name, jars in where.items() if ours.issuperset(jars)
                 and name.startswith(('io/', 'com/fasterxml', 'org/apache/http', 'org/slf4j', 'org/apache/commons', 'org/apache/log4j'))})
print(json.dumps({'ours': sorted(jar.name for jar in ours), 'all': sorted(jar.name for jar in directory.glob('*.jar')), 'twice': twice,
                  'shaded': shaded, 'requires': requires('lyftlearn-s3a'), 'pyspark': version('pyspark'),
                  'version': version('lyftlearn-s3a')}))
"""


def test_the_jars_fit_each_other(printed: "Callable[..., str]") -> None:
    """hadoop-aws is of Spark's own Hadoop, and no class comes from two JARs: not netty's, Jackson's, SLF4J's nor Apache's HTTP client's."""
    found = json.loads(printed("python", "-c", TWICE))
    hadoop = next(name for name in found["all"] if name.startswith("hadoop-client-api-")).removeprefix("hadoop-client-api-")
    assert f"hadoop-aws-{hadoop}" in found["ours"]
    assert found["version"] + ".jar" == hadoop
    scala = {match[1] for name in found["all"] if (match := re.match(r"spark-(?:core|hadoop-cloud)_([\d.]+)-", name))}
    assert len(scala) == 1
    assert found["requires"] == [f"pyspark=={found['pyspark']}"]
    # reactive-streams' classes under their own name are the SDK's public types, and Spark has none of them.
    assert (found["twice"], found["shaded"]) == ([], [])


def test_the_environment_agrees_with_itself(printed: "Callable[..., str]") -> None:
    assert printed("pip", "check") == "No broken requirements found.\n"


def test_another_pyspark_is_told_apart(printed: "Callable[..., str]", tmp_path: Path) -> None:
    """The JARs in pyspark's directory fit one version of it. pip says so, and can take them away."""
    readable(tmp_path)
    wheel(tmp_path, "pyspark", {"pyspark/__init__.py": ""})
    steps = [
        "pip install -q --no-index /wheels/*.whl 2>&1",
        "pip check",
        "pip uninstall -qy lyftlearn-s3a",
        "pip check",
        "ls /opt/spark/jars/",
    ]
    volumes = {str(tmp_path): {"bind": "/wheels", "mode": "ro"}}
    said = printed("sh", "-c", "; ".join(steps) + "; true", user="1000:100", volumes=volumes)
    assert re.search(r"lyftlearn-s3a \S+ requires pyspark==\S+, but you have pyspark 1\.0", said)
    assert re.search(r"^lyftlearn-s3a \S+ has requirement pyspark==", said, re.MULTILINE)
    assert said.splitlines()[-1] == "No broken requirements found."  # and no JAR is left


def test_what_can_be_found_where_spark_images_have_it(printed: "Callable[..., str]") -> None:
    """/opt/spark, with a directory of its own where the executors' ConfigMap is mounted; the hook that Spark's pods name."""
    script = (
        "for part in bin sbin jars python data examples; do test -d /opt/spark/$part/ || echo no $part; done; "
        "test -d /opt/spark/conf && ! test -L /opt/spark/conf && find /opt/spark/conf -type f; "
        "test -x /opt/decom.sh && /opt/decom.sh"
    )
    assert printed("sh", "-c", script) == "decommission: there is no Spark executor here\n"


WANTED = {"pyspark", "py4j", "pandas", "numpy", "pyarrow", "scipy", "sklearn", "xgboost", "lightgbm", "matplotlib", "boto3", "jupyterlab"}
IMPORT = """
import importlib, importlib.metadata
# __dummy__ is pyarrow's: a name in its metadata and no module.
names = sorted(name for name in importlib.metadata.packages_distributions() if name.isidentifier() and name != '__dummy__')
for name in [*names, 'pyspark.pandas', 'pyspark.ml', 'pyspark.sql.functions']:
    try:
        importlib.import_module(name)
    except BaseException as error:
        print('FAILED', name, type(error).__name__, error)
print(*names)
"""


@pytest.mark.slow
@USERS
def test_every_package_can_be_imported(printed: "Callable[..., str]", user: str) -> None:
    *failed, names = printed("python", "-c", IMPORT, **{**RESTRICTED, "user": user}).splitlines()
    assert failed == []
    assert set(names.split()) >= WANTED


def test_an_executor_by_hand_is_told_what_it_lacks(start: Start, distributed: str) -> None:
    container = start("executor", image=distributed).expect("Spark's driver sets them")
    assert container.wait() == 78
    assert "SPARK_DRIVER_URL" in container.log
