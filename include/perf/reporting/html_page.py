"""Documents as HTML: a page that is whole in one file, or its body alone, for a page around it.

The page loads nothing and runs nothing: its policy allows the one stylesheet that is in it, by its digest, and
images that are in it. Text from services is escaped by the templates, without exception.

Source: W3C, Content Security Policy Level 3, section 6.1; RFC 2397 (data URLs).
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from include.perf.model.text import without_controls
from include.perf.reporting.document import ChartFigure, Document, Trend, parts_of

ImageSource = Callable[[str], str | None]
"""Returns the address of an image by its path relative to the document, ``None`` where there is no such file."""

TREND_WIDTH, TREND_HEIGHT, TREND_MARGIN = 96, 24, 3

_WITHIN_FIGURE = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|%|MiB|GiB|cores|points|\d{3})(?!\w))")
_HERE = Path(__file__).parent
_MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def page(document: Document, *, image: ImageSource) -> str:
    """Return a document as a page that needs nothing beside it, if its images do not."""
    style = stylesheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    shown = {"document": document, "image": image, "style": Markup(style), "style_digest": digest}  # noqa: S704 - ours
    return templates().get_template("page.html").render(shown)


def body(document: Document, *, image: ImageSource) -> Markup:
    """Return a document as an ``<article>``, for a page that has `stylesheet`."""
    return Markup(templates().get_template("article.html").render(document=document, image=image))  # noqa: S704


@cache
def stylesheet() -> str:
    """Return the one stylesheet of documents and pages."""
    return (_HERE / "style.css").read_text(encoding="utf-8")


def embedded(read: Callable[[str], bytes | None]) -> ImageSource:
    """Return a source that puts images into the page itself.

    Args:
        read: returns a file by its path relative to the document.
    """

    def address(path: str) -> str | None:
        content = read(path)
        if content is None:
            return None
        return f"data:{_MEDIA_TYPES[Path(path).suffix]};base64,{base64.b64encode(content).decode()}"

    return address


@dataclass(frozen=True, slots=True, kw_only=True)
class _Images:
    """A chart's images: one for both themes, or one for each."""

    light: str
    dark: str | None


@cache
def templates(*folders: Path) -> Environment:
    """Return the templates of documents, and those in other folders that use them; all escape what they are given."""
    environment = Environment(
        loader=FileSystemLoader([*folders, _HERE / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "kind": lambda part: type(part).__name__,
        "parts": parts_of,
        "anchor": _anchor,
    }
    environment.globals |= {"images_of": _images_of, "drawn": _drawn}
    return environment


def _anchor(title: str) -> str:
    """Return what a section is linked by."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _printable(value: Any) -> Any:
    """Take what is no character out of plain text, and keep figures with their units; what a template wrote stays."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _WITHIN_FIGURE.sub("\N{NO-BREAK SPACE}", without_controls(value))


def _images_of(figure: ChartFigure, image: ImageSource) -> _Images | None:
    """Return a chart's images: the sharp ones where both are there, else the PNG; ``None`` without any."""
    stem = figure.path.removesuffix(".png")
    light, dark = image(f"{stem}.svg"), image(f"{stem}.dark.svg")
    if light is not None and dark is not None:
        return _Images(light=light, dark=dark)
    plain = image(figure.path)
    return _Images(light=plain, dark=None) if plain is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """A trend in pixels."""

    width: int
    height: int
    points: str
    last_x: float
    last_y: float
    level_y: float | None


def _drawn(trend: Trend) -> _Drawing:
    inner = TREND_HEIGHT - 2 * TREND_MARGIN
    step = (TREND_WIDTH - 2 * TREND_MARGIN) / max(1, len(trend.values) - 1)

    def y_of(height: float) -> float:
        return round(TREND_MARGIN + inner * (1 - height), 1)

    points = [(round(TREND_MARGIN + step * at, 1), y_of(height)) for at, height in enumerate(trend.heights())]
    return _Drawing(
        width=TREND_WIDTH,
        height=TREND_HEIGHT,
        points=" ".join(f"{x},{y}" for x, y in points),
        last_x=points[-1][0],
        last_y=points[-1][1],
        level_y=None if trend.level is None else y_of(trend.height(trend.level)),
    )
