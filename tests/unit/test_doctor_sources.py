"""Where the doctor finds the settings that a start took away, and where it does not look."""

from pathlib import Path

from lyftlearn_entrypoint.cli.checks.sources import RELAY, gather
from lyftlearn_entrypoint.files import Files

OWN = 4242
URI = "s3://bucket/environment.json"


def process(root: Path, pid: "int | str", environ: "dict[str, str]", name: bytes = b"python", mounts: str = "mnt:[1]") -> None:
    directory = root / f"proc/{pid}"
    (directory / "ns").mkdir(parents=True)
    (directory / "ns/mnt").symlink_to(mounts)
    (directory / "comm").write_bytes(name + b"\n")
    (directory / "environ").write_bytes(b"".join(f"{key}={value}\0".encode() for key, value in environ.items()))


def test_its_own_come_first(tmp_path: Path) -> None:
    process(tmp_path, "self", {})
    process(tmp_path, 1, {"LYFTLEARN_ENV_URI": "s3://other/one", "LYFTLEARN_USER": "ml", "SECRET": "hunter2"})
    found = gather({"LYFTLEARN_ENV_URI": URI}, OWN, Files(str(tmp_path)))
    assert found.environ == {"LYFTLEARN_ENV_URI": URI, "LYFTLEARN_USER": "ml"}
    assert found.found == [("this process", ["LYFTLEARN_ENV_URI"]), ("process 1", ["LYFTLEARN_USER"])]
    assert not found.started


def test_the_relay_still_has_what_its_start_was_given(tmp_path: Path) -> None:
    process(tmp_path, "self", {})
    process(tmp_path, 1, {"LYFTLEARN_CONTEXT": "studio"})
    process(tmp_path, 30, {"LYFTLEARN_ENV_URI": URI}, RELAY)
    found = gather({"LYFTLEARN_CONTEXT": "studio"}, OWN, Files(str(tmp_path)))
    assert found.environ["LYFTLEARN_ENV_URI"] == URI
    assert found.found == [("the relay (process 30)", ["LYFTLEARN_ENV_URI"])]
    assert found.started
    assert not found.lost


def test_another_containers_relay_is_not_ours(tmp_path: Path) -> None:
    process(tmp_path, "self", {})
    process(tmp_path, 1, {"LYFTLEARN_USER": "ml"}, mounts="mnt:[2]")
    process(tmp_path, 30, {"LYFTLEARN_ENV_URI": URI}, RELAY, "mnt:[2]")
    found = gather({"LYFTLEARN_CONTEXT": "studio"}, OWN, Files(str(tmp_path)))
    assert found.environ == {"LYFTLEARN_CONTEXT": "studio"}
    assert found.lost


def test_a_container_of_this_host_is_not_ours(tmp_path: Path) -> None:
    """Its namespaces may be hidden from this user; that its process has another id inside is not."""
    process(tmp_path, "self", {})
    process(tmp_path, 30, {"LYFTLEARN_ENV_URI": URI}, RELAY)
    (tmp_path / "proc/30/ns/mnt").unlink()
    (tmp_path / "proc/self/status").write_text("Name:\tpython\nNSpid:\t4242\n")
    (tmp_path / "proc/30/status").write_text("Name:\tlyftlearn-stats\nNSpid:\t30\t9\n")
    found = gather({}, OWN, Files(str(tmp_path)))
    assert (found.environ, found.started, found.hidden) == ({}, False, [])


def test_process_1_asks_nobody(tmp_path: Path) -> None:
    process(tmp_path, "self", {})
    process(tmp_path, 1, {"LYFTLEARN_USER": "ml"})
    assert gather({}, 1, Files(str(tmp_path))).environ == {}


def test_without_proc(tmp_path: Path) -> None:
    found = gather({"PATH": "/bin"}, OWN, Files(str(tmp_path)))
    assert (found.environ, found.found, found.hidden) == ({"PATH": "/bin"}, [], [])


def test_what_a_login_shell_lost_is_found_again(tmp_path: Path) -> None:
    process(tmp_path, "self", {})
    process(tmp_path, 1, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x", "AWS_SECRET_ACCESS_KEY": "hunter2"})
    found = gather({}, OWN, Files(str(tmp_path)))
    assert found.environ == {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"}
