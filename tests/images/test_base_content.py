"""What is in the base image's layers, and what must not be."""

import json
import os
import re
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lyftlearn_entrypoint.cli import image_size
from tests.images.conftest import Start

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.image

LIBRARY = "opt/lyftlearn/lib/lyftlearn_entrypoint/"


class Layers:
    """The image as `docker save` gives it. Sizes in bytes."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self.archive = archive
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        self.names: list[str] = json.load(manifest)[0]["Layers"]

    def members(self) -> "Iterator[tuple[int, tarfile.TarFile, tarfile.TarInfo]]":
        for number, name in enumerate(self.names):
            with tarfile.open(fileobj=self.archive.extractfile(name)) as layer:
                for member in layer:
                    yield number, layer, member


@pytest.fixture(scope="module")
def layers(client: Any, base: str) -> "Iterator[Layers]":
    with tempfile.TemporaryFile() as file:
        for chunk in client.images.get(base).save():
            file.write(chunk)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            yield Layers(archive)


def test_how_it_starts(client: Any, base: str) -> None:
    config = client.images.get(base).attrs["Config"]
    assert config["Entrypoint"] == ["/usr/bin/tini", "-s", "--", "/opt/lyftlearn/bin/lyftlearn-entrypoint"]
    assert not config["Cmd"]
    assert config["User"] == ""  # root: SageMaker needs it
    assert config["WorkingDir"] == "/home/sagemaker-user"  # Studio's volume
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8888/tcp"}
    labels = config["Labels"]
    for name in ("title", "description", "licenses", "version", "revision", "base.name"):
        assert labels["org.opencontainers.image." + name]
    names = {variable.partition("=")[0] for variable in config["Env"]}
    assert names == {"PATH", "VIRTUAL_ENV", "JUPYTER_PATH", "SHELL", "LANG", "PYTHONUNBUFFERED"}


def test_files_that_break_a_platform(layers: Layers) -> None:
    """Ids over 65535 break Studio, even in a layer below another that takes the file away. Nothing of ours lies where mounts hide it."""
    hidden = []
    for _, _, member in layers.members():
        assert member.uid <= 65535, member.name
        assert member.gid <= 65535, member.name
        if re.match(r"(home|opt/ml)/.", member.name) and not member.isdir():
            hidden.append(member.name)
    assert hidden == []


@pytest.mark.slow
def test_no_secret_of_the_build(layers: Layers) -> None:
    """Nothing is left of the build's secrets, and no certificate that only the building machine trusts is anywhere."""
    public = public_certificates(layers)
    bundle = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    ours = {line for line in inner_lines(Path(bundle).read_bytes()) if line not in public} if Path(bundle).is_file() else set()
    key = re.compile(
        rb"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{100,}|\bAKIA(?![0-9A-Z]{9}EXAMPLE)[0-9A-Z]{16}\b"
    )
    for number, layer, member in layers.members():
        assert not re.match(r"(run/secrets|tmp|build|root/\.cache|root/\.netrc)/.", member.name), member.name
        if member.name.endswith(("pip.conf", "auth.json", ".netrc", "config.json")):
            assert member.name == "etc/pip.conf" or "site-packages" in member.name or "lyftlearn/lib" in member.name, member.name
        if not member.isreg() or number == 0:
            continue
        stream = layer.extractfile(member)
        assert stream is not None
        data = stream.read()
        assert not key.search(data), member.name
        if b"-----BEGIN CERTIFICATE-----" in data:
            assert not ours.intersection(inner_lines(data)), member.name


def public_certificates(layers: Layers) -> "set[bytes]":
    """Lines of the certificates that come with Debian's package, and with packages whose hashes are in the locks."""
    found: set[bytes] = set()
    for _, layer, member in layers.members():
        if re.search(r"^usr/share/ca-certificates/|/(certifi|botocore)/cacert\.pem$", member.name) and member.isreg():
            stream = layer.extractfile(member)
            assert stream is not None
            found.update(inner_lines(stream.read()))
    assert len(found) > 1000
    return found


def inner_lines(pem: bytes) -> "set[bytes]":
    """Full lines of base64 of all certificates in a text, as OpenSSL wraps them."""
    found: set[bytes] = set()
    for text in re.findall(rb"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", pem):
        whole = b"".join(text.split())
        # Neither the first lines, which begin alike in many, nor the last, which may be short.
        found.update(whole[start : start + 64] for start in range(64 * 4, len(whole) - 64, 64))
    return found


def test_no_set_user_id_and_nothing_writable_by_all(start: Start) -> None:
    """A pod's restricted profile ignores such bits anyway; for root they are a way back after the user was switched."""
    find = "find / -xdev -type f -perm /6000; find / -xdev ! -type l -perm -o+w ! -type c ! -path '/proc/*' ! -path '/dev/*'"
    container = start("sh", "-c", find)
    assert container.wait() == 0, container.log
    writable = set(container.stdout.split())
    assert writable <= {"/tmp", "/var/tmp", "/run/lock"}


def test_who_may_write_where(start: Start) -> None:
    places = [
        "/opt/venv",
        "/opt/venv/bin",
        "/opt/venv/lib/python3.11/site-packages",
        "/opt/ml/model",
        "/opt/ml/output",
        "/home/sagemaker-user",
    ]
    program = (
        "import os, sys\n"
        f"print(all(os.access(p, os.W_OK) for p in {places}))\n"
        "ours = [d for top in ('/opt/lyftlearn', '/etc', '/usr') for d, _, _ in os.walk(top) if os.access(d, os.W_OK)]\n"
        "print(ours)"
    )
    container = start("python", "-c", program, user="1000:100")
    assert container.wait() == 0, container.log
    assert container.stdout == "True\n[]\n"


def test_everything_is_compiled_for_good(start: Start) -> None:
    """Each .pyc is believed without a look at its source's time (PEP 552), so it serves on a read-only root, whenever it was built."""
    program = (
        "import importlib.util, os\n"
        "missing, other, right = [], [], 0\n"
        "for top in ('/opt/venv/lib', '/opt/lyftlearn/lib'):\n"
        " for directory, _, files in os.walk(top):\n"
        "  for name in files:\n"
        "   if not name.endswith('.py'): continue\n"
        "   cached = importlib.util.cache_from_source(os.path.join(directory, name))\n"
        "   if not os.path.exists(cached): missing.append(os.path.join(directory, name)); continue\n"
        "   flags = int.from_bytes(open(cached, 'rb').read(8)[4:], 'little')\n"
        "   right += flags == 1\n"
        "   if flags != 1: other.append(cached)\n"
        "print(missing, other, right > 5000)"
    )
    container = start("python", "-c", program)
    assert container.wait() == 0, container.log
    assert container.stdout == "[] [] True\n"


def test_the_entrypoints_bundle_is_used(start: Start) -> None:
    """A start from the bundle opens no module of ours by itself."""
    program = (
        "import sys, posix\nsys.argv[1:] = ['true']\n"
        "posix.execve = lambda *_: (print(*sorted(n for n in sys.modules if n.startswith('lyft'))),"
        " print(sys.modules['lyftlearn_entrypoint.boot'].__spec__), sys.stdout.flush(), posix._exit(0))\n"
        "__file__ = '/opt/lyftlearn/bin/lyftlearn-entrypoint'\nexec(open(__file__).read())"
    )
    container = start("-IS", "-c", program, entrypoint=["/usr/bin/python3"])
    assert container.wait() == 0, container.log
    modules, spec = container.stdout.splitlines()
    assert "lyftlearn_entrypoint.boot" in modules
    assert spec == "None"  # the import system would have left its own


def test_the_entrypoint_is_a_small_layer_of_its_own(layers: Layers) -> None:
    """A lazily pulled image (SOCI) fetches layers below 10 MiB whole and at once; what changes most is not in a large one."""
    sizes = dict.fromkeys(range(len(layers.names)), 0)
    where = set()
    for number, _, member in layers.members():
        sizes[number] += member.size
        if member.name.startswith(LIBRARY):
            where.add(number)
    assert len(where) == 1
    assert sizes[where.pop()] < 5 * 1024 * 1024


def test_it_is_within_its_budget(client: Any, base: str) -> None:
    budget = json.loads((Path(__file__).parents[2] / "images/base/budget.json").read_text())
    made = image_size.layers(client.api.history(base))
    for start in budget:
        assert start == "total" or any(layer.name.startswith(start) for layer in made), f"no layer {start!r}: {made}"
    assert image_size.over_budget(made, client.images.get(base).attrs["Size"], budget) == []
