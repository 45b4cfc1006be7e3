"""AWS credentials, looked for in the order of botocore's default chain (botocore 1.44, credentials.py, create_credential_resolver)."""

import _thread

from lyftlearn_entrypoint.errors import BadSettings, StartError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.http import Http


class Credentials:
    """What signs a request. `token` is None for a long-lived key pair; `source` says in words where they came from."""

    __slots__ = ("access_key", "secret_key", "source", "token")

    def __init__(self, access_key: str, secret_key: str, token: "str | None", source: str) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.token = token
        self.source = source

    def __repr__(self) -> str:
        return "Credentials(****, from " + self.source + ")"


def read_bytes(path: str) -> bytes:
    """A file as it is, 1 MiB of it at most. Raises OSError."""
    with open(path, "rb") as file:
        return file.read(1 << 20)


class CredentialChain:
    """Finds credentials once and remembers them, or the error. Safe to use from several threads at once.

    `read_file` gives a file's bytes or raises OSError. `container_host` is where AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is
    served: a constant of ECS that no variable changes, an argument for tests. `botocore_path` is a directory to import botocore
    from where sys.path has none. `instance_metadata` False leaves out the last source, which costs a second where nothing answers.
    """

    def __init__(
        self,
        environ: "dict[str, str]",
        http: "Http",
        deadline: "Deadline",
        *,
        read_file: "Callable[[str], bytes]" = read_bytes,
        botocore_path: "str | None" = None,
        container_host: str = "169.254.170.2",
        instance_metadata: bool = True,
    ) -> None:
        self._environ = environ
        self._http = http
        self._deadline = deadline
        self._read_file = read_file
        self._botocore_path = botocore_path
        self._container_host = container_host
        self._instance_metadata = instance_metadata
        self._lock = _thread.allocate_lock()
        self._found: Credentials | None = None
        self._error: StartError | None = None

    def get(self) -> Credentials:
        """The credentials. Raises `Unavailable` (69) where no source has any or none answers in time, `Refused` (77) where one
        says no, `BadSettings` (78) where the settings of one are incomplete, `BadDocument` (65) where one answers nonsense."""
        if not self._lock.acquire(True, self._deadline.remaining()):
            raise Unavailable("AWS credentials: not there before the deadline", finding="LL0302")
        try:
            if self._error is not None:
                raise self._error
            if self._found is None:
                try:
                    self._found = self._look()
                except StartError as error:
                    self._error = error
                    raise
            return self._found
        finally:
            self._lock.release()

    def _look(self) -> Credentials:
        environ, looked = self._environ, []
        if environ.get("AWS_ACCESS_KEY_ID"):
            return self._static(environ["AWS_ACCESS_KEY_ID"])
        looked.append("AWS_ACCESS_KEY_ID is not set")
        from lyftlearn_entrypoint.fetch import profile

        chosen = profile.find(environ, self._read_file)
        if chosen is not None and chosen.assumes_role:
            return profile.load(chosen, environ, self._botocore_path)
        if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            from lyftlearn_entrypoint.fetch import web_identity

            return web_identity.assume(environ, self._http, self._deadline, self._read_file)
        looked.append("AWS_WEB_IDENTITY_TOKEN_FILE is not set")
        if chosen is not None:
            return profile.load(chosen, environ, self._botocore_path)
        looked.append("no profile holds any")
        if "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in environ or "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environ:
            from lyftlearn_entrypoint.fetch import container

            return container.fetch(environ, self._http, self._deadline, self._read_file, self._container_host)
        looked.append("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set")
        if not self._instance_metadata:
            looked.append("instance metadata was not asked")
        elif environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            looked.append("AWS_EC2_METADATA_DISABLED is true")
        else:
            from lyftlearn_entrypoint.fetch import instance

            found = instance.fetch(environ, self._http)
            if isinstance(found, Credentials):
                return found
            looked.append(found)
        raise Unavailable(
            "no AWS credentials: " + "; ".join(looked),
            "A job with network isolation has none: run it without, or pass the documents through the channel `lyftlearn`",
            finding="LL0301",
        )

    def _static(self, access_key: str) -> Credentials:
        secret = self._environ.get("AWS_SECRET_ACCESS_KEY")
        if not secret:
            raise BadSettings("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not", "Set both or neither", finding="LL0303")
        token = self._environ.get("AWS_SECURITY_TOKEN") or self._environ.get("AWS_SESSION_TOKEN") or None
        for name, value in (("AWS_ACCESS_KEY_ID", access_key), ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_SESSION_TOKEN", token or "")):
            if not value.isascii() or not value.isprintable() or " " in value:
                raise BadSettings(
                    name + " holds white space or what is not ASCII",
                    "Set it again: a copied line break is the usual cause",
                    finding="LL0304",
                )
        return Credentials(access_key, secret, token, "environment")
