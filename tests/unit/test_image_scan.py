"""`lyftlearn image scan` over layers that hold planted secrets: each is found where it is, and no value is told."""

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import click
import pytest

from lyftlearn_entrypoint.cli.image.layers import Saved
from lyftlearn_entrypoint.cli.image.scan import LARGE, Allowed, Finding, Scanner, allowed, sift
from lyftlearn_entrypoint.cli.image.secrets import Own, own_values
from tests.unit.saved_image import Files, chunks, config, engine_form, tar
from tests.unit.test_image_certificates import pem
from tests.unit.test_image_secrets import key, made_up

TOKEN = "ghp_" + made_up(36)
VALUE = "9b2f-value-of-a-variable"


def scan(*layers: Files, own: "list[Own] | None" = None, bundle: bytes = b"", **settings: Any) -> "list[Finding]":
    made = [tar(files) for files in layers]
    return Scanner(own or [], bundle).scan(Saved(chunks(engine_form(made, config(made, **settings)), 4096)))


def zipped(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def test_a_secret_that_a_later_layer_takes_away_is_found() -> None:
    """It is in the image all the same: each layer is served by itself."""
    (found,) = scan({"srv/": None, "srv/key.pem": key().encode()}, {"x": b""}, {"srv/.wh.key.pem": b""})
    assert found == Finding("private-key", "/srv/key.pem", "a private key (PEM)", 0, "COPY part0 /", 2)
    assert str(found).endswith("layer 2 takes it away, and it is in the image all the same")


@pytest.mark.parametrize("whiteout", [".wh.srv", "srv/.wh.deep", "srv/deep/.wh..wh..opq"])
def test_taken_away_with_its_directory(whiteout: str) -> None:
    (found,) = scan({"srv/deep/token": TOKEN.encode()}, {whiteout: b""})
    assert found.taken_away == 1


@pytest.mark.parametrize("whiteout", ["srv/.wh.dee", "srv/.wh.deeper", "srv/deep/.wh.tok"])
def test_another_file_that_is_taken_away(whiteout: str) -> None:
    (found,) = scan({"srv/deep/token": TOKEN.encode()}, {whiteout: b""})
    assert found.taken_away is None


def test_a_layer_below_that_takes_a_file_away_says_nothing_of_one_above() -> None:
    (found,) = scan({"srv/.wh.token": b""}, {"srv/token": TOKEN.encode()})
    assert (found.layer, found.taken_away) == (1, None)


def test_each_rule_is_reported_once_and_in_order() -> None:
    files = {"b": (TOKEN + "\n" + TOKEN + "\n" + key()).encode(), "a": TOKEN.encode()}
    found = scan({"z": b""}, files, {"a": TOKEN.encode()})
    assert [(finding.layer, finding.path, finding.rule) for finding in found] == [
        (1, "/a", "github-token"),
        (1, "/b", "github-token"),
        (1, "/b", "private-key"),
        (2, "/a", "github-token"),
    ]


def test_a_layer_that_is_there_twice_is_told_twice() -> None:
    files = {"a": TOKEN.encode()}
    assert [finding.layer for finding in scan(files, {"b": b""}, files)] == [0, 2]


def test_in_archives() -> None:
    """A wheel, a JAR, a compressed file, and an archive in an archive."""
    inner = zipped(**{"c.txt": TOKEN.encode()})
    files = {
        "a.whl": zipped(**{"pip.conf": b"index-url = https://" + made_up(20).encode() + b"@x/simple"}),
        "b.txt.gz": gzip.compress(key().encode()),
        "d.jar": zipped(**{"x/e.jar": inner, "no": b"thing"}),
        "broken.zip": inner[:60],
        "broken.gz": gzip.compress(TOKEN.encode())[:25],
    }
    assert [(finding.rule, finding.path) for finding in scan(files)] == [
        ("settings", "/a.whl!pip.conf"),
        ("private-key", "/b.txt.gz!"),
        ("github-token", "/d.jar!x/e.jar!c.txt"),
    ]


def test_an_archives_member_goes_with_the_archive() -> None:
    (found,) = scan({"a.zip": zipped(b=TOKEN.encode())}, {".wh.a.zip": b""})
    assert found.taken_away == 1


def test_this_machines_own_values() -> None:
    own = own_values({"DEPLOY_TOKEN": VALUE, "HTTPS_PROXY": "http://me:proxy-word@p:1"})
    found = scan({"a": b"x" + VALUE.encode() + b"y", "b": b"proxy-word"}, own=own)
    assert [(finding.path, finding.what) for finding in found] == [
        ("/a", "the value of DEPLOY_TOKEN on this machine"),
        ("/b", "the value of HTTPS_PROXY on this machine"),
    ]


def test_own_values_in_large_files_as_they_are() -> None:
    own = own_values({"DEPLOY_TOKEN": "of/this&kind of value"})
    filled = bytes(LARGE)
    found = scan({"plain": filled + b"of/this&kind of value", "quoted": filled + b"of%2Fthis%26kind%20of%20value"}, own=own)
    assert [finding.path for finding in found] == ["/plain"]


def test_own_certificates() -> None:
    found = scan({"usr/local/share/ca-certificates/proxy.crt": pem("ours")}, bundle=pem("ours"))
    assert [(finding.rule, finding.path) for finding in found] == [("own-certificate", "/usr/local/share/ca-certificates/proxy.crt")]


def test_left_behind() -> None:
    """Directories may be there: they are where the container's own mounts go."""
    found = scan({"tmp/": None, "tmp/x/": None, "tmp/x/y": b"", "root/.cache/": None, "tmp/link": "/etc/passwd"})
    assert [(finding.rule, finding.path) for finding in found] == [("left-behind", "/tmp/link"), ("left-behind", "/tmp/x/y")]


def test_in_the_config() -> None:
    made = [tar({"a": b""})]
    image = config(
        made,
        Env=["PATH=/bin", f"INDEX=https://me:{made_up(9)}@x/simple", "API_TOKEN=abcdef", "A_TOKEN_FILE=/run/x", "EMPTY_TOKEN="],
        Labels={"source": f"https://x:{TOKEN}@github.com/a/b", "title": "fine"},
        Cmd=["serve", "--password=hunter2hunter2"],
    )
    image["history"].append({"created_by": f"RUN |1 TOKEN={VALUE} /bin/sh -c make", "empty_layer": True})
    found = Scanner(own_values({"MINE": "x", "MY_SECRET": VALUE})).scan(Saved(chunks(engine_form(made, image))))
    assert [(finding.path, finding.rule, finding.layer) for finding in found] == [
        ("ENV INDEX", "url-password", None),
        ("ENV API_TOKEN", "named-secret", None),
        ("LABEL source", "github-token", None),
        ("LABEL source", "url-password", None),
        ("history 2", "named-secret", None),
        ("history 2", "own-secret", None),
        ("Cmd", "named-secret", None),
    ]
    assert str(found[1]) == "named-secret: config: ENV API_TOKEN: a value for API_TOKEN"


def test_no_value_is_told() -> None:
    """Not in a finding, not as a path."""
    secrets = [TOKEN, VALUE, made_up(20)]
    own = own_values({"DEPLOY_TOKEN": VALUE})
    files = {f"cache/{VALUE}/x": TOKEN.encode(), "root/.netrc": f"password {secrets[2]}".encode(), f"tmp/{VALUE}": b""}
    found = scan(files, own=own, Env=[f"X_TOKEN={TOKEN}"])
    assert len(found) == 5
    told = json.dumps([vars(finding) for finding in found]) + "".join(map(str, found))
    assert not any(secret in told for secret in secrets)
    assert "/cache/***/x" in told


def test_what_was_read_is_counted() -> None:
    made = [tar({"a": b"12", "b/": None, "c": "a"}), tar({".wh.a": b""})]
    scanner = Scanner([])
    scanner.scan(Saved(chunks(engine_form(made, config(made)))))
    assert (scanner.files, scanner.bytes) == (4, 2)


def entry(image: str, path: str, rule: str = "github-token") -> Allowed:
    return Allowed(image, rule, path, "why")


def test_sift() -> None:
    """What an image takes over from its base may be allowed there; an entry of its own that matches nothing is stale."""
    found = scan({"a": TOKEN.encode(), "b": TOKEN.encode(), "c": key().encode()})
    entries = [entry("base", "/a"), entry("base", "/gone"), entry("dl", "/b*"), entry("dl", "/c"), entry("other", "/c", "private-key")]
    left, stale = sift(found, entries, ["dl", "base"])
    assert [finding.path for finding in left] == ["/c"]
    assert stale == [entries[3]]
    assert [finding.path for finding in sift(found, entries, ["base"])[0]] == ["/b", "/c"]


def test_the_allow_list_gives_a_reason_for_each(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert allowed(tmp_path) == []
    (tmp_path / "images/scan.json").write_text('[{"image": "base", "rule": "r", "path": "/x"}]')
    with pytest.raises(click.ClickException, match="each entry has image, rule, path and why"):
        allowed(tmp_path)


def test_the_committed_allow_list() -> None:
    entries = allowed(Path(__file__).parents[2])
    assert entries
    for each in entries:
        assert len(each.why) > 20
        assert (Path(__file__).parents[2] / "images" / each.image / "Dockerfile").is_file()
        # A whole directory tree of a rule would hide what comes later.
        assert each.path.rstrip("*") not in {"", "/", "/opt/", "/usr/", "/opt/venv/"}
