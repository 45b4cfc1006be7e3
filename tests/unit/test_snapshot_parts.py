"""Parts of a snapshot that read files of the kernel's and the platform's: each form that is about."""

import json
from pathlib import Path

import pytest

from lyftlearn_entrypoint.snapshot import deliver, machine, network, order, process, resources, schema, software


@pytest.mark.parametrize(
    ("files", "quota", "memory"),
    [
        ({"cpu.max": "150000 100000", "memory.max": "1073741824"}, 1.5, 1 << 30),
        ({"cpu.max": "max 100000", "memory.max": "max"}, None, None),
        (
            {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": "536870912"},
            2.0,
            1 << 29,
        ),
        (
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000", "memory/memory.limit_in_bytes": "9223372036854771712"},
            None,
            None,
        ),
        ({}, None, None),
    ],
)
def test_limits_of_both_kinds_of_control_groups(
    tmp_path: Path, files: "dict[str, str]", quota: "float | None", memory: "int | None"
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert resources.cpu_quota(str(tmp_path)) == quota
    assert resources._number("memory.max", "memory/memory.limit_in_bytes", str(tmp_path)) == memory


@pytest.mark.parametrize(
    ("digits", "shown"),
    [
        ("0100007F", "127.0.0.1"),
        ("0B00007F", "loopback"),
        ("00000000", "*"),
        ("0A00000A", "own"),
        ("0" * 32, "*"),
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
        ("0000000000000000FFFF00000A00000A", "own"),
    ],
)
def test_addresses_of_the_kernels_tables(digits: str, shown: str) -> None:
    assert network._address(digits) == shown


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("numpy-2.1.0.dist-info", ("numpy", "2.1.0")),
        ("ruamel.yaml-0.18.6.dist-info", ("ruamel.yaml", "0.18.6")),
        ("old-1.0-py3.11.egg-info", ("old", "1.0")),
        ("Flask_Cors-4.0.dist-info", ("Flask_Cors", "4.0")),
    ],
)
def test_names_of_metadata_directories(name: str, found: "tuple[str, str]") -> None:
    match = software._METADATA.match(name)
    assert match
    assert (match["name"], match["version"]) == found


@pytest.mark.parametrize("name", ["numpy", "numpy.libs", "-1.dist-info", "__pycache__"])
def test_what_is_no_package(name: str) -> None:
    assert not software._METADATA.match(name)


def test_bits_become_names() -> None:
    assert process.capability_names(0) == []
    assert process.capability_names(1 << 21 | 1) == ["chown", "sys_admin"]
    assert process.capability_names(1 << 60) == ["bit 60"]
    assert process._signals(1 << 12 | 1) == ["SIGHUP", "SIGPIPE"]


def test_blanks_in_mount_points() -> None:
    assert machine._plain("/mnt/a\\040b\\134c") == "/mnt/a b\\c"


@pytest.mark.parametrize("uri", ["/a/b", "file:///a/b", "s3://bucket/key", "s3://bucket/a/b.json"])
def test_a_destination(uri: str) -> None:
    assert deliver.problem(uri) == ""


@pytest.mark.parametrize("uri", ["a/b", "file://a", "/a/", "", "http://x/y", "s3://bucket", "s3://b/k?versionId=1", "/a\0b"])
def test_what_is_no_destination(uri: str) -> None:
    assert deliver.problem(uri)


def test_the_schema_is_one_and_has_every_part() -> None:
    import jsonschema

    from lyftlearn_entrypoint.snapshot.collect import PARTS

    found = schema.load()
    jsonschema.Draft202012Validator.check_schema(found)
    assert {name for name, _ in PARTS} == set(found["properties"]["facts"]["properties"])
    assert {"umask", "closed directory", "listens"} <= schema.words()


def test_the_collector_gets_every_module_that_it_imports() -> None:
    """Each source imports the standard library, and of ours what came before it."""
    had: set[str] = set()
    made = order.Order("hand", "", "local", [], "")
    for name, source in made.modules:
        code = compile(source, name, "exec")
        for other in {n for n in code.co_names if n.startswith("lyftlearn_entrypoint")}:
            assert other in had or other == "lyftlearn_entrypoint.snapshot.collect", (name, other)
        had.add(name)
    assert had >= {"lyftlearn_entrypoint.snapshot.collect", "lyftlearn_entrypoint.snapshot.tree"}
    json.loads(made.encode())
