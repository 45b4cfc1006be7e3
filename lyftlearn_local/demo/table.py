"""Facts side by side, and whether they agree. Plain text where the output is no terminal or NO_COLOR is set (no-color.org)."""

import sys

_GREEN, _RED, _END = "\033[32m", "\033[31m", "\033[0m"


class Table:
    """Rows of one fact seen several ways. A compared row must be equal in all columns."""

    def __init__(self, columns: "list[str]", colour: bool) -> None:
        self._columns = columns
        self._colour = colour
        self._rows: list[tuple[str, list[str], bool | None]] = []

    def add(self, label: str, values: "list[str]", compared: bool = True) -> None:
        self._rows.append((label, values, len(set(values)) == 1 if compared else None))

    @property
    def same(self) -> bool:
        return all(verdict is not False for _, _, verdict in self._rows)

    def render(self) -> str:
        widths = [max(len(label) for label, _, _ in self._rows)]
        widths += [max(len(name), *(len(values[i]) for _, values, _ in self._rows)) for i, name in enumerate(self._columns)]
        lines = [self._line(["", *self._columns], widths)]
        for label, values, verdict in self._rows:
            mark = "" if verdict is None else ("same" if verdict else "DIFFERENT")
            lines.append(self.paint(f"{self._line([label, *values], widths)}  {mark}".rstrip(), verdict))
        return "\n".join(lines)

    def paint(self, line: str, good: "bool | None") -> str:
        if not self._colour or good is None:
            return line
        return f"{_GREEN if good else _RED}{line}{_END}"

    @staticmethod
    def _line(cells: "list[str]", widths: "list[int]") -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))


def colour(environ: "dict[str, str]") -> bool:
    return sys.stdout.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
