"""Charts as SVG, made to stand within a page: one for a light page, and the same for a dark one.

Text stays text: it can be searched, selected and read out, and a file is a third of the size. It is laid out with
DejaVu Sans; where a reader has none, Verdana has the same widths, and others are narrower.

What Matplotlib writes is a document of its own. Here it becomes a part of another one: without a style sheet, which
would reach the whole page, and without ``style`` attributes, which a content security policy forbids; with ids that no
other chart has; without a background, and without a size, so that the page sets both.
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
    """A page that a chart stands on.

    Attributes:
        suffix: of the files.
        colours: what each colour of a chart is there, in lower case; a colour that is missing is an error.
    """

    name: str
    suffix: str
    colours: Mapping[str, str]


def _theme(name: str, suffix: str, shown: Mapping[str, str]) -> Theme:
    """Make a theme of what it shows each colour as; on a dark page text need be no darker."""
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
    """Return a figure as SVG for every theme, by the theme's suffix; the same figure gives the same bytes.

    Args:
        name: of the chart; its ids begin with it. The figure's first text is its title.
    """
    written = io.BytesIO()
    metadata = {"Date": None, "Creator": None, "Title": figure.texts[0].get_text()}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(written, format="svg", metadata=metadata, transparent=True)
    return {theme.suffix: _embedded(written.getvalue(), name, theme) for theme in THEMES}


def _embedded(document: bytes, name: str, theme: Theme) -> bytes:
    """Make a part of another document of what Matplotlib wrote."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(document)  # noqa: S314 - written by ourselves a moment ago
    _remove(root, f"{{{SVG}}}metadata")
    _remove(root, f"{{{SVG}}}style")
    for element in root.iter():
        _settle(element, theme)
    _rename_ids(root, f"{name}-{theme.name}")
    for size in ("width", "height", "version"):
        root.attrib.pop(size)
    root.attrib |= {"role": "img", "font-family": FONTS, "stroke-linejoin": "round"}
    return ElementTree.tostring(root, encoding="unicode").encode() + b"\n"


def _remove(root: Element, tag: str) -> None:
    for parent in list(root.iter()):
        for child in parent.findall(tag):
            parent.remove(child)


def _settle(element: Element, theme: Theme) -> None:
    """Turn a style into attributes, colours into the theme's, and leave out what says nothing."""
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
    """Give the ids that something refers to names of this chart, and drop all others."""
    referred = dict.fromkeys(reference for element in root.iter() for _, reference in _references(element))
    names = {old: f"{prefix}-{number}" for number, old in enumerate(referred, start=1)}
    for element in root.iter():
        for key, reference in _references(element):
            new = names[reference]
            element.set(key, f"#{new}" if key == "href" else f"url(#{new})")
        if (own := element.attrib.pop("id", None)) in names:
            element.set("id", names[own])


def _references(element: Element) -> list[tuple[str, str]]:
    """Return the attributes that refer to an id, each with it."""
    urls = [(key, found[1]) for key, value in element.items() if (found := _REFERENCE.fullmatch(value))]
    return [*urls, ("href", element.attrib["href"].removeprefix("#"))] if "href" in element.attrib else urls
