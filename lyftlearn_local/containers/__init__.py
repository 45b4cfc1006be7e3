"""Containers of a real Docker Engine that are started as each platform starts its own, and taken away whatever happens."""
