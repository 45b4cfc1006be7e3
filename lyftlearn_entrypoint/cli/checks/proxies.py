"""Which proxy applies to which host, and the traps of the variables. Pure over the environment and the hosts."""

from __future__ import annotations

from dataclasses import dataclass

from lyftlearn_entrypoint.fetch.http import LINK_LOCAL
from lyftlearn_entrypoint.fetch.proxy import choose
from lyftlearn_entrypoint.fetch.url import HttpError, split

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
LOCAL = ("http://localhost/", "http://127.0.0.1/")


@dataclass
class Trap:
    """Something about the variables that surprises: the code of the finding, and what."""

    code: str
    what: str


def traps(environ: dict[str, str]) -> list[Trap]:
    """What is wrong with the variables themselves. A proxy's user and password are never shown."""
    found = []
    for name in NAMES:
        lower, upper = environ.get(name), environ.get(name.upper())
        if lower is not None and upper is not None and lower != upper:
            empty = ", and is empty" if not lower else ""
            found.append(Trap("LL0731", f"{name} and {name.upper()} differ; {name} wins{empty}"))
    found += [Trap("LL0732", f"NO_PROXY: {entry!a} {why}") for entry in _entries(environ) if (why := _odd(entry))]
    if _set(environ) and "*" not in _entries(environ):
        lacking = [url[7:-1] for url in LOCAL if _goes(environ, url)]
        if lacking:
            found.append(Trap("LL0733", f"a proxy is set for {' and '.join(lacking)} too: NO_PROXY lacks them"))
    return found


def route(environ: dict[str, str], url: str, allowed: bool) -> str:
    """How a start reaches `url`, in words. `allowed` is False where it never uses a proxy. Raises HttpError for a proxy that is none."""
    parts = split(url)
    if not allowed or parts.host in LINK_LOCAL:
        return "directly, whatever the variables"
    via = choose(environ, parts)
    if via is None:
        return "directly" + (" (NO_PROXY)" if _set(environ) else "")
    name = next(name for name in (parts.scheme + "_proxy", "all_proxy") if environ.get(name) or environ.get(name.upper()))
    return f"through {via.where} ({name if environ.get(name) else name.upper()})"


def _set(environ: dict[str, str]) -> bool:
    return any(environ.get(each) for name in NAMES[:3] for each in (name, name.upper()))


def _goes(environ: dict[str, str], url: str) -> bool:
    try:
        return choose(environ, split(url)) is not None
    except HttpError:
        return False


def _entries(environ: dict[str, str]) -> list[str]:
    value = environ["no_proxy"] if "no_proxy" in environ else environ.get("NO_PROXY", "")
    return [entry for entry in value.replace(" ", ",").split(",") if entry]


def _odd(entry: str) -> str:
    """Why no client understands this entry, or ''."""
    if "://" in entry:
        return "is a URL, and hosts are wanted"
    if "*" in entry and entry != "*":
        return "has a wildcard inside, which fits nothing: a leading dot fits every host below a domain"
    address, slash, length = entry.partition("/")
    if slash and not length.isdigit():
        return "has a path, and hosts are wanted"
    if slash and any(mark.isalpha() for mark in address) and ":" not in address:
        return "is a name with a length, which fits nothing"
    return ""
