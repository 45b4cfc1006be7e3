"""Licences in SPDX's words, from what packages say of themselves."""

from email.parser import HeaderParser

import pytest

from lyftlearn_entrypoint.cli.image.licences import all_of, debian_name, in_text, of_bundled, of_debian, of_python, reference, statement

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy\nof this software"
BSD2 = "Redistribution and use in source and binary\nforms, with or without modification"
BSD3 = BSD2 + "\nNeither the name of the copyright holder nor"
APACHE = "                 Apache License\n           Version 2.0, January 2004\n"


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        ("MIT", "MIT"),
        ("mit", "MIT"),
        ("The MIT License", "MIT"),
        ("Apache-2.0", "Apache-2.0"),
        ("Apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("The Apache Software License, Version 2.0", "Apache-2.0"),
        ("http://www.apache.org/licenses/LICENSE-2.0.txt", "Apache-2.0"),
        ("BSD 3-Clause License", "BSD-3-Clause"),
        ("New BSD License", "BSD-3-Clause"),
        ("bsd-3-clause", "BSD-3-Clause"),
        ("MPL-2.0", "MPL-2.0"),
        ("EPL 2.0", "EPL-2.0"),
        ("Eclipse Public License v2.0", "EPL-2.0"),
        ("MIT AND Apache-2.0", "MIT AND Apache-2.0"),
        ("(MPL-2.0 OR Apache-2.0)", "(MPL-2.0 OR Apache-2.0)"),
        ("CDDL + GPLv2 with classpath exception", "CDDL-1.1 OR GPL-2.0-only WITH Classpath-exception-2.0"),
        # None of these tells which.
        ("BSD", ""),
        ("BSD License", ""),
        ("Dual License", ""),
        ("UNKNOWN", ""),
        ("GPL and friends", ""),
        ("", ""),
        ("MIT " * 100, ""),
    ],
)
def test_a_short_statement(text: str, spdx: str) -> None:
    assert statement(text) == spdx


@pytest.mark.parametrize(
    ("text", "spdx"),
    [
        (MIT, "MIT"),
        (BSD2, "BSD-2-Clause"),
        (BSD3, "BSD-3-Clause"),
        (APACHE, "Apache-2.0"),
        (APACHE + BSD3 + MIT, "Apache-2.0 AND BSD-3-Clause AND MIT"),
        ("All rights reserved.", ""),
    ],
)
def test_a_licences_own_words(text: str, spdx: str) -> None:
    assert in_text(text) == spdx


def test_all_of() -> None:
    assert all_of(["MIT"]) == "MIT"
    assert all_of(["MIT OR ISC"]) == "MIT OR ISC"
    assert all_of(["MIT", "", "Apache-2.0 AND MIT", "MIT OR ISC"]) == "Apache-2.0 AND MIT AND (MIT OR ISC)"
    assert all_of([]) == ""


def test_reference() -> None:
    assert reference("GPL-2+ with OpenSSL exception") == "LicenseRef-GPL-2-with-OpenSSL-exception"


@pytest.mark.parametrize(
    ("fields", "texts", "told"),
    [
        ("License-Expression: MIT AND\n  Apache-2.0", [BSD3], ("MIT AND Apache-2.0", "License-Expression")),
        ("License: Apache 2.0\nClassifier: License :: OSI Approved :: MIT License", [], ("Apache-2.0", "License")),
        ("Classifier: License :: OSI Approved :: MIT License", [BSD3], ("MIT", "classifier")),
        ("Classifier: License :: OSI Approved :: BSD License", [BSD3], ("BSD-3-Clause", "licence file")),
        # Two classifiers may be a choice, or both hold: the file decides.
        (
            "Classifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved :: ISC License (ISCL)",
            ["", MIT],
            ("MIT", "licence file"),
        ),
        ("License: " + BSD2.replace("\n", "\n        "), [], ("BSD-2-Clause", "text in License")),
        ("License: Dual License", [], ("", "")),
    ],
)
def test_of_python(fields: str, texts: "list[str]", told: "tuple[str, str]") -> None:
    assert of_python(HeaderParser().parsestr("Name: x\n" + fields + "\n"), texts) == told


@pytest.mark.parametrize(
    ("name", "spdx"),
    [
        ("Expat", "MIT"),
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-3.0+", "GPL-3.0-or-later"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("AGPL-3", "AGPL-3.0-only"),
        ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("GPL", "GPL-1.0-or-later"),
        ("Artistic", "Artistic-1.0-Perl"),
        ("zlib", "Zlib"),
        ("GPL-2+ with OpenSSL exception", "LicenseRef-GPL-2-with-OpenSSL-exception"),
        ("public-domain", "LicenseRef-public-domain"),
    ],
)
def test_debians_short_names(name: str, spdx: str) -> None:
    assert debian_name(name) == spdx


def machine_readable(*licences: str) -> str:
    files = "\n\n".join(f"Files: f{number}\nCopyright: 2020 X\nLicense: {licence}\n text" for number, licence in enumerate(licences))
    # A paragraph of its own gives the text of a licence that a Files paragraph names.
    return (
        f"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nSource: x\n\n{files}\n\nLicense: Only-A-Text\n text\n"
    )


@pytest.mark.parametrize(
    ("licences", "spdx"),
    [
        (["GPL-2+"], "GPL-2.0-or-later"),
        (["GPL-2+", "Expat", "GPL-2+"], "GPL-2.0-or-later AND MIT"),
        (["GPL-2+ or Artistic"], "GPL-2.0-or-later OR Artistic-1.0-Perl"),
        (["GPL-2+ or Artistic", "Expat"], "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND MIT"),
        (["Expat and ISC", "ISC"], "ISC AND MIT"),
        (["GPL-2+ or Artistic, and Expat"], "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND MIT"),
    ],
)
def test_of_debian_machine_readable(licences: "list[str]", spdx: str) -> None:
    assert of_debian(machine_readable(*licences)) == (spdx, "copyright file")


def test_of_debian_in_free_form() -> None:
    text = f"It was downloaded from x.\n\n{MIT}\n\neither version 2, or any later\nversion. See `/usr/share/common-licenses/GPL-2'.\n"
    assert of_debian(text) == ("GPL-2.0-or-later AND MIT", "copyright file, by its wording")
    assert of_debian("See /usr/share/common-licenses/GPL-2.")[0] == "GPL-2.0-only"
    assert of_debian("Ask the author.")[0] == ""


def test_of_bundled() -> None:
    """As Spark's LICENSE has it: the licence as a heading, then the artifacts."""
    text = """\
                                 Apache License
a:not-yet

This project bundles some components that are also licensed under the Apache
License Version 2.0:

com.google.guava:guava
io.netty:netty-all:4.1.1

core/src/main/x.js

This product bundles various components under other open source licenses.

BSD 3-Clause
------------
org.antlr:ST4
python/lib/py4j-*-src.zip

Eclipse Distribution License (EDL) 1.0
--------------------------------------
jakarta.xml.bind:jakarta.xml.bind-api https://x

Something of our own
--------------------
org.x:y
"""
    assert of_bundled(text) == {
        "com.google.guava:guava": "Apache-2.0",
        "io.netty:netty-all": "Apache-2.0",
        "org.antlr:ST4": "BSD-3-Clause",
        "jakarta.xml.bind:jakarta.xml.bind-api": "BSD-3-Clause",
    }
