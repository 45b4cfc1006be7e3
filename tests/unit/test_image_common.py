"""Where an image's files are, what it is built on, and the time that its build is told."""

from pathlib import Path

import click
import pytest

from lyftlearn_entrypoint.cli.image.common import default_of, epoch_of, lineage


def checkout(root: Path, **dockerfiles: str) -> Path:
    for name, text in dockerfiles.items():
        (root / "images" / name).mkdir(parents=True)
        (root / "images" / name / "Dockerfile").write_text(text)
    return root


BASE = "# ARG SOURCE_DATE_EPOCH=1\nARG BASE_IMAGE=debian:bookworm-slim\nFROM x\nARG SOURCE_DATE_EPOCH\n"
BASE += "ARG SOURCE_DATE_EPOCH=7\nARG SOURCE_DATE_EPOCH=8\n"
CHILD = "ARG BASE_IMAGE=lyftlearn-base:latest\nFROM $BASE_IMAGE\n"


def test_default_of(tmp_path: Path) -> None:
    dockerfile = checkout(tmp_path, base=BASE) / "images/base/Dockerfile"
    assert default_of(dockerfile, "SOURCE_DATE_EPOCH") == "7"
    assert default_of(dockerfile, "BASE_IMAGE") == "debian:bookworm-slim"
    assert default_of(dockerfile, "SOURCE") == ""


@pytest.mark.parametrize("reference", ["lyftlearn-base", "lyftlearn-base:1.2", "lyftlearn-base@sha256:ab", '"lyftlearn-base:latest"'])
def test_lineage(tmp_path: Path, reference: str) -> None:
    root = checkout(tmp_path, base=BASE, dl=f"ARG BASE_IMAGE={reference}\n", own="ARG BASE_IMAGE=lyftlearn-dl\n")
    assert lineage(root, "own") == ["own", "dl", "base"]
    assert lineage(root, "base") == ["base"]


def test_a_lineage_ends_where_this_checkout_does(tmp_path: Path) -> None:
    root = checkout(tmp_path, a="ARG BASE_IMAGE=lyftlearn-gone:1\n", b="ARG BASE_IMAGE=lyftlearn-b\n", c="FROM x\n")
    assert [lineage(root, name) for name in "abc"] == [["a"], ["b"], ["c"]]


def test_the_time_is_the_variables_or_the_dockerfiles(tmp_path: Path) -> None:
    root = checkout(tmp_path, base=BASE, dl=CHILD, own=CHILD + "ARG SOURCE_DATE_EPOCH=9\n")
    assert epoch_of(root, "base", {}) == 7
    assert epoch_of(root, "dl", {}) == 7
    assert epoch_of(root, "own", {"SOURCE_DATE_EPOCH": ""}) == 9
    assert epoch_of(root, "own", {"SOURCE_DATE_EPOCH": "0"}) == 0


@pytest.mark.parametrize("text", ["now", "-1", "1.5", "2026-01-01", "²", "999999999999"])
def test_what_is_no_time_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(click.UsageError, match="whole seconds since 1970"):
        epoch_of(checkout(tmp_path, base=BASE), "base", {"SOURCE_DATE_EPOCH": text})


def test_no_time_at_all(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="has no ARG SOURCE_DATE_EPOCH"):
        epoch_of(checkout(tmp_path, base="FROM x\n"), "base", {})
