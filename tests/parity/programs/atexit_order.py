# canary: what is done at the end: atexit, threads that are waited for, finally, buffers that are flushed
# code: 5
import atexit
import sys
import threading

atexit.register(print, "atexit: first registered, last run")
atexit.register(lambda: print("atexit: second"))


def late():
    threading.main_thread().join()
    print("the thread ends")


threading.Thread(target=late).start()
sys.stdout.write("no line feed")
try:
    sys.exit(5)
finally:
    print(" finally")
