# canary: a database of one's own in HOME, as mlflow, optuna and IPython keep it
import os
import sqlite3
import threading
from pathlib import Path

path = Path.home() / ".local" / "share" / "studies" / f"study-{os.getpid()}.db"
path.parent.mkdir(parents=True, exist_ok=True)
db = sqlite3.connect(path, timeout=30)
print(db.execute("pragma journal_mode=wal").fetchone())
db.execute("create table trial (id integer primary key, value real, who text)")
db.commit()


def add(n):
    own = sqlite3.connect(path, timeout=30)
    with own:
        own.execute("insert into trial (value, who) values (?, ?)", (n / 2, f"thread {n}"))
    own.close()


threads = [threading.Thread(target=add, args=(n,)) for n in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(db.execute("select count(*), sum(value), max(who) from trial").fetchone())
db.close()
path.unlink()
