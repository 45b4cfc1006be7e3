"""What a JAR says about itself: its coordinates and licence, and those of what was shaded into it.

Sources: Maven Archiver's META-INF/maven/GROUP/ARTIFACT/pom.properties and pom.xml; the JAR file specification, "JAR Manifest"; OSGi core,
"Bundle Manifest Headers".
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import zipfile
import zlib
from dataclasses import dataclass, replace

from lyftlearn_entrypoint.cli.image import licences as image_licences

# A licence's text in a JAR, at the places where archives keep it.
_TEXT = re.compile(r"^(?:META-INF/)?(?:LICENSE|LICENCE|license|COPYING)[^/]*$")
_PROPERTIES = re.compile(r"^META-INF/maven/[^/]+/[^/]+/pom\.properties$")
_LICENCE = re.compile(r"<license>(.*?)</license>", re.DOTALL)


@dataclass(frozen=True)
class Jar:
    """One artifact. `inside` are those that a JAR brings in itself; `told_by` says where the licence stands."""

    group: str
    artifact: str
    version: str
    licence: str = ""
    told_by: str = ""
    sha256: str = ""
    sha1: str = ""
    inside: tuple[Jar, ...] = ()


def read(path: str, data: bytes) -> Jar:
    """The artifact in a JAR's bytes; by its file name alone where it is no archive."""
    stem = posixpath.basename(path).removesuffix(".jar")
    named = re.match(r"(.+?)-(\d[^/]*)$", stem) or re.match(r"(.+?)(\d+\.\d[^/]*)$", stem)
    bare = Jar("", named[1] if named else stem, named[2] if named else "")
    bare = replace(bare, sha256=hashlib.sha256(data).hexdigest(), sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest())
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _of_archive(archive, stem, bare)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError):
        return bare


def _of_archive(archive: zipfile.ZipFile, stem: str, bare: Jar) -> Jar:
    names = archive.namelist()
    manifest = _manifest(archive.read("META-INF/MANIFEST.MF")) if "META-INF/MANIFEST.MF" in names else {}
    made = [_of_properties(archive, name, names) for name in names if _PROPERTIES.match(name)]
    # Its own pom.properties is the one that its file is named after; an unnamed one is its own where it is alone.
    own = next((each for each in made if f"{each.artifact}-{each.version}" == stem), None)
    own = own or next((each for each in made if each.artifact == bare.artifact or stem.startswith(f"{each.artifact}-")), None)
    own = own or (made[0] if len(made) == 1 and not bare.version else None)
    inside = tuple(sorted({each for each in made if each is not own}, key=lambda each: (each.group, each.artifact, each.version)))
    jar = replace(own or bare, sha256=bare.sha256, sha1=bare.sha1, inside=(*inside, *_nested(archive, names)))
    if own and bare.version.startswith(own.version):
        jar = replace(jar, version=bare.version)  # a classifier or a vendor's build is in the file name alone
    if not jar.group:
        jar = replace(jar, group=_group(manifest, jar.artifact))
    if not jar.licence:
        jar = _licensed(jar, manifest, [archive.read(name).decode(errors="replace") for name in names if _TEXT.match(name)])
    return jar


def _nested(archive: zipfile.ZipFile, names: list[str]) -> list[Jar]:
    return [read(name, archive.read(name)) for name in names if name.endswith(".jar")]


def _of_properties(archive: zipfile.ZipFile, name: str, names: list[str]) -> Jar:
    lines = archive.read(name).decode(errors="replace").splitlines()
    told = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines if not line.startswith("#"))}
    _, _, group, artifact, _ = name.split("/")
    jar = Jar(told.get("groupId", group), told.get("artifactId", artifact), told.get("version", ""))
    pom = posixpath.dirname(name) + "/pom.xml"
    if pom not in names:
        return jar
    found = [_pom_licence(each) for each in _LICENCE.findall(archive.read(pom).decode(errors="replace"))]
    # Several are a choice (Maven's POM reference does not say; JARs that are dual-licensed do it so).
    licence = " OR ".join(dict.fromkeys(found)) if found and all(found) else ""
    return replace(jar, licence=licence, told_by="pom.xml" if licence else "")


def _pom_licence(element: str) -> str:
    for tag in ("name", "url"):
        told = re.search(rf"<{tag}>(.*?)</{tag}>", element, re.DOTALL)
        if told and (found := image_licences.statement(told[1])):
            return found
    return ""


def _manifest(data: bytes) -> dict[str, str]:
    """The main section of a manifest: long lines go on behind a blank."""
    main = re.split(r"\r?\n\r?\n", data.decode(errors="replace").strip())[0]
    lines = re.sub(r"\r?\n ", "", main).splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _group(manifest: dict[str, str], artifact: str) -> str:
    """The group as far as a manifest tells it; '' where it does not."""
    vendor = manifest.get("Implementation-Vendor-Id", "")
    if re.fullmatch(r"[a-z][\w-]*(\.[\w-]+)+", vendor):
        return vendor
    name = manifest.get("Bundle-SymbolicName", "").partition(";")[0].strip()
    # A symbolic name is the group and the artifact behind it.
    for end in (artifact, artifact.partition("_")[0], artifact.replace("-", ".")):
        if name.endswith("." + end):
            # `org` is nobody's group: org.objenesis is, of org.objenesis:objenesis, and org.jodd-core is none.
            group = name[: -len(end) - 1]
            return group if "." in group else name if "-" not in end else ""
    return ""


def _licensed(jar: Jar, manifest: dict[str, str], texts: list[str]) -> Jar:
    told = manifest.get("Bundle-License", "")
    # A list of names or URLs, each with attributes behind a semicolon.
    found = [image_licences.statement(each.partition(";")[0]) for each in re.split(r",(?![^\"]*\"$)", told) if each.strip()]
    if found and all(found):
        return replace(jar, licence=" OR ".join(dict.fromkeys(found)), told_by="Bundle-License")
    for text in texts:
        if licence := image_licences.in_text(text):
            return replace(jar, licence=licence, told_by="licence file")
    return jar
