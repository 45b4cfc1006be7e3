"""What a layer's tar holds, as a zTOC has it: names with their last slash, times with their fraction, all extended records."""

import io
import tarfile
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.soci.tape import Entry, Tape, Unsupported, entries, moment
from lyftlearn_entrypoint.errors import BadDocument
from tests.unit.soci_made import tar


def read(data: bytes, size: int = 700) -> tuple[list[Entry], int]:
    tape = Tape(data[start : start + size] for start in range(0, len(data), size))
    return list(entries(tape)), tape.position


def one(name: str = "a", data: bytes = b"", form: int = tarfile.PAX_FORMAT, **fields: Any) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        for field, value in fields.items():
            setattr(member, field, value)
        archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("size", [1, 511, 1 << 20])
def test_entries_are_those_that_pythons_own_reader_finds(form: int, size: int) -> None:
    data = tar(form, files=12)
    found, end = read(data, size)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        known = archive.getmembers()
    assert [each.name.rstrip(b"/").decode() for each in found] == [each.name for each in known]
    for each, other in zip(found, known, strict=True):
        assert (each.offset, each.size) == (other.offset_data, other.size)
        assert (each.mode, each.uid, each.gid) == (other.mode, other.uid, other.gid)
        assert (each.user.decode(), each.group.decode(), each.link.decode()) == (other.uname, other.gname, other.linkname)
        assert (each.major, each.minor) == (other.devmajor, other.devminor)
    # The archive ends with two blocks of zeros; what pads it is not of it.
    assert end == found[-1].offset + -(-found[-1].size // 512) * 512 + 1024


def test_a_directory_keeps_its_slash_and_an_extended_name_wins() -> None:
    (found,), _ = read(one("d" * 120 + "/", type=tarfile.DIRTYPE))
    assert found.name == b"d" * 120 + b"/"
    assert found.kind == b"dir"
    assert dict(found.records)[b"path"] == found.name


def test_an_old_file_whose_name_ends_in_a_slash_is_a_directory() -> None:
    (found,), _ = read(one("d/", type=tarfile.AREGTYPE))
    assert found.kind == b"dir"
    (found,), _ = read(one("d", type=tarfile.AREGTYPE))
    assert found.kind == b"reg"


def test_records_are_sorted_and_all_there() -> None:
    (found,), _ = read(one(pax_headers={"SCHILY.xattr.user.b": "2", "comment": "", "LIBARCHIVE.x": "3"}))
    assert found.records == [(b"LIBARCHIVE.x", b"3"), (b"SCHILY.xattr.user.b", b"2"), (b"comment", b"")]


@pytest.mark.parametrize(
    "given, seen",
    [
        ("1700000000", b"2023-11-14T22:13:20Z"),
        ("1700000000.5", b"2023-11-14T22:13:20.5Z"),
        ("1700000000.123456789987", b"2023-11-14T22:13:20.123456789Z"),
        ("1700000000.", b"2023-11-14T22:13:20Z"),
        ("-1.25", b"1969-12-31T23:59:58.75Z"),
        ("-62135596800", b"0001-01-01T00:00:00Z"),
        ("253402300800", b""),  # the year 10000
    ],
)
def test_times(given: str, seen: bytes) -> None:
    (found,), _ = read(one(pax_headers={"mtime": given}))
    assert found.time == seen


def test_a_time_before_1970_out_of_a_header() -> None:
    assert moment(-1) == b"1969-12-31T23:59:59Z"
    (found,), _ = read(one(form=tarfile.GNU_FORMAT, mtime=-5, uid=1 << 40))
    assert (found.time, found.uid) == (b"1969-12-31T23:59:55Z", 1 << 40)


def test_without_blocks_at_its_end_a_tar_is_whole_too() -> None:
    data = one(data=b"x" * 100)
    found, end = read(data[:1024])
    assert (len(found), end) == (1, 1024)
    assert read(data[: 512 + 100])[1] == 612
    assert read(b"") == ([], 0)


@pytest.mark.parametrize("cut, said", [(300, "within a header"), (700, "within a file"), (1024 + 512 + 99, "within a file")])
def test_a_tar_that_ends_early(cut: int, said: str) -> None:
    with pytest.raises(BadDocument, match=said):
        read((one("a", b"x" * 512)[:1024] + one("b", b"y" * 100))[:cut])


def test_a_tar_that_ends_within_records() -> None:
    with pytest.raises(BadDocument, match="within extended records"):
        read(one("é")[:520])


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda data: b"X" + data[1:], "checksum"),
        (lambda data: bytes(512) + data, "lone block"),
        (lambda data: data[:124] + b"9" * 11 + data[135:], "number|checksum"),
    ],
)
def test_damage_is_told(change: Any, said: str) -> None:
    with pytest.raises(BadDocument, match=said):
        read(change(one(data=b"x")))


@pytest.mark.parametrize(
    "records", [b"8 path=a\n", b"99 path=a\n", b"path=a\n", b"9 path=a ", b"7 patha\n", b"x path=a\n", b"10 path=\0\0\n"]
)
def test_damaged_records_are_told(records: bytes) -> None:
    data = one("é")
    assert b"path=\xc3\xa9\n" in data
    head = bytearray(data[:512])
    head[124:136] = b"%011o\0" % len(records)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    with pytest.raises(BadDocument, match="records"):
        read(bytes(head) + records.ljust(512, b"\0") + data[1024:])


@pytest.mark.parametrize(
    "data, said",
    [
        (one(pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), "sparse"),
        (one(type=tarfile.GNUTYPE_SPARSE, form=tarfile.GNU_FORMAT), "sparse"),
        (one(type=b"7"), "type '7'"),
    ],
)
def test_what_soci_has_no_form_for_is_named(data: bytes, said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        read(data)


def test_global_records_have_no_form() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", pax_headers={"comment": "of git archive"}) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(Unsupported, match="type 'g'"):
        read(made.getvalue())
