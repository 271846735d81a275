"""The charts of a run over time: latency and throughput.

Titles state the finding, lines are labelled at their ends, and only important elements have a strong colour.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from include.perf.catalogue.scenario.arrival_rate import RateCurve
from include.perf.measure.timeseries import PERCENTILES, Floats, Timeseries
from include.perf.model.metric import SHORT_NAMES, Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import span
from include.perf.reporting.charts import style
from include.perf.reporting.charts.axes import (
    LATENCIES,
    explain_stalls,
    finding_of,
    mark_failures,
    mark_stalls,
    name_axes,
    scale_latency,
    scale_time,
)
from include.perf.reporting.charts.style import EndLabel
from include.perf.runs.phrases import is_compared
from include.perf.runs.record import RunRecord

LOG_SPREAD = 60
"""Ratio of worst to typical latency above which the axis is logarithmic, because a linear one would hide the rest."""

PLOT = (0.092, 0.125, 0.685, 0.64)
"""Left, bottom, width and height of the plot, as shares of the figure; labels are on its right."""

CURVE_STEPS = 2000
"""Points of the line of a varying rate: more than pixels, so that a jump is vertical."""


def latency_figure(record: RunRecord, series: Timeseries) -> Figure:
    """Draw p50, p95 and p99 over time; the shade extends to the worst second of each bin."""
    figure = style.new_figure(record, _latency_title(record))
    axes = figure.add_axes(PLOT)
    for name in PERCENTILES:
        width = 2.6 if name == "latency_p95" else 1.6
        marker = "o" if series.total_s <= series.width_s * 3 else None
        colour = style.LATENCY_COLOURS[name]
        axes.plot(series.middle_s, series.typical_s[name], color=colour, linewidth=width, marker=marker)
    if series.width_s > 1:
        low, high = series.typical_s["latency_p99"], series.worst_s["latency_p99"]
        axes.fill_between(series.middle_s, low, high, color=style.PURPLE, alpha=0.22, linewidth=0)
    baseline = _baseline_p95(record)
    if baseline is not None:
        axes.axhline(baseline, color=style.INK, linewidth=1.3, linestyle=style.DASHED)
    _scale_latency(axes, series, baseline)
    _finish(axes, record, series, _latency_label(series))
    style.label_line_ends(axes, _latency_labels(record, series, baseline))
    _explain_labels(figure)
    return figure


def _latency_label(series: Timeseries) -> str:
    if series.width_s == 1:
        return "latency of each second's answers"
    width = span(series.width_s)
    return f"latency: median second of each {width}; shade: up to the p99 of the worst second"


def _latency_labels(record: RunRecord, series: Timeseries, baseline: float | None) -> list[EndLabel]:
    labels = []
    for name in PERCENTILES:
        line = series.typical_s[name]
        value = record.metrics.get(name)
        figure = f" {format_value(value.value, value.unit)}" if value and value.value is not None else ""
        last = float(line[np.isfinite(line)][-1])
        labels.append(EndLabel(text=f"{SHORT_NAMES[name]}{figure}", y=last, colour=style.LATENCY_COLOURS[name]))
    if baseline is not None:
        text = f"baseline p95 {format_value(baseline, Unit.SECONDS)}"
        labels.append(EndLabel(text=text, y=baseline, colour=style.INK))
    return labels


def _baseline_p95(record: RunRecord) -> float | None:
    if record.baseline is None or not is_compared(record):
        return None
    return record.baseline.metrics.get("latency_p95")


def _scale_latency(axes: Axes, series: Timeseries, baseline: float | None) -> None:
    """Start the axis at zero, or make it logarithmic if the spread requires it.

    The measured part determines the scale; a slow warm-up may exceed it.
    """
    counted = series.middle_s >= series.warmup_s
    if not np.isfinite(series.worst_s["latency_p99"][counted]).any():
        counted = np.isfinite(series.middle_s)
    typical = series.typical_s["latency_p50"][counted]
    top = max(float(np.nanmax(series.worst_s["latency_p99"][counted])), baseline or 0.0)
    middle = float(np.nanmedian(typical))
    if middle > 0 and top / middle > LOG_SPREAD:
        scale_latency(axes, low=max(float(np.nanmin(typical)), middle / 10) / 1.5, high=top * 1.4)
    else:
        scale_latency(axes, low=0, high=(top or 0.001) * 1.12)


def throughput_figure(record: RunRecord, series: Timeseries) -> Figure:
    """Draw successful requests per second, failed ones stacked on top, and the requested rate as a line."""
    figure = style.new_figure(record, _throughput_title(record))
    axes = figure.add_axes(PLOT)
    line = _requested(record, series)
    edges = np.append(series.middle_s - series.width_s / 2, series.total_s)
    edges[-2] = edges[-3] + series.width_s if len(edges) > 2 else 0
    finished, failed = np.nan_to_num(series.finished_rps), np.nan_to_num(series.failed_rps)
    axes.stairs(finished, edges, fill=True, color=style.SKY, alpha=0.75)
    axes.stairs(finished + failed, edges, baseline=finished, fill=True, color=style.VERMILLION)
    axes.plot(line.when_s, line.rate_rps, color=style.INK, linewidth=1.3, linestyle=style.DASHED)
    axes.set_ylim(0, max(float(line.rate_rps.max()), float((finished + failed).max())) * 1.12)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    width = "" if series.width_s == 1 else f", mean of each {span(series.width_s)}"
    _finish(axes, record, series, f"requests per second{width}")
    style.label_line_ends(axes, _throughput_labels(record, at_end=float(line.rate_rps[-1])))
    _explain_labels(figure, _generator(record))
    return figure


@dataclass(frozen=True, slots=True, kw_only=True)
class _RateLine:
    """A rate over time, as the points of a line."""

    when_s: Floats
    rate_rps: Floats


def _requested(record: RunRecord, series: Timeseries) -> _RateLine:
    if not record.load.requested_curve:
        requested = np.full(2, record.load.requested_rate_rps)
        return _RateLine(when_s=np.array([0.0, series.total_s]), rate_rps=requested)
    curve = RateCurve.through(record.load.requested_curve)
    when_s = np.linspace(0, series.total_s, CURVE_STEPS)
    return _RateLine(when_s=when_s, rate_rps=np.array([curve.rate(at_s) for at_s in when_s]))


def _throughput_labels(record: RunRecord, *, at_end: float) -> list[EndLabel]:
    text = f"requested {_rps(record.load.requested_rate_rps)}"
    labels = [EndLabel(text=text, y=at_end, colour=style.INK)]
    throughput = record.metrics.get("throughput")
    if throughput and throughput.value is not None:
        text = f"succeeded {_rps(throughput.value)}"
        labels.append(EndLabel(text=text, y=throughput.value / 2, colour=style.BLUE, is_line=False))
    return labels


def _rps(value: float) -> str:
    return format_value(value, Unit.REQUESTS_PER_SECOND)


def _finish(axes: Axes, record: RunRecord, series: Timeseries, label: str) -> None:
    """Scale and label the time axis, and mark failures and stalls."""
    scale_time(axes, series)
    name_axes(axes, series, label)
    mark_failures(axes, record, series)
    mark_stalls(axes, record, series)
    explain_stalls(axes, record)


def _generator(record: RunRecord) -> str:
    """Return a note on the generator's schedule lag, which shows whether it could send the load."""
    if record.generator is None:
        return ""
    late = format_value(record.generator.schedule_lag_p99_s, Unit.SECONDS)
    return f"generator lag\n{late} (p99)\n\n"


def _explain_labels(figure: Figure, words: str = "") -> None:
    text = f"{words}values: over the\nmeasured window"
    figure.text(0.985, 0.045, text, ha="right", fontsize=style.SMALL_PT, color=style.GREY)


def _latency_title(record: RunRecord) -> str:
    value = record.metrics.get("latency_p95")
    shown = f": p95 {format_value(value.value, value.unit)}" if value and value.value is not None else ""
    return finding_of(record, LATENCIES) or f"Latency over time{shown}"


def _throughput_title(record: RunRecord) -> str:
    found = finding_of(record, ("throughput", "error_rate"))
    if found is not None:
        return found
    throughput = record.metrics.get("throughput")
    if throughput is None or throughput.value is None:
        return f"Throughput over time: {_rps(record.load.requested_rate_rps)} requested"
    return f"{_rps(throughput.value)} succeeded, {_rps(record.load.requested_rate_rps)} requested"
