"""Where a snapshot goes: a file, or an object in S3."""

import time

from lyftlearn_entrypoint.errors import StartError
from lyftlearn_entrypoint.volume import replace_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lyftlearn_entrypoint.fetch.aws import Aws
    from lyftlearn_entrypoint.files import Files


class Delivery:
    """`uri` is a path, file:///path or s3://bucket/key. For S3 the modules and the credentials are got now, as whoever started us; the
    object is written later, as the program's user, with `environ` of the container."""

    def __init__(self, uri: str, environ: "dict[str, str]", files: "Files", seconds: float) -> None:
        self.place = uri
        self._path = ""
        self._aws: Aws | None = None
        if not uri.startswith("s3://"):
            self._path = self.place = files.real(uri.removeprefix("file://"))
            return
        from lyftlearn_entrypoint.deadline import Deadline

        # What a request loads only when it is made, or fails: the program's user need not be able to read our files.
        from lyftlearn_entrypoint.fetch import answers, aws, proxy, tls  # noqa: F401
        from lyftlearn_entrypoint.fetch.credentials import CredentialChain
        from lyftlearn_entrypoint.fetch.http import Http

        self._deadline = deadline = Deadline(seconds)
        http = Http(environ, deadline)
        chain = CredentialChain(environ, http, deadline)
        self._aws = aws.Aws(environ, http, deadline, chain)
        try:
            chain.get()
        except StartError:
            pass  # said again, by the same error, when it is needed

    def write(self, document: bytes) -> None:
        """Raises StartError, or OSError where a file cannot be written. A file is whole or not there, mode 0600."""
        if self._aws is None:
            replace_file(self._path, document, 0o600)
            return
        from lyftlearn_entrypoint.fetch.staged import parse_uri

        self._deadline.end = time.monotonic() + self._deadline.seconds  # what was applied meanwhile took its own time
        uri = parse_uri(self.place)
        self._aws.s3_put(uri.bucket, uri.key, document)


def problem(uri: str) -> str:
    """What is wrong with a destination, or ''."""
    if uri.startswith("s3://"):
        from lyftlearn_entrypoint.fetch.staged import parse_uri

        try:
            found = parse_uri(uri)
        except ValueError as error:
            return str(error)
        return "an object is written, so no version and no digest can be named" if found.version or found.sha256 else ""
    path = uri.removeprefix("file://")
    return (
        ""
        if path.startswith("/") and not path.endswith("/") and "\0" not in path
        else "it is no absolute path, file:///path or s3://bucket/key"
    )
