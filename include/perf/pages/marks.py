"""The small vocabulary of all pages: marks, metric values, sparklines and ages.

A mark is a word, a shape and a tone, so that no state depends on colour alone.
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
    """How a verdict, state or severity is drawn.

    Attributes:
        word: the label.
        shape: one character, unique within its group.
    """

    word: str
    shape: str
    tone: Tone


VERDICT_MARKS = {
    verdict: MarkStyle(verdict.value.replace("_", " ").lower(), shape, TONES[verdict])
    for verdict, shape in (
        (Verdict.OVER_LIMIT, "✕"),
        (Verdict.REGRESSION, "▲"),
        (Verdict.INVALID, "?"),
        (Verdict.NOT_COMPARABLE, "≠"),
        (Verdict.IMPROVEMENT, "★"),
        (Verdict.PASS, "✓"),
        (Verdict.NO_BASELINE, "○"),
        (Verdict.SKIPPED, "–"),
    )
}
"""Most severe first, the order of summaries."""

NOT_RUN = MarkStyle("not run yet", "·", Tone.QUIET)

STATE_MARKS = {
    State.APPROVED: MarkStyle("approved", "✓", Tone.GOOD),
    State.CANDIDATE: MarkStyle("candidate", "◐", Tone.QUIET),
    State.PROVISIONAL: MarkStyle("provisional", "○", Tone.QUIET),
    State.STALE: MarkStyle("stale", "!", Tone.DOUBT),
    State.SUPERSEDED: MarkStyle("superseded", "–", Tone.QUIET),
}

SEVERITY_MARKS = {
    Severity.CRITICAL: MarkStyle("critical", "▲", Tone.BAD),
    Severity.WARNING: MarkStyle("warning", "!", Tone.DOUBT),
    Severity.DIGEST: MarkStyle("digest", "·", Tone.QUIET),
}

TREND_MIN_EFFECTS = 3
"""A sparkline spans at least this many minimum effects above and below its baseline, so that noise looks like noise."""

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_MONTHS_FROM_DAYS, _YEARS_FROM_DAYS = 60, 730
_MONTH_DAYS, _YEAR_DAYS = 30.44, 365.25


def value_text(entry: RunEntry, name: str) -> str:
    """Return a metric of a run with its unit."""
    return format_value(entry.value_of(name), METRICS[name].unit)


def change_text(entry: RunEntry, name: str) -> str:
    """Return how much a metric differs from its baseline; empty where nothing was compared."""
    shift = entry.shifts.get(name)
    return "" if shift is None else change_of(name, shift)


def confirmed_deviations(entry: RunEntry, *, is_worse: bool) -> tuple[EntryDeviation, ...]:
    """Return the confirmed deviations of a run in one direction."""
    return tuple(
        deviation for deviation in entry.deviations if deviation.is_confirmed and deviation.is_worse is is_worse
    )


def minimum_effect_band(metric: Metric, baseline: float) -> tuple[float, float]:
    """Return the lowest and highest value that differ from the baseline by less than the minimum effect."""
    effect = metric.minimum_effect(baseline=baseline, is_provisional=False)
    return max(0.0, baseline - effect), baseline + effect


def trend_of(runs: Sequence[RunEntry], name: str) -> Trend | None:
    """Return the sparkline of a metric with its current baseline; ``None`` for fewer than two values."""
    measured = [run for run in runs if run.verdict.is_measured]
    values = tuple(value for run in measured if (value := run.value_of(name)) is not None)
    if len(values) < 2:
        return None
    metric, baseline = METRICS[name], measured[-1].levels.get(name)
    centre = values[-1] if baseline is None else baseline
    margin = TREND_MIN_EFFECTS * metric.minimum_effect(baseline=centre, is_provisional=False)
    compared = "" if baseline is None else f", baseline {format_value(baseline, metric.unit)}"
    return Trend(
        values=values,
        low=max(0.0, centre - margin),
        high=centre + margin,
        level=baseline,
        words=f"{metric.title} of {len(values)} runs, latest {format_value(values[-1], metric.unit)}{compared}",
    )


def age(moment: datetime, *, now: datetime) -> str:
    """Return how long ago a moment was: ``just now``, ``12 min ago``, ``5 h ago``, ``3 days ago``."""
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
    """Return a moment in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(moment: datetime) -> str:
    """Return the date of a moment in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
