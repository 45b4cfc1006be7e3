"""`lyftlearn image push` where it needs no engine: where it goes and what it may send there, tags, what the Engine's words mean."""

import base64
from typing import Any

import pytest

from lyftlearn_entrypoint.cli.image import answers
from lyftlearn_entrypoint.cli.image import ecr as image_ecr
from lyftlearn_entrypoint.cli.image import push as image_push
from lyftlearn_entrypoint.cli.image import registry as image_registry
from lyftlearn_entrypoint.cli.image.engine_push import Pushed, Teller, explain
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing, Refused, StartError, Unavailable

OURS = "123456789012.registry.us-east-1.example.com"


@pytest.mark.parametrize(
    ("to", "host", "repository", "account"),
    [
        ("ml/base", OURS, "ml/base", "123456789012"),
        ("base", OURS, "base", "123456789012"),
        (f"{OURS}/ml/base", OURS, "ml/base", "123456789012"),
        # Another account's registry beside it: one token is for all that its identity may use.
        ("210987654321.registry.us-east-1.example.com/ab", "210987654321.registry.us-east-1.example.com", "ab", "210987654321"),
        ("127.0.0.1:5000/ml/base", "127.0.0.1:5000", "ml/base", ""),
        ("localhost/ml/base", "localhost", "ml/base", ""),
        ("[::1]:5000/ml/base", "[::1]:5000", "ml/base", ""),
    ],
)
def test_destination(to: str, host: str, repository: str, account: str) -> None:
    found = image_ecr.destination(to, OURS)
    assert (found.host, found.repository, found.account) == (host, repository, account)
    assert found.name == f"{host}/{repository}"


@pytest.mark.parametrize(
    "to",
    [
        "registry.example.com/a/b",
        "123456789012.registry.eu-west-1.example.com/a/b",  # another region's
        "evil.registry.us-east-1.example.com/a/b",  # no account's
        "123456789012.registry.us-east-1.example.com.evil.org/a/b",
        "123456789012.registry.us-east-1.example.com:444/a/b",
        "127.0.0.1.evil.org/a/b",
        "128.0.0.1/a/b",
    ],
)
def test_a_token_is_sent_to_no_other_host(to: str) -> None:
    with pytest.raises(BadSettings, match="ECR's token is for") as caught:
        image_ecr.destination(to, OURS)
    assert "--trust-host" in str(caught.value)
    assert image_ecr.destination(to, OURS, trust=True).host == to.partition("/")[0]


@pytest.mark.parametrize("to", ["", "A/b", "a//b", "a/b:tag", "a/b@sha256:0", "/a", "a/", "x", "a b", "-a", "a/" + "b" * 255])
def test_what_is_no_repository(to: str) -> None:
    with pytest.raises(BadSettings, match="is no repository's name"):
        image_ecr.destination(to, OURS)


@pytest.mark.parametrize(
    ("host", "url"), [("localhost:5000", "http://localhost:5000"), ("127.8.8.8", "http://127.8.8.8"), (OURS, f"https://{OURS}")]
)
def test_plain_http_is_for_loopback_alone(host: str, url: str) -> None:
    assert image_ecr.Destination(host, "a").url == url


class Api:
    """ECR's API as far as tokens go: each answer once."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def get_authorization_token(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def token(text: str, endpoint: str = f"https://{OURS}") -> dict[str, Any]:
    return {"authorizationData": [{"authorizationToken": base64.b64encode(text.encode()).decode(), "proxyEndpoint": endpoint}]}


def test_a_token_is_kept_until_it_is_renewed_and_is_in_no_text() -> None:
    tokens = image_ecr.Tokens(Api(token("AWS:first:with colon"), token("AWS:second")))
    assert tokens.get() is tokens.get()
    assert (tokens.get().user, tokens.get().password, tokens.endpoint) == ("AWS", "first:with colon", OURS)
    assert "first" not in repr(tokens.get())
    assert tokens.renew().password == tokens.get().password == "second"


@pytest.mark.parametrize(
    "answer",
    [{}, {"authorizationData": []}, token("no colon s3cr3t"), token("AWS:"), token("AWS:s3cr3t", "no URL"), {"authorizationData": [{}]}],
)
def test_an_answer_without_a_token(answer: Any) -> None:
    with pytest.raises(BadDocument, match="something else than a token") as caught:
        image_ecr.Tokens(Api(answer)).get()
    assert "s3cr3t" not in str(caught.value)


def client_error(code: str, status: int = 400) -> Exception:
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": "the reason"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "X")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("AccessDeniedException", Refused, "their policy has ecr:GetAuthorizationToken"),
        ("UnrecognizedClientException", Refused, "Check the credentials"),
        ("ExpiredTokenException", Refused, "ECR refused GetAuthorizationToken: ExpiredTokenException: the reason"),
        ("RepositoryNotFoundException", Missing, "give --create-repository"),
        ("ServerException", Unavailable, "ECR did not do GetAuthorizationToken: ServerException: the reason"),
    ],
)
def test_what_ecr_refuses(code: str, kind: type[StartError], says: str) -> None:
    with pytest.raises(kind) as caught:
        image_ecr.Tokens(Api(client_error(code))).get()
    assert says in str(caught.value)


def test_what_botocore_cannot_do() -> None:
    from botocore import exceptions

    told: list[tuple[Exception, type[StartError], str]] = [
        (exceptions.NoCredentialsError(), BadSettings, "Unable to locate credentials. Set AWS_REGION"),
        (exceptions.NoRegionError(), BadSettings, "You must specify a region"),
        (
            exceptions.EndpointConnectionError(endpoint_url="https://x.invalid/", error="?"),
            Unavailable,
            "Could not connect to the endpoint",
        ),
        (exceptions.ProxyConnectionError(proxy_url="http://p"), Unavailable, "the proxy variables"),
        (exceptions.UnauthorizedSSOTokenError(), Refused, "Log in again"),
    ]
    for error, kind, says in told:
        with pytest.raises(kind) as caught:
            image_ecr.Tokens(Api(error)).get()
        assert says in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kind", "says"),
    [
        ("unauthorized: authentication required", Refused, "the account and region"),
        ("no basic auth credentials", Refused, "the account and region"),
        ("denied: Your authorization token has expired. Reauthenticate and try again.", Refused, "has expired"),
        ("denied: User: x is not authorized to perform: ecr:PutImage on resource: y", Refused, "lacks that action"),
        ("name unknown: The repository with name 'a' does not exist in the registry with id '1'", Missing, "give --create-repository"),
        (
            "tag invalid: The image tag '1' already exists in the 'a' repository and cannot be overwritten because "
            "the repository is immutable.",
            answers.TagTaken,
            "choose another --tag",
        ),
        ('Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused', Unavailable, "push again"),
        ('Put "http://h/v2/a/blobs/uploads/u?_state=s3cr3t&digest=sha256%3A0": EOF', Unavailable, 'uploads/u": EOF'),
        ("received unexpected HTTP status: 503 Service Unavailable", Unavailable, "503"),
        ("net/http: TLS handshake timeout", Unavailable, "TLS handshake timeout"),
        ("dial tcp: lookup nowhere.invalid: no such host", Unavailable, "no such host"),
        ("toomanyrequests: Rate exceeded", Unavailable, "Rate exceeded"),
        ("manifest invalid: manifest invalid", BadDocument, "manifest invalid"),
    ],
)
def test_what_the_engine_says(said: str, kind: type[StartError], says: str) -> None:
    error = explain(said, "host/a")
    assert type(error) is kind
    assert says in str(error)
    assert "s3cr3t" not in str(error)


def test_only_the_tokens_own_fault_asks_for_another() -> None:
    assert answers.needs_token("denied: Your authorization token has expired. Reauthenticate and try again.")
    assert answers.needs_token("host/a: HEAD blobs/x was answered 401")
    assert not answers.needs_token("denied: User: x is not authorized to perform: ecr:PutImage")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def event(status: str, identity: str = "aaaaaaaaaaaa", **progress: int) -> dict[str, Any]:
    return {"status": status, "id": identity, "progressDetail": progress}


def test_progress_is_told_when_a_layer_is_done_and_now_and_then() -> None:
    lines: list[str] = []
    clock, pushed = Clock(), Pushed()
    teller = Teller(lines.append, ["aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"], clock)
    for step in (
        event("Preparing"),
        event("Waiting"),
        event("Pushing", current=5_000_000, total=50_000_000),
        event("Layer already exists", "b" * 12),
    ):
        teller.feed(step, pushed)
    assert lines == ["layer 2 of 3: already there"]
    clock.now = 11
    teller.feed(event("Pushing", current=60_000_000, total=50_000_000), pushed)
    teller.feed(event("Pushing", current=60_000_000, total=50_000_000), pushed)
    assert lines[1:] == ["uploading layer 1 of 3 50.0 MB of 50.0 MB"]
    teller.feed(event("Pushed"), pushed)
    teller.feed(event("Mounted from other/repository", "dddddddddddd"), pushed)
    assert lines[2:] == ["layer 1 of 3: uploaded, 50.0 MB unpacked", "layer dddddddddddd: mounted from other/repository"]
    # A second attempt finds it: it was uploaded all the same.
    teller.feed(event("Layer already exists"), pushed)
    assert pushed.layers == {"a" * 12: "uploaded", "b" * 12: "already there", "d" * 12: "mounted from other/repository"}
    assert len(lines) == 4
    clock.now = 20
    teller.feed(event("Retrying in 5 seconds", "c" * 12), pushed)
    teller.feed(event("Retrying in 4 seconds", "c" * 12), pushed)
    assert lines[4:] == ["layer 3 of 3: the upload broke off; retrying in 5 seconds"]


@pytest.mark.parametrize(
    ("config", "layers", "good"),
    [("sha256:me", 2, True), ("sha256:other", 2, False), ("sha256:me", 1, False), ("sha256:me", 3, False)],
)
def test_what_the_registry_has_is_the_image_whole(config: str, layers: int, good: bool) -> None:
    content = image_registry.canonical({"config": {"digest": config}, "layers": [{}] * layers})
    manifest = image_registry.Manifest(image_registry.DOCKER_MANIFEST, content)

    class Has:
        where = image_ecr.Destination("host", "a")

        def manifest(self, reference: str) -> image_registry.Manifest:
            return manifest

    class Image:
        id = "sha256:me"
        attrs: "dict[str, Any]" = {"RootFS": {"Layers": ["sha256:1", "sha256:2"]}}  # noqa: RUF012

    if good:
        assert image_push.verify(Has(), manifest.digest, Image()) is manifest  # type: ignore[arg-type]
    else:
        with pytest.raises(BadDocument, match=r"host/a@sha256:\w+ is not the image sha256:me"):
            image_push.verify(Has(), manifest.digest, Image())  # type: ignore[arg-type]


def test_a_kind_that_sagemaker_refuses_is_told() -> None:
    assert image_push.doubt(image_registry.Manifest(image_registry.DOCKER_MANIFEST, b"{}")) == ""
    for kind in (image_registry.OCI_MANIFEST, image_registry.OCI_INDEX, image_registry.DOCKER_LIST):
        assert f"stored as {kind}, which SageMaker refuses" in image_push.doubt(image_registry.Manifest(kind, b"{}"))
