"""The simplest forwarder there is: each datagram on 127.0.0.1:8125 goes to the port of the first argument, as it came."""

import socket
import sys

receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 8125))
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect(("127.0.0.1", int(sys.argv[1])))
while True:
    try:
        sender.send(receiver.recv(65535))
    except ConnectionRefusedError:
        pass
