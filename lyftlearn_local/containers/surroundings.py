"""How each platform runs a container, in the words of Docker's SDK: user, mounts, rights. From the same description as without Docker.

Sources: container.py's; SageMaker's jobs run under an init of the platform's own (docker run --init), as root; Studio's applications as
1000:100 with a volume over the home directory ("Custom image specifications" of Studio); a pod under the restricted profile of
Kubernetes 1.32's Pod Security Standards, with a uid that the image does not know, as OpenShift assigns one.
"""

import os
from pathlib import Path
from typing import Any

from lyftlearn_local.container import KUBERNETES, STUDIO, Container
from lyftlearn_local.job import lay_out

CODE = "/srv/screening"  # where the team's program lies, in every container
STUDIO_HOME = "/home/sagemaker-user"
STUDIO_USER = (1000, 100)
POD_USER = "1000680000:0"
_POD: "dict[str, Any]" = {
    "user": POD_USER,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "group_add": ["1000680000"],  # fsGroup
    "tmpfs": {"/tmp": "mode=1777,exec"},  # an emptyDir, from which programs run
}


class Surroundings:
    """What is around one container: its files below `root`, and `options` for Docker's SDK.

    `code` is the directory of the team's program. `writable` are those of a pod's directories that are an emptyDir, which it may write.
    """

    def __init__(self, made: Container, root: Path, code: Path, writable: "tuple[str, ...]" = ()) -> None:
        self.made = made
        self.root = root
        root.mkdir()
        lay_out(made, root)
        mounts = {CODE: (code, "ro")}
        environment = dict(made.environ)
        self.options: dict[str, Any] = {"environment": environment}
        if made.context == KUBERNETES:
            self.options.update(_POD)
            for place in made.private:
                mounts[place] = (self.at(place), "rw" if place in writable else "ro")
                self.at(place).chmod(0o777 if place in writable else 0o755)
        elif made.context == STUDIO:
            self.options["user"] = ":".join(map(str, STUDIO_USER))
            home = self.at(STUDIO_HOME)
            home.mkdir(parents=True)
            os.chown(home, *STUDIO_USER)
            mounts[STUDIO_HOME] = (home, "rw")
            mounts["/opt/ml/metadata"] = (self.at("/opt/ml/metadata"), "ro")
        else:
            self.options["init"] = True
            mounts["/opt/ml"] = (self.at("/opt/ml"), "rw")
        if "HOSTNAME" in environment and made.context != KUBERNETES:  # a pod's is that of its first container
            self.options["hostname"] = environment["HOSTNAME"]
        if made.entrypoint:
            self.options["entrypoint"] = made.entrypoint
        self.options["volumes"] = {str(source): {"bind": target, "mode": mode} for target, (source, mode) in mounts.items()}

    def words(self) -> "list[str]":
        """The options as words of `docker run`, for people; variables and mounts left out."""
        words = []
        for name, value in self.options.items():
            option = "--" + name.replace("_", "-")
            if name in ("init", "read_only"):
                words.append(option)
            elif name in ("user", "entrypoint", "cap_drop", "security_opt", "tmpfs"):
                words += [option, value if isinstance(value, str) else next(iter(value))]
        return words

    def at(self, path: str) -> Path:
        """Where the container's `path` lies on this machine."""
        return self.root / path.lstrip("/")
