"""Writes the launcher `lyftlearn-entrypoint` so that it starts isolated: python -m lyftlearn_entrypoint.install [--python PATH] [--to PATH]

The wheel carries the launcher with the first line `#!python`. pip replaces that by the environment's interpreter and drops any
arguments there, so what pip installs runs `site`, the .pth files and sitecustomize: correct, but a millisecond or more slower, and
code of the user's runs while the entrypoint is still root. This command writes the launcher again with `#!PYTHON -ISXutf8`:
isolated, without site, and with the names of files in UTF-8 whatever the locale.
A `/bin/sh` wrapper that execs `python -I -S` is no way around it: dash drops environment variables whose names hold dots or dashes,
which a pod may have and the user's program must see.

The default interpreter is the one that a virtual environment was made from: the environment itself gives the start path nothing,
since that is standard library only, and finding it costs half a millisecond. The launcher finds the package by its own place.

Not part of the start path: it runs where an image or an environment is made.
"""

import os
import subprocess
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "lyftlearn-entrypoint"
# The kernel reads 256 bytes of a script (BINPRM_BUF_SIZE) since Linux 5.1, 128 before, the newline included.
# A longer line is not found to be a script, or before 5.0 is cut short. Source: man 2 execve, "Interpreter scripts".
LONGEST = 255
LONGEST_BEFORE_5_1 = 127


class CannotInstall(Exception):
    """The launcher was not written; the text says why and what to do."""


def shebang(python: str) -> bytes:
    """The first line of a launcher for the interpreter at the absolute path `python`, without the newline.

    Raises CannotInstall for a path that a first line cannot hold.
    """
    if not os.path.isabs(python):
        raise CannotInstall(f"{python!r} is not an absolute path: a script's first line is not looked up on PATH")
    if any(character.isspace() for character in python):
        raise CannotInstall(f"{python!r} holds white space, which ends the interpreter's name in a script's first line")
    line = b"#!" + os.fsencode(python) + b" -ISXutf8"
    if len(line) > LONGEST:
        raise CannotInstall(f"{python} makes a first line of {len(line)} bytes; the kernel reads {LONGEST}. Use a shorter path, or a link")
    return line


def version_of(python: str) -> "tuple[int, int]":
    """The version of the interpreter at `python`, (major, minor), asked of itself. Raises CannotInstall when it does not answer."""
    command = [python, "-IS", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout.split()
        return int(answer[0]), int(answer[1])
    except (OSError, ValueError, IndexError, subprocess.SubprocessError) as error:
        raise CannotInstall(f"{python} does not run as a Python: {error}") from None


def places(to: str, version: "tuple[int, int]") -> "list[str]":
    """Where a launcher at `to`, run by that version, looks for the package; the same list as in the launcher itself."""
    base = os.path.dirname(os.path.dirname(os.path.realpath(to)))
    return [os.path.join(base, part, "lyftlearn_entrypoint") for part in (f"lib/python{version[0]}.{version[1]}/site-packages", "lib", "")]


def body() -> bytes:
    """The launcher as this package carries it, first line included. Raises CannotInstall when it is not there."""
    package = os.path.dirname(os.path.abspath(__file__))
    # In a wheel it lies in the package, in a checkout beside it.
    for path in (os.path.join(package, "launcher"), os.path.join(os.path.dirname(package), "bin", NAME)):
        try:
            with open(path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            continue
    raise CannotInstall(f"{package} has no launcher in it; install the wheel again")


def install(python: str, to: str, version_of: "Callable[[str], tuple[int, int]]" = version_of) -> "list[str]":
    """Write the launcher to `to`, mode 0755, at once or not at all, for the interpreter `python`. Returns warnings.

    `version_of` asks an interpreter for its version. Raises CannotInstall, and OSError when `to` cannot be written.
    """
    first = shebang(python)
    if not os.path.isfile(python) or not os.access(python, os.X_OK):
        raise CannotInstall(f"{python} is not there, or is not executable")
    version = version_of(python)
    if version < (3, 10):
        raise CannotInstall(f"{python} is Python {version[0]}.{version[1]}; 3.10 or newer is needed")
    warnings = []
    looked = places(to, version)
    if not any(os.path.isfile(os.path.join(place, "__init__.py")) for place in looked):
        warnings.append(f"the package is not yet at any place where {to} will look for it: {', '.join(looked)}")
    if len(first) > LONGEST_BEFORE_5_1:
        warnings.append(f"a first line of {len(first)} bytes does not work on Linux before 5.1, which reads {LONGEST_BEFORE_5_1}")
    _replace(to, first + b"\n" + body().partition(b"\n")[2])
    return warnings


def _replace(path: str, content: bytes) -> None:
    temporary = f"{path}.{os.getpid()}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(descriptor, 0o755)  # whatever the umask
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main() -> None:
    """The command: exit code 0, or 1 with the reason on stderr; 2 for arguments that are none."""
    import argparse
    import sysconfig

    here = os.path.join(sysconfig.get_path("scripts"), NAME)
    base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    parser = argparse.ArgumentParser(prog="python -m lyftlearn_entrypoint.install", description="Write the launcher, isolated and fast.")
    parser.add_argument("--python", default=base, metavar="PATH", help="interpreter that will run it (default: %(default)s)")
    parser.add_argument("--to", default=here, metavar="PATH", help="launcher to write (default: %(default)s)")
    options = parser.parse_args()
    try:
        warnings = install(options.python, options.to)
    except CannotInstall as error:
        sys.exit(f"{NAME}: error: {error}")
    except OSError as error:
        sys.exit(f"{NAME}: error: {options.to} cannot be written: {error.strerror}")
    warnings += _bundle(options.python, options.to)
    for warning in warnings:
        print(f"{NAME}: warning: {warning}", file=sys.stderr)
    print(f"{options.to}: {os.fsdecode(shebang(options.python))}")


def _bundle(python: str, to: str) -> "list[str]":
    """Write the bundle where the launcher will find the package; returns warnings, since a start without it is only slower."""
    from lyftlearn_entrypoint import bundle

    for place in places(to, version_of(python)):
        if os.path.isfile(os.path.join(place, "__init__.py")):
            try:
                bundle.write(place, python)
            except (OSError, subprocess.SubprocessError) as error:
                return [f"the bundle cannot be written to {place}, so starts take a millisecond more: {error}"]
            break
    return []


if __name__ == "__main__":
    main()
