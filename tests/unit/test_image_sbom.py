"""The bill of materials and the licences: from a small file system to files that the official schema accepts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from lyftlearn_entrypoint.cli.image.packages import Inventory, Package, inventory, merged
from lyftlearn_entrypoint.cli.image.sbom import bill, completed, listing, table
from tests.unit.saved_image import Files, chunks, tar
from tests.unit.sbom_made import FILES, IMAGE, OPERATOR, SITE, distribution
from tests.unit.test_image_jars import jar


@pytest.fixture(scope="module")
def found() -> Inventory:
    return inventory(chunks(tar(FILES)), {"orphan": "org.orphans"})


def test_every_package_is_found_once(found: Inventory) -> None:
    assert found.distribution == ("debian", "12")
    assert [package.purl for package in found.packages] == [
        "pkg:deb/debian/base-files@12.4%2Bdeb12u1?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12",
        "pkg:deb/debian/mawk@1:1.3?arch=amd64&distro=debian-12",
        "pkg:pypi/numpy@2.0",
        "pkg:pypi/other@1.0",
        "pkg:pypi/py-wheel@2.0",
        "pkg:maven/local@1",
        "pkg:maven/org.orphans/orphan@1.0",
        "pkg:maven/org.x/x-core@1.5",
        "pkg:maven/org.z/z@3",
        "pkg:npm/%40lumino/app@2.4",
        "pkg:npm/khroma@2.1",
        "pkg:generic/openssl@4.0",
        "pkg:pypi/rich@15",
        "pkg:cargo/serde@1.0",
        "pkg:generic/lyftlearn-entrypoint@0.9.1",
    ]


def by_name(found: Inventory) -> "dict[str, Package]":
    return {package.name: package for package in found.packages}


def test_licences_and_who_told_them(found: Inventory) -> None:
    assert {package.name: (package.licence, package.told_by) for package in found.packages} == {
        "base-files": ("GPL-2.0-or-later", "copyright file"),
        "libc6": ("LGPL-2.1-only", "copyright file, by its wording"),
        "mawk": ("GPL-2.0-or-later", "copyright file"),
        "numpy": ("BSD-3-Clause AND MIT", "License-Expression"),
        "other": ("BSD-3-Clause", "licence file"),
        "Py-Wheel": ("MIT", "License"),
        "local": ("", ""),
        "orphan": ("", ""),
        "x-core": ("MIT", "pom.xml"),
        "z": ("", ""),
        "@lumino/app": ("BSD-3-Clause", "third-party-licenses.json"),
        "khroma": ("", ""),
        "openssl": ("", "auditwheel.cdx.json"),
        "Rich": ("LicenseRef-own AND MIT", "auditwheel.cdx.json"),
        "serde": ("MIT OR Apache-2.0", "auditwheel.cdx.json"),
        "lyftlearn-entrypoint": ("Apache-2.0", "LICENSE"),
    }


def test_needs_are_purls_of_what_is_there(found: Inventory) -> None:
    """The first of Debian's choices; no extra of a distribution; what a wheel or a JAR brings in itself."""
    needs = {package.name: [url.partition("?")[0] for url in package.needs] for package in found.packages if package.needs}
    assert needs == {
        "base-files": ["pkg:deb/debian/libc6@2.36-9"],
        "mawk": ["pkg:deb/debian/libc6@2.36-9"],
        "Py-Wheel": [
            *("pkg:pypi/numpy@2.0", "pkg:cargo/serde@1.0", "pkg:generic/openssl@4.0"),
            *("pkg:npm/%40lumino/app@2.4", "pkg:npm/khroma@2.1", "pkg:pypi/rich@15"),
        ],
        "x-core": ["pkg:maven/org.z/z@3"],
    }


def test_places_and_hashes(found: Inventory) -> None:
    packages = by_name(found)
    assert packages["numpy"].places == (f"{OPERATOR}/numpy-2.0.dist-info", f"{SITE}/numpy-2.0.dist-info")
    assert packages["z"].places == (f"{SITE}/pyspark/jars/x-core-1.5.jar!z",)
    assert [kind for kind, _ in packages["x-core"].hashes] == ["SHA-1", "SHA-256"]
    assert packages["z"].hashes == ()


def test_a_licence_list_that_comes_with_the_jars() -> None:
    """As Spark's: it gives the group too."""
    told = "also licensed under the Apache\nLicense Version 2.0:\n\norg.known:orphan\n"
    files: Files = {
        **distribution(SITE, "pyspark", "4", "License: MIT", {"licenses/LICENSE": told}),
        "opt/x/orphan-1.0.jar": jar({"a.class": ""}),
    }
    (orphan,) = [package for package in inventory(chunks(tar(files)), {}).packages if package.kind == "jar"]
    assert (orphan.purl, orphan.licence) == ("pkg:maven/org.known/orphan@1.0", "Apache-2.0")
    assert orphan.told_by == "LICENSE of the distribution that brings it"


def test_merged_keeps_the_licence_that_is_known() -> None:
    one = Package("bundled", "a", "1", "pkg:pypi/a@1", places=("x",), needs=("n",))
    two = Package("python", "A", "1", "pkg:pypi/a@1", "MIT", "License", ("y",))
    assert merged([one, two]) == [Package("bundled", "a", "1", "pkg:pypi/a@1", "MIT", "License", ("x", "y"), ("n",))]


def test_the_table_fills_gaps() -> None:
    packages = [
        Package("npm", "k", "2", "pkg:npm/k@2"),
        Package("npm", "l", "2", "pkg:npm/l@2", "ISC", "x"),
        Package("npm", "m", "2", "pkg:npm/m@2"),
    ]
    licences = {"pkg:npm/m@1": {"licence": "ISC", "why": "no"}, "pkg:npm/*": {"licence": "MIT", "why": "so"}}
    assert [(each.licence, each.told_by) for each in completed(packages, licences)] == [
        ("MIT", "images/licences.json: so"),
        ("ISC", "x"),
        ("MIT", "images/licences.json: so"),
    ]
    assert [each.licence for each in completed(packages, {"pkg:npm/*@2": {"licence": "MIT", "why": "so"}})] == ["MIT", "ISC", "MIT"]
    instead: dict[str, dict[str, Any]] = {"pkg:npm/l": {"licence": "0BSD", "why": "it is wrong", "instead": True}}
    assert [each.licence for each in completed(packages, instead)] == ["", "0BSD", ""]


def test_the_committed_table() -> None:
    from cyclonedx.model.license import LicenseExpression
    from license_expression import get_spdx_licensing

    told = table(Path(__file__).parents[2])
    assert all("." in group or group in {"oro", "stax"} for group in told["groups"].values())
    spdx = get_spdx_licensing()
    for pattern, entry in told["licences"].items():
        assert pattern.startswith("pkg:")
        assert entry["why"]
        LicenseExpression(entry["licence"])
        unknown = [name for name in spdx.unknown_license_keys(entry["licence"]) if not name.startswith("LicenseRef-")]
        assert unknown == [], pattern


def test_the_bill_is_valid_and_says_all(found: Inventory) -> None:
    text = bill(IMAGE, "x", found)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    assert document["specVersion"] == "1.6"
    about = document["metadata"]
    assert about["timestamp"].startswith("2026-01-01T00:00:00")
    assert (about["component"]["name"], about["component"]["version"], about["component"]["type"]) == ("lyftlearn-x", "0.9.1", "container")
    properties = {each["name"]: each["value"] for each in about["component"]["properties"]}
    assert properties["lyftlearn:image:id"] == IMAGE["Id"]
    assert properties["lyftlearn:image:layer:01"] == "sha256:" + "02" * 32
    parts = {each["bom-ref"]: each for each in document["components"]}
    assert len(parts) == len(found.packages) + 1
    assert parts["system"] == {"bom-ref": "system", "name": "debian", "type": "operating-system", "version": "12"}
    assert parts["pkg:pypi/py-wheel@2.0"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["pkg:pypi/numpy@2.0"]["licenses"] == [{"expression": "BSD-3-Clause AND MIT"}]
    assert "licenses" not in parts["pkg:npm/khroma@2.1"]
    assert (parts["pkg:npm/%40lumino/app@2.4"]["group"], parts["pkg:npm/%40lumino/app@2.4"]["name"]) == ("@lumino", "app")
    assert parts["pkg:maven/org.x/x-core@1.5"]["group"] == "org.x"
    assert {each["alg"] for each in parts["pkg:maven/org.x/x-core@1.5"]["hashes"]} == {"SHA-1", "SHA-256"}
    places = [each["location"] for each in parts["pkg:pypi/numpy@2.0"]["evidence"]["occurrences"]]
    assert places == [f"/{OPERATOR}/numpy-2.0.dist-info", f"/{SITE}/numpy-2.0.dist-info"]


def test_everything_hangs_on_the_image(found: Inventory) -> None:
    document = json.loads(bill(IMAGE, "x", found))
    needs = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    reached, waiting = set(), ["image"]
    while waiting:
        reached.add(here := waiting.pop())
        waiting += [each for each in needs.get(here, []) if each not in reached]
    assert reached == {"image", *(each["bom-ref"] for each in document["components"])}
    assert "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12" not in needs["image"]


def test_the_same_image_gives_the_same_bytes(tmp_path: Path) -> None:
    """Also where Python hashes strings with another seed, which orders sets."""
    (tmp_path / "files.tar").write_bytes(tar(FILES))
    (tmp_path / "image.json").write_text(json.dumps(IMAGE))
    program = (
        "import json, sys\n"
        "from lyftlearn_entrypoint.cli.image.packages import inventory\n"
        "from lyftlearn_entrypoint.cli.image.sbom import bill, listing\n"
        "image, found = json.load(open('image.json')), inventory([open('files.tar', 'rb').read()], {})\n"
        "sys.stdout.write(bill(image, 'x', found) + listing(image, 'x', found.packages))"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, check=True
        )
        for seed in ("1", "2")
    ]
    assert made[0].stdout == made[1].stdout
    assert b"pkg:maven/org.x/x-core@1.5" in made[0].stdout


def test_another_image_is_another_bill(found: Inventory) -> None:
    first, second = (json.loads(bill({**IMAGE, "Id": name}, "x", found))["serialNumber"] for name in ("sha256:1", "sha256:2"))
    assert first != second
    assert first.startswith("urn:uuid:")


def test_without_labels_an_image_has_a_name(found: Inventory) -> None:
    bare: dict[str, Any] = {**IMAGE, "Config": {"Labels": None}}
    text = bill(bare, "x", found)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert json.loads(text)["metadata"]["component"]["name"] == "lyftlearn-x"
    assert listing(bare, "x", found.packages).startswith("# Licences in lyftlearn-x\n")


def test_the_list_names_what_is_not_known_first(found: Inventory) -> None:
    text = listing(IMAGE, "x", found.packages)
    assert text.startswith("# Licences in lyftlearn-x 0.9.1\n")
    assert "## Not known: 5\n- `pkg:maven/local@1`\n" in text
    assert text.index("## Not known") < text.index("| not known | 5 |") < text.index("## Debian packages: 3")
    assert "| Py-Wheel | 2.0 | MIT | License |" in text
    assert "| khroma | 2.1 | not known |  |" in text
    known = [package for package in found.packages if package.licence]
    assert "not known" not in listing(IMAGE, "x", known).lower()
