"""Which licence a package is under, in SPDX's words, from what its makers wrote: a short name, a URL, a classifier, or the text itself.

Sources: SPDX licence list and expressions (spdx.org/licenses; annex D of the specification); Debian's machine-readable copyright files
(copyright-format/1.0, "License short name"); Python's core metadata and PEP 639; Maven's POM reference, "Licenses".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

# What is not on SPDX's list, as its expressions write it.
REFERENCE = "LicenseRef-"

# A statement, without the words that say nothing (see `_plain`) -> SPDX id.
_NAMES = {
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache software": "Apache-2.0",
    "apache software 2.0": "Apache-2.0",
    "al 2.0": "Apache-2.0",
    "asl 2.0": "Apache-2.0",
    "mit": "MIT",
    "expat": "MIT",
    "bsd 3 clause": "BSD-3-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "revised bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "bsd 3": "BSD-3-Clause",
    "bsd 0 clause": "0BSD",
    "bsd 2 clause": "BSD-2-Clause",
    "2 clause bsd": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "isc": "ISC",
    "isc iscl": "ISC",
    "psfl": "PSF-2.0",
    "psf": "PSF-2.0",
    "python software foundation": "PSF-2.0",
    "mpl 2.0": "MPL-2.0",
    "mozilla public 2.0": "MPL-2.0",
    "mozilla public 2.0 mpl 2.0": "MPL-2.0",
    "mpl 1.1": "MPL-1.1",
    "epl 1.0": "EPL-1.0",
    "epl 2.0": "EPL-2.0",
    "eclipse public 1.0": "EPL-1.0",
    "eclipse public 2.0": "EPL-2.0",
    "edl 1.0": "BSD-3-Clause",
    "eclipse distribution 1.0": "BSD-3-Clause",
    "cddl": "CDDL-1.0",
    "cddl 1.0": "CDDL-1.0",
    "cddl 1.1": "CDDL-1.1",
    "common development and distribution 1.0": "CDDL-1.0",
    "common development and distribution 1.1": "CDDL-1.1",
    "cddl + gplv2 with classpath exception": "CDDL-1.1 OR GPL-2.0-only WITH Classpath-exception-2.0",
    "cddl+gpl": "CDDL-1.1 OR GPL-2.0-only WITH Classpath-exception-2.0",
    "cddl+gpl 1.1": "CDDL-1.1 OR GPL-2.0-only WITH Classpath-exception-2.0",
    "gpl2 w cpe": "GPL-2.0-only WITH Classpath-exception-2.0",
    "lgpl 2.1": "LGPL-2.1-only",
    "lgplv2.1": "LGPL-2.1-only",
    "gnu lesser general public 2.1": "LGPL-2.1-only",
    "gnu lesser general public 3": "LGPL-3.0-only",
    "lgplv3": "LGPL-3.0-only",
    "gplv3": "GPL-3.0-only",
    "gplv2": "GPL-2.0-only",
    "cc0": "CC0-1.0",
    "cc0 1.0 universal": "CC0-1.0",
    "public domain cc0": "CC0-1.0",
    "public domain": REFERENCE + "public-domain",
    "unlicense": "Unlicense",
    "upl 1.0": "UPL-1.0",
    "bouncy castle": "MIT",
    "zpl 2.1": "ZPL-2.1",
    "boost software 1.0": "BSL-1.0",
}
# A part of a URL that names one licence.
_URLS = (
    ("apache.org/licenses/license-2.0", "Apache-2.0"),
    ("opensource.org/licenses/apache-2.0", "Apache-2.0"),
    ("opensource.org/licenses/mit", "MIT"),
    ("opensource.org/license/mit", "MIT"),
    ("opensource.org/licenses/bsd-2-clause", "BSD-2-Clause"),
    ("opensource.org/licenses/bsd-3-clause", "BSD-3-Clause"),
    ("opensource.org/license/bsd-3-clause", "BSD-3-Clause"),
    ("eclipse.org/legal/epl-2.0", "EPL-2.0"),
    ("eclipse.org/legal/epl-v20", "EPL-2.0"),
    ("eclipse.org/legal/epl-v10", "EPL-1.0"),
    ("eclipse.org/org/documents/edl-v10", "BSD-3-Clause"),
    ("gnu.org/software/classpath/license", "GPL-2.0-only WITH Classpath-exception-2.0"),
    ("oss.oracle.com/licenses/cddl+gpl-1.1", "CDDL-1.1 OR GPL-2.0-only WITH Classpath-exception-2.0"),
    ("gnu.org/licenses/lgpl-2.1", "LGPL-2.1-only"),
    ("gnu.org/licenses/lgpl-3.0", "LGPL-3.0-only"),
    ("mozilla.org/en-us/mpl/1.1", "MPL-1.1"),
    ("mozilla.org/mpl/2.0", "MPL-2.0"),
    ("creativecommons.org/publicdomain/zero/1.0", "CC0-1.0"),
)
# Words of a licence's text, all of them -> SPDX id. Of one family, which its first phrase names, the first that fits.
_TEXTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("apache license", "version 2.0, january 2004"), "Apache-2.0"),
    (("licensed under the apache license, version 2.0",), "Apache-2.0"),
    (("mozilla public license version 2.0",), "MPL-2.0"),
    (("mozilla public license, version 2.0",), "MPL-2.0"),
    (("eclipse public license - v 2.0",), "EPL-2.0"),
    (("eclipse public license - v 1.0",), "EPL-1.0"),
    (("redistribution and use in source and binary forms", "neither the name"), "BSD-3-Clause"),
    (("redistribution and use in source and binary forms",), "BSD-2-Clause"),
    (("permission is hereby granted, free of charge, to any person obtaining",), "MIT"),
    (("permission to use, copy, modify, and/or distribute this software for any purpose with or without fee",), "ISC"),
    (("permission to use, copy, modify, and distribute this software for any purpose with or without fee",), "ISC"),
    (("permission to use, copy, modify, distribute, and sell this software and its documentation for any purpose",), "HPND-sell-variant"),
    (("python software foundation license version 2",), "PSF-2.0"),
)
# Trove classifiers that stand for one licence. "BSD License" does not.
_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
}
_EMPTY_WORDS = {"the", "license", "licence", "licensed", "licenses", "version", "v", "v.", "under", "terms", "of", "a"}


def statement(text: str) -> str:
    """The SPDX id or expression that a short statement (name, URL, expression) means; '' where it cannot be told."""
    from cyclonedx.spdx import fixup_id, is_expression

    text = " ".join(text.split()).strip(" \"'")
    if not text or len(text) > 200:
        return ""
    if exact := fixup_id(text):
        return exact
    plain = _plain(text)
    if plain in _NAMES:
        return _NAMES[plain]
    for part, name in _URLS:
        if part in text.lower():
            return name
    return text if " " in text and is_expression(text) else ""


def _plain(text: str) -> str:
    words = re.sub(r"[^a-z0-9+.]+", " ", re.sub(r"\bv(?=\d)", "", text.lower())).split()
    return " ".join(word.rstrip(".") for word in words if word not in _EMPTY_WORDS)


def in_text(text: str) -> str:
    """The licences whose wording a text has, as an expression; '' where it has none that is known here."""
    words = " ".join(text.lower().split())
    found: dict[str, str] = {}
    for phrases, name in _TEXTS:
        if all(phrase in words for phrase in phrases):
            found.setdefault(phrases[0], name)
    return all_of(found.values())


def all_of(parts: Iterable[str]) -> str:
    """One expression for a package whose files are under several licences, each named once, sorted."""
    plain = (each for part in parts if part for each in (part.split(" AND ") if "(" not in part and " OR " not in part else [part]))
    found = sorted(set(plain), key=str.lower)
    return found[0] if len(found) == 1 else " AND ".join(f"({part})" if " OR " in part else part for part in found)


def of_bundled(text: str) -> dict[str, str]:
    """`group:artifact` -> licence, from a LICENSE file that names all that is shipped, below a heading for each licence, as Apache's do."""
    found: dict[str, str] = {}
    heading = ""
    lines = text.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if "also licensed under the Apache" in line:
            heading = "Apache-2.0"
        elif re.match(r"-{3,}$", below) and line.strip():
            # As in "Eclipse Public License (EPL) 2.0": the short name says it again.
            heading = statement(line) or statement(re.sub(r"\(.*?\)", "", line))
        elif (artifact := re.match(r"([\w.-]+:[\w.-]+)(?::\S+)?(?:\s|$)", line)) and heading:
            found[artifact[1]] = heading
    return found


def reference(name: str) -> str:
    """A name that is on no list, as an expression may hold it."""
    return REFERENCE + re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")


def of_python(metadata: Message, texts: Iterable[str]) -> tuple[str, str]:
    """(expression, what told it) of a Python distribution: License-Expression, License, a classifier, or the text of its licence files."""
    if expression := metadata["License-Expression"]:
        return " ".join(str(expression).split()), "License-Expression"
    if found := statement(str(metadata["License"] or "")):
        return found, "License"
    named = {str(each).rpartition(" :: ")[2] for each in metadata.get_all("Classifier", []) if str(each).startswith("License ::")}
    # Several classifiers may be a choice or a sum: nobody can tell.
    if len(named) == 1 and (found := _CLASSIFIERS.get(next(iter(named)), "")):
        return found, "classifier"
    if found := in_text(str(metadata["License"] or "")):
        return found, "text in License"
    for text in texts:
        if found := in_text(text):
            return found, "licence file"
    return "", ""


def of_debian(copyright_file: str) -> tuple[str, str]:
    """(expression, what told it) of a Debian package, of all its files together, from its copyright file."""
    paragraphs = re.split(r"\n\s*\n", copyright_file.lstrip("\ufeff\n "))
    if re.match(r"(?i)format:\s*\S*(?:copyright-format|dep-?5)", paragraphs[0]):
        names = (re.search(r"(?mi)^license:[ \t]*(\S.*)$", each) for each in paragraphs if re.match(r"(?i)(?:files|format):", each))
        if found := all_of(_synopsis(name[1]) for name in names if name):
            return found, "copyright file"
    later = "later version" in " ".join(copyright_file.split())
    shared = set(re.findall(r"/usr/share/common-licenses/([A-Z][A-Za-z0-9.-]*[A-Za-z0-9])", copyright_file))
    parts = [debian_name(name + ("+" if later and re.match("L?GPL-|GFDL-", name) else "")) for name in shared]
    parts += [in_text(copyright_file)]
    return all_of(parts), "copyright file, by its wording"


def _synopsis(text: str) -> str:
    """Debian's short names with `and` and `or` (a comma before them binds less) as an SPDX expression."""
    clauses = re.split(r",\s*(and|or)\s+", text.strip())
    made = [_clause(each) if number % 2 == 0 else each.upper() for number, each in enumerate(clauses)]
    if len(made) > 1:
        made = [f"({each})" if " " in each and number % 2 == 0 else each for number, each in enumerate(made)]
    return " ".join(made)


def _clause(text: str) -> str:
    parts = re.split(r"\s+(and/or|and|or)\s+", text)
    return " ".join(debian_name(part) if number % 2 == 0 else {"and": "AND"}.get(part, "OR") for number, part in enumerate(parts))


def debian_name(name: str) -> str:
    """One of Debian's short names as SPDX has it, else a reference to it."""
    from cyclonedx.spdx import fixup_id

    name = name.strip(" .,")
    known = {"expat": "MIT", "artistic": "Artistic-1.0-Perl", "gpl": "GPL-1.0-or-later", "lgpl": "LGPL-2.0-or-later", "zlib": "Zlib"}
    if name.lower() in known:
        return known[name.lower()]
    if gnu := re.fullmatch(r"(?i)(A?GPL|LGPL|GFDL)(-NIV)?-v?(\d)(?:\.(\d))?(?:\.0)?(\+)?", name):
        family, free, major, minor, later = gnu.groups()
        invariants = "-no-invariants" if free else ""
        return f"{family.upper()}-{major}.{minor or 0}{invariants}-{'or-later' if later else 'only'}"
    if exact := fixup_id(name):
        return exact
    return statement(name) or reference(name)
