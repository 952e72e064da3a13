"""Rows of cells as text: Markdown, and plain columns for a terminal."""

from collections.abc import Sequence
from typing import Any


def markdown(rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table, its columns aligned in the source too; the first row is the header."""
    cells, widths = _cells([[str(cell).replace("|", "\\|") for cell in row] for row in rows])
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def plain(rows: Sequence[Sequence[Any]]) -> str:
    """Columns for a terminal under a ruled header; numbers, judged by row two, to the right."""
    cells, widths = _cells(rows)
    numeric = [isinstance(value, int | float) for value in [*rows, rows[0]][1]]
    lines = [
        "  ".join(
            f"{cell:{'>' if right else '<'}{width}}"
            for cell, right, width in zip(row, numeric, widths, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _on_one_line(text: str) -> str:
    """A file may have any name: what would tear the row apart is escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def _cells(rows: Sequence[Sequence[Any]]) -> tuple[list[list[str]], list[int]]:
    cells = [[_on_one_line(str(cell)) for cell in row] for row in rows]
    return cells, [max(map(len, column)) for column in zip(*cells, strict=True)]
