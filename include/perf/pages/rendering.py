"""Renders pages to HTML with Jinja templates, which escape everything that comes from data.

Also holds what every page shares: its frame, the static files and the page that only shows a message.
"""

from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment

from include.perf.model.metric import title_of
from include.perf.pages.addresses import Addresses
from include.perf.pages.history_page import COLUMNS, RANGES
from include.perf.pages.marks import VERDICT_MARKS
from include.perf.reporting import html_page
from include.perf.reporting.html_page import ImageSource

_HERE = Path(__file__).parent
_STATIC = _HERE / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What surrounds the content of every page.

    Attributes:
        user: the viewer's name.
        version: of the static files; browsers cache them until it changes.
        token: CSRF token of every form.
        notice: confirms the change that was just made; empty for none.
        catalogue_problems: the problems of entries that are left out of the catalogue.
        stale: why the page shows an earlier state, and of when; empty if it is current.
    """

    addresses: Addresses
    user: str
    version: str
    token: str = field(repr=False)
    notice: str = ""
    catalogue_problems: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """A title and a message: not found, not allowed, or why a change was refused.

    Attributes:
        back: URL of the page that the request came from; empty for none.
    """

    title: str
    lines: tuple[str, ...]
    back: str = ""


def no_image(_: str) -> str | None:
    """Return no URL: the document has no images."""
    return None


def render(template: str, frame: Frame, page: object, *, image: ImageSource = no_image) -> str:
    """Return a page as HTML.

    Args:
        template: file name without its extension.
        page: the view model.
        image: returns the URL of a chart in the page's document.
    """
    return (
        _environment().get_template(f"{template}.html").render(frame=frame, to=frame.addresses, page=page, image=image)
    )


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return the content and media type of every stylesheet, script and icon by file name."""
    files = {
        path.name: (path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(_STATIC.rglob("*"))
        if path.suffix in _TYPES
    }
    return files | {"style.css": (html_page.stylesheet().encode(), _TYPES[".css"])}


@cache
def static_version() -> str:
    """Return a digest of all static files."""
    digest = sha256()
    for content, _ in static_files().values():
        digest.update(content)
    return digest.hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = html_page.templates(_HERE / "templates")
    environment.globals |= {"ranges": RANGES, "history_columns": COLUMNS}
    environment.filters |= {"metric": title_of, "verdict_mark": VERDICT_MARKS.__getitem__}
    return environment
