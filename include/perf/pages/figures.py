"""What an entry of the index says of a metric, in words and as a small drawing."""

from collections.abc import Sequence

from include.perf.metric import METRICS, Metric, format_value
from include.perf.phrase import change_of
from include.perf.reporting.document import Trend
from include.perf.run_index import EntryDeviation, RunEntry

TREND_FLOORS = 3
"""A trend spans at least so many smallest changes above and below its level, so that sway looks like sway."""


def shown(entry: RunEntry, name: str) -> str:
    """Write a metric of a run with its unit."""
    return format_value(entry.value_of(name), METRICS[name].unit)


def change(entry: RunEntry, name: str) -> str:
    """Write by how much a metric differs from its level; empty where nothing was compared."""
    shift = entry.shifts.get(name)
    return "" if shift is None else change_of(name, shift)


def confirmed(entry: RunEntry, *, is_worse: bool) -> tuple[EntryDeviation, ...]:
    """Return the sure deviations of a run in one direction."""
    return tuple(each for each in entry.deviations if each.is_confirmed and each.is_worse is is_worse)


def band_of(metric: Metric, level: float) -> tuple[float, float]:
    """Return between what a metric is in line with its level: no change within it is worth telling."""
    floor = metric.floor(baseline=level, is_provisional=False)
    return max(0.0, level - floor), level + floor


def trend_of(runs: Sequence[RunEntry], name: str) -> Trend | None:
    """Return a metric over runs as a small drawing with the present level; ``None`` for fewer than two values."""
    measured = [run for run in runs if run.verdict.is_measured]
    values = tuple(value for run in measured if (value := run.value_of(name)) is not None)
    if len(values) < 2:
        return None
    metric, level = METRICS[name], measured[-1].levels.get(name)
    middle = values[-1] if level is None else level
    room = TREND_FLOORS * metric.floor(baseline=middle, is_provisional=False)
    held = "" if level is None else f", level {format_value(level, metric.unit)}"
    return Trend(
        values=values,
        low=max(0.0, middle - room),
        high=middle + room,
        level=level,
        words=f"{metric.title} of {len(values)} runs, the last {format_value(values[-1], metric.unit)}{held}",
    )
