# canary: secrets from variables and from the files of a Secret volume
import hashlib
import os
from pathlib import Path

directory = Path(os.environ.get("SECRETS_PATH", "/etc/credentials"))
digest = lambda text: hashlib.sha256(text.encode()).hexdigest()[:12]
for name in sorted(name for name in os.environ if name.startswith(("CREDENTIALS_", "WAREHOUSE_"))):
    print(name, len(os.environ[name]), digest(os.environ[name]))
for path in sorted(path for path in directory.iterdir() if not path.name.startswith(".")):
    value = path.read_text()
    known = os.environ.get("CREDENTIALS_" + path.name.upper(), os.environ.get("WAREHOUSE_" + path.name.upper()))
    print(path.name, digest(value), "as the variable:", value == known)
port = int(os.environ["CREDENTIALS_DATABASE_PORT"])
print(port, os.environ["CREDENTIALS_DATABASE_TLS"] == "true")
