"""How latency is distributed, from the fastest request to the slowest ones, against the runs of the baseline.

Percentiles are evenly spaced in nines, as in the plots of HdrHistogram: half of the picture is the slowest 10 %, where
users notice first, and how far one line is above the other is how much slower each percentile is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from include.perf.measure.distribution import Distribution
from include.perf.measure.timeseries import Floats
from include.perf.model.metric import SHORT_NAMES, Unit
from include.perf.model.numbers import format_value
from include.perf.reporting.charts import style
from include.perf.reporting.charts.axes import LATENCIES, finding_of, scale_latency
from include.perf.reporting.charts.style import EndLabel
from include.perf.runs.phrases import is_compared
from include.perf.runs.record import RunRecord

PLOT = (0.092, 0.125, 0.745, 0.66)
POINTS = 220
LEAST_SHARE, MOST_SHARE = 0.05, 0.9999
BEYOND = 10
"""A percentile is drawn as far as so many requests are slower: further out it is chance."""
FOOT = 0.24
"""Of the plot's height, left free below the lines for the figures."""

SHARES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
_TICKS = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p99.9", 0.9999: "p99.99"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """What the runs of a baseline had at each percentile: the median run, the fastest and the slowest one."""

    median_s: Floats
    low_s: Floats
    high_s: Floats


def distribution_figure(record: RunRecord, own: Distribution, baseline: Sequence[Distribution]) -> Figure:
    """Draw the latency of this run by percentile, the baseline's median run, and the range of its runs."""
    figure = style.new_figure(record, _title(record))
    axes = figure.add_axes(PLOT)
    most = min(max(1 - BEYOND / own.total, 0.9), MOST_SHARE)
    nines = np.linspace(_nines(LEAST_SHARE), _nines(most), POINTS)
    shares = (1 - 10**-nines).tolist()
    line = np.array(own.quantiles(shares))
    level = _level([each.quantiles(shares) for each in baseline]) if baseline else None
    axes.plot(nines, line, color=style.INK, linewidth=2.6, zorder=3)
    if level is not None:
        _draw_level(axes, nines, line, level)
    _scale(axes, nines, [line] if level is None else [line, level.low_s, level.high_s])
    _mark_percentiles(axes, record, own)
    _explain(axes, own, runs=len(baseline))
    style.label_line_ends(axes, _labels(line, level))
    return figure


def _title(record: RunRecord) -> str:
    value = record.metrics.get("latency_p99")
    shown = f": p99 {format_value(value.value, value.unit)}" if value and value.value is not None else ""
    return finding_of(record, LATENCIES) or f"Latency by percentile{shown}"


def _nines(share: float) -> float:
    return -float(np.log10(1 - share))


def _level(quantiles: Sequence[Sequence[float]]) -> _Level:
    runs = np.array(quantiles)
    return _Level(median_s=np.median(runs, axis=0), low_s=runs.min(axis=0), high_s=runs.max(axis=0))


def _draw_level(axes: Axes, nines: Floats, line: Floats, level: _Level) -> None:
    """Draw the baseline, and between it and the run by how much the run is slower or faster."""
    axes.fill_between(nines, level.low_s, level.high_s, color=style.GREY, alpha=0.25, linewidth=0)
    axes.plot(nines, level.median_s, color=style.INK, linewidth=1.3, linestyle=style.DASHED)
    for is_there, colour, edge in (
        (line > level.high_s, style.VERMILLION, level.high_s),
        (line < level.low_s, style.BLUE, level.low_s),
    ):
        axes.fill_between(nines, edge, line, where=is_there, interpolate=True, color=colour, alpha=0.3, linewidth=0)


def _scale(axes: Axes, nines: Floats, lines: Sequence[Floats]) -> None:
    """Scale both axes; below the lines there is room for the figures."""
    low, high = min(float(line.min()) for line in lines), max(float(line.max()) for line in lines) * 1.25
    scale_latency(axes, low=low / (high / low) ** (FOOT / (1 - FOOT)), high=high)
    axes.set_xlim(0, nines[-1])
    places = {_nines(share): name for share, name in _TICKS.items() if _nines(share) <= nines[-1] + 1e-9}
    axes.xaxis.set_major_locator(FixedLocator(list(places)))
    axes.set_xticklabels(list(places.values()))
    axes.grid(axis="both", color=style.PALE, linewidth=1)
    axes.set_axisbelow(True)


def _mark_percentiles(axes: Axes, record: RunRecord, own: Distribution) -> None:
    """Mark the percentiles that are judged, each with its exact value and what that is held to."""
    levels = record.baseline.metrics if record.baseline and is_compared(record) else {}
    words: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "fontsize": style.SMALL_PT, "va": "center"}
    for (name, share), at_s in zip(SHARES.items(), own.quantiles(SHARES.values()), strict=True):
        value, place, colour = record.metrics.get(name), _nines(share), style.LATENCY_COLOURS[name]
        if value is None or value.value is None or place > axes.get_xlim()[1]:
            continue
        axes.plot([place, place], [axes.get_ylim()[0], at_s], color=colour, linewidth=1.6, zorder=2)
        axes.plot([place], [at_s], marker="o", markersize=10, color=colour, zorder=4)
        text = f"{SHORT_NAMES[name]} {format_value(value.value, Unit.SECONDS)}"
        beside = place + 0.01 * axes.get_xlim()[1]
        axes.text(beside, 0.115, text, color=style.as_text(colour), fontweight="bold", **words)
        if name in levels:
            axes.text(beside, 0.05, f"was {format_value(levels[name], Unit.SECONDS)}", color=style.GREY, **words)


def _explain(axes: Axes, own: Distribution, *, runs: int) -> None:
    words: dict[str, Any] = {"transform": axes.transAxes, "fontsize": style.SMALL_PT, "color": style.GREY}
    tint = "; tinted: beyond every run of the baseline" if runs else ""
    axes.text(0, 1.05, f"latency, logarithmic{tint}", **words)
    axes.set_xlabel(f"percentile of the {own.total:,} requests that count", fontsize=style.SMALL_PT)
    if runs:
        shown = f"baseline: the\nmedian and the\nrange of {runs} runs" if runs > 1 else "baseline:\none run"
        axes.text(1.025, 0.083, shown, va="center", **words)


def _labels(line: Floats, level: _Level | None) -> list[EndLabel]:
    labels = [EndLabel(text="this run", y=float(line[-1]), colour=style.INK)]
    if level is not None:
        labels.append(EndLabel(text="baseline", y=float(level.median_s[-1]), colour=style.GREY))
    return labels
