# ruff: noqa: INP001
"""Takes the test suites of installed packages away, and their lines from each RECORD: python slim.py SITE-PACKAGES

A third of numpy, pandas, scipy and scikit-learn is tests that no user's program runs, and tornado's bring a private key that image
scanners report. A directory goes when it is called `test` or `tests` and holds test_*.py or *_test.py files. RECORD stays true, so
pip can still check and uninstall.
"""

import csv
import shutil
import sys
from pathlib import Path


def suites(site: Path) -> "list[Path]":
    """Directories of tests, none inside another."""
    found: list[Path] = []
    for path in sorted([*site.rglob("tests"), *site.rglob("test")]):
        inside = any(parent in found for parent in path.parents)
        if not inside and path.is_dir() and any(True for pattern in ("test_*.py", "*_test.py") for _ in path.rglob(pattern)):
            found.append(path)
    return found


def forget(record: Path, site: Path) -> None:
    """Write RECORD again, without the files that are gone."""
    with record.open(newline="") as stream:
        rows = list(csv.reader(stream))
    kept = [row for row in rows if (site / row[0]).exists()]
    if len(kept) < len(rows):
        with record.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(kept)


def main(site: Path) -> None:
    gone = suites(site)
    for path in gone:
        shutil.rmtree(path)
    for record in sorted(site.glob("*.dist-info/RECORD")):
        forget(record, site)
    print(f"slim: {len(gone)} test suites taken away")


main(Path(sys.argv[1]))
