"""What a registry's answers mean: their error codes, their words, and what to do about them. Pure.

Source: OCI distribution specification 1.1, spec.md; ECR's own words as its users report them (aws/containers-roadmap).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lyftlearn_entrypoint.errors import BadDocument, Missing, Refused, StartError, Unavailable

if TYPE_CHECKING:
    import requests


class TagTaken(Refused):
    """The repository's tags cannot be moved, and this one names another image."""


def kind_of(status: int, found: list[str], said: str) -> type[StartError]:
    """The error that an answer stands for, from its status, its error codes and their words."""
    if "immutable" in said.lower():
        return TagTaken
    if status in (401, 403) or "DENIED" in found or "UNAUTHORIZED" in found:
        return Refused
    if "NAME_UNKNOWN" in found or status == 404:
        return Missing
    if status == 429 or status >= 500:
        return Unavailable
    return BadDocument


def needs_token(text: str) -> bool:
    """Whether a refusal, in a registry's or the Engine's words, may be the token's fault rather than a missing permission."""
    lower = text.lower()
    # The answer to a HEAD has no words.
    signs = ("authorization token has expired", "unauthorized", "authentication required", "no basic auth", "answered 401")
    return any(sign in lower for sign in signs)


def remedy_of(said: str) -> str:
    """What to do about a registry's refusal."""
    lower = said.lower()
    if needs_token(said):
        return "Check that --to is in the account and region that the AWS credentials are for"
    if "immutable" in lower:
        return "Build again under another version, or choose another --tag"
    if "does not exist in the registry" in lower or "name unknown" in lower:
        return "Make the repository, or give --create-repository"
    if "not authorized to perform" in lower:
        return "The credentials' policy, or the repository's, lacks that action"
    return ""


def codes(answer: requests.Response) -> list[str]:
    """The error codes in an answer, as the specification has them (NAME_UNKNOWN, DENIED)."""
    found = document(answer)
    errors = found.get("errors") if isinstance(found, dict) else None
    return [str(error.get("code", "")) for error in errors or [] if isinstance(error, dict)]


def words(answer: requests.Response) -> str:
    """The messages in an answer, on one line, and no longer than a line."""
    found = document(answer)
    errors = found.get("errors") if isinstance(found, dict) else None
    said = "; ".join(f"{error.get('code', '')}: {error.get('message', '')}" for error in errors or [] if isinstance(error, dict))
    return " ".join(said.split())[:400]


def shown(path: str) -> str:
    """A path or URL without its query, which holds the state of an upload."""
    return urlsplit(path).path if "://" in path else path.partition("?")[0]


def document(answer: requests.Response) -> Any:
    """The JSON in an answer; None where there is none."""
    try:
        return answer.json()
    except ValueError:
        return None


def reason(error: BaseException) -> str:
    """The innermost cause: requests' and urllib3's own texts repeat addresses and names of Python's objects."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return f"{type(error).__name__}: {error}".rstrip(": ")
