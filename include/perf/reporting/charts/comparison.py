"""The eight metrics against their baseline: one dot each, worse to the right.

There are two panels, because relative changes and changes in percentage points have no common axis.
"""

import re
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from include.perf.model.metric import METRICS, SHORT_NAMES, Direction, Metric, is_in_points
from include.perf.model.numbers import format_value
from include.perf.reporting.charts import style
from include.perf.runs.phrases import (
    baseline_of,
    change_of,
    exceeded_of,
    improved,
    is_provisional,
    limit_sentence,
    minimum_effect_of,
    shift_of,
    why_unchanged,
    worsened,
)
from include.perf.runs.record import RunRecord, Shift, Verdict

CLIP_RATIO = 2.0
CLIP_POINTS = 20.0
"""Largest end of the axis; a change beyond it is drawn as an arrow at the edge."""

LEFT, WIDTH, TOP, PITCH = 0.155, 0.455, 0.79, 0.0735
"""Of the panels, as shares of the figure; ``PITCH`` is the height of one metric."""
VALUE_X, CHANGE_X = 0.635, 0.985
"""Where values start and changes end, as shares of the figure."""

_NUMBER_AND_UNIT = re.compile(r"([\d.]+)(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One metric. Changes are in percent or percentage points, and positive for the worse.

    Attributes:
        worsening: the change; ``None`` where there is nothing to draw.
        low, high: 95 % interval of ``worsening``.
        minimum_effect: half of the width of the grey band.
        why_not: why there is nothing to draw.
    """

    metric: Metric
    worsening: float | None = None
    low: float | None = None
    high: float | None = None
    minimum_effect: float = 0.0
    colour: str = style.GREY
    values: str = ""
    change: str = ""
    why_not: str = ""


def comparison_figure(record: RunRecord) -> Figure:
    """Draw the change of each metric from the baseline; a change within the grey band does not count."""
    rows = [_row(record, metric) for metric in METRICS.values()]
    relative = [row for row in rows if not is_in_points(row.metric.name)]
    points = [row for row in rows if is_in_points(row.metric.name)]
    figure = style.new_figure(record, _title(record))
    upper = figure.add_axes((LEFT, TOP - len(relative) * PITCH, WIDTH, len(relative) * PITCH))
    lower = figure.add_axes((LEFT, 0.112, WIDTH, len(points) * PITCH))
    _panel(upper, relative, clip=CLIP_RATIO * 100, least=25.0, unit="%")
    _panel(lower, points, clip=CLIP_POINTS, least=1.0, unit="points")
    figure.text(LEFT, 0.805, "◂ better", color=style.as_text(style.BLUE), fontsize=style.SMALL_PT)
    worse = style.as_text(style.VERMILLION)
    figure.text(LEFT + WIDTH, 0.805, "worse ▸", color=worse, fontsize=style.SMALL_PT, ha="right")
    whose = "median of its runs" if record.judged else "this run"
    figure.text(VALUE_X, 0.805, f"baseline → {whose}", color=style.GREY, fontsize=style.SMALL_PT)
    against = style.shortened(baseline_of(record), 60)
    is_early = record.baseline is not None and is_provisional(record.baseline)
    band = "below the threshold, few nights of history" if is_early else "below the minimum effect"
    whiskers = " · whiskers: 95 % interval" if any(row.low is not None for row in rows) else ""
    note = f"Baseline: {against} · grey band: {band}{whiskers}"
    figure.text(0.03, 0.02, style.shortened(note, style.MAX_SUBTITLE), color=style.GREY, fontsize=style.SMALL_PT)
    return figure


def _title(record: RunRecord) -> str:
    if record.verdict is Verdict.OVER_LIMIT and record.exceeded:
        return style.shortened(limit_sentence(exceeded_of(record)[0]), style.MAX_TITLE)
    changed = worsened(record) if record.verdict.is_failure else improved(record)
    if not changed:
        return _unchanged_title(record) if record.verdict is Verdict.PASS else "This run and its baseline"
    which = "worse" if changed[0].is_worse else "better"
    names = [SHORT_NAMES.get(deviation.metric, deviation.metric) for deviation in changed]
    title = f"{len(changed)} of {len(METRICS)} metrics {which} than baseline: {names[0]}"
    for name in names[1:]:
        if len(title) + len(f", {name}, …") > style.MAX_TITLE:
            return f"{title}, …"
        title += f", {name}"
    return title


def _unchanged_title(record: RunRecord) -> str:
    """Return the title of a run that passed: not every metric may be in line, or have a value."""
    shifts = {metric: shift_of(record, metric.name) for metric in METRICS.values()}
    is_in_line = all(shift is not None and not why_unchanged(metric, record, shift) for metric, shift in shifts.items())
    return "In line with the baseline" if is_in_line else "No significant change"


def _row(record: RunRecord, metric: Metric) -> ComparisonRow:
    measured, value = record.metrics.get(metric.name), record.value_of(metric.name)
    shift = shift_of(record, metric.name)
    baseline = record.baseline.metrics.get(metric.name) if record.baseline else None
    if value is None:
        return ComparisonRow(metric=metric, why_not=f"no value: {(measured and measured.reason) or 'not measured'}")
    if baseline is None or shift is None:
        return ComparisonRow(metric=metric, why_not=f"{format_value(value, metric.unit)}, no baseline for it yet")
    in_points = is_in_points(metric.name)
    if shift.ratio is None and not in_points:
        shown = _both(metric, baseline, value)
        return ComparisonRow(metric=metric, why_not=f"{shown}, no relative change from zero")
    low, high = _interval(metric, shift)
    change = shift.absolute * 100 if in_points else (shift.ratio or 0.0) * 100
    minimum_effect = (minimum_effect_of(metric, record) or 0.0) / (1 if in_points else baseline)
    return ComparisonRow(
        metric=metric,
        worsening=_signed(metric, change),
        low=low,
        high=high,
        minimum_effect=minimum_effect * 100,
        colour=_colour(record, metric),
        values=_both(metric, baseline, value),
        change=change_of(metric.name, shift),
    )


def _signed(metric: Metric, change: float) -> float:
    return change if metric.direction is Direction.LOWER_IS_BETTER else -change


def _interval(metric: Metric, shift: Shift) -> tuple[float | None, float | None]:
    if shift.low is None or shift.high is None or is_in_points(metric.name):
        return None, None
    low, high = sorted(_signed(metric, bound * 100) for bound in (shift.low, shift.high))
    return low, high


def _colour(record: RunRecord, metric: Metric) -> str:
    for deviation in record.deviations:
        if deviation.metric == metric.name:
            return style.VERMILLION if deviation.is_worse else style.BLUE
    return style.GREY


def _both(metric: Metric, baseline: float, value: float) -> str:
    """Write ``42.1 → 61.2 ms``, the unit once where both have the same."""
    first, second = format_value(baseline, metric.unit), format_value(value, metric.unit)
    one, two = _NUMBER_AND_UNIT.fullmatch(first), _NUMBER_AND_UNIT.fullmatch(second)
    same = one and two and one[2] == two[2]
    return f"{one[1]} → {second}" if one and same else f"{first} → {second}"


def _panel(axes: Axes, rows: list[ComparisonRow], *, clip: float, least: float, unit: str) -> None:
    low, high = _limits(rows, clip=clip, least=least)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0, color=style.INK, linewidth=1.2, zorder=1)
    for index, row in enumerate(rows):
        _draw(axes, index, row)
    axes.set_yticks(range(len(rows)), [row.metric.title for row in rows], color=style.INK)
    axes.tick_params(axis="y", length=0, pad=10)
    axes.tick_params(axis="x", labelsize=style.SMALL_PT)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: _worse_by(tick, unit)))


def _worse_by(tick: float, unit: str) -> str:
    return "0" if abs(tick) < 1e-9 else f"{tick:+g} {unit}".replace("-", "−")


def _limits(rows: list[ComparisonRow], *, clip: float, least: float) -> tuple[float, float]:
    """Return axis limits that include every dot, interval and grey band, within the clip."""
    reach = [0.0]
    for row in rows:
        reach += [bound for bound in (row.worsening, row.low, row.high) if bound is not None]
    widest_band = max((row.minimum_effect for row in rows), default=0.0)
    side = max(least * 0.6, widest_band)
    low = min(-side, min(reach)) * 1.12
    high = max(side, least, max(reach)) * 1.12
    return max(low, -clip), min(high, clip)


def _draw(axes: Axes, index: int, row: ComparisonRow) -> None:
    figure_wide = axes.get_yaxis_transform()
    if row.worsening is None:
        axes.text(
            0.012,
            index,
            style.shortened(row.why_not, 84),
            transform=figure_wide,
            va="center",
            color=style.GREY,
            fontsize=style.SMALL_PT,
            bbox={"facecolor": style.WHITE, "edgecolor": "none", "pad": 3},
            zorder=4,
        )
        return
    band = Rectangle((-row.minimum_effect, index - 0.36), 2 * row.minimum_effect, 0.72, color=style.PALE, zorder=0.5)
    axes.add_patch(band)
    low, high = axes.get_xlim()
    place = min(max(row.worsening, low), high)
    axes.plot([0, place], [index, index], color=row.colour, linewidth=4, solid_capstyle="butt", zorder=2)
    if row.low is not None and row.high is not None:
        ends = [max(row.low, low), min(row.high, high)]
        axes.plot(ends, [index, index], color=row.colour, linewidth=1.6, marker="|", markersize=11, zorder=2)
    marker = "o" if place == row.worsening else ">" if place > 0 else "<"
    axes.plot([place], [index], marker=marker, markersize=13, color=row.colour, clip_on=False, zorder=3)
    bold = "bold" if row.colour != style.GREY else "normal"
    colour = style.INK if row.colour == style.GREY else style.as_text(row.colour)
    at = (VALUE_X - LEFT) / WIDTH, (CHANGE_X - LEFT) / WIDTH
    axes.text(at[0], index, row.values, transform=figure_wide, va="center", color=style.INK)
    axes.text(
        at[1],
        index,
        row.change,
        transform=figure_wide,
        va="center",
        ha="right",
        color=colour,
        fontweight=bold,
    )
