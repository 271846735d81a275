"""Pages as HTML; everything that is not ours is escaped by the templates, without exception.

What is the same on every page: where it is, who looks on, and what was just done.

A page that only says something: what is not there, what is not allowed, or why a change was not made.
"""

from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment

from include.perf.model.metric import SHORT_NAMES, title_of
from include.perf.pages.addresses import Addresses
from include.perf.pages.history_page import COLUMNS, RANGES
from include.perf.pages.marks import VERDICT_LOOKS, age, minute
from include.perf.reporting import html_page
from include.perf.reporting.html_page import ImageSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stands around a page.

    Attributes:
        user: the name of who looks on.
        token: goes with every form.
        version: of the styles and scripts, so that browsers keep them until they change.
        notice: what was just done; empty for nothing.
    """

    addresses: Addresses
    user: str
    version: str
    token: str = field(repr=False)
    notice: str = ""


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
    return found | {"style.css": (html_page.stylesheet().encode(), _TYPES[".css"])}


@cache
def static_version() -> str:
    """Return a digest that changes with any style sheet or script."""
    digest = sha256()
    for content, _ in static_files().values():
        digest.update(content)
    return digest.hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = html_page.templates(_HERE / "templates")
    environment.globals |= {"ranges": RANGES, "history_columns": COLUMNS}
    environment.filters |= {
        "age": age,
        "minute": minute,
        "metric": title_of,
        "short": lambda name: SHORT_NAMES.get(name, name),
        "look": lambda verdict: VERDICT_LOOKS[verdict],
    }
    return environment


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """A title and what there is to say.

    Attributes:
        back: the page that it was asked for from; empty for none.
    """

    title: str
    lines: tuple[str, ...]
    back: str = ""
