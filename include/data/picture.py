"""A picture of the four scenarios: activity, spread, volatility and its clustering, side by side.

Rows share their y axis, so that scenarios can be compared. The colours, after Okabe and Ito, can be distinguished by
colour-blind people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from include.data.instruments import INSTRUMENTS
from include.data.quotes import QuoteBars
from include.data.sessions import Floats, activity

LAGS = 30
_YEAR_MIN = 252 * 1440
_PAIR = 0  # EUR_USD: one pair shows the pattern, eight would hide it
_INK, _MUTED, _FAINT = "#1f2328", "#59636e", "#d5dae0"


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePanel:
    """How a scenario is drawn.

    Attributes:
        start_h: x of each window's first minute, in hours.
        marks: x in hours → the event.
        bucket_min: minutes over which activity, spread and volatility are averaged.
    """

    scenario: str
    title: str
    subtitle: str
    colour: str
    x_label: str
    start_h: float
    ticks: tuple[int, ...]
    marks: Mapping[float, str]
    bucket_min: int


PANELS = (
    PicturePanel(
        scenario="normal_trading",
        title="Normal trading",
        subtitle="one working day",
        colour="#0072B2",
        x_label="hour, UTC",
        start_h=0.0,
        ticks=(0, 6, 12, 18, 24),
        marks={8.0: "London\nopens", 12.0: "New York\nopens"},
        bucket_min=15,
    ),
    PicturePanel(
        scenario="market_open",
        title="Market open",
        subtitle="five London opens",
        colour="#B45F06",
        x_label="hours from 08:00 London",
        start_h=-1.0,
        ticks=(-1, 0, 1, 2),
        marks={0.0: "London\nopens"},
        bucket_min=5,
    ),
    PicturePanel(
        scenario="high_volatility",
        title="High volatility",
        subtitle="four news releases",
        colour="#B0417F",
        x_label="hours from the release",
        start_h=-1.0,
        ticks=(-1, 0, 1, 2, 3),
        marks={0.0: "news"},
        bucket_min=5,
    ),
    PicturePanel(
        scenario="overnight_processing",
        title="Overnight processing",
        subtitle="24 hours",
        colour="#00795C",
        x_label="hour, UTC",
        start_h=0.0,
        ticks=(0, 6, 12, 18, 24),
        marks={21.0: "17:00\nNew York"},
        bucket_min=15,
    ),
)


def autocorrelation(data: QuoteBars) -> Floats:
    """Return the autocorrelation of squared returns at lags 1 … LAGS, the instruments' mean: (LAGS,).

    Returns are first divided by the square root of the usual activity of their minute; otherwise the daily rhythm would
    appear as clustering (Andersen and Bollerslev 1997, see ``sessions``). Pairs of minutes in different windows are
    ignored.
    """
    usual = np.column_stack([activity(data.times, i.name, open_burst=0.5) for i in INSTRUMENTS])
    squared = np.log(data.close / data.open) ** 2 / usual
    squared -= squared.mean(axis=0)
    values = []
    for lag in range(1, LAGS + 1):
        together = (data.window[lag:] == data.window[:-lag])[:, np.newaxis]
        product = (squared[lag:] * squared[:-lag] * together).sum(axis=0)
        values.append(float((product / (squared**2).sum(axis=0)).mean()))
    return np.array(values)


def draw(data: Mapping[str, QuoteBars], path: Path) -> None:
    """Draw the figure into a PNG; scenarios are the keys of ``data``."""
    with mpl.rc_context(
        {
            "font.family": "DejaVu Sans",
            "font.size": 12,
            "axes.edgecolor": _FAINT,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": _INK,
            "xtick.color": _MUTED,
            "ytick.color": _MUTED,
        }
    ):
        figure = Figure(figsize=(11.5, 10), facecolor="white")
        FigureCanvasAgg(figure)
        grid = figure.subplots(5, len(PANELS), sharey="row", height_ratios=(1, 1, 1, 0.1, 1))
        for axis in grid[3]:
            axis.remove()  # only space for the hours above
        grid = grid[[0, 1, 2, 4]]
        for column, panel in enumerate(PANELS):
            _column(list(grid[:, column]), panel, data[panel.scenario])
        _scales(list(grid[:, 0]))
        figure.subplots_adjust(left=0.052, right=0.985, top=0.885, bottom=0.06, hspace=0.5, wspace=0.13)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata={"Software": None})


def _column(axes: list[Axes], panel: PicturePanel, data: QuoteBars) -> None:
    """Draw one scenario from top to bottom, with the figures of its measures."""
    ticks = data.volume.sum(axis=1).astype(np.float64)
    pips = data.spread[:, _PAIR] / INSTRUMENTS[_PAIR].pip
    yearly = (np.log(data.close[:, _PAIR] / data.open[:, _PAIR]) * 100.0) ** 2 * _YEAR_MIN
    clustering = autocorrelation(data)
    _over_time(axes[0], panel, _buckets(data, ticks, panel.bucket_min))
    _over_time(axes[1], panel, _buckets(data, pips, panel.bucket_min))
    _over_time(axes[2], panel, [np.sqrt(x) for x in _buckets(data, yearly, panel.bucket_min)])
    _over_lags(axes[3], panel, clustering, band=1.96 / np.sqrt(len(ticks)))
    facts = (
        f"mean {ticks.mean():,.0f}, peak {ticks.max():,.0f}",
        f"median {np.median(pips):.1f}, widest {pips.max():.1f}",
        f"overall {np.sqrt(yearly.mean()):.0f} %",
        f"mean of lags 1–10: {clustering[:10].mean():.2f}",
    )
    for axis, fact in zip(axes, facts, strict=True):
        axis.text(1.0, 1.03, fact, transform=axis.transAxes, ha="right", color=panel.colour, fontsize=11)
    for axis in axes[:2]:
        axis.tick_params(labelbottom=False)  # the hours appear once, below the volatility
    axes[2].set_xlabel(panel.x_label, color=_MUTED, fontsize=11)
    for number, (hour, label) in enumerate(panel.marks.items()):
        side, shift = ("right", -5) if number == 0 else ("left", 5)
        axes[0].annotate(label, (hour, 0.97), xycoords=("data", "axes fraction"), xytext=(shift, 0), ha=side,
                         textcoords="offset points", va="top", color=_MUTED, fontsize=10.5)  # fmt: skip
    axes[0].text(0.0, 1.5, panel.title, transform=axes[0].transAxes, color=panel.colour, fontsize=15,
                 fontweight="bold")  # fmt: skip
    axes[0].text(0.0, 1.35, panel.subtitle, transform=axes[0].transAxes, color=_MUTED)


def _buckets(data: QuoteBars, values: Floats, minutes: int) -> list[Floats]:
    """Return the means over ``minutes`` of each window: one array per window."""
    windows = [values[data.window == number] for number in np.unique(data.window)]
    return [window.reshape(-1, minutes).mean(axis=1) for window in windows]


def _over_time(axis: Axes, panel: PicturePanel, windows: list[Floats]) -> None:
    """Draw every window as a thin line and their mean as a bold one, with a mark at every event."""
    hours = panel.start_h + (np.arange(len(windows[0])) + 0.5) * panel.bucket_min / 60.0
    if len(windows) > 1:
        for window in windows:
            axis.plot(hours, window, color=panel.colour, linewidth=0.9, alpha=0.35)
    axis.plot(hours, np.mean(windows, axis=0), color=panel.colour, linewidth=2.2)
    for hour in panel.marks:
        axis.axvline(hour, color=_MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=0)
    axis.set_xlim(panel.ticks[0], panel.ticks[-1])
    axis.set_xticks(panel.ticks)
    axis.grid(axis="y", color=_FAINT, linewidth=0.7)
    axis.tick_params(length=0)


def _over_lags(axis: Axes, panel: PicturePanel, values: Floats, *, band: float) -> None:
    """Draw the autocorrelation, and its expected band without clustering."""
    lags = np.arange(1, LAGS + 1)
    axis.axhspan(-band, band, color=_FAINT, alpha=0.6, linewidth=0)
    axis.bar(lags, values, width=0.72, color=panel.colour)
    axis.set_xlim(0.3, LAGS + 0.7)
    axis.set_xticks([1, 10, 20, 30])
    axis.set_xlabel("lag, minutes", color=_MUTED, fontsize=11)
    axis.tick_params(length=0)


def _scales(axes: list[Axes]) -> None:
    """Scale and name the rows; the name is above the first panel."""
    names = (
        "Activity: ticks a minute, all eight pairs",
        "Spread of EUR_USD: pips, log scale",
        "Volatility of EUR_USD: % a year, log scale",
        "Clustering: autocorrelation of squared one-minute returns, daily rhythm removed; grey: none (95 %)",
    )
    for axis, name in zip(axes, names, strict=True):
        axis.text(0.0, 1.17, name, transform=axis.transAxes, fontsize=12, fontweight="bold")
    for axis, ticks in ((axes[1], (0.5, 1, 2, 5)), (axes[2], (5, 10, 20, 50, 100))):
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(FixedLocator(ticks))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes[0].set_ylim(bottom=0)
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
