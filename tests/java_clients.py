"""StatsD clients for Java, from Maven, and programs that use them as Java programs do: `localhost` and 8125 in the code."""

import fcntl
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

# com.timgroup's is what etsy's StatsD is spoken to by; com.datadoghq's is its successor with tags and service checks.
CLIENTS = {
    "com.timgroup:java-statsd-client:3.1.0": """
import com.timgroup.statsd.*;
public class Count {
    public static void main(String[] args) {
        StatsDClient client = new NonBlockingStatsDClient("shop", "localhost", 8125);
        for (int number = 0; number < 500; number++) client.incrementCounter("orders");
        client.recordGaugeValue("depth", 7);
        client.recordExecutionTime("took", 25);
        client.recordSetEvent("users", "u1");
        client.stop();
    }
}
""",
    "com.datadoghq:java-dogstatsd-client:4.4.3": """
import com.timgroup.statsd.*;
public class Count {
    public static void main(String[] args) throws Exception {
        StatsDClient client = new NonBlockingStatsDClientBuilder().prefix("shop").hostname("localhost").port(8125)
            .enableTelemetry(false).enableAggregation(false).build();
        for (int number = 0; number < 500; number++) client.incrementCounter("orders", "kind:b c");
        client.recordDistributionValue("spread", 1.5);
        client.recordServiceCheckRun(ServiceCheck.builder().withName("checked").withStatus(ServiceCheck.Status.OK).build());
        Thread.sleep(4000);  // what it has not sent after a moment, this client forgets when it is closed: a sidecar misses it too
        client.close();
    }
}
""",
}
POM = """<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version>
<dependencies><dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency></dependencies></project>
"""
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
RELEASE = "17"  # the image's Java


def prepare(client: str, directory: Path) -> str:
    """Put the program's class and the client's JARs into `directory`, with what they need. Gives '', or why they cannot be had.

    A JAR that is not the one that was looked at fails the test. Nothing but javac and mvn is asked for.
    """
    (directory / "pom.xml").write_text(POM.format(*client.split(":")))
    (directory / "Count.java").write_text(CLIENTS[client])
    maven = ["mvn", "-q", "-B", "-ntp", COPY, "-DoutputDirectory=jars"]
    # What Maven keeps is one user's, and not made for two of it at once.
    with Path(tempfile.gettempdir(), f"lyftlearn-test-maven-{os.getuid()}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(maven, cwd=directory, capture_output=True, text=True, check=False, timeout=900)
    if done.returncode:
        return f"{client} cannot be had from Maven: {done.stdout[-500:]}"
    known = dict(line.split()[::-1] for line in Path(__file__).with_suffix(".sha256").read_text().splitlines())
    jars = sorted((directory / "jars").glob("*.jar"))
    assert {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars} == {jar.name: known[jar.name] for jar in jars}
    subprocess.run(["javac", "--release", RELEASE, "-cp", "jars/*", "Count.java"], cwd=directory, check=True)
    return ""
