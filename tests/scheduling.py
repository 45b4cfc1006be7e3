"""What pytest-xdist gives to one worker: a file's tests, and together those of all files that would wait for each other."""

from pathlib import Path

from xdist.scheduler import LoadFileScheduling

# Those that use the demo's network: images/alone.py.
_ALONE = frozenset(path.name for path in Path(__file__).parent.glob("images/test_*.py") if '\n__all__ = ["alone"]' in path.read_text())


class Together(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """As `--dist loadfile`, but for the files whose tests only one process of a machine can run at a time: they are like one file."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "alone" if Path(file).name in _ALONE else file
