"""Documents as HTML: a self-contained page, or only its body for another page.

The page loads nothing and runs no script: its policy allows only the inline stylesheet, by its digest, and inline
images. The templates escape all text from services.

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
"""Returns the address of an image by its path relative to the document; ``None`` if there is no such file."""

TREND_WIDTH, TREND_HEIGHT, TREND_MARGIN = 96, 24, 3

_WITHIN_FIGURE = re.compile(r"(?<=\d) (?=(?:ms|s|min|h|%|MiB|GiB|cores|points|\d{3})(?!\w))")
_HERE = Path(__file__).parent
_MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def page(document: Document, *, image: ImageSource) -> str:
    """Return a document as a page; it is self-contained if the images are embedded."""
    style = stylesheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    context = {"document": document, "image": image, "style": Markup(style), "style_digest": digest}  # noqa: S704 - our own file
    return templates().get_template("page.html").render(context)


def body(document: Document, *, image: ImageSource) -> Markup:
    """Return a document as an ``<article>``, for a page that includes `stylesheet`."""
    return Markup(templates().get_template("article.html").render(document=document, image=image))  # noqa: S704 - escaped by the template


@cache
def stylesheet() -> str:
    """Return the stylesheet of all documents and pages."""
    return (_HERE / "style.css").read_text(encoding="utf-8")


def embedded(read: Callable[[str], bytes | None]) -> ImageSource:
    """Return a source that embeds images into the page.

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
    """Addresses of a chart's images: one for both themes, or one for each."""

    light: str
    dark: str | None


@cache
def templates(*folders: Path) -> Environment:
    """Return the templates of documents, and those in ``folders``, which may use them. All of them escape values."""
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
    """Return the anchor of a section."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _printable(value: Any) -> Any:
    """Remove control characters from plain text, and keep figures together with their units; leave markup unchanged."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _WITHIN_FIGURE.sub("\N{NO-BREAK SPACE}", without_controls(value))


def _images_of(figure: ChartFigure, image: ImageSource) -> _Images | None:
    """Return a chart's images: both SVGs, else the PNG; ``None`` without files."""
    stem = figure.path.removesuffix(".png")
    light, dark = image(f"{stem}.svg"), image(f"{stem}.dark.svg")
    if light is not None and dark is not None:
        return _Images(light=light, dark=dark)
    png = image(figure.path)
    return _Images(light=png, dark=None) if png is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """A sparkline in pixels."""

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
