"""How verdicts and states look on every page: a word, a shape and a tone, so that none depends on colour alone.

What an entry of the index says of a metric, in words and as a small drawing.

How long ago something was, as people say it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from include.perf.baselines.entry import State
from include.perf.model.metric import METRICS, Metric
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.reporting.document import Tone, Trend
from include.perf.reporting.report import TONES
from include.perf.runs.phrases import change_of
from include.perf.runs.record import Severity, Verdict
from include.perf.runs.run_index import EntryDeviation, RunEntry


@dataclass(frozen=True, slots=True)
class MarkStyle:
    """How a judgement is drawn.

    Attributes:
        word: what it says.
        shape: one character, different for each.
    """

    word: str
    shape: str
    tone: Tone


VERDICT_LOOKS = {
    verdict: MarkStyle(verdict.value.replace("_", " ").lower(), shape, TONES[verdict])
    for verdict, shape in (
        (Verdict.REGRESSION, "▲"),
        (Verdict.INVALID, "?"),
        (Verdict.NOT_COMPARABLE, "≠"),
        (Verdict.IMPROVEMENT, "★"),
        (Verdict.PASS, "✓"),
        (Verdict.NO_BASELINE, "○"),
        (Verdict.SKIPPED, "–"),
    )
}
"""The gravest first, as summaries list them."""

NOT_RUN = MarkStyle("not run yet", "·", Tone.QUIET)

STATE_LOOKS = {
    State.APPROVED: MarkStyle("approved", "✓", Tone.GOOD),
    State.CANDIDATE: MarkStyle("candidate", "◐", Tone.QUIET),
    State.PROVISIONAL: MarkStyle("provisional", "○", Tone.QUIET),
    State.STALE: MarkStyle("stale", "!", Tone.DOUBT),
    State.SUPERSEDED: MarkStyle("superseded", "–", Tone.QUIET),
}

SEVERITY_LOOKS = {
    Severity.CRITICAL: MarkStyle("critical", "▲", Tone.BAD),
    Severity.WARNING: MarkStyle("warning", "!", Tone.DOUBT),
    Severity.DIGEST: MarkStyle("digest", "·", Tone.QUIET),
}


TREND_MIN_EFFECTS = 3
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
    floor = metric.minimum_effect(baseline=level, is_provisional=False)
    return max(0.0, level - floor), level + floor


def trend_of(runs: Sequence[RunEntry], name: str) -> Trend | None:
    """Return a metric over runs as a small drawing with the present level; ``None`` for fewer than two values."""
    measured = [run for run in runs if run.verdict.is_measured]
    values = tuple(value for run in measured if (value := run.value_of(name)) is not None)
    if len(values) < 2:
        return None
    metric, level = METRICS[name], measured[-1].levels.get(name)
    middle = values[-1] if level is None else level
    room = TREND_MIN_EFFECTS * metric.minimum_effect(baseline=middle, is_provisional=False)
    held = "" if level is None else f", level {format_value(level, metric.unit)}"
    return Trend(
        values=values,
        low=max(0.0, middle - room),
        high=middle + room,
        level=level,
        words=f"{metric.title} of {len(values)} runs, the last {format_value(values[-1], metric.unit)}{held}",
    )


_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400

_MONTHS_FROM_DAYS, _YEARS_FROM_DAYS = 60, 730

_MONTH_DAYS, _YEAR_DAYS = 30.44, 365.25


def age(moment: datetime, *, now: datetime) -> str:
    """Write how long ago a moment was: ``just now``, ``12 min ago``, ``5 h ago``, ``3 days ago``."""
    seconds = (now - moment).total_seconds()
    if seconds < _MINUTE_S:
        return "just now"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min ago"
    if seconds < 2 * _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h ago"
    days = seconds / _DAY_S
    if days < _MONTHS_FROM_DAYS:
        return f"{counted(int(days), 'day')} ago"
    if days < _YEARS_FROM_DAYS:
        return f"{counted(int(days / _MONTH_DAYS), 'month')} ago"
    return f"{counted(int(days / _YEAR_DAYS), 'year')} ago"


def minute(moment: datetime) -> str:
    """Write a moment in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(moment: datetime) -> str:
    """Write the day of a moment in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
