"""Small drawings of the emoji that alerts use most, for machines without an emoji font.

A drawing is the content of an SVG element with ``viewBox="0 0 20 20"``.
"""

_RED = "#dd2e44"
_GREEN = "#2f9e55"
_YELLOW = "#fdcb58"
_ORANGE = "#f4900c"
_BLUE = "#4689d6"
_GREY = "#99aab5"
_DARK = "#3b4450"


def _disc(color: str) -> str:
    return f'<circle cx="10" cy="10" r="8.5" fill="{color}"/>'


def _tile(color: str) -> str:
    return f'<rect x="1" y="1" width="18" height="18" rx="4" fill="{color}"/>'


def _stroke(path: str, color: str, *, width: float = 2.4) -> str:
    return (
        f'<path d="{path}" fill="none" stroke="{color}" stroke-width="{width}" '
        'stroke-linecap="round" stroke-linejoin="round"/>'
    )


def _filled(path: str, color: str) -> str:
    return f'<path d="{path}" fill="{color}"/>'


_PAPER = '<rect x="1.5" y="1.5" width="17" height="17" rx="2" fill="#e6edf2" stroke="#99aab5"/>'
_BELL = _filled("M10 1.5a6 6 0 0 1 6 6V12l2 3.5H2L4 12V7.5a6 6 0 0 1 6-6ZM7.6 16.6a2.4 2.4 0 0 0 4.8 0Z", _ORANGE)

DRAWINGS = {
    "arrow_down": _tile(_BLUE) + _stroke("M10 5v10M6 11l4 4 4-4", "#fff"),
    "arrow_right": _tile(_BLUE) + _stroke("M5 10h10M11 6l4 4-4 4", "#fff"),
    "arrow_up": _tile(_BLUE) + _stroke("M10 15V5M6 9l4-4 4 4", "#fff"),
    "bar_chart": _PAPER
    + _filled("M4 10h3v6H4Z", _GREEN)
    + _filled("M8.5 5h3v11h-3Z", _RED)
    + _filled("M13 8h3v8h-3Z", _BLUE),
    "bell": _BELL,
    "chart_with_downwards_trend": _PAPER + _stroke("M4 5l4 4 2.5-2L16 15", _BLUE, width=2),
    "chart_with_upwards_trend": _PAPER + _stroke("M4 15l4-4 2.5 2L16 5", _RED, width=2),
    "eyes": '<ellipse cx="5.5" cy="10" rx="4" ry="6" fill="#fff" stroke="#99aab5"/>'
    '<ellipse cx="14.5" cy="10" rx="4" ry="6" fill="#fff" stroke="#99aab5"/>'
    f'<circle cx="4.3" cy="10.5" r="2" fill="{_DARK}"/><circle cx="13.3" cy="10.5" r="2" fill="{_DARK}"/>',
    "fire": _filled("M10 1c1 4 6 6 6 11.500a6 6.5 0 0 1-12 0C4 9 6 8 6.5 5 8 6 9 4 10 1Z", _ORANGE)
    + _filled("M10 9c.5 2.5 3 3 3 6a3 3.5 0 0 1-6 0c0-2 2-3 3-6Z", _YELLOW),
    "grey_question": _stroke("M6.5 6.500a3.5 3.5 0 1 1 5 3.200c-1 .5-1.5 1.1-1.5 2.3", _GREY)
    + '<circle cx="10" cy="16.5" r="1.5" fill="#99aab5"/>',
    "hourglass_flowing_sand": _stroke("M5 2h10M5 18h10", _DARK, width=2)
    + _filled("M6 3h8c0 4-3 5-3 7s3 3 3 7H6c0-4 3-5 3-7S6 7 6 3Z", _YELLOW),
    "information_source": _tile(_BLUE)
    + _stroke("M10 9.500v5", "#fff")
    + '<circle cx="10" cy="5.8" r="1.5" fill="#fff"/>',
    "large_blue_circle": _disc(_BLUE),
    "large_green_circle": _disc(_GREEN),
    "large_orange_circle": _disc(_ORANGE),
    "large_yellow_circle": _disc(_YELLOW),
    "no_bell": _BELL + _stroke("M3 17L17 3", _RED),
    "no_entry": _disc(_RED) + _stroke("M6 10h8", "#fff", width=3),
    "octagonal_sign": _filled("M6.5 1.500h7l5 5v7l-5 5h-7l-5-5v-7Z", _RED),
    "red_circle": _disc(_RED),
    "rotating_light": _filled("M5 14V9a5 5 0 0 1 10 0v5Z", _RED)
    + _filled("M3.5 14.500h13v4h-13Z", _DARK)
    + _stroke("M10 1v1M3 4l.8.8M17 4l-.8.8", _RED, width=1.8)
    + _stroke("M8 9.500a2 2 0 0 1 2-2", "#fff", width=1.5),
    "small_red_triangle": _filled("M10 4l7.5 12h-15Z", _RED),
    "small_red_triangle_down": _filled("M10 16L2.5 4h15Z", _RED),
    "stopwatch": _stroke("M8 1.500h4M10 1.500V4", _DARK, width=2)
    + f'<circle cx="10" cy="11.5" r="6.5" fill="#fff" stroke="{_GREY}" stroke-width="2"/>'
    + _stroke("M10 11.500V8", _RED, width=1.8),
    "tada": _filled("M2 18.500L7 6l7 7Z", _YELLOW)
    + _stroke("M11 8c0-3 1-4 3-5M13 10c2-1 4-1 5 0", _RED, width=1.8)
    + '<circle cx="8" cy="3" r="1.3" fill="#4689d6"/><circle cx="17" cy="5" r="1.3" fill="#2f9e55"/>',
    "warning": _filled("M10 1.500l9 16.500H1Z", _YELLOW)
    + _stroke("M10 7.500v4.5", _DARK)
    + f'<circle cx="10" cy="15.2" r="1.3" fill="{_DARK}"/>',
    "white_check_mark": _tile(_GREEN) + _stroke("M5.5 10.500l3 3 6-7", "#fff"),
    "white_circle": '<circle cx="10" cy="10" r="8" fill="#fff" stroke="#99aab5"/>',
    "x": _stroke("M4 4l12 12M16 4L4 16", _RED, width=3.5),
}


def svg(name: str) -> str | None:
    """Return the drawing of an emoji as an SVG document; None if there is none."""
    content = DRAWINGS.get(name)
    if content is None:
        return None
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20">{content}</svg>'
