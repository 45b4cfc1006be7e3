"""`pip install` in a team's Dockerfile, as root and as another user: who may change what was installed, and what a build leaves behind."""

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.images.conftest import IDLE, Start
from tests.images.team import EXAMPLE, PIP_CONF, Builds, repack
from tests.images.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.image, pytest.mark.slow]

NOT_THE_GROUPS = ["find", "/opt/venv", "!", "-type", "l", "(", "!", "-group", "100", "-o", "!", "-perm", "-g=w", ")"]
PARENTS = {"etc", "etc/lyftlearn", "opt", "opt/venv", "run", "srv", "tmp"}
INSTALL = (
    "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n%s"
    "RUN --mount=type=secret,id=pip,target=/run/pip.conf,mode=0444 export PIP_CONFIG_FILE=/run/pip.conf && %s\n"
)
IMPORT = "import os, teamlib; print(teamlib.OWNER, os.stat(teamlib.__file__).st_uid, os.stat(teamlib.__file__).st_gid)"
UPGRADE = ["pip", "install", "-q", "--no-index", "--find-links", "/wheels", "--force-reinstall", "teamlib"]


@pytest.fixture(scope="module")
def builds(client: Any, tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Builds]":
    made = Builds(client, tmp_path_factory.mktemp("builds"))
    yield made
    made.remove()


@pytest.fixture(scope="module")
def stocked(builds: Builds) -> str:
    """The base, and wheels to install."""
    files = {"teamlib/__init__.py": "OWNER = 'team'\ndef main():\n    print('tool')\n", "teamlib/data/rows.csv": "a\n"}
    made = wheel(builds.directory, "teamlib", files, {"teamtool": "teamlib:main"})
    return builds.on("base", made, repack(builds.directory, "click"))


def installed(builds: Builds, stocked: str, how: str, before: str = "") -> str:
    return builds.build(EXAMPLE, {"BASE_IMAGE": stocked}, INSTALL % (before, how))


@pytest.mark.parametrize("how", ["pip install teamlib", "pip3 install teamlib", "umask 002 && python -m pip install teamlib"])
def test_what_root_installs_a_notebooks_user_can_change(builds: Builds, stocked: str, start: Start, how: str) -> None:
    container = start(*IDLE, image=installed(builds, stocked, how), user="1000:100")
    assert container.exec(*NOT_THE_GROUPS) == (0, "")
    assert container.python(IMPORT) == "team 0 100\n"
    assert container.exec("teamtool") == (0, "tool\n")
    assert container.exec(*UPGRADE) == (0, "")
    assert container.python(IMPORT) == "team 1000 100\n"
    assert container.exec("find", "/opt/venv", "!", "-group", "100") == (0, "")
    assert container.exec("pip", "uninstall", "-qy", "teamlib") == (0, "")
    assert container.exec("find", "/opt/venv", "-name", "*eamlib*") == (0, "")
    container.handle.kill()


def test_what_root_installs_without_the_groups_right_cannot_be_upgraded(builds: Builds, stocked: str, start: Start) -> None:
    """By other means than the program pip, with the usual umask; docs/extending.md says so. What the team installed is still there."""
    container = start(*IDLE, image=installed(builds, stocked, "python -m pip install teamlib"), user="1000:100")
    left = container.exec(*NOT_THE_GROUPS)[1].splitlines()
    assert left
    assert all("teamlib" in path or "teamtool" in path for path in left)
    code, printed = container.exec(*UPGRADE)
    assert (code, "Permission denied" in printed) == (1, True)
    assert container.python(IMPORT) == "team 0 100\n"
    container.handle.kill()


def test_as_the_images_user(builds: Builds, stocked: str, start: Start) -> None:
    image = installed(builds, stocked, "pip install teamlib", before="USER 1000:100\n")
    container = start(*IDLE, image=image, user="1000680000:0")
    assert container.python(IMPORT) == "team 1000 100\n"
    assert container.exec("find", "/opt/venv", "!", "-group", "100") == (0, "")
    assert container.exec(*UPGRADE, user="1000:100") == (0, "")
    container.handle.kill()


def test_what_the_platform_installed_can_be_replaced(builds: Builds, stocked: str, start: Start) -> None:
    """A package of the image's own: by root in a Dockerfile, then by a notebook's user."""
    image = installed(builds, stocked, "umask 002 && pip uninstall -qy statsd && pip install teamlib")
    container = start(*IDLE, image=image, user="1000:100")
    assert container.exec("python", "-c", "import statsd")[0] == 1
    assert container.exec("pip", "uninstall", "-qy", "lightgbm") == (0, "")
    assert container.exec("find", "/opt/venv", "-name", "~*") == (0, "")
    assert container.exec("pip", "check") == (0, "No broken requirements found.\n")
    container.handle.kill()


def test_the_examples_layers_hold_what_the_team_gave_and_no_secret(client: Any, builds: Builds, stocked: str) -> None:
    image = client.images.get(builds.build(EXAMPLE, {"BASE_IMAGE": stocked}))
    below = len(client.images.get(stocked).attrs["RootFS"]["Layers"])
    assert image.attrs["RootFS"]["Layers"][:below] == client.images.get(stocked).attrs["RootFS"]["Layers"]
    config = image.attrs["Config"]
    assert config["Entrypoint"] == ["/usr/bin/tini", "-s", "--", "/opt/lyftlearn/bin/lyftlearn-entrypoint"]
    assert config["Cmd"] == ["python", "-m", "screening.serve"]
    names = set()
    with tarfile.open(fileobj=io.BytesIO(b"".join(image.save()))) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        for name in json.load(manifest)[0]["Layers"][below:]:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                for member in layer:
                    names.add(member.name)
                    stream = layer.extractfile(member) if member.isreg() else None
                    assert stream is None or PIP_CONF.encode() not in stream.read(), member.name
    ours = ("opt/venv/", "srv/", "etc/lyftlearn/", "etc/hyperparameters")
    assert [name for name in names if not name.startswith(ours) and name not in PARENTS] == []
    assert {"etc/lyftlearn/platform.json", "srv/screening/train.py"} <= names
    assert not [name for name in names if name.startswith("srv/") and name.endswith((".pyc", "Dockerfile"))]
