# canary: the locale, and names of files beyond ASCII
import locale
import os
import subprocess
import sys
import tempfile
from pathlib import Path

print(sys.getfilesystemencoding(), sys.stdout.encoding, locale.getpreferredencoding(False), sys.flags.utf8_mode)
print({name: value for name, value in os.environ.items() if name.startswith("LC_") or name in ("LANG", "LANGUAGE", "PYTHONIOENCODING")})
print(locale.setlocale(locale.LC_ALL, ""), locale.str(1234.5))
with tempfile.TemporaryDirectory() as directory:
    for name in ("Grüße.txt", "数据.csv", "café\u0301", "new\nline", b"\xff\xfe raw".decode("utf-8", "surrogateescape")):
        (Path(directory) / name).write_text("ä€😀\n")
    for name in sorted(os.listdir(os.fsencode(directory))):
        print(name, ascii(os.fsdecode(name)))
    print(subprocess.run(["ls", "-1"], cwd=directory, capture_output=True).stdout)
    print((Path(directory) / "数据.csv").read_text().strip(), subprocess.check_output(["cat", f"{directory}/Grüße.txt"], text=True).strip())
print("naïve".upper(), sorted(["z", "ä", "a"], key=locale.strxfrm))
