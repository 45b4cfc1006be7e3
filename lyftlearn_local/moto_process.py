"""moto as a server, run as a script in a process of its own: its argument is the address to listen on.

It tells its port on stdout and ends when its stdin ends: see children.Child.
"""

import json
import os
import sys


def main() -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address=sys.argv[1], port=0, verbose=False)
    server.start()
    port = server.get_host_and_port()[1]
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
