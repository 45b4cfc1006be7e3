# ruff: noqa: INP001
"""Makes JARs known to pip: python record.py SITE-PACKAGES NAME VERSION REQUIREMENT JAR...

They lie in pyspark's own directory and fit one version of it. With a .dist-info beside them `pip check`, and pip itself when somebody
installs another pyspark, say that the two do not go together, and `pip uninstall NAME` takes them away.
Source of the format: PyPA, "Recording installed projects".
"""

import base64
import hashlib
import sys
from pathlib import Path


def main(site: Path, name: str, version: str, requirement: str, jars: "list[Path]") -> None:
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: S3A and the AWS SDK for Spark's JARs\n"
        f"License: Apache-2.0\nRequires-Dist: {requirement}\n"
    )
    (info / "INSTALLER").write_text("lyftlearn\n")
    rows = []
    for path in sorted([*jars, info / "METADATA", info / "INSTALLER"]):
        data = path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path.relative_to(site)},sha256={digest},{len(data)}\n")
    (info / "RECORD").write_text("".join(rows) + f"{info.name}/RECORD,,\n")


main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], [Path(jar) for jar in sys.argv[5:]])
