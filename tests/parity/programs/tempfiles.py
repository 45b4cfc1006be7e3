# canary: temporary files and locks on them
import fcntl
import os
import stat
import tempfile

print("in", tempfile.gettempdir())
with tempfile.NamedTemporaryFile("w+", suffix=".csv") as file:
    file.write("a,b\n1,2\n")
    file.flush()
    print(oct(stat.S_IMODE(os.fstat(file.fileno()).st_mode)), os.path.getsize(file.name))
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with open(file.name) as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("locked")
directory = tempfile.mkdtemp(prefix="job-")
print(oct(stat.S_IMODE(os.stat(directory).st_mode)), os.stat(directory).st_uid == os.getuid())
os.rename(directory, directory + "-done")
os.rmdir(directory + "-done")
with tempfile.SpooledTemporaryFile(max_size=10) as spool:
    spool.write(b"x" * 100)
    spool.seek(0)
    print(len(spool.read()))
for path in ("/tmp", "/dev/shm", "/var/tmp"):
    print(path, "can be written:", os.access(path, os.W_OK))
