"""A small file system with packages of every kind, and the description of an image that holds it."""

import json

from tests.unit.saved_image import Files
from tests.unit.test_image_jars import jar, maven
from tests.unit.test_image_licences import BSD3, machine_readable

SITE = "opt/venv/lib/python3.11/site-packages"
OPERATOR = "opt/lyftlearn/lib"
STATUS = """\
Package: base-files
Status: install ok installed
Architecture: amd64
Version: 12.4+deb12u1
Depends: libc6 (>= 2.36) | mawk, not-here | mawk

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9

Package: mawk
Status: install ok installed
Architecture: amd64
Version: 1:1.3
Pre-Depends: libc6:any

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 9
"""
BUNDLE = [
    {"name": "@lumino/app", "versionInfo": "2.4", "licenseId": "BSD-3-Clause"},
    {"name": "khroma", "versionInfo": "2.1", "licenseId": ""},
]
WHEELS_OWN = [
    {"name": "py_wheel", "version": "2.0", "purl": "pkg:pypi/py_wheel@2.0?file_name=x.whl"},
    {"name": "openssl", "version": "4.0", "purl": "pkg:generic/openssl@4.0", "components": [{"name": "part", "purl": "pkg:generic/part"}]},
    {"name": "serde", "version": "1.0", "purl": "pkg:cargo/serde@1.0", "licenses": [{"expression": "MIT OR Apache-2.0"}]},
    {"name": "Rich", "version": "15", "purl": "pkg:pypi/Rich@15", "licenses": [{"license": {"id": "MIT"}}, {"license": {"name": "own"}}]},
    {"name": "no-url", "version": "1"},
    {"name": "bad", "version": "1", "purl": "not a purl"},
]


def distribution(site: str, name: str, version: str, fields: str, files: "dict[str, str]") -> "dict[str, bytes]":
    """A dist-info directory, with its RECORD of all files named here and those that end in the bundle's list."""
    at = f"{site}/{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{fields}\n\nThe description\nLicense: none of this\n"
    return {f"{at}/METADATA": metadata.encode(), **{f"{at}/{path}": content.encode() for path, content in files.items()}}


FILES: Files = {
    "./usr/lib/os-release": b'ID=debian\nVERSION_ID="12"\nNAME="Debian"\n',
    "etc/os-release": "../usr/lib/os-release",
    "var/lib/dpkg/status": STATUS.encode(),
    "usr/share/doc/base-files/copyright": machine_readable("GPL-2+").encode(),
    "usr/share/doc/libc6/copyright": b"Free form. See /usr/share/common-licenses/LGPL-2.1.",
    "usr/share/doc/mawk": "mawk-common",  # a link to a link
    "usr/share/doc/mawk-common": "base-files",
    **distribution(
        SITE,
        "Py-Wheel",
        "2.0",
        "License: MIT\nRequires-Dist: NumPy (>=1)\nRequires-Dist: Other; extra == 'x'\nRequires-Dist: gone",
        {
            "RECORD": "py_wheel/__init__.py,,\n../../../share/lab/third-party-licenses.json,,\n",
            "sboms/auditwheel.cdx.json": json.dumps({"bomFormat": "CycloneDX", "components": WHEELS_OWN}),
            "sboms/broken.json": "{",
        },
    ),
    "opt/venv/share/lab/third-party-licenses.json": json.dumps({"packages": BUNDLE}).encode(),
    **distribution(SITE, "numpy", "2.0", "License-Expression: BSD-3-Clause AND MIT", {}),
    **distribution(SITE, "other", "1.0", "Classifier: License :: OSI Approved :: BSD License", {"licenses/LICENSE": BSD3}),
    **distribution(OPERATOR, "numpy", "2.0", "License-Expression: BSD-3-Clause AND MIT", {}),
    f"{OPERATOR}/lyftlearn_entrypoint/__init__.py": b'"""x"""\n__version__ = "0.9.1"\n',
    f"{SITE}/pyspark/jars/x-core-1.5.jar": jar({**maven("org.x", "x-core", "1.5", "MIT"), **maven("org.z", "z", "3")}),
    f"{SITE}/pyspark/jars/orphan-1.0.jar": jar({"a.class": ""}),
    "usr/share/java/of-debian-1.jar": jar({"a.class": ""}),
    "usr/local/lib/local-1.jar": jar({"a.class": ""}),
}
IMAGE = {
    "Id": "sha256:" + "ab" * 32,
    "Created": "2026-01-01T00:00:00Z",
    "Os": "linux",
    "Architecture": "amd64",
    "RootFS": {"Layers": ["sha256:" + "01" * 32, "sha256:" + "02" * 32]},
    "Config": {
        "Labels": {
            "org.opencontainers.image.title": "lyftlearn-x",
            "org.opencontainers.image.version": "0.9.1",
            "org.opencontainers.image.licenses": "Apache-2.0",
        }
    },
}
