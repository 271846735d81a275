"""What several charts share: titles about a finding, latency axes, time axes, and marks of failures and stalls."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from include.perf.measure.timeseries import Timeseries
from include.perf.model.metric import SHORT_NAMES, is_in_points
from include.perf.model.numbers import format_change, format_value
from include.perf.model.text import counted
from include.perf.reporting.charts import style
from include.perf.runs.figures import Stall
from include.perf.runs.phrases import MANY_TIMES_RATIO, is_compared
from include.perf.runs.record import Deviation, RunRecord

LATENCIES = ("latency_p95", "latency_p99", "latency_p50")
"""In the order in which a title names them."""


def finding_of(record: RunRecord, metrics: Sequence[str]) -> str | None:
    """Return a title about the first of the metrics that deviates; ``None`` if none does."""
    if not is_compared(record):
        return None
    found = {deviation.metric: deviation for deviation in record.deviations}
    whose = " (median of its runs)" if record.judged else ""
    return next((_titled(found[name], whose=whose) for name in metrics if name in found), None)


def _titled(deviation: Deviation, *, whose: str) -> str:
    name = SHORT_NAMES[deviation.metric]
    name = name if deviation.metric in LATENCIES else name[0].upper() + name[1:]
    verb = "rose" if deviation.shift.absolute >= 0 else "fell"
    value = format_value(deviation.value, deviation.unit) + whose
    ratio = deviation.shift.ratio
    if is_in_points(deviation.metric) or ratio is None:
        return f"{name} {verb} to {value}, was {format_value(deviation.baseline, deviation.unit)}"
    if ratio >= MANY_TIMES_RATIO:
        return f"{name} {verb} to {value}, {ratio + 1:.0f} times its baseline"
    side = "above" if ratio >= 0 else "below"
    return f"{name} {verb} to {value}, {format_change(abs(ratio)).lstrip('+')} {side} baseline"


ENOUGH_STEPS = 5
"""Ticks that a logarithmic axis has at least, where possible."""


def scale_latency(axes: Axes, *, low: float, high: float) -> None:
    """Scale the vertical axis, in seconds: linear if ``low`` is zero, else logarithmic. Ticks are round numbers."""
    if low > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(_round_steps(low, high)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.set_ylim(low, high)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _round_steps(low: float, high: float) -> list[float]:
    """Return ticks of the coarsest of three kinds of steps that gives enough of them, else of the finest."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    shown: list[float] = []
    for factors in ((1,), (1, 3), (1, 2, 5)):
        steps = [factor * 10.0**decade for decade in decades for factor in factors]
        shown = [step for step in steps if low <= step <= high]
        if len(shown) >= ENOUGH_STEPS:
            break
    return shown


def _tick(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


LEAST_WIDTH = 1 / 260
"""Smallest width of a stall's mark, as a share of the axis: one second would be invisible in an hour."""

FAILED_AT, STALLED_AT = 1.035, 1.115
"""Heights of the legend texts right of the plot, as shares of the axes."""

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def scale_time(axes: Axes, series: Timeseries) -> None:
    """Label time as minutes and seconds since the start of the load, and shade the warm-up."""
    axes.set_xlim(0, series.total_s)
    step = next((s for s in _STEPS_S if series.total_s / s <= 8), _STEPS_S[-1])
    axes.xaxis.set_major_locator(FixedLocator(list(range(0, series.total_s + 1, step))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _clock(value)))
    axes.grid(axis="y", color=style.PALE, linewidth=1)
    axes.set_axisbelow(True)
    if series.warmup_s:
        axes.axvspan(0, series.warmup_s, color=style.PALE, zorder=0.5, linewidth=0)
        axes.axvline(series.warmup_s, color=style.GREY, linewidth=1)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def name_axes(axes: Axes, series: Timeseries, label: str) -> None:
    """Label the axes, and the warm-up as not counted."""
    axes.set_xlabel("time since the start of the load, min:s", fontsize=style.SMALL_PT)
    axes.text(0, 1.05, label, transform=axes.transAxes, fontsize=style.SMALL_PT, color=style.GREY)
    if not series.warmup_s:
        return
    is_wide = series.warmup_s > 0.6 * series.total_s
    axes.text(
        series.warmup_s / series.total_s + (-0.006 if is_wide else 0.006),
        0.965,
        "warm-up, not counted ▸" if is_wide else "◂ warm-up, not counted",
        transform=axes.transAxes,
        fontsize=style.SMALL_PT,
        color=style.GREY,
        va="center",
        ha="right" if is_wide else "left",
    )


def mark_failures(axes: Axes, record: RunRecord, series: Timeseries) -> None:
    """Mark bins with failed requests above the plot, because a few of 500 per second would be invisible in it."""
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
    _explain(axes, f"▾ failed{share}", FAILED_AT, style.VERMILLION)


def mark_stalls(axes: Axes, record: RunRecord, series: Timeseries) -> None:
    """Shade the stalls, in which the service answered nothing; each is wide enough to be visible."""
    for stall in record.stalls:
        width = max(stall.duration_s, LEAST_WIDTH * series.total_s)
        middle = stall.start_s + stall.duration_s / 2
        axes.axvspan(
            max(middle - width / 2, 0), middle + width / 2, color=style.ORANGE, alpha=0.65, linewidth=0, zorder=1.5
        )


def explain_stalls(axes: Axes, record: RunRecord) -> None:
    """Explain the shades right of the plot: number and length of the stalls."""
    if record.stalls:
        _explain(axes, f"▮ {_described(record.stalls)}", STALLED_AT, style.ORANGE)


def _described(stalls: tuple[Stall, ...]) -> str:
    longest = max(stall.duration_s for stall in stalls)
    return f"stall of {longest:.1f} s" if len(stalls) == 1 else f"{counted(len(stalls), 'stall')} ≤ {longest:.1f} s"


def _explain(axes: Axes, text: str, height: float, colour: str) -> None:
    axes.text(1.025, height, text, transform=axes.transAxes, color=style.as_text(colour), va="center")
