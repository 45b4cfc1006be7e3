"""What a JAR says of itself."""

import hashlib
import io
import zipfile

import pytest

from lyftlearn_entrypoint.cli.image.jars import Jar, read


def jar(files: "dict[str, str | bytes]") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def maven(group: str, artifact: str, version: str, *licences: str) -> "dict[str, str | bytes]":
    place = f"META-INF/maven/{group}/{artifact}"
    told = "".join(f"<license><name>{name}</name><url>http://x</url></license>" for name in licences)
    return {
        f"{place}/pom.properties": f"#Created by X\nversion={version}\ngroupId={group}\nartifactId={artifact}\n",
        f"{place}/pom.xml": f"<project><licenses>{told}</licenses></project>",
    }


def brief(found: Jar) -> "tuple[str, str, str, str, str]":
    return found.group, found.artifact, found.version, found.licence, found.told_by


def test_its_own_pom_among_those_shaded_into_it() -> None:
    data = jar({**maven("z.other", "gson", "2.2", "Apache 2.0"), **maven("org.x", "x-core", "1.5", "MIT License", "Apache 2.0")})
    found = read("opt/jars/x-core-1.5.jar", data)
    assert brief(found) == ("org.x", "x-core", "1.5", "MIT OR Apache-2.0", "pom.xml")
    assert [brief(each)[:4] for each in found.inside] == [("z.other", "gson", "2.2", "Apache-2.0")]
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.sha1 == hashlib.sha1(data, usedforsecurity=False).hexdigest()
    assert found.inside[0].sha256 == ""


@pytest.mark.parametrize(
    ("path", "version"),
    [("x-1.5-linux-x86_64.jar", "1.5-linux-x86_64"), ("x-1.5.jar", "1.5"), ("renamed.jar", "1.5")],
)
def test_a_classifier_is_in_the_file_name_alone(path: str, version: str) -> None:
    assert brief(read(path, jar(maven("org.x", "x", "1.5"))))[:3] == ("org.x", "x", version)


def test_a_licence_that_is_half_known_is_not_known() -> None:
    """`A or something` is neither A nor known."""
    assert read("x-1.jar", jar(maven("org.x", "x", "1", "MIT License", "Our own terms"))).licence == ""


@pytest.mark.parametrize(
    ("lines", "group"),
    [
        ("Implementation-Vendor-Id: org.scalanlp", "org.scalanlp"),
        ("Implementation-Vendor-Id: Sun\nBundle-SymbolicName: org.json.json-ast;singleton:=true", "org.json"),
        ("Bundle-SymbolicName: org.scala-lang.modules.json-ast", "org.scala-lang.modules"),
        ("Bundle-SymbolicName: org.json-ast", ""),
        ("Implementation-Vendor: Someone", ""),
    ],
)
def test_the_group_from_the_manifest(lines: str, group: str) -> None:
    assert read("json-ast_2.13-4.0.7.jar", jar({"META-INF/MANIFEST.MF": f"Manifest-Version: 1.0\n{lines}\n"})).group == group


def test_a_symbolic_name_that_is_the_group() -> None:
    assert read("objenesis-3.3.jar", jar({"META-INF/MANIFEST.MF": "Bundle-SymbolicName: org.objenesis\n"})).group == "org.objenesis"


@pytest.mark.parametrize(
    ("files", "licence", "told_by"),
    [
        (
            {"META-INF/MANIFEST.MF": "Bundle-License: http://www.apache.org/licenses/LICEN\r\n SE-2.0.txt\r\n"},
            "Apache-2.0",
            "Bundle-License",
        ),
        (
            {"META-INF/MANIFEST.MF": "Bundle-License: MIT;link=x, EPL-2.0\n\nName: a\nBundle-License: ISC\n"},
            "MIT OR EPL-2.0",
            "Bundle-License",
        ),
        (
            {"META-INF/MANIFEST.MF": "Bundle-License: our own\n", "META-INF/LICENSE.txt": "Apache License\n Version 2.0, January 2004"},
            "Apache-2.0",
            "licence file",
        ),
        ({"LICENSE": "Redistribution and use in source and binary forms"}, "BSD-2-Clause", "licence file"),
        ({"org/x/LICENSE": "Apache License Version 2.0, January 2004"}, "", ""),
        ({}, "", ""),
    ],
)
def test_the_licence(files: "dict[str, str | bytes]", licence: str, told_by: str) -> None:
    assert brief(read("x-1.jar", jar({"a.class": "", **files})))[3:] == (licence, told_by)


def test_a_jar_in_a_jar() -> None:
    inner = jar(maven("org.y", "y", "2", "MIT"))
    found = read("x-1.jar", jar({**maven("org.x", "x", "1"), "lib/y-2.jar": inner}))
    assert [brief(each)[:4] for each in found.inside] == [("org.y", "y", "2", "MIT")]
    assert found.inside[0].sha256 == hashlib.sha256(inner).hexdigest()


@pytest.mark.parametrize(
    ("name", "artifact", "version"),
    [
        ("commons-lang3-3.12.0.jar", "commons-lang3", "3.12.0"),
        ("breeze_2.13-2.1.0.jar", "breeze_2.13", "2.1.0"),
        ("py4j0.10.9.9.jar", "py4j", "0.10.9.9"),
        ("unnamed.jar", "unnamed", ""),
    ],
)
def test_by_its_name_where_there_is_nothing_else(name: str, artifact: str, version: str) -> None:
    for data in (jar({"a.class": ""}), b"no archive", b"PK\x03\x04 broken"):
        assert brief(read(name, data))[:3] == ("", artifact, version)
