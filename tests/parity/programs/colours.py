# canary: whether to colour, page and wrap, as rich, click, git and pytest decide it
import os
import pydoc
import shutil
import sys


def colour(stream):
    """https://no-color.org and https://bixense.com/clicolors"""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR") or os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


print("\033[32mgreen\033[0m" if colour(sys.stdout) else "green")
print("terminal:", sys.stdout.isatty(), sys.stderr.isatty(), sys.stdin.isatty())
print("width", shutil.get_terminal_size().columns)
print("pager", os.environ.get("GIT_PAGER") or os.environ.get("PAGER") or "less", "editor", os.environ.get("EDITOR"))
pydoc.pager("paged\n")
