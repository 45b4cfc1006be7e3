"""The way to packages that the start path uses only in rare cases: botocore (SSO, assume-role profiles) and cryptography."""

import sys


def reach() -> None:
    """Make importable what is installed beside this package.

    The launcher keeps that directory off sys.path, so that no backport in it can shadow the standard library; here it is
    appended, behind the standard library.
    """
    directory = __file__.rsplit("/", 3)[0]
    if directory not in sys.path:
        sys.path.append(directory)
