"""The launcher with the socket buffer that most machines grant: `statsd_plain.py LAUNCHER DIRECTORY ARG...`; the package is in DIRECTORY.

Without CAP_NET_ADMIN a socket gets what net.core.rmem_max says, 212992 by default. That cannot be set for one network namespace, so the
relay asks for no more here. The rest is as it always starts.
"""

import sys

sys.path.insert(0, sys.argv[2])
from lyftlearn_entrypoint.relay import leave

leave._SO_RCVBUFFORCE = -1  # noqa: SLF001  no such option: as if it were refused
leave._BUFFER = 212992  # noqa: SLF001
sys.argv[:3] = [sys.argv[1]]
from lyftlearn_entrypoint.boot import main  # noqa: E402

main()
