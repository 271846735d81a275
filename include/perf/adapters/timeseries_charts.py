"""The charts of a run over time: latency and throughput.

Titles say what was found; lines carry their names at their ends; only what matters has a strong colour.
"""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from include.perf.adapters import chart_style as style
from include.perf.adapters.chart_style import EndLabel
from include.perf.adapters.timeseries import PERCENTILES, Floats, Timeseries
from include.perf.arrival_rate import RateCurve
from include.perf.metric import Unit, format_change, format_value
from include.perf.phrase import MANY_TIMES_RATIO, SHORT_NAMES, is_compared, span
from include.perf.run import Deviation, RunRecord

LOG_SPREAD = 60
"""Worst over typical latency from which a linear axis would press the typical ones flat."""

PLOT = (0.092, 0.125, 0.685, 0.66)
"""Left, bottom, width and height of the plot, as shares of the figure; labels stand to its right."""

LINE_COLOURS = {"latency_p50": style.GREEN, "latency_p95": style.BLUE, "latency_p99": style.PURPLE}
CURVE_STEPS = 2000
"""Points on the line of a rate that varies: more than pixels, so that a jump is upright."""

_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def latency_figure(record: RunRecord, series: Timeseries) -> Figure:
    """Draw p50, p95 and p99 over time; the shade reaches up to the worst second of a bin."""
    figure = style.new_figure(record, _latency_title(record))
    axes = figure.add_axes(PLOT)
    for name in PERCENTILES:
        width = 2.6 if name == "latency_p95" else 1.6
        marker = "o" if series.total_s <= series.width_s * 3 else None
        axes.plot(series.middle_s, series.typical_s[name], color=LINE_COLOURS[name], linewidth=width, marker=marker)
    if series.width_s > 1:
        low, high = series.typical_s["latency_p99"], series.worst_s["latency_p99"]
        axes.fill_between(series.middle_s, low, high, color=style.PURPLE, alpha=0.22, linewidth=0)
    baseline = _baseline_p95(record)
    if baseline is not None:
        axes.axhline(baseline, color=style.INK, linewidth=1.3, linestyle=(0, (5, 4)))
    _scale_latency(axes, series, baseline)
    _mark_failures(axes, record, series)
    _finish_time_axis(axes, series, _latency_label(series))
    style.label_line_ends(axes, _latency_labels(record, series, baseline))
    _explain_labels(figure)
    return figure


def _latency_label(series: Timeseries) -> str:
    if series.width_s == 1:
        return "latency of each second's answers"
    width = span(series.width_s)
    return f"latency: the typical (median) second of each {width}; shade: up to the worst second's p99"


def _latency_labels(record: RunRecord, series: Timeseries, baseline: float | None) -> list[EndLabel]:
    labels = []
    for name in PERCENTILES:
        line = series.typical_s[name]
        value = record.metrics.get(name)
        figure = f" {format_value(value.value, value.unit)}" if value and value.value is not None else ""
        last = float(line[np.isfinite(line)][-1])
        labels.append(EndLabel(text=f"{SHORT_NAMES[name]}{figure}", y=last, colour=LINE_COLOURS[name]))
    if baseline is not None:
        text = f"baseline p95 {format_value(baseline, Unit.SECONDS)}"
        labels.append(EndLabel(text=text, y=baseline, colour=style.INK))
    return labels


def _baseline_p95(record: RunRecord) -> float | None:
    if record.baseline is None or not is_compared(record):
        return None
    return record.baseline.metrics.get("latency_p95")


def _scale_latency(axes: Axes, series: Timeseries, baseline: float | None) -> None:
    """Start at zero, unless the spread is such that only a logarithmic axis shows it all.

    The measured part sets the scale; a slow warm-up may leave it at the top.
    """
    counted = series.middle_s >= series.warmup_s
    if not np.isfinite(series.worst_s["latency_p99"][counted]).any():
        counted = np.isfinite(series.middle_s)
    typical = series.typical_s["latency_p50"][counted]
    top = max(float(np.nanmax(series.worst_s["latency_p99"][counted])), baseline or 0.0)
    middle = float(np.nanmedian(typical))
    if middle > 0 and top / middle > LOG_SPREAD:
        axes.set_yscale("log")
        axes.set_ylim(max(float(np.nanmin(typical)), middle / 10) / 1.5, top * 1.4)
        axes.yaxis.set_major_locator(FixedLocator(_round_steps(*axes.get_ylim())))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(0, (top or 0.001) * 1.12)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _round_steps(low: float, high: float) -> list[float]:
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    factors = (1, 2, 5) if high / low < 300 else (1,)
    steps = [factor * 10.0**decade for decade in decades for factor in factors]
    return [step for step in steps if low <= step <= high]


def _tick(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _mark_failures(axes: Axes, record: RunRecord, series: Timeseries) -> None:
    """Mark the bins in which requests failed above the plot: a few of 500 a second would not show in it."""
    when = series.middle_s[series.had_failures]
    if not when.size:
        return
    axes.plot(
        when,
        np.full(when.size, 1.014),
        linestyle="none",
        marker="v",
        markersize=7,
        color=style.VERMILLION,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )
    rate = record.metrics.get("error_rate")
    share = f" {format_value(rate.value, rate.unit)}" if rate and rate.value else ""
    colour = style.darker(style.VERMILLION, 0.9)
    axes.text(1.025, 1.035, f"▾ failed{share}", transform=axes.transAxes, color=colour, va="center")


def throughput_figure(record: RunRecord, series: Timeseries) -> Figure:
    """Draw successful requests per second, failures on top of them, and the requested rate as a line."""
    figure = style.new_figure(record, _throughput_title(record))
    axes = figure.add_axes(PLOT)
    line = _requested(record, series)
    edges = np.append(series.middle_s - series.width_s / 2, series.total_s)
    edges[-2] = edges[-3] + series.width_s if len(edges) > 2 else 0
    finished, failed = np.nan_to_num(series.finished_rps), np.nan_to_num(series.failed_rps)
    axes.stairs(finished, edges, fill=True, color=style.SKY, alpha=0.75)
    axes.stairs(finished + failed, edges, baseline=finished, fill=True, color=style.VERMILLION)
    axes.plot(line.when_s, line.rate_rps, color=style.INK, linewidth=1.3, linestyle=(0, (5, 4)))
    axes.set_ylim(0, max(float(line.rate_rps.max()), float((finished + failed).max())) * 1.12)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    _mark_failures(axes, record, series)
    width = "" if series.width_s == 1 else f", mean of each {span(series.width_s)}"
    _finish_time_axis(axes, series, f"requests per second{width}")
    style.label_line_ends(axes, _throughput_labels(record, at_end=float(line.rate_rps[-1])))
    _explain_labels(figure)
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


def _finish_time_axis(axes: Axes, series: Timeseries, label: str) -> None:
    """Shade the warm-up, and label time as minutes and seconds from the first request due."""
    axes.set_xlim(0, series.total_s)
    step = next((s for s in _TIME_STEPS_S if series.total_s / s <= 8), _TIME_STEPS_S[-1])
    axes.xaxis.set_major_locator(FixedLocator(list(range(0, series.total_s + 1, step))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _clock(value)))
    axes.set_xlabel("time since the load began, min:s", fontsize=style.SMALL_PT)
    axes.grid(axis="y", color=style.PALE, linewidth=1)
    axes.set_axisbelow(True)
    axes.text(0, 1.05, label, transform=axes.transAxes, fontsize=style.SMALL_PT, color=style.GREY)
    if not series.warmup_s:
        return
    axes.axvspan(0, series.warmup_s, color=style.PALE, zorder=0.5)
    axes.axvline(series.warmup_s, color=style.GREY, linewidth=1)
    axes.text(
        series.warmup_s / series.total_s + 0.006,
        0.965,
        "◂ warm-up, not counted",
        transform=axes.transAxes,
        fontsize=style.SMALL_PT,
        color=style.GREY,
        va="center",
    )


def _explain_labels(figure: Figure) -> None:
    text = "figures: all of the\nmeasured window"
    figure.text(0.985, 0.045, text, ha="right", fontsize=style.SMALL_PT, color=style.GREY)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _latency_title(record: RunRecord) -> str:
    for name in ("latency_p95", "latency_p99", "latency_p50"):
        for deviation in record.deviations:
            if deviation.metric == name and is_compared(record):
                return _finding(deviation)
    value = record.metrics.get("latency_p95")
    shown = f": p95 {format_value(value.value, value.unit)}" if value and value.value is not None else ""
    return f"Latency over time{shown}"


def _throughput_title(record: RunRecord) -> str:
    for name in ("throughput", "error_rate"):
        for deviation in record.deviations:
            if deviation.metric == name and is_compared(record):
                return _finding(deviation)
    throughput = record.metrics.get("throughput")
    if throughput is None or throughput.value is None:
        return f"Throughput over time: {_rps(record.load.requested_rate_rps)} requested"
    return f"{_rps(throughput.value)} succeeded, {_rps(record.load.requested_rate_rps)} requested"


def _finding(deviation: Deviation) -> str:
    name = SHORT_NAMES[deviation.metric]
    name = name if name.startswith("p") else name.capitalize()
    verb = "rose" if deviation.shift.absolute >= 0 else "fell"
    value = format_value(deviation.value, deviation.unit)
    ratio = deviation.shift.ratio
    if deviation.metric == "error_rate" or ratio is None:
        return f"{name} {verb} to {value}, was {format_value(deviation.baseline, deviation.unit)}"
    if ratio >= MANY_TIMES_RATIO:
        return f"{name} {verb} to {value}, {ratio + 1:.0f} times its baseline"
    side = "above" if ratio >= 0 else "below"
    return f"{name} {verb} to {value}, {format_change(abs(ratio)).lstrip('+')} {side} baseline"
