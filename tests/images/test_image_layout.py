"""The layout of an image's layers with a real engine: hot files in front, the same files, the same image again, and no other name moved."""

import hashlib
import io
import tarfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner, Result

from lyftlearn_entrypoint.cli.image import stored
from lyftlearn_entrypoint.cli.image.build import below
from lyftlearn_entrypoint.cli.image.commands import image
from lyftlearn_entrypoint.cli.image.common import keeps_manifests
from lyftlearn_entrypoint.cli.image.layers import Saved
from tests.images.conftest import tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.image

# Three layers: the middle one is large, and has a hard link, a symbolic link, odd owners and modes.
DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}} AS made
ARG SOURCE_DATE_EPOCH=1600000000
RUN mkdir -p /out/data/a /out/data/z /small/etc /upper/later; \\
    for name in a/1 a/2 z/8 z/9; do head -c 4000000 /dev/zero | tr '\\0' "$name" >/out/data/$name; done; \\
    echo {label} | tee /out/data/a/label /upper/later/label >/small/etc/label; \\
    echo hot >/out/data/z/hot; ln /out/data/a/2 /out/data/z/hard; ln -s ../a/1 /out/data/z/soft; \\
    mkfifo /out/data/z/queue; chown 60000:100 /out/data/z/hot; chmod 0750 /out/data/z/hot; \\
    find /out /small /upper -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {{}} +
FROM scratch
COPY --from=made /small/ /
COPY --from=made /out/ /
COPY --from=made /upper/ /
CMD ["/nothing"]
LABEL lyftlearn.test={label}
"""
HOT = ["/data/z/hot", "/data/z/hard", "/data/a/1"]


class Built:
    """A checkout with images/laid, and the commands on it. Nothing of what is built stays."""

    def __init__(self, client: Any, root: Path) -> None:
        self.client, self.root = client, root
        self.label = uuid.uuid4().hex
        directory = root / "images/laid"
        directory.mkdir(parents=True)
        (directory / "Dockerfile").write_text(DOCKERFILE.format(label=self.label))
        (directory / "hot.txt").write_text("# how it was made\n" + "\n".join(HOT) + "\n")

    def name(self, which: str) -> str:
        return f"lyftlearn-laid:{which}-{self.label[:12]}"

    def build(self, which: str, *options: str, command: str = "build") -> Result:
        words = [command, "laid", "--checkout", str(self.root), "--tag", self.name(which)]
        return CliRunner().invoke(image, [*words, "--base-image", tag("base"), "--progress", "plain", "--network", "none", *options])

    def paths(self, which: str, path: str = "data/z/hot") -> "list[str]":
        """The paths of the layer with that one, in its order."""
        found: dict[str, list[str]] = {}
        for key, member, _ in Saved(self.client.images.get(self.name(which)).save()).files():
            found.setdefault(key, []).append(member.name)
        (paths,) = [paths for paths in found.values() if path in paths]
        return paths

    def seen(self, which: str) -> "dict[str, tuple[object, ...]]":
        """What a container of it sees."""
        container = self.client.containers.create(self.name(which))
        try:
            with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as archive:
                return {
                    each.name: (
                        each.type.decode(),
                        each.mode & 0o7777,  # Docker adds the kind of the file
                        each.uid,
                        each.gid,
                        each.mtime,
                        each.linkname,
                        hashlib.sha256(archive.extractfile(each).read()).hexdigest() if each.isreg() else "",  # type: ignore[union-attr]
                    )
                    for each in archive
                    if each.name.startswith(("data/", "etc/label", "later/"))
                }
        finally:
            container.remove()


@pytest.fixture
def built(
    client: Any, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need: "Callable[[object, str], None]"
) -> "Iterator[Built]":
    need(not keeps_manifests(client), "an engine without containerd's image store")
    assert client.images.get(tag("base")).id == base
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Built(client, tmp_path / "checkout")
    yield made
    for each in client.images.list(filters={"label": f"lyftlearn.test={made.label}"}):
        client.images.remove(each.id, force=True)


def test_hot_files_lie_in_front_and_all_else_is_the_same(built: Built, client: Any) -> None:
    for which, options in (("plain", ["--no-layout"]), ("hot", [])):
        done = built.build(which, *options)
        assert done.exit_code == 0, done.output
    assert built.paths("hot")[:6] == ["data", "data/z", "data/z/hot", "data/a", "data/a/2", "data/z/hard"]
    assert built.paths("plain").index("data/z/hot") > 5
    done = CliRunner().invoke(image, ["same", built.name("plain"), built.name("hot")])
    assert done.exit_code == 0, done.output
    assert done.output.endswith("; 1 layers have them in another order\n")
    plain, hot = (client.images.get(built.name(which)).attrs["RootFS"]["Layers"] for which in ("plain", "hot"))
    assert [a == b for a, b in zip(plain, hot, strict=True)] == [True, False, True]
    assert built.seen("hot") == built.seen("plain")
    assert built.seen("hot")["data/z/hot"] == ("0", 0o750, 60000, 100, 1600000000, "", hashlib.sha256(b"hot\n").hexdigest())


def test_same_says_what_differs(built: Built) -> None:
    assert built.build("first").exit_code == 0
    dockerfile = built.root / "images/laid/Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("echo hot", "echo not"))
    assert built.build("second").exit_code == 0
    done = CliRunner().invoke(image, ["same", built.name("first"), built.name("second")])
    assert done.exit_code == 1
    assert "/data/z/hot: content\n" in done.output
    assert f"{built.name('first')} and {built.name('second')} do not hold the same files" in done.output


def test_the_same_image_comes_of_it_again_with_and_without_what_is_known(built: Built, client: Any, tmp_path: Path) -> None:
    assert built.build("hot").exit_code == 0
    made = client.images.get(built.name("hot")).id
    (known,) = (tmp_path / "cache/lyftlearn/layouts").iterdir()
    assert built.build("hot").exit_code == 0
    assert client.images.get(built.name("hot")).id == made
    # What is known may be damaged, or of layers that the engine has no more.
    for damaged in ("", "[]", '["sha256:' + "0" * 64 + '"]', known.read_text().replace("sha256:", "sha256:0", 1)[:-3] + '"]'):
        known.write_text(damaged)
        done = built.build("hot")
        assert done.exit_code == 0, done.output
        assert client.images.get(built.name("hot")).id == made
    done = built.build("hot", command="reproduce")
    assert "the same image, byte for byte" in done.output, done.output


def test_another_name_of_the_image_that_is_laid_out_stays_with_it(built: Built, client: Any) -> None:
    assert built.build("plain", "--no-layout").exit_code == 0
    plain = client.images.get(built.name("plain")).id
    assert built.build("hot").exit_code == 0
    assert client.images.get(built.name("plain")).id == plain
    assert client.images.get(built.name("hot")).tags == [built.name("hot")]


def test_a_child_shares_the_layers_that_are_laid_out(built: Built, client: Any) -> None:
    assert built.build("hot").exit_code == 0
    parent = client.images.get(built.name("hot")).attrs["RootFS"]["Layers"]
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        text = f"FROM {built.name('hot')}\nCOPY Dockerfile /child\n".encode()
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    context.seek(0)
    child, _ = client.images.build(fileobj=context, custom_context=True, tag=built.name("child"), rm=True)
    assert child.attrs["RootFS"]["Layers"][: len(parent)] == parent


# On the image above, as images/distributed is on images/base: with a large layer of its own, which has a path of the one below too.
CHILD = """\
ARG BASE_IMAGE=lyftlearn-laid:latest
ARG MADE
FROM ${{MADE}} AS made
ARG SOURCE_DATE_EPOCH=1600000000
RUN mkdir -p /out/data/z /out/own; for name in data/z/8 own/1 own/2; do head -c 6000000 /dev/zero | tr '\\0' 'b' >/out/$name; done; \\
    echo own >/out/own/hot; find /out -exec touch --date=@$SOURCE_DATE_EPOCH {{}} +
FROM ${{BASE_IMAGE}}
COPY --from=made /out/ /
LABEL lyftlearn.test={label}
"""


def test_an_image_on_one_that_is_laid_out_shares_its_layers(built: Built, client: Any) -> None:
    """Its own list moves its own layers, though it names paths of the other's too."""
    assert built.build("hot").exit_code == 0
    directory = built.root / "images/child"
    directory.mkdir()
    (directory / "Dockerfile").write_text(CHILD.format(label=built.label))
    (directory / "hot.txt").write_text("/own/hot\n/data/z/8\n/data/z/9\n")
    words = ["build", "child", "--checkout", str(built.root), "--tag", built.name("child"), "--progress", "plain", "--network", "none"]
    words += ["--build-arg", f"MADE={tag('base')}"]
    done = CliRunner().invoke(image, [*words, "--base-image", built.name("hot")])
    assert done.exit_code == 0, done.output
    parent, child = (client.images.get(built.name(which)).attrs["RootFS"]["Layers"] for which in ("hot", "child"))
    assert child[: len(parent)] == parent
    assert built.paths("child", "own/hot")[:5] == ["own", "own/hot", "data", "data/z", "data/z/8"]
    # Another image has the name of the one below: which layers are the other's cannot be known, so none is moved.
    client.images.get(tag("base")).tag(built.name("other"))
    try:
        made = client.images.get(built.name("child"))
        with pytest.raises(click.ClickException, match="is not built on"):
            below(client, built.root, "child", made, built.name("other"))
        assert below(client, built.root, "child", made, built.name("hot")) == len(parent)
    finally:
        client.images.remove(built.name("other"))


@pytest.mark.parametrize("which", ["plain", "hot"])
def test_what_is_read_out_of_the_engines_directory_is_what_it_saves(
    built: Built, client: Any, need: "Callable[[object, str], None]", which: str
) -> None:
    """For layers that BuildKit made, and for those that were loaded."""
    assert built.build(which, *(["--no-layout"] if which == "plain" else [])).exit_code == 0
    made = client.images.get(built.name(which))
    found = stored.read(client, made)
    need(isinstance(found, stored.Stored), "the engine's own directory: root, on its machine, with overlay2")
    digests = [f"sha256:{hashlib.sha256(stream.read()).hexdigest()}" for _, stream in found.blobs()]
    assert digests == made.attrs["RootFS"]["Layers"]


def test_what_the_engine_saves_is_what_was_loaded(built: Built, client: Any) -> None:
    assert built.build("hot").exit_code == 0
    made = client.images.get(built.name("hot"))
    saved = Saved(made.save())
    found = {}
    for key, stream in saved.blobs():
        hashed = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            hashed.update(chunk)
        found[key] = f"sha256:{hashed.hexdigest()}"
    assert [found[layer.key] for layer in saved.layers] == made.attrs["RootFS"]["Layers"]
