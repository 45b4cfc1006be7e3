"""Every package in an image, from its file system as `docker export` gives it: nothing of the image runs.

Debian's packages, Python's distributions in both environments, JARs with what is shaded into them, JavaScript that JupyterLab bundles, and
what wheels say is compiled or vendored into them. Sources: dpkg's status file (deb-control); Python's core metadata, RECORD and PEP 770;
JupyterLab's third-party-licenses.json (an SPDX-like report of its webpack plugin); purl-spec, types deb, pypi, maven, npm, generic.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
import tarfile
from dataclasses import dataclass, field
from email.parser import HeaderParser
from typing import TYPE_CHECKING, Any

from lyftlearn_entrypoint.cli.image import jars as image_jars
from lyftlearn_entrypoint.cli.image import licences as image_licences
from lyftlearn_entrypoint.cli.image.layers import Chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WANTED = re.compile(
    r"^(?:usr/lib|etc)/os-release$|^var/lib/dpkg/status(?:\.d/[^/]+)?$|^usr/share/doc/[^/]+/copyright$"
    r"|\.dist-info/(?:METADATA|RECORD|(?:licenses/.*)?(?:LICEN[SC]E|COPYING)[^/]*|sboms/.*\.json)$"
    r"|\.jar$|/_vendor/bom\.cdx\.json$|/third-party-licenses\.json$|/lyftlearn_entrypoint/__init__\.py$",
    re.IGNORECASE,
)
# What lies here came with a package of Debian's.
_DEBIANS = re.compile(r"^usr/(?!local/)")
_LICENCE = re.compile(r"\.dist-info/(?:licenses/)?(?:LICEN[SC]E|COPYING)[^/]*$", re.IGNORECASE)
_TITLES = {"debian": "Debian packages", "python": "Python distributions", "jar": "JARs", "npm": "JavaScript in bundles"}
KINDS = {**_TITLES, "bundled": "Compiled or vendored into the above, as these say", "own": "This project"}


@dataclass(frozen=True)
class Package:
    """One package in one version. `purl` tells it apart; `places` are paths, `needs` purls of others; `told_by` is who said the licence."""

    kind: str
    name: str
    version: str
    purl: str
    licence: str = ""
    told_by: str = ""
    places: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    hashes: tuple[tuple[str, str], ...] = ()


@dataclass
class Inventory:
    """What was read: `distribution` is the operating system's id and version, as in ('debian', '12')."""

    distribution: tuple[str, str] = ("linux", "")
    packages: list[Package] = field(default_factory=list)


def purl(kind: str, namespace: str, name: str, version: str, **qualifiers: str) -> str:
    """A package URL."""
    from packageurl import PackageURL

    return str(PackageURL(kind, namespace or None, name, version or None, qualifiers or None).to_string())


def inventory(chunks: Iterable[bytes], groups: dict[str, str]) -> Inventory:
    """Read a file system's tar. `groups` gives the Maven group of artifacts whose JARs do not name it, or not rightly."""
    texts: dict[str, str] = {}
    links: dict[str, str] = {}
    jars: dict[str, image_jars.Jar] = {}
    with tarfile.open(fileobj=io.BufferedReader(Chunks(chunks), 1 << 20), mode="r|", bufsize=1 << 20) as archive:
        for member in archive:
            path = posixpath.normpath(member.name).lstrip("/")
            if member.issym() and path.startswith("usr/share/doc/"):
                links[path] = posixpath.normpath(posixpath.join(posixpath.dirname(path), member.linkname))
            stream = archive.extractfile(member) if member.isreg() and _WANTED.search(path) else None
            if stream is None:
                continue
            if path.endswith(".jar"):
                if not _DEBIANS.match(path):
                    jars[path] = image_jars.read(path, stream.read())
            else:
                texts[path] = stream.read().decode(errors="replace")
    return _inventory(texts, links, jars, groups)


def _inventory(texts: dict[str, str], links: dict[str, str], jars: dict[str, image_jars.Jar], groups: dict[str, str]) -> Inventory:
    release = texts.get("usr/lib/os-release") or texts.get("etc/os-release", "")
    named = {key: value.strip('"') for key, _, value in (line.partition("=") for line in release.splitlines())}
    system = (named.get("ID", "linux"), named.get("VERSION_ID", ""))
    owners = {file: at for path, text in texts.items() if path.endswith(".dist-info/RECORD") for at, file in _recorded(path, text)}
    python = dict(_python(texts))
    found = [*_debian(texts, links, system), *_jars(jars, groups, texts), *_own(texts)]
    bundles = [(owner, each) for path, text in texts.items() for owner, each in _bundled(path, text, owners)]
    for at, package in python.items():
        inside = (each.purl for owner, each in bundles if owner == at)
        found.append(Package(**{**vars(package), "needs": (*package.needs, *sorted(set(inside)))}))
    return Inventory(system, merged([*found, *(each for _, each in bundles)]))


def merged(found: Iterable[Package]) -> list[Package]:
    """One entry for each purl, with all its places and needs, sorted. Of several, the first with a licence tells it."""
    made: dict[str, Package] = {}
    for each in found:
        known = made.get(each.purl)
        if known is None:
            made[each.purl] = each
            continue
        told = known if known.licence else each
        made[each.purl] = Package(
            known.kind,
            known.name,
            known.version,
            known.purl,
            told.licence,
            told.told_by,
            tuple(sorted({*known.places, *each.places})),
            tuple(sorted({*known.needs, *each.needs})),
            known.hashes or each.hashes,
        )
    order = list(KINDS)
    return sorted(made.values(), key=lambda each: (order.index(each.kind), each.name.lower(), each.version, each.purl))


def _debian(texts: dict[str, str], links: dict[str, str], system: tuple[str, str]) -> Iterator[Package]:
    status = "\n\n".join(text for path, text in texts.items() if path.startswith("var/lib/dpkg/status"))
    control = [HeaderParser().parsestr(paragraph) for paragraph in re.split(r"\n\s*\n", status) if paragraph.strip()]
    installed = {each["Package"]: each for each in control if "installed" in str(each["Status"] or "installed").split()}

    def url(name: str) -> str:
        each = installed[name]
        return purl("deb", system[0], name, each["Version"], arch=each["Architecture"], distro="-".join(system))

    for name, each in installed.items():
        text = texts.get(_followed(f"usr/share/doc/{name}/copyright", links), "")
        licence, told_by = image_licences.of_debian(text) if text else ("", "")
        wanted = f"{each['Pre-Depends'] or ''},{each['Depends'] or ''}".split(",")
        choices = ([re.split(r"[\s:(]", choice.strip())[0] for choice in entry.split("|")] for entry in wanted)
        needs = {url(choice) for each_of in choices for choice in each_of[:1] if choice in installed}
        yield Package("debian", name, each["Version"], url(name), licence, told_by, ("var/lib/dpkg/status",), tuple(sorted(needs)))


def _followed(path: str, links: dict[str, str]) -> str:
    """Where a path leads when the file and its directory may be symbolic links, and these links to links."""
    for _ in range(8):
        directory, _, name = path.rpartition("/")
        further = links.get(path) or (f"{links[directory]}/{name}" if directory in links else path)
        if further == path:
            break
        path = further
    return path


def _python(texts: dict[str, str]) -> Iterator[tuple[str, Package]]:
    """(its dist-info directory, the package)"""
    metadata = {
        path.rpartition("/")[0]: HeaderParser().parsestr(text) for path, text in texts.items() if path.endswith(".dist-info/METADATA")
    }
    # A name may be installed in both environments; needs are looked for in its own first.
    urls = {
        (at.rpartition("/")[0], _normal(each["Name"])): purl("pypi", "", _normal(each["Name"]), each["Version"])
        for at, each in metadata.items()
    }
    for at, each in metadata.items():
        site = at.rpartition("/")[0]
        licences = [
            text for path, text in sorted(texts.items()) if path.startswith(at + "/") and re.search(r"(?i)/(?:LICEN|COPYING)[^/]*$", path)
        ]
        licence, told_by = image_licences.of_python(each, licences)
        named = (re.match(r"[\w.-]+", need) for need in each.get_all("Requires-Dist", []) if "extra ==" not in need)
        needs = {urls[site, _normal(name[0])] for name in named if name and (site, _normal(name[0])) in urls}
        yield (
            at,
            Package(
                "python", each["Name"], each["Version"], urls[site, _normal(each["Name"])], licence, told_by, (at,), tuple(sorted(needs))
            ),
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _recorded(path: str, text: str) -> Iterator[tuple[str, str]]:
    """(dist-info directory, file) of the files in a RECORD that are themselves lists of packages."""
    at = path.rpartition("/")[0]
    for row in csv.reader(text.splitlines()):
        if row and row[0].endswith(("third-party-licenses.json", "bom.cdx.json")):
            yield at, posixpath.normpath(posixpath.join(posixpath.dirname(at), row[0]))


def _jars(jars: dict[str, image_jars.Jar], groups: dict[str, str], texts: dict[str, str]) -> Iterator[Package]:
    # Spark's LICENSE names the group and the licence of each JAR that comes with it.
    told = {name: each for path, text in texts.items() if _LICENCE.search(path) for name, each in image_licences.of_bundled(text).items()}
    grouped = {artifact: group for group, _, artifact in (name.partition(":") for name in told)}

    def package(jar: image_jars.Jar, place: str) -> Iterator[Package]:
        group = groups.get(jar.artifact) or jar.group or grouped.get(jar.artifact, "")
        licence, told_by = jar.licence, jar.told_by
        if not licence and f"{group}:{jar.artifact}" in told:
            licence, told_by = told[f"{group}:{jar.artifact}"], "LICENSE of the distribution that brings it"
        inside = [each for other in jar.inside for each in package(other, f"{place}!{other.artifact}")]
        hashes = (("SHA-1", jar.sha1), ("SHA-256", jar.sha256)) if jar.sha256 else ()
        needs = tuple(sorted({each.purl for each in inside}))
        url = purl("maven", group, jar.artifact, jar.version)
        yield Package("jar", jar.artifact, jar.version, url, licence, told_by, (place,), needs, hashes)
        yield from inside

    for path, jar in sorted(jars.items()):
        yield from package(jar, path)


def _bundled(path: str, text: str, owners: dict[str, str]) -> Iterator[tuple[str, Package]]:
    """(dist-info directory of the owner, package) of what a wheel brings in itself."""
    if path.endswith("/third-party-licenses.json"):
        for each in _json(text).get("packages", []):
            space, _, name = each["name"].rpartition("/")
            url = purl("npm", space, name, each["versionInfo"])
            licence = image_licences.statement(each["licenseId"])
            told_by = posixpath.basename(path) if licence else ""
            yield owners.get(path, ""), Package("npm", each["name"], each["versionInfo"], url, licence, told_by, (path,))
    elif path.endswith("bom.cdx.json") or "/sboms/" in path:
        own = owners.get(path) or path.rpartition("/sboms/")[0]
        name = _normal(posixpath.basename(own).rpartition(".dist-info")[0].rpartition("-")[0])
        for each in _components(_json(text)):
            url = _canonical(str(each.get("purl", "")))
            # The wheel itself, and parts of it, are listed too.
            if url and not url.startswith(f"pkg:pypi/{name}@") and each.get("version"):
                yield own, Package("bundled", each["name"], each["version"], url, _licence(each), posixpath.basename(path), (path,))


def _canonical(url: str) -> str:
    """A package URL as purl-spec writes it; '' where it is none."""
    from packageurl import PackageURL

    try:
        return str(PackageURL.from_string(url).to_string())
    except ValueError:
        return ""


def _json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _components(bom: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in bom.get("components", []):
        yield each
        yield from _components(each)


def _licence(component: dict[str, Any]) -> str:
    told = [
        each.get("expression") or each.get("license", {}).get("id") or each.get("license", {}).get("name", "")
        for each in component.get("licenses", [])
    ]
    return image_licences.all_of(image_licences.statement(each) or image_licences.reference(each) for each in told if each)


def _own(texts: dict[str, str]) -> Iterator[Package]:
    for path, text in texts.items():
        version = (
            re.search(r"^__version__ = \"([^\"]+)\"", text, re.MULTILINE) if path.endswith("/lyftlearn_entrypoint/__init__.py") else None
        )
        if version:
            url = purl("generic", "", "lyftlearn-entrypoint", version[1])
            yield Package("own", "lyftlearn-entrypoint", version[1], url, "Apache-2.0", "LICENSE", (path.rpartition("/")[0],))
