"""A registry's HTTP API, as far as pushing needs it: manifests, blobs and referrers of one repository.

Layers go through the Docker Engine; this checks what arrived, gives tags, and stores what belongs beside an image. A request is tried a few
times where the registry or the network fails, and once more with a new token where it refuses the old one.
Source: OCI distribution specification 1.1, spec.md; ECR's own words as its users report them (aws/containers-roadmap).
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from lyftlearn_entrypoint.cli.image.answers import TagTaken, codes, document, kind_of, needs_token, reason, remedy_of, shown, words
from lyftlearn_entrypoint.errors import BadDocument, Refused, StartError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests

    from lyftlearn_entrypoint.cli.image.ecr import Destination, Tokens

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDICES = (OCI_INDEX, DOCKER_LIST)
_ACCEPT = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"

ATTEMPTS = 4
_TIMEOUT = (10, 60)  # seconds to connect, and between two pieces of an answer
_MANIFEST_LIMIT = 4 << 20  # bytes; what registries must accept at least, by the specification
_CONFIG_LIMIT = 8 << 20
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index, byte for byte."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.content)

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.content)
        assert isinstance(found, dict)
        return found

    @property
    def descriptor(self) -> dict[str, Any]:
        """What another manifest says to point at this one."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}

    @property
    def config(self) -> str:
        """The digest of the image's config; '' for an index."""
        return str(self.document.get("config", {}).get("digest", ""))


def digest_of(content: bytes) -> str:
    """sha256:HEX of these bytes."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical(document: dict[str, Any]) -> bytes:
    """JSON in one form, so that the same document has the same digest."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


class Registry:
    """One repository of a registry. Every method raises StartError: 65, 66, 69 or 77. `sleep` waits so many seconds."""

    def __init__(self, where: Destination, tokens: Tokens, sleep: Callable[[float], None] = time.sleep) -> None:
        import requests

        self.where = where
        self._tokens = tokens
        self._sleep = sleep
        self._session = requests.Session()
        # No proxy between this machine and itself, whatever the environment says.
        self._session.trust_env = not where.url.startswith("http:")
        self._base = f"{where.url}/v2/{where.repository}/"

    def manifest(self, reference: str) -> Manifest | None:
        """What a tag or digest names; None where there is nothing. A repository that ECR does not know is Missing (66)."""
        answer = self._request("GET", f"manifests/{reference}", headers={"Accept": _ACCEPT}, expected=(200, 404))
        if answer.status_code == 404:
            # Debian's registry does not tell the two apart, ECR does.
            if "NAME_UNKNOWN" in codes(answer):
                raise self._error(answer, f"manifests/{reference}")
            return None
        found = Manifest(answer.headers.get("Content-Type", "").partition(";")[0], answer.content)
        if len(found.content) > _MANIFEST_LIMIT or not isinstance(document(answer), dict):
            raise BadDocument(f"{self.where.name}: {reference} is no manifest")
        if reference.startswith("sha256:") and found.digest != reference:
            raise BadDocument(f"{self.where.name}: asked for {reference}, the registry gave {found.digest}")
        return found

    def put_manifest(self, reference: str, manifest: Manifest) -> bool:
        """Store a manifest under a tag or its digest. True where the registry lists it as a referrer of its subject by itself."""
        answer = self._request(
            "PUT", f"manifests/{reference}", headers={"Content-Type": manifest.media_type}, data=manifest.content, expected=(200, 201)
        )
        return "OCI-Subject" in answer.headers

    def has_blob(self, digest: str) -> bool:
        return self._request("HEAD", f"blobs/{digest}", expected=(200, 404)).status_code == 200

    def blob(self, digest: str) -> bytes:
        """A small blob, such as a config."""
        answer = self._request("GET", f"blobs/{digest}")
        if len(answer.content) > _CONFIG_LIMIT or digest_of(answer.content) != digest:
            raise BadDocument(f"{self.where.name}: asked for {digest}, the registry gave something else")
        return answer.content

    def put_blob(self, content: bytes) -> dict[str, Any]:
        """Store a blob unless it is there, in one piece; returns its digest and size. ECR takes no empty one."""
        digest = digest_of(content)
        if not self.has_blob(digest):
            self._retry(lambda: self._upload(digest, content))
        return {"digest": digest, "size": len(content)}

    def put_file(self, file: Path, digest: str, tell: Callable[[int], object]) -> bool:
        """Store a blob of any size unless it is there; whether it was not.

        `tell` gets the bytes sent, a negative number before a next try.
        """
        if self.has_blob(digest):
            return False

        def attempt() -> requests.Response:
            with file.open("rb") as stream:
                counted = _Counted(stream, tell)
                try:
                    return self._upload(digest, counted)
                except StartError:
                    tell(-counted.read_so_far)
                    raise

        self._retry(attempt)
        return True

    def fetch(self, digest: str, file: Path, tell: Callable[[int], object]) -> None:
        """Write a blob of any size into a file, and check it. `tell` gets the bytes that came, a negative number before a next try."""
        self._retry(lambda: self._fetch(digest, file, tell))

    def _fetch(self, digest: str, file: Path, tell: Callable[[int], object]) -> requests.Response:
        import requests

        algorithm, _, encoded = digest.partition(":")
        made, size = hashlib.new(algorithm), 0
        answer = self._once("GET", f"blobs/{digest}", stream=True)
        try:
            with answer, file.open("wb") as target:
                for chunk in answer.iter_content(_CHUNK):
                    made.update(chunk)
                    target.write(chunk)
                    size += len(chunk)
                    tell(len(chunk))
        except requests.RequestException as error:
            tell(-size)
            raise Unavailable(f"{self.where.host} broke off the blob {digest} after {size} bytes: {reason(error)}") from None
        if made.hexdigest() != encoded:
            raise BadDocument(f"{self.where.name}: asked for {digest}, the registry gave something else")
        return answer

    def _upload(self, digest: str, content: bytes | _Counted) -> requests.Response:
        started = self._once("POST", "blobs/uploads/", expected=(202,))
        place = urljoin(started.url, started.headers["Location"])
        # The place may have a query of its own. The token goes to no other host.
        place += ("&" if urlsplit(place).query else "?") + f"digest={digest}"
        return self._once("PUT", place, headers={"Content-Type": "application/octet-stream"}, data=content, expected=(201,))

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._retry(lambda: self._once(method, path, **options))

    def _retry(self, attempt: Callable[[], requests.Response]) -> requests.Response:
        """The answer of `attempt`, which is made again where the registry fails, with full jitter between."""
        renewed = False
        number = 0
        while True:
            number += 1
            try:
                return attempt()
            except Refused as error:
                if renewed or isinstance(error, TagTaken) or not needs_token(error.what):
                    raise
                renewed = True
                self._tokens.renew()
            except Unavailable:
                if number >= ATTEMPTS:
                    raise
                self._sleep(random.uniform(0, 2 ** (number - 1)))  # noqa: S311  (no secret)

    def _once(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: bytes | _Counted | None = None,
        stream: bool = False,
        expected: tuple[int, ...] = (200,),
    ) -> requests.Response:
        import requests

        url = urljoin(self._base, path)
        login = self._tokens.get()
        ours = urlsplit(url)[:2] == urlsplit(self._base)[:2]
        try:
            answer = self._session.request(
                method,
                url,
                headers=headers,
                data=data,
                # requests takes the header away where a redirect leads to another host: ECR sends a blob's reader to S3.
                auth=(login.user, login.password) if ours else _nobody,
                allow_redirects=method in ("GET", "HEAD"),
                timeout=_TIMEOUT,
                stream=stream,
            )
        except requests.RequestException as error:
            raise Unavailable(
                f"{self.where.host} did not answer {method} {shown(path)}: {reason(error)}", "Check the network and the proxy variables"
            ) from None
        if answer.status_code not in expected:
            raise self._error(answer, path)
        return answer

    def _error(self, answer: requests.Response, path: str) -> StartError:
        said = words(answer)
        what = f"{self.where.name}: {answer.request.method} {shown(path)} was answered {answer.status_code}" + (f": {said}" if said else "")
        return kind_of(answer.status_code, codes(answer), said)(what, remedy_of(what))


class _Counted:
    """A file to send, which tells how much of it was read."""

    def __init__(self, stream: IO[bytes], tell: Callable[[int], object]) -> None:
        self.read_so_far = 0
        self._stream = stream
        self._tell = tell
        self._size = stream.seek(0, 2)
        stream.seek(0)

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.read_so_far += len(data)
        self._tell(len(data))
        return data


def _nobody(request: Any) -> Any:
    """Authentication for a host that is not the registry's: none, and none from a .netrc either."""
    return request
