"""The distribution of latency by percentile, with the range of the baseline's runs.

Percentiles are spaced by their number of nines, as in HdrHistogram's plots, so that the slowest 10 %, which users
notice first, take most of the width. The vertical distance of two lines is the relative difference of the percentile.
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
"""Requests that must be slower than a percentile for it to be drawn; beyond that it is chance."""
FOOT = 0.24
"""Share of the plot's height that is kept free for figures below the lines."""

SHARES = {"latency_p50": 0.50, "latency_p95": 0.95, "latency_p99": 0.99}
_TICKS = {0.5: "p50", 0.9: "p90", 0.95: "p95", 0.99: "p99", 0.999: "p99.9", 0.9999: "p99.99"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """Latency of a baseline's runs at each percentile: median, lowest and highest."""

    median_s: Floats
    low_s: Floats
    high_s: Floats


def distribution_figure(record: RunRecord, own: Distribution, baseline: Sequence[Distribution]) -> Figure:
    """Draw the latency of this run by percentile, with the median and the range of the baseline's runs."""
    figure = style.new_figure(record, _title(record))
    axes = figure.add_axes(PLOT)
    most = min(max(1 - BEYOND / own.total, 0.9), MOST_SHARE)
    nines = np.linspace(_nines(LEAST_SHARE), _nines(most), POINTS)
    shares = (1 - 10**-nines).tolist()
    line = np.array(own.quantiles(shares))
    level = _level([run.quantiles(shares) for run in baseline]) if baseline else None
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
    """Draw the baseline, and tint where the run is outside of its range."""
    axes.fill_between(nines, level.low_s, level.high_s, color=style.GREY, alpha=0.25, linewidth=0)
    axes.plot(nines, level.median_s, color=style.INK, linewidth=1.3, linestyle=style.DASHED)
    for is_outside, colour, edge in (
        (line > level.high_s, style.VERMILLION, level.high_s),
        (line < level.low_s, style.BLUE, level.low_s),
    ):
        axes.fill_between(nines, edge, line, where=is_outside, interpolate=True, color=colour, alpha=0.3, linewidth=0)


def _scale(axes: Axes, nines: Floats, lines: Sequence[Floats]) -> None:
    """Scale both axes, with room for figures below the lines."""
    low, high = min(float(line.min()) for line in lines), max(float(line.max()) for line in lines) * 1.25
    scale_latency(axes, low=low / (high / low) ** (FOOT / (1 - FOOT)), high=high)
    axes.set_xlim(0, nines[-1])
    places = {_nines(share): name for share, name in _TICKS.items() if _nines(share) <= nines[-1] + 1e-9}
    axes.xaxis.set_major_locator(FixedLocator(list(places)))
    axes.set_xticklabels(list(places.values()))
    axes.grid(axis="both", color=style.PALE, linewidth=1)
    axes.set_axisbelow(True)


def _mark_percentiles(axes: Axes, record: RunRecord, own: Distribution) -> None:
    """Mark the judged percentiles, each with its exact value and its baseline."""
    levels = record.baseline.metrics if record.baseline and is_compared(record) else {}
    words: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "fontsize": style.SMALL_PT, "va": "center"}
    for (name, share), at_s in zip(SHARES.items(), own.quantiles(SHARES.values()), strict=True):
        value, place, colour = record.metrics.get(name), _nines(share), style.LATENCY_COLOURS[name]
        if value is None or value.value is None or place > axes.get_xlim()[1]:
            continue
        axes.plot([place, place], [axes.get_ylim()[0], at_s], color=colour, linewidth=1.6, zorder=2)
        axes.plot([place], [at_s], marker="o", markersize=10, color=colour, zorder=4)
        text = f"{SHORT_NAMES[name]} {format_value(value.value, Unit.SECONDS)}"
        right = place + 0.01 * axes.get_xlim()[1]
        axes.text(right, 0.115, text, color=style.as_text(colour), fontweight="bold", **words)
        if name in levels:
            axes.text(right, 0.05, f"was {format_value(levels[name], Unit.SECONDS)}", color=style.GREY, **words)


def _explain(axes: Axes, own: Distribution, *, runs: int) -> None:
    words: dict[str, Any] = {"transform": axes.transAxes, "fontsize": style.SMALL_PT, "color": style.GREY}
    tint = "; tinted: outside the range of the baseline" if runs else ""
    axes.text(0, 1.05, f"latency, logarithmic{tint}", **words)
    axes.set_xlabel(f"percentile of {own.total:,} measured requests", fontsize=style.SMALL_PT)
    if runs:
        shown = f"baseline: the\nmedian and the\nrange of {runs} runs" if runs > 1 else "baseline:\none run"
        axes.text(1.025, 0.083, shown, va="center", **words)


def _labels(line: Floats, level: _Level | None) -> list[EndLabel]:
    labels = [EndLabel(text="this run", y=float(line[-1]), colour=style.INK)]
    if level is not None:
        labels.append(EndLabel(text="baseline", y=float(level.median_s[-1]), colour=style.GREY))
    return labels
