"""`lyftlearn image build`, `reproduce` and `scan` with a real engine, on images of a few bytes that are made for it."""

import hashlib
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from lyftlearn_entrypoint.cli.image import size as image_size
from lyftlearn_entrypoint.cli.image.commands import image
from lyftlearn_entrypoint.cli.image.common import keeps_manifests
from lyftlearn_entrypoint.cli.image.layers import Saved
from lyftlearn_entrypoint.cli.image.stamp import config_of, stamp
from tests.images.conftest import tag
from tests.unit.test_image_secrets import key, made_up

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.image

EPOCH = 1_600_000_000  # 2020-09-13T12:26:40Z
# `made` has a shell; the image has what it made. `change` and `late` are where a build differs from another of the same files. Each test
# has a label of its own in its file too: COPY's cache goes by the content, whatever the times.
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}} AS made
ARG SOURCE_DATE_EPOCH={epoch}
RUN mkdir -p /out/etc; echo {label} >/out/etc/same; {change}; find /out -exec touch --date=@$SOURCE_DATE_EPOCH {{}} +; {late}
FROM scratch
COPY --from=made /out/ /
ARG VERSION
LABEL lyftlearn.test={label} version=$VERSION
"""


class Checkout:
    """A directory with images/tiny, and the commands on it."""

    def __init__(self, root: Path, base: str) -> None:
        self.root, self.base = root, base
        self.label = uuid.uuid4().hex
        self.tag = f"lyftlearn-tiny:{self.label[:12]}"
        (root / "images/tiny").mkdir(parents=True)

    def dockerfile(self, text: str) -> None:
        (self.root / "images/tiny/Dockerfile").write_text(text)

    def made_by(self, change: str = "true", late: str = "true") -> None:
        self.dockerfile(DOCKERFILE.format(epoch=EPOCH, label=self.label, change=change, late=late))

    def run(self, command: str, *options: str) -> Result:
        words = [command, "tiny", "--checkout", str(self.root), "--tag", self.tag, *options]
        if command != "scan":
            words += ["--base-image", self.base, "--progress", "plain", "--network", "none"]
        return CliRunner().invoke(image, words)


@pytest.fixture
def checkout(client: Any, base: str, tmp_path: Path) -> "Iterator[Checkout]":
    # By its tag: BuildKit asks a registry for an id.
    assert client.images.get(tag("base")).id == base
    made = Checkout(tmp_path, tag("base"))
    yield made
    for each in client.images.list(filters={"label": f"lyftlearn.test={made.label}"}):
        client.images.remove(each.id, force=True)


def test_an_image_has_the_time_that_it_was_told(checkout: Checkout, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Dockerfile's, or the variable's. No image without it is left behind."""
    checkout.made_by()
    done = checkout.run("build", "--label", "org.opencontainers.image.source=https://git.example.com/x")
    assert done.exit_code == 0, done.output
    made = client.images.get(checkout.tag)
    assert made.attrs["Created"] == "2020-09-13T12:26:40Z"
    assert all(step["Created"] <= EPOCH for step in made.history())
    assert made.labels["org.opencontainers.image.source"] == "https://git.example.com/x"
    assert f"{checkout.tag}: {made.id}, built in " in done.output
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1500000000")
    assert checkout.run("build").exit_code == 0
    assert client.images.get(checkout.tag).attrs["Created"] == "2017-07-14T02:40:00Z"
    left = client.images.list(filters={"label": f"lyftlearn.test={checkout.label}", "dangling": True})
    assert {each.attrs["Created"] for each in left} <= {"2020-09-13T12:26:40Z"}


def test_a_build_that_fails_says_so(checkout: Checkout) -> None:
    checkout.made_by("exit 1")
    done = checkout.run("build")
    assert (done.exit_code, done.output) == (1, "Error: the build of tiny failed (exit 1); its last lines say where\n")


def test_the_same_inputs_give_the_same_image(checkout: Checkout, client: Any) -> None:
    checkout.made_by()
    assert checkout.run("build").exit_code == 0
    done = checkout.run("reproduce")
    assert done.exit_code == 0, done.output
    assert done.output.endswith("the same image, byte for byte\n")
    assert client.images.list("lyftlearn-tiny:reproduced") == []


@pytest.mark.parametrize(
    ("change", "late", "said"),
    [
        ("cat /proc/sys/kernel/random/uuid >/out/etc/random", "true", ": /etc/random: content"),
        ("true", "sleep 1; touch /out/etc/same", ": /etc/same: mtime 20"),
        ("touch /out/$(cut -c1-8 /proc/sys/kernel/random/uuid)", "true", ": only in the first"),
    ],
)
def test_what_differs_is_named(checkout: Checkout, client: Any, change: str, late: str, said: str) -> None:
    checkout.made_by(change, late)
    assert checkout.run("build").exit_code == 0
    done = checkout.run("reproduce", "--keep")
    assert done.exit_code == 1
    assert said in done.output.replace("layer 0 (COPY /out/ /) ", ": ")
    assert done.output.endswith("Error: the same inputs gave another image\n")
    client.images.remove("lyftlearn-tiny:reproduced")


def test_another_label_is_another_image(checkout: Checkout) -> None:
    """The layers are the same: what differs is in the config, and is named there."""
    checkout.made_by()
    assert checkout.run("build", "--label", "a=1").exit_code == 0
    done = checkout.run("reproduce", "--label", "a=2", "--label", "b=3")
    assert done.exit_code == 1
    assert "config config.Labels.a: '1' -> '2'\nconfig config.Labels.b: nothing -> '3'\nError: " in done.output


class Elsewhere:
    """An engine on another machine: its directory is not here."""

    def __init__(self, client: Any, root: Path) -> None:
        self.client, self.root = client, root

    def info(self) -> "dict[str, str]":
        return {"DockerRootDir": str(self.root), "Driver": "overlay2"}


def test_the_config_is_the_same_by_either_way(checkout: Checkout, client: Any, tmp_path: Path) -> None:
    """From the engine's own directory where it may be read, and out of `docker save`."""
    checkout.made_by()
    assert checkout.run("build").exit_code == 0
    made = client.images.get(checkout.tag)
    raw = config_of(Elsewhere(client, tmp_path), made)
    if not keeps_manifests(client):
        assert "sha256:" + hashlib.sha256(raw).hexdigest() == made.id
    assert json.loads(raw)["rootfs"]["diff_ids"] == made.attrs["RootFS"]["Layers"]
    assert config_of(client, made) == raw
    wrong = tmp_path / "image/overlay2/imagedb/content/sha256" / made.id.removeprefix("sha256:")
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"{}")
    assert config_of(Elsewhere(client, tmp_path), made) == raw


def test_an_image_in_use_stays_beside_its_stamped_self(checkout: Checkout, client: Any) -> None:
    """Its layers are those of the engine: none was loaded again, and a container of it runs on."""
    checkout.made_by()
    assert checkout.run("build").exit_code == 0
    first = client.images.get(checkout.tag)
    if keeps_manifests(client):
        # Such an engine is newer than those that need it.
        with pytest.raises(click.ClickException, match="the engine does not take its new config"):
            stamp(client, first, EPOCH + 60)
        return
    container = client.containers.create(first.id, ["x"])
    try:
        second = stamp(client, first, EPOCH + 60)
        assert second.attrs["Created"] == "2020-09-13T12:27:40Z"
        assert second.attrs["RootFS"] == first.attrs["RootFS"]
        assert second.attrs["Config"] == first.attrs["Config"]
        assert client.images.get(checkout.tag).id == second.id
        assert client.images.get(first.id).tags == []
        assert stamp(client, second, EPOCH + 60).id == second.id
    finally:
        container.remove()


def test_sizes_are_the_same_by_either_way(client: Any, base: str) -> None:
    """As the Engine counts, and out of the layers' archives: nearly. Of a loaded layer the Engine counts more than its files."""
    image = client.images.get(base)
    counted, total = image_size.measured(client, image)
    read = image_size.unpacked_layers(Saved(image.save()))
    assert [layer.name for layer in counted] == [layer.name for layer in read]
    for one, other in zip(counted, read, strict=True):
        assert one.size == pytest.approx(other.size, rel=1e-3)
    assert total == pytest.approx(sum(layer.size for layer in read), rel=1e-3)


PLANTED = """\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}} AS tools
RUN mkdir /small; cp --parents -L /usr/bin/dash /usr/bin/rm $(ldd /usr/bin/dash /usr/bin/rm | grep -o '/lib[^ ]*' | sort -u) /small
FROM scratch
COPY --from=tools /small/ /
LABEL lyftlearn.test={label}
SHELL ["/usr/bin/dash", "-ec"]
COPY planted/ /
RUN rm /.netrc /token
ENV DEPLOY_TOKEN={token}
"""


def test_planted_secrets_are_found_and_not_told(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a layer, in one that the next takes away, in the config; and of this machine's own."""
    token, own, login = "ghp_" + made_up(36), "value-" + made_up(16), made_up(18)
    monkeypatch.setenv("CI_JOB_TOKEN", own)
    planted = {"etc/id_rsa": key(), ".netrc": f"machine x login y password {login}", "token": token, "etc/built": f"by {own}"}
    for path, text in planted.items():
        (checkout.root / "planted" / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout.root / "planted" / path).write_text(text)
    checkout.dockerfile("ARG SOURCE_DATE_EPOCH=1\n" + PLANTED.format(label=checkout.label, token=login))
    assert checkout.run("build").exit_code == 0
    done = checkout.run("scan")
    assert done.exit_code == 1
    *found, counted = done.output.splitlines()
    assert " files of 3 layers (" in counted
    assert counted.endswith(" and the config: 7 findings, 0 allowed by images/scan.json")
    assert found == [
        "settings: layer 1 (COPY planted/ /): /.netrc: a login's password; layer 2 takes it away, and it is in the image all the same",
        "own-secret: layer 1 (COPY planted/ /): /etc/built: the value of CI_JOB_TOKEN on this machine",
        "key-store: layer 1 (COPY planted/ /): /etc/id_rsa: a store of keys",
        "private-key: layer 1 (COPY planted/ /): /etc/id_rsa: a private key (PEM)",
        "github-token: layer 1 (COPY planted/ /): /token: a token of GitHub; layer 2 takes it away, and it is in the image all the same",
        "named-secret: config: ENV DEPLOY_TOKEN: a value for DEPLOY_TOKEN",
        "named-secret: config: history 5: a value for DEPLOY_TOKEN",
    ]
    facts = json.loads(checkout.run("scan", "--json").output)
    assert {finding["rule"] for finding in facts["findings"]} == {
        *("settings", "own-secret", "key-store", "private-key", "github-token", "named-secret")
    }
    assert not any(secret in done.output + json.dumps(facts) for secret in (token, own, login, key()))
    why = [{"image": "tiny", "rule": each["rule"], "path": each["path"], "why": "planted"} for each in facts["findings"]]
    (checkout.root / "images/scan.json").write_text(json.dumps([*why, {**why[0], "path": "/gone"}]))
    done = checkout.run("scan")
    assert done.exit_code == 0
    assert f" 0 findings, {len(why)} allowed" in done.output
    assert done.output.endswith("nothing matches any more: settings /gone\n")
