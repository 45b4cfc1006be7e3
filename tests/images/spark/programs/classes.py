"""Which classes that the JARs for S3A refer to cannot be loaded: asked of the JVM that runs Spark, with the class path that it has.

The JARs are those that pip knows as lyftlearn-s3a. Every name in a class file's constant pool counts: classes, and the types of fields
and methods. Third-party code that a JAR carries along (netty, Apache's HTTP client, thrift) has to be found, but what it refers to itself
does not count: most of that is for the case that it is there. Printed as JSON: JAR to {missing class: a class that refers to it}.
Source: Java SE 17, JVM specification, 4.4.
"""

import json
import re
import struct
import zipfile
from importlib.metadata import files
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession  # type: ignore[import-not-found]

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bytes after the tag of each kind of entry but Utf8 (1); Long (5) and Double (6) take two places.
SIZES = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}


def references(data: bytes) -> "Iterator[str]":
    """Names of classes in a class file, with dots."""
    (count,) = struct.unpack_from(">H", data, 8)
    texts: dict[int, str] = {}
    classes, descriptors = [], []
    at, number = 10, 1
    while number < count:
        tag = data[at]
        if tag == 1:
            (size,) = struct.unpack_from(">H", data, at + 1)
            texts[number] = data[at + 3 : at + 3 + size].decode(errors="replace")
            at += 3 + size
        else:
            if tag == 7:
                classes.append(struct.unpack_from(">H", data, at + 1)[0])
            elif tag == 12:
                descriptors.append(struct.unpack_from(">H", data, at + 3)[0])
            at += 1 + SIZES[tag]
            number += tag in (5, 6)
        number += 1
    for name in (texts[place] for place in classes):
        if not name.startswith("["):
            yield name.replace("/", ".")
        else:
            descriptors.append(next(key for key, text in texts.items() if text == name))
    for text in (texts[place] for place in descriptors):
        for name in re.findall(r"L([^;]+);", text):
            yield name.replace("/", ".")


def main() -> None:
    spark = SparkSession.builder.getOrCreate()
    jvm: Any = spark._jvm
    loader = jvm.Thread.currentThread().getContextClassLoader()
    known: dict[str, bool] = {}

    def loads(name: str) -> bool:
        if name not in known:
            try:
                jvm.java.lang.Class.forName(name, False, loader)
                known[name] = True
            except Exception:  # noqa: BLE001  ClassNotFoundException, or an error of the JVM that links it
                known[name] = False
        return known[name]

    found: dict[str, dict[str, str]] = {}
    counted = 0
    for path in files("lyftlearn-s3a") or []:
        if path.suffix != ".jar":
            continue
        missing = found.setdefault(path.name, {})
        with zipfile.ZipFile(str(path.locate())) as archive:
            for entry in archive.namelist():
                if entry.endswith(".class") and not re.search(r"^META-INF/|/thirdparty/|/shaded/", entry):
                    counted += 1
                    for name in references(archive.read(entry)):
                        if name not in missing and not loads(name):
                            missing[name] = entry
    spark.stop()
    print(json.dumps({"classes": counted, "names": len(known), "missing": found}))


main()
