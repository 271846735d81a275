"""Aligned Markdown tables, for the terminal and for documents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The figures of a section; all rows have the same columns, with units in the column names."""

    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())

    def text(self) -> str:
        """Return the table as Markdown."""
        parts = [f"## {self.title}", ""]
        if self.rows:
            parts += [*_lines(self.rows), ""]
        parts += [f"{note}\n" for note in self.notes]
        return "\n".join(parts)


def _lines(rows: Sequence[Row]) -> list[str]:
    columns = list(rows[0])
    cells = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    is_text = [any(isinstance(row[column], str) for row in rows) for column in columns]
    aligned = [
        "| "
        + " | ".join(_align(cell, width, left=left) for cell, width, left in zip(line, widths, is_text, strict=True))
        for line in cells
    ]
    rules = ["-" * width if left else "-" * (width - 1) + ":" for width, left in zip(widths, is_text, strict=True)]
    return [f"{line} |" for line in [aligned[0], "| " + " | ".join(rules), *aligned[1:]]]


def _align(cell: str, width: int, *, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def _cell(value: object) -> str:
    """Format a value with about three digits; an unknown value is a dash."""
    if value is None or value != value:  # NaN differs from itself
        return "–"
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    size = abs(value)
    digits = 3 if size < 1 else 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:,.{digits}f}"
