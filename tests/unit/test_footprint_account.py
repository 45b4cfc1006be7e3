"""What a start used of an image: by file, layer and package."""

import random
import re

import pytest

from lyftlearn_entrypoint.cli.footprint.account import Account, Use, owners
from lyftlearn_entrypoint.cli.footprint.report import Measured, facts, labels, print_start
from lyftlearn_entrypoint.cli.footprint.spans import Fetched
from lyftlearn_entrypoint.cli.footprint.trace import Touch
from tests.unit.footprint_made import elf, image

MIB = 1 << 20
SITE = "opt/venv/lib/python3.11/site-packages"


def uses(account: Account) -> "dict[str, tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]]":
    return {use.file.path: (use.least, use.most) for use in account.uses}


def test_pages_that_were_read_and_pages_that_may_have_been() -> None:
    made = image({"a": bytes(20_000), "b": b"x"})
    found = Account(made, {"/a": Touch(read=[(5000, 5001)], mapped=[(12288, 40960)]), "/b": Touch()})
    assert uses(found) == {"/a": (((4096, 8192),), ((4096, 8192), (12288, 20_000))), "/b": ((), ())}


def test_of_a_file_perhaps_all_was_read() -> None:
    assert uses(Account(image({"a": bytes(5000)}), {"/a": Touch(read=[(0, 1)], whole=True)})) == {"/a": (((0, 4096),), ((0, 5000),))}


def predicted(account: Account) -> "dict[str, tuple[tuple[int, int], ...]]":
    return {use.file.path: use.predicted for use in account.uses}


def test_of_what_is_mapped_the_kernel_reads_what_was_looked_at_and_around_it() -> None:
    made = image({"lib.so": bytes(MIB), "lib.so.1": "-> lib.so"})
    files = {"/lib.so": Touch(read=[(0, 832)], mapped=[(0, 500_000)])}
    # 64 KiB on each side, not before the file's beginning nor behind what is mapped.
    for looked, around in (
        ((204_800, 208_896), ((0, 4096), (139_264, 274_432))),
        ((8192, 12_288), ((0, 77_824),)),
        ((491_520, 495_616), ((0, 4096), (425_984, 503_808))),
    ):
        assert predicted(Account(made, files, {"/lib.so": [looked]})) == {"/lib.so": around}
        # Wherever a page table calls it something else.
        assert predicted(Account(made, files, {"/lib.so.1": [looked]})) == {"/lib.so": around}


def test_a_library_that_was_mapped_and_not_looked_at() -> None:
    files = {"/a": Touch(read=[(0, 1)], mapped=[(0, MIB)])}
    assert predicted(Account(image({"a": bytes(MIB)}), files, {"/a": []})) == {"/a": ((0, 4096),)}


def test_a_file_that_no_page_table_tells_of_counts_with_all_that_was_mapped() -> None:
    made = image({"a": bytes(MIB), "b": bytes(MIB)})
    found = Account(made, {"/a": Touch(mapped=[(0, 8192)]), "/b": Touch(mapped=[(0, 8192)])}, {"/b": []})
    assert predicted(found) == {"/a": ((0, 8192),), "/b": ()}


def test_a_file_that_is_copied_before_it_is_written_is_read_whole() -> None:
    files = {"/a": Touch(mapped=[(0, 4096)], whole=True)}
    assert predicted(Account(image({"a": bytes(MIB)}), files, {"/a": [(0, 4096)]})) == {"/a": ((0, MIB),)}


def test_what_is_predicted_is_told_where_page_tables_could_be_read() -> None:
    made = image({f"{number}": random.Random(number).randbytes(3 * MIB) for number in range(8)})
    files = {"/1": Touch(read=[(0, 1)], mapped=[(0, 3 * MIB)])}
    known, bare = Account(made, files, {"/1": [(0, 4096)]}), Account(made, {}, {})
    found = facts(Measured("x", "", 1.0, known), {}, bare)
    assert found["pages"] == {"least": 1, "predicted": 17, "most": 768}
    assert [found["fetched"][which]["spans"] for which in ("least", "predicted", "most")] == [1, 1, 2]
    assert list(found["over_python"]["fetched"]) == ["least", "predicted", "most"]
    unknown = facts(Measured("x", "", 1.0, Account(made, files)), {}, bare)
    for told in (unknown, *unknown["layers"]):
        assert (list(told["pages"]), list(told["fetched"])) == (["least", "most"], ["least", "most"])
    assert list(unknown["over_python"]["fetched"]) == ["least", "most"]


def test_the_text_has_a_column_for_what_is_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    made = image({f"{number}": random.Random(number).randbytes(3 * MIB) for number in range(8)}, compress=True)
    files = {"/1": Touch(read=[(0, 1)], mapped=[(0, 3 * MIB)])}
    for tables, columns in (({"/1": []}, ["4.2 MB", "4.2 MB", "8.4 MB", "8.4 MB"]), (None, ["-", "-", "8.4 MB", "8.4 MB"])):
        print_start(facts(Measured("x", "", 1.0, Account(made, files, tables)), {}), 0)
        _, head, row, total = capsys.readouterr().out.splitlines()
        assert re.split(r"\s{2,}", head)[-4:] == ["predicted", "gzip", "at most", "gzip"]
        assert re.split(r"\s{2,}", row)[-5:] == [*columns, "base system"]
        assert re.split(r"\s{2,}", total)[-5:] == [*columns, "in all"]


def test_what_is_not_of_the_image_does_not_count() -> None:
    made = image({"a": b"x", "etc/hosts": b"x"})
    assert Account(made, {"/proc/self/maps": Touch(), "/tmp/made": Touch(), "/etc/hosts": Touch()}).uses == []


def test_the_kernel_reads_programs_their_loaders_and_scripts() -> None:
    made = image(
        {
            "usr/bin/python": elf(50_000, "/lib/ld.so", ((0, 20_000), (40_000, 100))),
            "usr/lib/ld-1.so": elf(9000, segments=((0, 9000),)),
            "usr/lib/ld.so": "-> ld-1.so",
            "lib": "-> usr/lib",
            "bin/script": b"#!/usr/bin/python -I\n" + bytes(9000),
        }
    )
    assert uses(Account(made, {"/bin/script": Touch(run=True)})) == {
        "/bin/script": (((0, 4096),), ((0, 4096),)),
        "/usr/bin/python": (((0, 4096),), ((0, 20_480), (36_864, 40_960))),
        "/usr/lib/ld-1.so": (((0, 4096),), ((0, 9000),)),
    }


def test_a_script_that_runs_itself_ends() -> None:
    assert list(uses(Account(image({"s": b"#!/s\n"}), {"/s": Touch(run=True)}))) == ["/s"]


def test_each_file_counts_for_the_layer_that_provides_it() -> None:
    made = image({"a": bytes(MIB), "b": bytes(100)}, {"b": bytes(200)}, {"c": b""})
    found = Account(made, {"/a": Touch(read=[(0, 10)]), "/b": Touch(read=[(0, 200)])})
    assert [(part.layer, part.files, part.size, part.pages) for part in found.parts] == [
        (0, 1, MIB, (1, 1, 1)),
        (1, 1, 200, (1, 1, 1)),
        (2, 0, 0, (0, 0, 0)),
    ]


def test_what_is_fetched_is_by_place_in_the_tar() -> None:
    made = image({f"{number}": random.Random(number).randbytes(3 * MIB) for number in range(8)})
    found = Account(made, {"/1": Touch(read=[(0, 1)], mapped=[(0, 3 * MIB)])})
    # It begins behind the first file, at 3 MiB and two headers, and so lies on two spans.
    assert found.parts[0].fetched == (Fetched(1, 4 * MIB, 0), Fetched(2, 8 * MIB, 0), Fetched(2, 8 * MIB, 0))
    (row,) = facts(Measured("x", "", 1.0, found), {})["layers"]
    assert row["fetched"] == {"least": {"spans": 1, "bytes": 4 * MIB}, "most": {"spans": 2, "bytes": 8 * MIB}}
    assert (row["layer"], row["spans"], row["files"], row["bytes"]) == ("base system", 7, 1, 3 * MIB)


def test_a_start_over_another() -> None:
    made = image({"a": bytes(10), "b": bytes(20)}, {"c": bytes(30)})
    bare = Account(made, {"/a": Touch()})
    more = Account(made, {"/a": Touch(), "/c": Touch(), "/b": Touch()})
    assert [use.file.path for use in more.without(bare)] == ["/c", "/b"]
    over = facts(Measured("x", "", 1.0, more), {}, bare)["over_python"]
    assert (over["files"], over["bytes"]) == (2, 50)
    assert over["fetched"] == {"least": {"bytes": 0}, "most": {"bytes": 0}}
    assert more.without(more) == []


def test_owners() -> None:
    made = image(
        {
            "lib": "-> usr/lib",
            "usr/lib/libc.so": b"c",
            "usr/bin/python3": "-> python3.11",
            "usr/bin/python3.11": b"p",
            "var/lib/dpkg/info/libc6:amd64.list": b"/.\n/lib\n/lib/libc.so\n",
            "var/lib/dpkg/info/python3-minimal.list": b"/usr/bin/python3\n",
            f"{SITE}/numpy/__init__.py": b"n",
            f"{SITE}/numpy/__pycache__/__init__.cpython-311.pyc": b"n",
            f"{SITE}/numpy-2.1.dist-info/RECORD": b'numpy/__init__.py,sha256=x,1\n"../../../bin/f2py",,\n',
            "opt/venv/bin/f2py": b"f",
            "opt/lyftlearn/lib/lyftlearn_entrypoint/boot.py": b"b",
            "etc/ld.so.cache": b"l",
        }
    )
    found = owners(made)
    assert {path: found.get(path) for path in made.files if "/dpkg/" not in path and "RECORD" not in path} == {
        "/usr/lib/libc.so": "debian libc6",
        "/usr/bin/python3.11": None,  # only the link is python3-minimal's
        f"/{SITE}/numpy/__init__.py": "python numpy",
        f"/{SITE}/numpy/__pycache__/__init__.cpython-311.pyc": "python numpy",
        "/opt/venv/bin/f2py": "python numpy",
        "/opt/lyftlearn/lib/lyftlearn_entrypoint/boot.py": "own lyftlearn-entrypoint",
        "/etc/ld.so.cache": None,
    }
    account = Account(made, {path: Touch() for path in (f"/{SITE}/numpy/__init__.py", "/opt/venv/bin/f2py", "/etc/ld.so.cache")})
    assert account.packages(found) == {"0": {"file /etc/ld.so.cache": 1, "python numpy": 2}}


def test_a_stale_compiled_file_is_one_whose_source_is_read_next() -> None:
    made = image({"p/a.py": b"a", "p/__pycache__/a.cpython-311.pyc": b"a", "p/b.py": b"b", "p/__pycache__/b.cpython-311.pyc": b"b"})
    in_order = ["/p/__pycache__/a.cpython-311.pyc", "/p/a.py", "/p/__pycache__/b.cpython-311.pyc"]
    account = Account(made, {path: Touch() for path in in_order})
    assert [file.path for file in account.recompiled] == ["/p/a.py"]
    assert facts(Measured("x", "", 1.0, account), {})["recompiled"] == {"files": 1, "bytes": 1}
    # Read for something else, much later: a program that shows its source.
    shown = Account(made, {path: Touch() for path in (in_order[0], in_order[2], "/p/a.py")})
    assert shown.recompiled == []
    assert "recompiled" not in facts(Measured("x", "", 1.0, shown), {})


def test_layers_of_one_name_are_told_apart() -> None:
    made = image({"a": b""}, {"b": b""}, {"c": b""})
    object.__setattr__(made.layers[2], "name", made.layers[1].name)
    assert labels(made) == ["base system", "COPY /1/ /", "COPY /1/ / (2)"]


def test_uses_are_in_the_order_of_first_use() -> None:
    made = image({"a": b"1", "b": b"2"})
    assert Account(made, {"/b": Touch(), "/a": Touch()}).uses == [Use(made.files[path], (), (), ()) for path in ("/b", "/a")]
