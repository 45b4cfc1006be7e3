# canary: who am I and where do I live, as tools ask it
import getpass
import os
from pathlib import Path


def login():
    try:
        return os.getlogin()
    except OSError:  # no terminal, as cron and containers have it
        return getpass.getuser()


home = Path.home()
print("somebody:", bool(getpass.getuser()), "root:", getpass.getuser() == "root")
print("login as user:", login() == getpass.getuser())
print("home is ~:", home == Path(os.path.expanduser("~")) == Path(os.environ["HOME"]))
print("home can be written:", os.access(home, os.W_OK | os.X_OK), "and is mine:", home.stat().st_uid == os.getuid())
print("USER and LOGNAME agree:", os.environ["USER"] == os.environ["LOGNAME"] == getpass.getuser())
(home / ".tool").mkdir(exist_ok=True)
(home / ".tool" / "config").write_text("x = 1\n")
print((home / ".tool" / "config").read_text().strip())
