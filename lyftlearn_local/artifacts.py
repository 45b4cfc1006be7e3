"""What a finished training job leaves in S3: model.tar.gz and output.tar.gz, as SageMaker uploads them."""

import tarfile
from pathlib import Path
from typing import Any


def pack(directory: Path, target: Path) -> bool:
    """A gzipped tar of what is in `directory`, names relative to it. False, and no file, when it is empty or not there."""
    entries = sorted(directory.iterdir()) if directory.is_dir() else []
    if not entries:
        return False
    with tarfile.open(target, "w:gz") as archive:
        for entry in entries:
            archive.add(entry, arcname=entry.name)
    return True


def upload(s3: Any, bucket: str, job: str, root: Path) -> "list[str]":
    """Packs and uploads what lies below `root` (the container's /). Gives the objects' addresses. Raises botocore's ClientError."""
    done = []
    for source, name in (("opt/ml/model", "model.tar.gz"), ("opt/ml/output/data", "output.tar.gz")):
        archive = root / name
        if pack(root / source, archive):
            key = f"{job}/output/{name}"
            s3.upload_file(str(archive), bucket, key)
            done.append(f"s3://{bucket}/{key}")
    return done
