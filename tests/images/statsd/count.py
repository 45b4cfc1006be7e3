# mypy: ignore-errors
"""A program that counts once, to localhost, and ends at once, as one without a Python would: nothing is flushed or waited for."""

import os
import socket
import sys

socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(sys.argv[1].encode(), ("localhost", 8125))
os._exit(0)
