"""The registry's HTTP API where the registry misbehaves: tries, refusals, redirects, and where the token goes."""

import json

import pytest

from lyftlearn_entrypoint.cli.image.answers import TagTaken
from lyftlearn_entrypoint.cli.image.registry import OCI_MANIFEST, Manifest, digest_of
from lyftlearn_entrypoint.errors import BadDocument, Missing, Refused, Unavailable
from tests.fake_http import Answer, Request, Reset, answer, closed_port
from tests.unit.registry_world import Meet, Met

pytest_plugins = ["tests.unit.registry_fixture"]
CONTENT = b'{"schemaVersion": 2, "config": {"digest": "sha256:c"}}'
FOUND = answer(200, CONTENT, {"Content-Type": OCI_MANIFEST})


def error(status: int, code: str, message: str) -> bytes:
    return answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), {"Content-Type": "application/json"})


BUSY = error(503, "UNAVAILABLE", "busy")


def test_a_manifest(meet: Meet) -> None:
    met = meet(FOUND)
    found = met.registry.manifest("tag")
    assert found == Manifest(OCI_MANIFEST, CONTENT)
    assert found.digest == digest_of(CONTENT)
    assert found.config == "sha256:c"
    assert met.server is not None
    assert met.server.requests[0].target == "/v2/a/b/manifests/tag"
    assert met.passwords() == ["t1"]


def test_nothing(meet: Meet) -> None:
    assert meet(error(404, "MANIFEST_UNKNOWN", "Requested image not found")).registry.manifest("tag") is None


@pytest.mark.parametrize("trouble", [BUSY, error(500, "INTERNAL", "x"), error(429, "TOOMANYREQUESTS", "Rate exceeded"), Reset()])
def test_trouble_is_tried_again_with_pauses(meet: Meet, trouble: Answer) -> None:
    met = meet(trouble, trouble, trouble, FOUND)
    assert met.registry.manifest("tag") is not None
    assert len(met.pauses) == 3
    assert all(0 <= pause <= 2**number for number, pause in enumerate(met.pauses))


def test_trouble_that_stays_ends_after_four_tries(meet: Meet) -> None:
    met = meet(BUSY)
    with pytest.raises(Unavailable, match="/a/b: GET manifests/tag was answered 503: UNAVAILABLE: busy"):
        met.registry.manifest("tag")
    assert len(met.passwords()) == 4
    assert len(met.pauses) == 3


def test_nobody_listens() -> None:
    with pytest.raises(
        Unavailable, match=r"did not answer GET manifests/tag: ConnectionRefusedError: \[Errno 111\] Connection refused\. Check"
    ):
        Met(closed_port()).registry.manifest("tag")


@pytest.mark.parametrize(
    "refusal", [answer(401), error(403, "DENIED", "Your authorization token has expired. Reauthenticate and try again.")]
)
def test_a_refused_token_is_renewed_once(meet: Meet, refusal: bytes) -> None:
    met = meet(refusal, FOUND)
    assert met.registry.manifest("tag") is not None
    assert met.passwords() == ["t1", "t2"]
    met = meet(refusal)
    with pytest.raises(Refused):
        met.registry.manifest("tag")
    assert met.passwords() == ["t1", "t2"]
    assert met.pauses == []


def test_what_is_final_is_not_tried_again(meet: Meet) -> None:
    finals: list[tuple[bytes, type[Exception]]] = [
        (error(403, "DENIED", "User: x is not authorized to perform: ecr:PutImage on resource: y"), Refused),
        (error(404, "NAME_UNKNOWN", "The repository with name 'a/b' does not exist in the registry with id '1'"), Missing),
        (
            error(400, "TAG_INVALID", "The image tag 't' already exists and cannot be overwritten because the repository is immutable."),
            TagTaken,
        ),
        (
            error(405, "UNSUPPORTED", "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"),
            BadDocument,
        ),
    ]
    for reply, kind in finals:
        met = meet(reply)
        with pytest.raises(kind) as caught:
            met.registry.put_manifest("t", Manifest(OCI_MANIFEST, CONTENT))
        assert type(caught.value) is kind
        assert (len(met.passwords()), met.pauses) == (1, [])


def test_a_repository_that_ecr_does_not_know_is_not_an_absent_tag(meet: Meet) -> None:
    with pytest.raises(Missing, match="Make the repository, or give --create-repository"):
        meet(error(404, "NAME_UNKNOWN", "The repository with name 'a/b' does not exist in the registry with id '1'")).registry.manifest("t")


@pytest.mark.parametrize("reply", [answer(200, b"<html>", {"Content-Type": "text/html"}), answer(200, b"[]"), answer(200, b"")])
def test_what_is_no_manifest(meet: Meet, reply: bytes) -> None:
    with pytest.raises(BadDocument, match="tag is no manifest"):
        meet(reply).registry.manifest("tag")


def test_a_blob_that_is_something_else(meet: Meet) -> None:
    with pytest.raises(BadDocument, match="gave something else"):
        meet(answer(200, b"else")).registry.blob(digest_of(b"blob"))


def test_a_redirected_blob_is_read_without_the_token(meet: Meet) -> None:
    """ECR keeps blobs in S3, and sends a reader there."""
    store = meet(answer(200, b"blob"))
    assert store.server is not None
    met = meet(answer(307, b"", {"Location": f"http://localhost:{store.server.port}/bucket/blob?X-Amz-Signature=1"}))
    assert met.registry.blob(digest_of(b"blob")) == b"blob"
    assert met.passwords() == ["t1"]
    assert "authorization" not in store.server.requests[0].headers


def uploads(meet: Meet, location: str, put: bytes = answer(201)) -> Met:
    """A registry without any blob, whose uploads go to `location`."""

    def script(request: Request) -> Answer:
        if request.method == "HEAD":
            return answer(404)
        return answer(202, b"", {"Location": location}) if request.method == "POST" else put

    return meet(script)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v2/a/b/blobs/uploads/7?_state=x%3D", "/v2/a/b/blobs/uploads/7?_state=x%3D&digest="),
        ("/v2/a/b/blobs/uploads/7", "/v2/a/b/blobs/uploads/7?digest="),
    ],
)
def test_a_blob_is_put_where_the_registry_says(meet: Meet, location: str, target: str) -> None:
    met = uploads(meet, location)
    assert met.registry.put_blob(b"blob") == {"digest": digest_of(b"blob"), "size": 4}
    assert met.server is not None
    assert [request.method for request in met.server.requests] == ["HEAD", "POST", "PUT"]
    assert met.server.requests[-1].target.replace("%3A", ":") == target + digest_of(b"blob")
    assert met.server.requests[-1].body == b"blob"


def test_an_upload_elsewhere_goes_without_the_token(meet: Meet) -> None:
    store = meet(answer(201))
    assert store.server is not None
    met = uploads(meet, f"http://localhost:{store.server.port}/bucket/7?signature=1")
    met.registry.put_blob(b"blob")
    assert store.server.requests[0].method == "PUT"
    assert "authorization" not in store.server.requests[0].headers


def test_an_upload_that_breaks_off_is_started_anew(meet: Meet) -> None:
    left = [BUSY, BUSY, answer(201)]

    def script(request: Request) -> Answer:
        if request.method == "HEAD":
            return answer(404)
        return answer(202, b"", {"Location": "/v2/a/b/blobs/uploads/7"}) if request.method == "POST" else left.pop(0)

    met = meet(script)
    met.registry.put_blob(b"blob")
    assert met.server is not None
    assert [request.method for request in met.server.requests] == ["HEAD", "POST", "PUT", "POST", "PUT", "POST", "PUT"]


def test_a_blob_that_is_there_is_not_sent(meet: Meet) -> None:
    met = meet(answer(200))
    met.registry.put_blob(b"blob")
    assert met.server is not None
    assert [request.method for request in met.server.requests] == ["HEAD"]


def test_no_proxy_to_loopback(meet: Meet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert meet(FOUND).registry.manifest("tag") is not None


def test_an_error_shows_no_state_of_an_upload(meet: Meet) -> None:
    met = uploads(meet, "/v2/a/b/blobs/uploads/7?_state=s3cr3t", error(400, "BLOB_UPLOAD_INVALID", "bad"))
    with pytest.raises(BadDocument) as caught:
        met.registry.put_blob(b"blob")
    assert "/v2/a/b/blobs/uploads/7 was answered 400: BLOB_UPLOAD_INVALID: bad" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert "t1" not in str(caught.value)
