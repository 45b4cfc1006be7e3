# mypy: ignore-errors
"""A program that counts once, to localhost, and ends at once, as one without a Python would: nothing is flushed or waited for.

With a second argument it lives on for so many seconds.
"""

import os
import socket
import sys
import time

socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), ("localhost", 8125))
time.sleep(float((sys.argv[2:] or ["0"])[0]))
os._exit(0)
