"""The reason of a failed job, where SageMaker looks for it."""

import os
from pathlib import Path

import pytest

from lyftlearn_entrypoint.context import CONTEXTS, PROCESSING, TRAINING, Context
from lyftlearn_entrypoint.failure import FAILURE, LIMIT, MESSAGE, cut, place, write_reason
from lyftlearn_entrypoint.files import Files
from tests.unit.helpers import mode, short, tree

PLACES = {TRAINING: "/opt/ml/output/failure", PROCESSING: "/opt/ml/output/message"}


@pytest.mark.parametrize("name", CONTEXTS)
def test_each_context_has_its_file_or_none(tmp_path: Path, name: str) -> None:
    files = Files(str(tmp_path))
    written = write_reason(Context(name, []), files, "it broke: é")
    if name not in PLACES:
        assert (written, list(tmp_path.iterdir())) == ("", [])
        return
    assert written == files.real(PLACES[name])
    assert Path(written).read_text(encoding="utf-8") == "it broke: é"
    assert [path.name for path in Path(written).parent.iterdir()] == [Path(written).name]


def test_local_mode_gets_it_too(tmp_path: Path) -> None:
    assert write_reason(Context(TRAINING, [], emulated=True), Files(str(tmp_path)), "x").endswith(FAILURE)


@pytest.mark.parametrize("there", ["file", "empty", "directory", "dangling", "link"])
def test_what_is_there_stays(tmp_path: Path, there: str) -> None:
    files = tree(tmp_path, {"/opt/ml/output/": "", "/elsewhere": "kept"})
    path = Path(files.real(FAILURE))
    if there == "directory":
        path.mkdir()
    elif there == "dangling":
        path.symlink_to("nowhere")
    elif there == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("the user's own reason" if there == "file" else "")
    before = sorted((entry.name, os.lstat(entry).st_ino) for entry in path.parent.iterdir())
    assert write_reason(Context(TRAINING, []), files, "ours") == ""
    assert sorted((entry.name, os.lstat(entry).st_ino) for entry in path.parent.iterdir()) == before
    assert (tmp_path / "elsewhere").read_text() == "kept"
    if there == "file":
        assert path.read_text() == "the user's own reason"


def test_everybody_may_read_it_under_any_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        written = write_reason(Context(TRAINING, []), Files(str(tmp_path)), "x")
    finally:
        os.umask(old)
    assert (mode(written), mode(Path(written).parent)) == (0o644, 0o755)


def test_nowhere_to_write_stops_nothing(tmp_path: Path) -> None:
    files = tree(tmp_path, {"/opt/ml": "a file where the directory should be"})
    assert write_reason(Context(TRAINING, []), files, "x") == ""


@pytest.mark.parametrize("reason", ["x" * 5000, "é" * 5000, "a" + "😀" * 5000, "\udcff" * 5000, "short", ""], ids=short)
def test_length(reason: str) -> None:
    failure, message = cut(reason, FAILURE), cut(reason, MESSAGE)
    text = reason.encode("utf-8", "backslashreplace").decode()
    assert failure.decode() == text[:LIMIT]
    assert len(message) <= LIMIT
    assert text.startswith(message.decode())  # whole characters: SageMaker fails a job whose message is not UTF-8
    assert len(text.encode()) <= LIMIT or len(message) > LIMIT - 4


@pytest.mark.parametrize("path", PLACES.values())
@pytest.mark.parametrize("length", [0, 10, LIMIT - 9, LIMIT - 8, LIMIT, 5000])
def test_the_code_is_never_cut_off(path: str, length: int) -> None:
    kept = cut("é" * length + " [LL0609]", path).decode()
    assert kept.endswith("é" * min(length, 1) + " [LL0609]")
    assert len(kept.encode() if path == MESSAGE else kept) <= LIMIT
    assert "é" * length + " [LL0609]" == kept or len(kept.encode() if path == MESSAGE else kept) > LIMIT - 2


def test_place_is_the_contract() -> None:
    assert {name: place(Context(name, [])) for name in CONTEXTS if place(Context(name, []))} == PLACES
