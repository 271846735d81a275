"""Documents as Markdown that reads well both as plain text and on GitHub.

Text from services is hostile until escaped: it may hold pipes, backticks, HTML or line breaks.

Source: GitHub Flavored Markdown, sections 2.4 (backslash escapes), 4.10 (tables), 6.1 (code spans).
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from include.perf.model.text import one_line
from include.perf.reporting.document import (
    Block,
    Bullets,
    ChartFigure,
    Code,
    Command,
    Document,
    DocumentLink,
    Inline,
    Mark,
    Paragraph,
    Strong,
    Table,
    Tone,
    Trend,
    Words,
    parts_of,
)

MAX_EXAMPLE = 300
"""Characters of an error example; the whole of it is in requests.csv.gz."""

MAX_PADDING = 80
"""Up to so many characters a column is padded; one long cell must not stretch every row."""

BARS = "▁▂▃▄▅▆▇█"

_MARKUP = re.compile(r"[\\`*\[\]|~]")
# Underscores within a word are no emphasis and stay as they are: market_open reads better than market\\_open.
_EMPHASIS = re.compile(r"(?<![A-Za-z0-9_])_+|_+(?![A-Za-z0-9_])")
_BLOCK_START = re.compile(r"^(?=[#>+=-])|^\d+(?=[.)](?:\s|$))")


def render(document: Document) -> str:
    """Return a document as Markdown."""
    parts = [f"# {escape(document.title)}", *map(block, document.lead)]
    for section in document.sections:
        parts += [f"## {escape(section.title)}", *map(block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def block(part: Block) -> str:
    """Return one block of a document."""
    match part:
        case Paragraph():
            return _words(part.words)
        case Bullets():
            return bullets(map(_words, part.items))
        case Command():
            return f"```\n{one_line(part.text)}\n```"
        case ChartFigure():
            return f"![{escape(part.title)}]({quote(part.path)})"
        case Table():
            right = [index for index, column in enumerate(part.columns) if column.is_figure]
            rows = [[_cell(cell) for cell in row] for row in part.rows]
            return table([escape(column.title) for column in part.columns], rows, right=right)


def _words(words: Words) -> str:
    return "".join(_inline(part, begins_block=index == 0) for index, part in enumerate(parts_of(words)))


def _cell(words: Words) -> str:
    """Return what stands in a table's cell: it begins no block, and a ``|`` in code would still end the cell."""
    plain = (part.text if isinstance(part, Code) else part for part in parts_of(words))
    return "".join(_inline(part, begins_block=False) for part in plain).strip()


def _inline(part: Inline, *, begins_block: bool) -> str:
    match part:
        case str():
            return _escape_part(part, begins_block=begins_block)
        case Code():
            return code(part.text)
        case Mark(tone=Tone.BAD) | Strong():
            return f"**{_without_markup(one_line(part.text))}**"
        case Mark():
            return _escape_part(part.text, begins_block=begins_block)
        case DocumentLink():
            return f"[{_without_markup(one_line(part.text))}]({quote(part.href, safe='/:?&=#%+@~,;.-_')})"
        case Trend():
            return "".join(BARS[round(height * (len(BARS) - 1))] for height in part.heights())


def escape(text: str) -> str:
    """Return text that shows as it is, on one line, in a paragraph, a list item, a heading or a table cell.

    HTML becomes entities only where it would be HTML; ``t < 3`` stays readable.
    """
    return _BLOCK_START.sub(r"\g<0>\\", _without_markup(one_line(text)))


def _escape_part(text: str, *, begins_block: bool) -> str:
    """Escape a part of a longer text; white space at its ends keeps it from the parts beside it."""
    inner = escape(text) if begins_block else _without_markup(one_line(text))
    before = " " if text[:1].isspace() and not begins_block else ""
    after = " " if text[-1:].isspace() and inner else ""
    return f"{before}{inner}{after}"


def _without_markup(plain: str) -> str:
    plain = re.sub(r"&(?=#?\w+;)", "&amp;", plain)
    plain = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", plain)
    plain = _MARKUP.sub(r"\\\g<0>", plain)
    return _EMPHASIS.sub(lambda found: "\\_" * len(found.group()), plain)


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
    widths = [min(MAX_PADDING, max(3, *map(len, column))) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = ("-" * (width - 1) + ":" if i in right else "-" * width for i, width in enumerate(widths))
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *map(line, rows)])
