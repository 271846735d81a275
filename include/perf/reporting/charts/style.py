"""The style of all charts: size, fonts, colours, titles, and labels at the ends of lines.

Charts are readable on a phone: at 1200 × 675 pixels the smallest font has 13 points. Each chart has its own figure,
without pyplot and its global state.

A colour has the same meaning in every chart: p50 is green, p95 blue, p99 purple; worse or failed is vermillion, better
is blue, a stall is orange, successful throughput is sky blue; a dashed dark line is the baseline; grey does not count.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from include.perf.model.file_writer import write_atomically
from include.perf.model.text import one_line
from include.perf.runs.phrases import utc_window
from include.perf.runs.record import RunRecord, Verdict

# Okabe and Ito, "Color Universal Design" (2008): eight colours that colour-blind people can distinguish.
BLUE = "#0072B2"
GREEN = "#009E73"
PURPLE = "#CC79A7"
VERMILLION = "#D55E00"
SKY = "#56B4E9"
ORANGE = "#E69F00"
INK = "#222222"
GREY = "#5F5F5F"
PALE = "#E9E9E9"
WHITE = "#FFFFFF"
COLOURS = (BLUE, GREEN, PURPLE, VERMILLION, SKY, ORANGE, INK, GREY, PALE, WHITE)

LATENCY_COLOURS = {"latency_p50": GREEN, "latency_p95": BLUE, "latency_p99": PURPLE}
DASHED = (0, (5, 4))
"""Line style of the baseline and of the requested rate."""

WIDTH_PX, HEIGHT_PX, DPI = 1200, 675, 100
TITLE_PT, TEXT_PT, SMALL_PT = 21, 15, 13
TEXT_SHARE = 0.72
"""Brightness of a colour used for text, relative to the colour itself."""
MAX_TITLE, MAX_SUBTITLE = 64, 120
"""Characters that usually fit into the width."""
TOP_LABEL = 0.955
"""Height of the topmost label at the end of a line, as a share of the axes; failures are explained above it."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same glyphs everywhere
    "font.size": TEXT_PT,
    "text.parse_math": False,  # a "$" in a name starts no formula
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 1.0,
    "axes.unicode_minus": True,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": TEXT_PT,
    "ytick.labelsize": TEXT_PT,
    "figure.facecolor": WHITE,
    "axes.facecolor": "none",
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLabel:
    """A label right of the axes.

    Attributes:
        y: height in data units.
        is_line: whether the label is joined to the end of a line.
    """

    text: str
    y: float
    colour: str
    is_line: bool = True


def new_figure(record: RunRecord, title: str) -> Figure:
    """Return an empty figure with a title (the finding) and a subtitle (run, scenario and window)."""
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    heading = figure.text(0.03, 0.925, shortened(title, MAX_TITLE), fontsize=TITLE_PT, fontweight="bold")
    invalid = record.verdict is Verdict.INVALID
    words = "INVALID RUN · " if invalid else ""
    below = figure.text(
        0.03,
        0.868,
        shortened(words + _where(record), MAX_SUBTITLE),
        fontsize=SMALL_PT,
        color=VERMILLION if invalid else GREY,
    )
    for text in (heading, below):
        _fit_into_width(text)
    return figure


def _fit_into_width(text: Text) -> None:
    """Shorten a text whose wide letters exceed the picture."""
    while text.get_window_extent().x1 > WIDTH_PX * 0.985:
        text.set_text(shortened(text.get_text(), len(text.get_text()) - 2))


def _where(record: RunRecord) -> str:
    names = [shortened(one_line(name), 40) for name in (record.service, record.scenario, record.environment)]
    return " · ".join([*names, utc_window(record.window)] if record.window else names)


def shortened(text: str, length: int) -> str:
    """Return text of at most ``length`` characters, cut off with an ellipsis."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def as_text(colour: str) -> str:
    """Return a colour that is dark enough for text on white."""
    channels = (int(int(colour[start : start + 2], 16) * TEXT_SHARE) for start in (1, 3, 5))
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def label_line_ends(axes: Axes, labels: Sequence[EndLabel], *, gap: float = 0.07) -> None:
    """Write labels right of the axes at the height of their lines, moved apart where they would overlap.

    Args:
        axes: limits must be set before.
        labels: in any order.
        gap: smallest distance between two labels, as a share of the axes' height.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    wanted = sorted(((float(to_axes.transform((0, label.y))[1]), label) for label in labels), key=lambda pair: pair[0])
    heights = spread([min(max(height, 0.0), TOP_LABEL) for height, _ in wanted], gap=gap)
    for (true, label), height in zip(wanted, heights, strict=True):
        colour = as_text(label.colour)
        if label.is_line:
            ends = [min(max(true, 0.0), 1.0), height]
            axes.plot([1.003, 1.018], ends, transform=axes.transAxes, clip_on=False, color=colour, linewidth=1.2)
        axes.text(1.025, height, label.text, transform=axes.transAxes, va="center", color=colour)


def spread(heights: Sequence[float], *, gap: float) -> list[float]:
    """Return ascending heights at least ``gap`` apart, near the given ones, and none above `TOP_LABEL`."""
    placed: list[float] = []
    for height in heights:
        placed.append(max(height, placed[-1] + gap) if placed else height)
    ceiling = TOP_LABEL
    for index in range(len(placed) - 1, -1, -1):
        placed[index] = min(placed[index], ceiling)
        ceiling = placed[index] - gap
    return placed


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; the output is deterministic."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None})
    write_atomically(path, drawn.getvalue(), follow_link=False)
