"""The real Confidant server, in a virtual environment of its own, and its administration through its real API."""
