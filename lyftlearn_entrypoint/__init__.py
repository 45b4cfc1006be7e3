"""One image, three runtimes: what runs in the container before the user's program. See README.md."""

__version__ = "0.1.0"
