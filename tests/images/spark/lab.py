"""JupyterLab as Studio starts it, by no command at all, and its kernels, which run what a user types into cells."""

import base64
import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from lyftlearn_local.container import STUDIO, Passed
from tests.images.conftest import Container
from tests.images.platform_files import Mounted, readable
from tests.images.spark.jobs import PATIENCE, PROGRAMS, mounted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.images.spark.secured import Secured
    from tests.images.spark.site import Segment

USER = "1000:100"


class Kernel:
    """A notebook's kernel, by its id."""

    def __init__(self, lab: "Lab", number: str) -> None:
        self.lab, self.id = lab, number

    def run(self, cell: str, seconds: float = PATIENCE) -> str:
        """What a cell prints. It must end well, within that time."""
        done = self.lab.exec("python", "/code/cell.py", self.id, str(seconds), environment={"CELL": cell})
        assert done[0] == 0, f"{done[1]}\n{self.lab.container.log}"
        return done[1]

    def begin(self, cell: str, seconds: float = PATIENCE) -> "Future[str]":
        """The same, while the test goes on."""
        return self.lab.threads.submit(self.run, cell, seconds)

    def facts(self, cell: str, seconds: float = PATIENCE) -> "dict[str, Any]":
        """What a cell printed last, as JSON."""
        found: dict[str, Any] = json.loads(self.run(cell, seconds).splitlines()[-1])
        return found

    @property
    def process(self) -> str:
        """Its process id in the container."""
        return self.lab.exec("pgrep", "-f", f"ipykernel_launcher -f .*{self.id}")[1].split()[0]

    @property
    def jvm(self) -> str:
        """The process id of its Spark."""
        return self.lab.exec("pgrep", "-P", self.process, "java")[1].split()[0]


class Lab:
    """The application, at `address` in a network, with Spark's settings for executors in a cluster."""

    def __init__(
        self,
        client: Any,
        image: str,
        place: "Segment",
        secured: "Secured",
        directory: "Path",
        settings: "dict[str, str]",
        properties: "dict[str, str]",
    ) -> None:
        """`settings` are variables beside the cluster's own, `properties` the user's spark-defaults.conf."""
        given = {
            "LYFTLEARN_SPARK_IMAGE": image,
            "LYFTLEARN_SPARK_EKS_CLUSTER": "ml-executors",
            "LYFTLEARN_SPARK_EKS_ENDPOINT": secured.cluster.api.url,
            "LYFTLEARN_SPARK_EKS_CA": base64.b64encode(secured.ca.encode()).decode(),
            "LYFTLEARN_SPARK_NAMESPACE": "ml",
            "LYFTLEARN_SPARK_PATIENCE": "600",  # of a machine that has much else to do
            **settings,
        }
        app = Mounted(readable(directory), STUDIO, Passed(given, {}, []))
        options = app.options(PROGRAMS, environment=given, user=USER, mem_limit="4g")
        spark = mounted(directory, properties)
        options["volumes"] |= spark["volumes"]
        options["environment"] |= spark["environment"]
        home = directory / "home"
        home.mkdir()
        home.chmod(0o777)
        options["volumes"][str(home)] = {"bind": "/home/sagemaker-user", "mode": "rw"}  # the EBS volume
        self.address = place.address()
        self.threads = ThreadPoolExecutor(4)
        self._place = place
        handle = client.containers.run(image, detach=True, **options, **place.options(client, self.address, "default"))
        self.container = Container(handle)
        try:
            self.container.until("/jupyterlab/default/lab", PATIENCE)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.container.handle.remove(force=True, v=True)
        self.threads.shutdown(cancel_futures=True)
        self._place.free(self.address)

    def exec(self, *command: str, environment: "dict[str, str] | None" = None) -> "tuple[int, str]":
        """A command in the container, as the notebook's user but without what the entrypoint set."""
        return self.container.exec(*command, user=USER, environment={"HOME": "/home/sagemaker-user", **(environment or {})})

    def kernel(self) -> Kernel:
        code, said = self.exec("python", "/code/cell.py", "new")
        assert code == 0, said
        return Kernel(self, said.strip())
