# canary: faulthandler: tracebacks on demand, after a time, and of a crash in a child
import faulthandler
import os
import signal
import subprocess
import sys
import tempfile
import time

with tempfile.TemporaryFile("w+") as file:
    faulthandler.register(signal.SIGUSR1, file=file, all_threads=False)
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.05)
    faulthandler.dump_traceback_later(0.05, file=file)
    told, end = "", time.monotonic() + 60
    while "Timeout" not in told and time.monotonic() < end:
        time.sleep(0.05)
        told = os.pread(file.fileno(), 10_000, 0).decode()
    faulthandler.cancel_dump_traceback_later()
    print("Current thread" in told or "Stack" in told, "Timeout" in told, "faults.py" in told)
code = "import faulthandler, ctypes; faulthandler.enable(); ctypes.string_at(0)"
done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tempfile.gettempdir())
print(signal.Signals(-done.returncode).name, done.stderr.splitlines()[0])
print("enabled:", faulthandler.is_enabled())
done = subprocess.run([sys.executable, "-c", "import os; os.abort()"], capture_output=True, cwd=tempfile.gettempdir())
print(signal.Signals(-done.returncode).name)
