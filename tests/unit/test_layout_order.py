"""In which order a layer's entries are laid: hot files in front, nothing before what it needs, and nothing lost."""

import io
import tarfile

import pytest

from lyftlearn_entrypoint.cli.image.layers import Unreadable
from lyftlearn_entrypoint.cli.layout import tape
from lyftlearn_entrypoint.cli.layout.order import Entry, listed, ordered

FILES = ("/a", "/a/cold.py", "/a/hot.pyc", "/a/near.pyc", "/a/near.so.1", "/b", "/b/c", "/b/c/hot.so", "/b/c/note", "/z.pyc")


def entries(*paths: str, links: "dict[str, str] | None" = None) -> "list[Entry]":
    links = links or {}
    directories = {path.rpartition("/")[0] for path in paths}
    return [
        Entry(path, "link" if path in links else "directory" if path in directories else "file", links.get(path, ""), 512 * number, 512)
        for number, path in enumerate(paths)
    ]


def paths(made: "list[Entry]") -> "list[str]":
    return [entry.path for entry in made]


def test_hot_files_come_first_then_what_is_compiled_beside_them_then_the_rest() -> None:
    made = paths(ordered(entries(*FILES), ["/b/c/hot.so", "/elsewhere", "/a/hot.pyc"]))
    hot = ["/b", "/b/c", "/b/c/hot.so", "/a", "/a/hot.pyc"]
    assert made == [*hot, "/a/near.pyc", "/a/near.so.1", "/a/cold.py", "/b/c/note", "/z.pyc"]


def test_without_a_hot_file_all_stays() -> None:
    assert ordered(entries(*FILES), ["/elsewhere"]) == entries(*FILES)


def test_a_layer_that_is_laid_out_stays_so() -> None:
    once = ordered(entries(*FILES), ["/b/c/hot.so", "/a/hot.pyc"])
    assert ordered(once, ["/b/c/hot.so", "/a/hot.pyc"]) == once


def test_the_order_does_not_depend_on_the_one_before() -> None:
    """A build may start from layers that another list has laid out."""
    other = ordered(entries(*FILES), ["/z.pyc", "/b/c/note", "/a/cold.py"])
    assert paths(other) != paths(entries(*FILES))
    assert ordered(other, ["/a/hot.pyc"]) == ordered(entries(*FILES), ["/a/hot.pyc"])


def test_a_hard_link_stands_behind_its_file() -> None:
    made = paths(ordered(entries("/a", "/a/file", "/a/more", "/b", "/b/link", links={"/b/link": "/a/file"}), ["/b/link"]))
    assert made == ["/b", "/a", "/a/file", "/b/link", "/a/more"]


def test_what_takes_away_from_lower_layers_comes_before_everything() -> None:
    made = paths(ordered(entries("/a", "/a/hot", "/a/.wh.gone", "/b", "/b/.wh..wh..opq", "/b/new"), ["/b/new", "/a/hot"]))
    assert made == ["/a", "/a/.wh.gone", "/b", "/b/.wh..wh..opq", "/b/new", "/a/hot"]


def test_a_path_that_is_there_twice_keeps_its_place() -> None:
    twice = entries("/a", "/b", "/a", "/hot")
    assert ordered(twice, ["/hot"]) == twice


def test_the_hot_list_has_what_more_starts_touch_first_and_each_ones_own_together() -> None:
    uses = {"kernel": ["/k1", "/all", "/k2"], "lab": ["/all", "/l1", "/both"], "job": ["/j1", "/both", "/all", "/l1"]}
    assert listed(uses) == ["/all", "/l1", "/both", "/k1", "/k2", "/j1"]


LONG = "d/" + "n" * 200


def tar(form: int = tarfile.PAX_FORMAT) -> bytes:
    """Every kind of entry, long names, an extended attribute, odd owners and times."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for path, kind, data in (
            ("d", tarfile.DIRTYPE, b""),
            ("d/cold", tarfile.REGTYPE, b"c" * 1000),
            (LONG, tarfile.REGTYPE, b"hot"),
            ("d/empty", tarfile.REGTYPE, b""),
            ("d/symbolic", tarfile.SYMTYPE, b""),
            ("d/hard", tarfile.LNKTYPE, b""),
            (".wh.gone", tarfile.REGTYPE, b""),
            ("d/queue", tarfile.FIFOTYPE, b""),
        ):
            member = tarfile.TarInfo(path)
            member.type, member.size, member.uid, member.gid, member.mode, member.mtime = kind, len(data), 70000, 100, 0o2750, 1.5
            member.linkname = LONG if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            if form == tarfile.PAX_FORMAT and path == "d/cold":
                member.pax_headers = {"SCHILY.xattr.user.mark": "é"}
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def facts(data: bytes) -> "dict[str, tuple[object, ...]]":
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            each.name: (
                each.type,
                each.mode,
                each.uid,
                each.gid,
                each.mtime,
                each.linkname,
                each.pax_headers,
                each.isreg() and archive.extractfile(each).read(),  # type: ignore[union-attr]
            )
            for each in archive
        }


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_tar_in_another_order_holds_the_same(form: int) -> None:
    data = tar(form)
    found = tape.entries(io.BytesIO(data))
    assert b"".join(tape.written(io.BytesIO(data), found)) == data
    made = b"".join(tape.written(io.BytesIO(data), ordered(found, ["/d/hard"])))
    assert len(made) == len(data)
    assert made != data
    assert facts(made) == facts(data)
    assert list(facts(made))[:4] == [".wh.gone", "d", LONG, "d/hard"]


def test_an_entry_with_another_time_is_as_if_it_had_been_written_so() -> None:
    data, old = (io.BytesIO() for _ in range(2))
    for made, mtime in ((data, 1_767_225_700), (old, 1_767_225_600)):
        with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for path, time in (("d/.wh.gone", mtime), ("d/file", 1_767_225_700)):
                member = tarfile.TarInfo(path)
                member.mtime, member.uid = time, 70000
                archive.addfile(member)
    entries = tape.entries(data)
    young = tape.younger(data, entries, 1_767_225_600)
    assert [entry.path for entry in young] == ["/d/.wh.gone"]
    assert b"".join(tape.written(data, entries, young, 1_767_225_600)) == old.getvalue()
    assert tape.younger(old, entries, 1_767_225_600) == tape.younger(data, entries, 8**11) == set()


def test_a_tar_with_headers_that_hold_for_all_behind_them_is_left_alone() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "x"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    assert tape.entries(made) == []
    assert b"".join(tape.written(made, [])) == made.getvalue()


def test_what_ends_early_is_no_layer() -> None:
    with pytest.raises(Unreadable, match="no whole tar"):
        tape.entries(io.BytesIO(tar(tarfile.GNU_FORMAT)[:1700]))
