"""Charts as SVG that can be embedded into a page: one for light pages, and one for dark pages.

Text stays text: it can be searched, selected and read aloud, and the file is a third of the size. The layout uses
DejaVu Sans; of the fallback fonts, Verdana has the same widths, and others are narrower.

Matplotlib writes a separate document. To embed it, the style sheet is removed, which would affect the page, and the
``style`` attributes, which a content security policy forbids; ids are made unique; background and size are removed, so
that the page sets them.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import matplotlib as mpl
from matplotlib.figure import Figure

from include.perf.reporting.charts import style

SVG, XLINK_HREF = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
FONTS = "DejaVu Sans, Verdana, sans-serif"

_DARK = {
    style.BLUE: "#5BB0EE",
    style.GREEN: "#2FC79C",
    style.PURPLE: "#E29CC6",
    style.VERMILLION: "#FF8148",
    style.SKY: "#3A83B0",
    style.ORANGE: "#F0B43C",
    style.INK: "#ECEDEF",
    style.GREY: "#A8AEB6",
    style.PALE: "#31363D",
    style.WHITE: "#16191D",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The theme of a page.

    Attributes:
        suffix: suffix of the files.
        colours: replacement of each colour of a chart, in lower case; a missing colour is an error.
    """

    name: str
    suffix: str
    colours: Mapping[str, str]


def _theme(name: str, suffix: str, shown: Mapping[str, str]) -> Theme:
    """Return a theme with replacements of the chart colours; on dark pages text has the same colour as lines."""
    is_dark = any(light != colour for light, colour in shown.items())
    colours = {colour.lower(): shown[colour] for colour in style.COLOURS}
    texts = {style.as_text(colour): shown[colour] if is_dark else style.as_text(colour) for colour in style.COLOURS}
    return Theme(name=name, suffix=suffix, colours=texts | colours)


LIGHT = _theme("light", ".svg", {colour: colour for colour in style.COLOURS})
DARK = _theme("dark", ".dark.svg", _DARK)
THEMES = (LIGHT, DARK)

_COLOUR = re.compile("#[0-9a-f]{6}")
_DECIMALS = re.compile(r"(\.\d\d)\d+")
_REFERENCE = re.compile(r"url\(#(.+)\)")
_NUMBERS = ("d", "x", "y", "width", "height")


def drawn_as_svg(figure: Figure, *, name: str) -> dict[str, bytes]:
    """Return a figure as SVG for each theme, by the theme's suffix; the output is deterministic.

    Args:
        figure: its first text is the title.
        name: name of the chart, the prefix of its ids.
    """
    written = io.BytesIO()
    metadata = {"Date": None, "Creator": None, "Title": figure.texts[0].get_text()}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata=metadata, transparent=True)
    return {theme.suffix: _embedded(written.getvalue(), name, theme) for theme in THEMES}


def _embedded(document: bytes, name: str, theme: Theme) -> bytes:
    """Turn Matplotlib's document into an embeddable element."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(document)  # noqa: S314 - written by Matplotlib just now
    _remove(root, f"{{{SVG}}}metadata")
    _remove(root, f"{{{SVG}}}style")
    for element in root.iter():
        _normalize(element, theme)
    _rename_ids(root, f"{name}-{theme.name}")
    for size in ("width", "height", "version"):
        root.attrib.pop(size)
    root.attrib |= {"role": "img", "font-family": FONTS, "stroke-linejoin": "round"}
    return ElementTree.tostring(root, encoding="unicode").encode() + b"\n"


def _remove(root: Element, tag: str) -> None:
    for parent in list(root.iter()):
        for child in parent.findall(tag):
            parent.remove(child)


def _normalize(element: Element, theme: Theme) -> None:
    """Turn the style into attributes, replace colours by the theme's, and drop redundant content."""
    given = dict(part.split(": ", 1) for part in element.attrib.pop("style", "").split("; ") if part)
    given.pop("font-family", None)
    element.attrib |= given
    if XLINK_HREF in element.attrib:
        element.set("href", element.attrib.pop(XLINK_HREF))
    if element.get("transform", "").startswith("rotate(-0 "):
        element.attrib.pop("transform")
    for key, value in element.items():
        if key in _NUMBERS:
            element.set(key, _DECIMALS.sub(r"\1", " ".join(value.split())))
        elif _COLOUR.fullmatch(value):
            element.set(key, theme.colours[value])
    if element.text is not None and not element.text.strip():
        element.text = None
    element.tail = None


def _rename_ids(root: Element, prefix: str) -> None:
    """Prefix the ids that are referred to, and drop all others."""
    referred = dict.fromkeys(reference for element in root.iter() for _, reference in _references(element))
    names = {old: f"{prefix}-{number}" for number, old in enumerate(referred, start=1)}
    for element in root.iter():
        for key, reference in _references(element):
            new = names[reference]
            element.set(key, f"#{new}" if key == "href" else f"url(#{new})")
        if (own := element.attrib.pop("id", None)) in names:
            element.set("id", names[own])


def _references(element: Element) -> list[tuple[str, str]]:
    """Return the attributes that refer to an id, with that id."""
    urls = [(key, found[1]) for key, value in element.items() if (found := _REFERENCE.fullmatch(value))]
    return [*urls, ("href", element.attrib["href"].removeprefix("#"))] if "href" in element.attrib else urls
