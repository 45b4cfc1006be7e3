"""Tags that a push fills in, and what is known of a file that is attached: no engine, no registry."""

from typing import Any

import pytest

from lyftlearn_entrypoint.cli.image import attach as image_attach
from lyftlearn_entrypoint.cli.image import tags as image_tags
from lyftlearn_entrypoint.errors import BadSettings, Missing

FACTS = {"version": "1.2.3", "revision": "abc", "architecture": "arm64", "none": ""}


def test_tags() -> None:
    assert image_tags.render(["{version}", "{revision}-{architecture}", "x", "x"], FACTS) == ["1.2.3", "abc-arm64", "x"]


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{nothing}", "the image tells no {nothing}. It tells {version}, {revision}, {architecture}"),
        ("{none}", "the image tells no {none}"),
        ("a+b", "'a+b' is no tag"),
        (".a", "'.a' is no tag"),
        ("", "'' is no tag"),
        ("a" * 129, "is no tag"),
    ],
)
def test_what_is_no_tag(template: str, says: str) -> None:
    with pytest.raises(BadSettings) as caught:
        image_tags.render([template], FACTS)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("sbom.json", b'{"bomFormat": "CycloneDX"}', "application/vnd.cyclonedx+json"),
        ("sbom.json", b'{"spdxVersion": "SPDX-2.3"}', "application/spdx+json"),
        ("facts.json", b'{"a": 1}', "application/json"),
        ("broken.json", b'{"a": ', "application/json"),
        ("list.json", b"[1]", "application/json"),
        ("licences.csv", b"a,b", "text/csv"),
        ("licences.md", b"# a", "text/markdown"),
        ("licences.txt", b"{not json", "text/plain"),
        ("unknown", b"\0", "application/octet-stream"),
    ],
)
def test_type_of_an_attachment(name: str, content: bytes, media_type: str) -> None:
    assert image_attach.type_of(name, content) == media_type


def test_an_attachment_names_its_type_or_not(tmp_path: Any) -> None:
    (tmp_path / "a:b").write_text("x")
    (tmp_path / "c.txt").write_text("x")
    (tmp_path / "empty").write_text("")
    assert image_attach.read(f"{tmp_path}/a:b").name == "a:b"
    assert image_attach.read(f"{tmp_path}/c.txt").media_type == "text/plain"
    assert image_attach.read(f"{tmp_path}/c.txt:application/x-own").media_type == "application/x-own"
    assert image_attach.read(f"{tmp_path}/c.txt:application/x-own").name == "c.txt"
    with pytest.raises(Missing, match="cannot be read: No such file"):
        image_attach.read(f"{tmp_path}/d.txt")
    with pytest.raises(BadSettings, match="it has 0 bytes"):
        image_attach.read(f"{tmp_path}/empty")


def test_the_type_of_an_attachment_in_this_directory(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert image_attach.read("./c.txt").media_type == "text/plain"
    assert image_attach.read(".//c.txt:application/x-own").media_type == "application/x-own"


def test_fallback_tag_as_in_the_specifications_table() -> None:
    assert image_attach.fallback_tag("sha256:" + "a" * 64) == "sha256-" + "a" * 64
    assert image_attach.fallback_tag("sha512:" + "a" * 128) == "sha512-" + "a" * 64
