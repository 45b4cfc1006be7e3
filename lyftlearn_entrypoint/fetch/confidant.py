"""Credentials from Confidant: one token, one GET. The protocol and its traps: docs/confidant.md.

Source of every fact here: lyft/confidant 7.0.0 (confidant/routes/services.py, confidant/authnz), lyft/python-kmsauth 0.6.3.
"""

import time

from lyftlearn_entrypoint.documents import NotJson, dump, kind, parse
from lyftlearn_entrypoint.errors import BadDocument, BadSettings, Missing, Refused, Unavailable
from lyftlearn_entrypoint.fetch.http import HttpError, TooLarge
from lyftlearn_entrypoint.fetch.url import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lyftlearn_entrypoint.deadline import Deadline
    from lyftlearn_entrypoint.fetch.http import Http, Response

# kmsauth's generator: back-dated 3 minutes for clocks that differ, 10 minutes in all (a server takes at most 60).
BACKDATED = 180  # seconds
LIFETIME = 600  # seconds
# Confidant answers only after 10.5 s when its own KMS does not (five tries of botocore): a shorter wait gives up too early.
READ_TIMEOUT = 15.0  # seconds
TRIES = 8  # transport errors, 429 and 5xx
REFUSALS = 3  # HTML 403: the token was refused, or the server's KMS had trouble; worth a fresh token
LIMIT = 32 << 20  # bytes of a reply


class Secret:
    """One credential value. `key` is its stored name, `name` the variable for it, `origin` the credential's id."""

    __slots__ = ("key", "name", "origin", "value")

    def __init__(self, key: str, name: str, value: "str | None", origin: str) -> None:
        self.key = key
        self.name = name
        self.value = value
        self.origin = origin

    def __repr__(self) -> str:
        return "Secret(" + repr(self.name) + ", ***, " + repr(self.origin) + ")"


class Confidant:
    """A Confidant service's credentials.

    `encrypt(key_id, plaintext, context)` and `decrypt(ciphertext, context, region)` are KMS. `now` gives seconds since the
    epoch.
    """

    def __init__(
        self,
        url: str,
        service: str,
        auth_key: str,
        auth_context: str,
        http: "Http",
        deadline: "Deadline",
        encrypt: "Callable[[str, bytes, dict[str, str]], bytes]",
        decrypt: "Callable[[bytes, dict[str, str], str], bytes]",
        region: "str | None",
        now: "Callable[[], float]" = time.time,
    ) -> None:
        self.url = url.rstrip("/")
        self.service = service
        self.auth_key = auth_key
        self.auth_context = auth_context
        self._http = http
        self._deadline = deadline
        self._encrypt = encrypt
        self._decrypt = decrypt
        self._region = region
        self._now = now

    def __str__(self) -> str:
        return "Confidant at " + self.url

    def secrets(self, prefix: str) -> "list[Secret]":
        """All (key, name, value, origin) of the service; a value None is one that Confidant stores as null.

        Disabled credentials are included, since Confidant gives them and its own client does not look. Raises StartError.
        """
        document = self._get()
        result = []
        for credential in _list(document, "credentials"):
            pairs = credential.get("credential_pairs")
            result += _secrets(credential, pairs, _prefix(credential, prefix, blind=False))
        for credential in _list(document, "blind_credentials"):
            pairs = self._open_blind(credential)
            result += _secrets(credential, pairs, _prefix(credential, prefix, blind=True))
        return result

    def token(self) -> str:
        """The token of one request: what KMS makes of the validity, under the context that names the service. Raises StartError."""
        from binascii import b2a_base64

        start = self._now() - BACKDATED
        form = "%Y%m%dT%H%M%SZ"
        payload = dump(
            {
                "not_before": time.strftime(form, time.gmtime(start)),
                "not_after": time.strftime(form, time.gmtime(start + LIFETIME)),
            }
        )
        context = {"from": self.service, "to": self.auth_context, "user_type": "service"}
        return b2a_base64(self._encrypt(self.auth_key, payload.encode(), context), newline=False).decode()

    def _get(self) -> "dict[str, Any]":
        url = self.url + "/v1/services/" + quote(self.service)
        self._http.dial_early(url, proxy=False)
        token = self.token()
        attempt = refusals = 0
        while True:
            attempt += 1
            headers = {"X-Auth-From": "2/service/" + self.service, "X-Auth-Token": token, "Accept": "application/json"}
            wait = 0.0
            try:
                # No proxy: it would see the token, and Confidant is inside the company's network.
                response = self._http.request("GET", url, headers, limit=LIMIT, read_timeout=READ_TIMEOUT, proxy=False)
            except TooLarge as error:
                raise BadDocument(self._asked() + ": " + str(error), finding="LL0603") from None
            except HttpError as error:
                answer, finding = str(error), error.finding
                if error.final:
                    raise Unavailable(
                        self._asked() + ": " + answer, "Check LYFTLEARN_CONFIDANT_URL and the CA bundle", finding=error.finding or "LL0716"
                    ) from None
            else:
                self._deadline.answered()
                if response.status == 200:
                    return self._parse(response)
                answer, finding = "it answered " + str(response.status), "LL0717"
                if response.status == 403 and not _is_json(response):
                    refusals += 1
                    if refusals >= REFUSALS:
                        raise self._token_refused(refusals)
                    token = self.token()
                elif response.status != 429 and response.status < 500:
                    raise self._final(response)
                wait = _seconds(response.headers.get("retry-after", ""))
            if attempt < TRIES:
                answer += ", and the deadline of " + format(self._deadline.seconds, ".3g") + " s leaves no time for another try"
                answer += " (LYFTLEARN_DEADLINE)"
            failed = Unavailable(
                self._asked() + ": " + answer + " (" + str(attempt) + (" tries)" if attempt > 1 else " try)"),
                "Check that the server runs and that this subnet and security group reach it",
                finding=finding or "LL0705",
            )
            if attempt == TRIES:
                raise failed
            self._deadline.try_again(attempt, failed, 0.25, 8.0, wait)

    def _asked(self) -> str:
        return str(self) + " was asked for service " + self.service

    def _parse(self, response: "Response") -> "dict[str, Any]":
        # The body decides: 6.6.1 says text/html on success.
        try:
            document = parse(response.body)
        except NotJson as error:
            raise BadDocument(
                self._asked() + " and answered 200 with what is not JSON: " + str(error), _PROXY_HINT, finding="LL0604"
            ) from None
        if not isinstance(document, dict) or "credentials" not in document:
            raise BadDocument(self._asked() + " and answered 200 with JSON that is not a service", _PROXY_HINT, finding="LL0604")
        return document

    def _token_refused(self, tries: int) -> Refused:
        return Refused(
            self._asked() + ": 403, the token was refused " + str(tries) + " times, each time with a fresh one",
            "Check that LYFTLEARN_CONFIDANT_AUTH_KEY is the server's AUTH_KEY, LYFTLEARN_CONFIDANT_AUTH_CONTEXT ("
            + self.auth_context
            + ") is its"
            " AUTH_CONTEXT, that the clock is right, and that the server itself reaches KMS",
            finding="LL0606",
        )

    def _final(self, response: "Response") -> "Refused | Missing | BadSettings | BadDocument":
        status = response.status
        if status == 403:
            return Refused(
                self._asked() + ": 403, this identity may not read it",
                "The token's `from` must be the service's id: check LYFTLEARN_CONFIDANT_SERVICE and the server's ACL",
                finding="LL0607",
            )
        if status == 401:
            return Refused(
                self._asked() + ": 401, not authorized",
                "The service may belong to another account: check that LYFTLEARN_CONFIDANT_AUTH_KEY is that account's key",
                finding="LL0608",
            )
        if status == 404:
            return Missing(
                self._asked() + ": 404, there is none of that name",
                "Create the service, or correct LYFTLEARN_CONFIDANT_SERVICE",
                finding="LL0609",
            )
        if 300 <= status < 400:
            return BadSettings(
                self._asked() + ": " + str(status) + ", a redirect, which is not followed since it would carry the token along",
                "Set LYFTLEARN_CONFIDANT_URL to where the server really is",
                finding="LL0610",
            )
        if status == 405:
            return BadSettings(
                self._asked() + ": 405, no service can have that name", "Correct LYFTLEARN_CONFIDANT_SERVICE", finding="LL0611"
            )
        if 200 <= status < 300:
            return BadDocument(self._asked() + " and answered " + str(status) + ", without a service", _PROXY_HINT, finding="LL0604")
        return Refused(
            self._asked() + ": " + str(status), "Check LYFTLEARN_CONFIDANT_URL and LYFTLEARN_CONFIDANT_SERVICE", finding="LL0612"
        )

    def _open_blind(self, credential: "dict[str, Any]") -> "dict[str, Any]":
        from lyftlearn_entrypoint.fetch import blind

        return blind.pairs(credential, "blind credential " + _id(credential), self._region or "", self._decrypt)


_PROXY_HINT = "Something else than Confidant may answer there: check LYFTLEARN_CONFIDANT_URL"


def _list(document: "dict[str, Any]", name: str) -> "list[dict[str, Any]]":
    found = document.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise BadDocument("Confidant's reply: " + name + " is not a list of objects", _PROXY_HINT, finding="LL0605")
    return found


def _id(credential: "dict[str, Any]") -> str:
    """What names a credential to a person: its id and name."""
    identity, name = str(credential.get("id") or "?"), credential.get("name")
    return identity + " (" + name + ")" if isinstance(name, str) and name and name != identity else identity


def _prefix(credential: "dict[str, Any]", default: str, blind: bool) -> str:
    """As confidant-format does: an empty env_var_prefix means the default, but for blind credentials it means none."""
    metadata = credential.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadDocument(
            "Confidant's reply: metadata of credential " + _id(credential) + " is " + kind(metadata), _PROXY_HINT, finding="LL0605"
        )
    own = metadata.get("env_var_prefix")
    if isinstance(own, str) and (own or blind):
        return own
    return default


def _secrets(credential: "dict[str, Any]", pairs: object, prefix: str) -> "list[Secret]":
    origin = _id(credential)
    if not isinstance(pairs, dict):
        raise BadDocument("Confidant's reply: credential " + origin + " has no credential_pairs", _PROXY_HINT, finding="LL0605")
    result = []
    for key, value in pairs.items():
        text: "str | None"
        if value is None or isinstance(value, str):
            text = value
        elif isinstance(value, (bool, int, float)):
            text = dump([value])[1:-1]  # its JSON text
        else:
            raise BadDocument(
                "Confidant's reply: " + ascii(key) + " of credential " + origin + " is " + kind(value) + ", not a plain value",
                finding="LL0605",
            )
        result.append(Secret(key, prefix.upper() + key.upper(), text, origin))
    return result


def _is_json(response: "Response") -> bool:
    try:
        return isinstance(parse(response.body), dict)
    except NotJson:
        return False


def _seconds(text: str) -> float:
    return min(float(text), 60.0) if text.isascii() and text.isdigit() else 0.0
