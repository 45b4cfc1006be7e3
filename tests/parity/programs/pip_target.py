# canary: pip installs a wheel below HOME, and Python finds it
import base64
import hashlib
import os
import shutil
import site
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

with tempfile.TemporaryDirectory() as directory:
    wheel = Path(directory) / "tinytool-1.0-py3-none-any.whl"
    files = {
        "tinytool.py": "def main():\n    print('tinytool 1.0')\n",
        "tinytool-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinytool\nVersion: 1.0\n",
        "tinytool-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: me\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tinytool-1.0.dist-info/entry_points.txt": "[console_scripts]\ntinytool = tinytool:main\n",
    }
    hashed = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    record = "".join(f"{name},sha256={hashed(text)},{len(text)}\n" for name, text in files.items())
    files["tinytool-1.0.dist-info/RECORD"] = record + "tinytool-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    target = Path.home() / ".local" / "lib" / f"tools-{os.getpid()}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", "--target", str(target), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.returncode, done.stdout, done.stderr)
    environ = {**os.environ, "PYTHONPATH": str(target)}
    print(subprocess.run([sys.executable, "-c", "import tinytool; tinytool.main()"], env=environ, capture_output=True, text=True).stdout)
    print(sorted(os.listdir(target / "bin")))
    shutil.rmtree(target)
print("user site:", site.ENABLE_USER_SITE, "venv:", sys.prefix != sys.base_prefix, "below home:", site.getuserbase().startswith(str(Path.home())))
