"""A document as people read it, in no form yet: `markdown` and `html` write the same one, so they tell one story.

Text in it is plain and may come from services: each form escapes it in its own way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """What a word means for its reader; colour only repeats it."""

    GOOD = "good"
    BAD = "bad"
    DOUBT = "doubt"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Strong:
    """Words that must not be missed."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text exactly as a machine wrote it."""

    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A judgement in a word or two."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class DocumentLink:
    """Words that lead somewhere else."""

    text: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Values over time, drawn as small as a word.

    Attributes:
        values: oldest first.
        low, high: what the drawing spans at least, so that what is no change looks flat.
        level: what they are held to.
        words: the same for those who do not see it.
    """

    values: tuple[float, ...]
    low: float
    high: float
    level: float | None
    words: str

    def heights(self) -> tuple[float, ...]:
        """Return how high each value stands, from 0 to 1."""
        return tuple(map(self.height, self.values))

    def height(self, value: float) -> float:
        """Return how high a value stands in the drawing, from 0 to 1; in the middle where nothing ever differed."""
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
    """A list without order."""

    items: tuple[Words, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A line to be typed into a shell."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartFigure:
    """A chart.

    Attributes:
        path: of its PNG, relative to the document. Beside it may lie an SVG for a light and one for a dark page:
            ``latency.svg`` and ``latency.dark.svg``.
        title: what it shows, for those who do not see it, too.
    """

    path: str
    title: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; figures are aligned so that they can be compared."""

    title: str
    is_figure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; the first cell of a row says what the row is about."""

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
    """A whole document.

    Attributes:
        mark: the verdict.
        subject: what it is about.
        finding: the one sentence to take away.
        lead: what stands before the first section.
    """

    mark: Mark
    subject: str
    finding: str
    lead: tuple[Block, ...]
    sections: tuple[Section, ...]

    @property
    def title(self) -> str:
        """The whole of it on one line."""
        return f"{self.mark.text} · {self.subject} – {self.finding}"


def parts_of(words: Words) -> Iterator[Inline]:
    """Yield the parts of a piece of text."""
    if isinstance(words, tuple):
        yield from words
    else:
        yield words
