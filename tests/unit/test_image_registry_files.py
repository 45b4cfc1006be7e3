"""Blobs as files, to and from a registry that breaks off or gives something else."""

import hashlib
from pathlib import Path

import pytest

from lyftlearn_entrypoint.errors import BadDocument, Unavailable
from tests.fake_http import Request, Reset, answer, in_turn
from tests.unit.registry_world import Meet

pytest_plugins = ["tests.unit.registry_fixture"]
CONTENT = bytes(range(256)) * 5000
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
WHOLE = answer(200, CONTENT)


def test_a_blob_that_breaks_off_is_fetched_again(meet: Meet, tmp_path: Path) -> None:
    met = meet(in_turn(WHOLE[:-1], WHOLE))
    told: list[int] = []
    met.registry.fetch(DIGEST, tmp_path / "blob", told.append)
    assert (tmp_path / "blob").read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)
    assert min(told) < 0
    assert len(met.pauses) == 1


def test_a_blob_that_always_breaks_off(meet: Meet, tmp_path: Path) -> None:
    met = meet(lambda _: WHOLE[:-1])
    told: list[int] = []
    with pytest.raises(Unavailable, match="broke off the blob"):
        met.registry.fetch(DIGEST, tmp_path / "blob", told.append)
    assert sum(told) == 0


def test_another_blob_than_was_asked_for(meet: Meet, tmp_path: Path) -> None:
    met = meet(answer(200, b"something else"))
    with pytest.raises(BadDocument, match="the registry gave something else"):
        met.registry.fetch(DIGEST, tmp_path / "blob", lambda _: None)


def test_a_file_whose_upload_breaks_off_is_sent_again_whole(meet: Meet, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(CONTENT)
    puts: list[Request] = []

    def script(request: Request) -> "bytes | Reset":
        if request.method == "HEAD":
            return answer(404)
        if request.method == "POST":
            return answer(202, b"", {"Location": "/v2/a/b/blobs/uploads/1?_state=x"})
        puts.append(request)
        return answer(500) if len(puts) == 1 else answer(201)

    met = meet(script)
    told: list[int] = []
    assert met.registry.put_file(tmp_path / "blob", DIGEST, told.append)
    assert [request.body for request in puts] == [CONTENT, CONTENT]
    assert sum(told) == len(CONTENT)


def test_a_file_that_is_there_is_not_sent(meet: Meet, tmp_path: Path) -> None:
    met = meet(lambda _: answer(200))
    assert not met.registry.put_file(tmp_path / "nothing", DIGEST, lambda _: None)
