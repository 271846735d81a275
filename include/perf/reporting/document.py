"""The content of a document, independent of its format; `markdown_text` and `html_page` write the same document.

Text in it is plain and may come from services: each format escapes it in its own way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """The meaning of a mark; a colour only repeats it."""

    GOOD = "good"
    BAD = "bad"
    DOUBT = "doubt"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Strong:
    """Emphasized text."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text of a program, shown literally."""

    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A judgement in one or two words."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class DocumentLink:
    """A link."""

    text: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A sparkline: values over time, drawn as small as a word.

    Attributes:
        values: oldest first.
        low, high: the smallest range of the vertical axis, so that an insignificant change looks flat.
        level: the baseline; ``None`` for none.
        words: description for people who cannot see the drawing.
    """

    values: tuple[float, ...]
    low: float
    high: float
    level: float | None
    words: str

    def heights(self) -> tuple[float, ...]:
        """Return the height of each value in the drawing, from 0 to 1."""
        return tuple(map(self.height, self.values))

    def height(self, value: float) -> float:
        """Return the height of a value in the drawing, from 0 to 1; 0.5 where all values are equal."""
        low, high = min(self.low, *self.values), max(self.high, *self.values)
        return (value - low) / (high - low) if high > low else 0.5


Inline = str | Strong | Code | Mark | DocumentLink | Trend
Words = Inline | tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph."""

    words: Words


@dataclass(frozen=True, slots=True)
class Bullets:
    """An unordered list."""

    items: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartFigure:
    """A chart.

    Attributes:
        path: path of its PNG, relative to the document. The same folder may hold an SVG for light and one for dark
            pages: ``latency.svg`` and ``latency.dark.svg``.
        title: what it shows; also its alternative text.
    """

    path: str
    title: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; figures are right-aligned."""

    title: str
    is_figure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; the first cell of each row is its heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Words, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.caption}: {len(row)} cells in a row, but {len(self.columns)} columns")


Block = Paragraph | Bullets | Command | ChartFigure | Table


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document.

    Attributes:
        mark: the verdict.
        subject: the run or DAG run that it is about.
        finding: the result in one sentence.
        lead: blocks before the first section.
    """

    mark: Mark
    subject: str
    finding: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        """Verdict, subject and finding on one line."""
        return f"{self.mark.text} · {self.subject} – {self.finding}"


def parts_of(words: Words) -> Iterator[Inline]:
    """Yield the parts of a piece of text."""
    if isinstance(words, tuple):
        yield from words
    else:
        yield words
