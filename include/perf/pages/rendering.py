"""Pages as HTML; everything that is not ours is escaped by the templates, without exception."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment

from include.perf.pages.ages import age, minute
from include.perf.pages.frame import Frame
from include.perf.pages.history_page import COLUMNS, RANGES
from include.perf.pages.marks import VERDICT_LOOKS
from include.perf.phrase import SHORT_NAMES, title_of
from include.perf.reporting import html
from include.perf.reporting.html import ImageSource

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def no_image(_: str) -> str | None:
    """Say that a document has no images."""
    return None


def render(template: str, frame: Frame, page: object, *, image: ImageSource = no_image) -> str:
    """Return a page.

    Args:
        template: its name without the ending.
        page: what it shows.
        image: gives the address of a chart, where the page has a document with some.
    """
    return (
        _environment().get_template(f"{template}.html").render(frame=frame, to=frame.addresses, page=page, image=image)
    )


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return every style sheet, script and icon by its name, with its type."""
    found = {
        path.name: (path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(_STATIC.rglob("*"))
        if path.suffix in _TYPES
    }
    return found | {"style.css": (html.stylesheet().encode(), _TYPES[".css"])}


@cache
def static_version() -> str:
    """Return a digest that changes with any style sheet or script."""
    digest = sha256()
    for content, _ in static_files().values():
        digest.update(content)
    return digest.hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = html.templates(_HERE / "templates")
    environment.globals |= {"ranges": RANGES, "history_columns": COLUMNS}
    environment.filters |= {
        "age": age,
        "minute": minute,
        "metric": title_of,
        "short": lambda name: SHORT_NAMES.get(name, name),
        "look": lambda verdict: VERDICT_LOOKS[verdict],
    }
    return environment
