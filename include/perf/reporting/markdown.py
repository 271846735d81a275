"""Markdown that reads well both as plain text and on GitHub: escaping, tables, lists.

Text from services is hostile until escaped: it may hold pipes, backticks, HTML or line breaks.

Source: GitHub Flavored Markdown, sections 2.4 (backslash escapes), 4.10 (tables), 6.1 (code spans).
"""

import re
from collections.abc import Iterable, Sequence

from include.perf.phrase import one_line

MAX_EXAMPLE = 300
"""Characters of an error example; the whole of it is in requests.csv.gz."""

_MARKUP = re.compile(r"[\\`*\[\]|~]")
# Underscores within a word are no emphasis and stay as they are: market_open reads better than market\\_open.
_EMPHASIS = re.compile(r"(?<![A-Za-z0-9_])_+|_+(?![A-Za-z0-9_])")
_BLOCK_START = re.compile(r"^(?=[#>+=-])|^\d+(?=[.)](?:\s|$))")


def escape(text: str) -> str:
    """Return text that shows as it is, on one line, in a paragraph, a list item, a heading or a table cell.

    HTML becomes entities only where it would be HTML; ``t < 3`` stays readable.
    """
    plain = one_line(text)
    plain = re.sub(r"&(?=#?\w+;)", "&amp;", plain)
    plain = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", plain)
    plain = _MARKUP.sub(r"\\\g<0>", plain)
    plain = _EMPHASIS.sub(lambda found: "\\_" * len(found.group()), plain)
    return _BLOCK_START.sub(r"\g<0>\\", plain)


def code(text: str) -> str:
    """Return text as a code span that nothing in it can end; not for tables, whose ``|`` still splits."""
    plain = one_line(text)
    plain = plain if len(plain) <= MAX_EXAMPLE else plain[: MAX_EXAMPLE - 1] + "…"
    if not plain:
        return "(empty)"
    longest = max((len(run) for run in re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def bullets(items: Iterable[str]) -> str:
    """Return a list, one item a line; the items are Markdown already."""
    return "\n".join(f"- {item}" for item in items)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Return a table padded so that its columns line up as plain text.

    Args:
        header: the column titles.
        rows: cells that are Markdown already.
        right: the columns of figures, aligned right.
    """
    columns = list(zip(header, *rows, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = ("-" * (width - 1) + ":" if i in right else "-" * width for i, width in enumerate(widths))
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, rows)])
