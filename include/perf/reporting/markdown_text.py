"""Documents as Markdown that is readable as plain text and on GitHub.

Text from services is untrusted and always escaped: it may hold pipes, backticks, HTML or line breaks.

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
"""Characters of an error example; requests.csv.gz has the complete text."""

MAX_PADDING = 80
"""The largest width to which a column is padded, so that one long cell does not widen every row."""

BARS = "▁▂▃▄▅▆▇█"

_MARKUP = re.compile(r"[\\`*\[\]|~]")
# Underscores within a word do not format it and stay unescaped: market_open, not market\\_open.
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
    """Return the content of a table cell. Code is written as plain text, because a ``|`` in it would end the cell."""
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
    """Return text that is shown literally, on one line, in a paragraph, list item, heading or table cell.

    Only actual HTML becomes entities, so that ``t < 3`` stays readable.
    """
    return _BLOCK_START.sub(r"\g<0>\\", _without_markup(one_line(text)))


def _escape_part(text: str, *, begins_block: bool) -> str:
    """Escape a part of a longer text; white space at its ends is kept."""
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
    """Return text as a code span that nothing in it can end. Not for tables, where a ``|`` ends the cell."""
    plain = one_line(text)
    plain = plain if len(plain) <= MAX_EXAMPLE else plain[: MAX_EXAMPLE - 1] + "…"
    if not plain:
        return "(empty)"
    longest = max((len(run) for run in re.findall("`+", plain)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def bullets(items: Iterable[str]) -> str:
    """Return a list; the items are already Markdown."""
    return "\n".join(f"- {item}" for item in items)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Return a table whose columns are aligned as plain text.

    Args:
        header: the column titles.
        rows: cells that are already Markdown.
        right: indices of the right-aligned columns.
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
