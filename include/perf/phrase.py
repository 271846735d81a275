"""How a run is put into words: shared by the report, the charts, Slack and the command line.

Nothing here escapes: the words are plain text, and each renderer escapes for its own medium. Control
characters are taken out, so that text from a service can neither break a line nor colour a terminal.
"""

import re
from datetime import UTC, datetime, timedelta

from include.perf.baseline_entry import CANDIDATE_RUNS
from include.perf.metric import METRICS, Metric, Source, Unit, format_change, format_value, signed_points
from include.perf.rounding import uncertainty_of
from include.perf.run import BaselineReference, Deviation, RunRecord, Shift, Verdict, Window

COMPARED = (Verdict.PASS, Verdict.REGRESSION, Verdict.IMPROVEMENT)
"""The verdicts that rest on a comparison; under any other a baseline beside a figure would mislead."""

MANY_TIMES_RATIO = 9
"""From here on people read "12 times" more easily than "+1100 %"."""

SHORT_NAMES = {
    "latency_p50": "p50",
    "latency_p95": "p95",
    "latency_p99": "p99",
    "throughput": "throughput",
    "error_rate": "error rate",
    "cpu_usage": "CPU",
    "memory_usage": "memory",
    "disk_usage": "disk used",
}
"""The eight metrics as said in the middle of a sentence."""

# C0 and C1 controls, zero-width and bidirectional marks, line and paragraph separators, what XML does not allow
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]+")


def headline(record: RunRecord) -> str:
    """Return the one sentence that tells a run, as plain text on one line.

    ``REGRESSION · analysis-engine-service · market_open – Latency p95 is 45 % above its baseline (61.2 ms,
    was 42.1 ms)``
    """
    return f"{record.verdict} · {one_line(record.service)} · {one_line(record.scenario)} – {finding(record)}"


def finding(record: RunRecord) -> str:
    """Return what was found, without the verdict: ``Latency p95 is 45 % above its baseline (…)``."""
    match record.verdict:
        case Verdict.PASS:
            return _in_line(record)
        case Verdict.REGRESSION:
            return _moved(record, worsened(record), "worse")
        case Verdict.IMPROVEMENT:
            return _moved(record, improved(record), "better")
        case Verdict.NO_BASELINE:
            value = record.metrics.get("latency_p95")
            if value is None or value.value is None:
                return "there is no baseline to compare it with yet"
            shown = format_value(value.value, value.unit)
            return f"Latency p95 is {shown}; there is no baseline to compare it with yet"
        case Verdict.NOT_COMPARABLE:
            return f"not comparable with its baseline: {_first(record.reasons)}"
        case Verdict.INVALID:
            return f"the figures cannot be trusted: {_first(record.validity or record.reasons)}"
        case Verdict.SKIPPED:
            return f"nothing was measured: {_first(record.reasons or record.validity)}"


def _in_line(record: RunRecord) -> str:
    value = record.metrics.get("latency_p95")
    if value is None or value.value is None or record.baseline is None:
        return _first(record.reasons)
    level, shift = record.baseline.metrics.get("latency_p95"), shift_of(record, "latency_p95")
    uncertainty = uncertainty_in_unit(shift, level) if shift and level else None
    shown, held_to = (format_value(each, value.unit, uncertainty=uncertainty) for each in (value.value, level))
    words = f"Latency p95 is {shown}, in line with its baseline"
    return words if level is None else f"{words} ({held_to})"


def _moved(record: RunRecord, moved: tuple[Deviation, ...], which: str) -> str:
    if not moved:
        return _first(record.reasons)
    rest = len(moved) - 1
    more = f"; {rest} more {'metric is' if rest == 1 else 'metrics are'} {which}" if rest else ""
    return f"{distance(moved[0])}{more}"


def _first(reasons: tuple[str, ...]) -> str:
    if not reasons:
        return "no reason was recorded"
    rest = len(reasons) - 1
    more = f" (and {counted(rest, 'more reason')})" if rest else ""
    return one_line(reasons[0]).rstrip(".") + more


def distance(deviation: Deviation) -> str:
    """Say how far a metric is from its baseline: ``Latency p95 is 45 % above its baseline (…)``."""
    shift = deviation.shift
    side = "above" if shift.absolute >= 0 else "below"
    value, baseline = (
        format_value(each, deviation.unit, uncertainty=uncertainty_in_unit(shift, deviation.baseline))
        for each in (deviation.value, deviation.baseline)
    )
    if is_in_points(deviation.metric):
        how = f"{abs(shift.absolute) * 100:.2f} percentage points {side} its baseline"
    elif shift.ratio is None:
        how = f"{format_value(abs(shift.absolute), deviation.unit)} {side} its baseline"
    elif shift.ratio >= MANY_TIMES_RATIO:
        how = f"{shift.ratio + 1:.0f} times its baseline"
    else:
        change = format_change(abs(shift.ratio), uncertainty=uncertainty_of_ratio(shift))
        how = f"{change.lstrip('+')} {side} its baseline"
    return f"{title_of(deviation.metric)} is {how} ({value}, was {baseline})"


def change_of(name: str, shift: Shift) -> str:
    """Write a shift briefly: ``+45 %``, ``×12``; ``+2.10 points`` of a ratio; in the unit when from zero."""
    metric = METRICS.get(name)
    if is_in_points(name):
        return f"{signed_points(shift.absolute)} points"
    if shift.ratio is None:
        sign = "+" if shift.absolute >= 0 else "−"
        return sign + (format_value(abs(shift.absolute), metric.unit) if metric else f"{abs(shift.absolute):g}")
    if shift.ratio >= MANY_TIMES_RATIO:
        return f"×{shift.ratio + 1:.0f}"
    return format_change(shift.ratio, uncertainty=uncertainty_of_ratio(shift))


def uncertainty_of_ratio(shift: Shift) -> float | None:
    """Return the standard uncertainty of a relative change; ``None`` while the history is too short to give one."""
    return None if shift.low is None or shift.high is None else uncertainty_of(shift.low, shift.high)


def uncertainty_in_unit(shift: Shift, level: float) -> float | None:
    """Return the standard uncertainty of a change from a level in the metric's unit: how far nights differ."""
    if shift.absolute_low is not None and shift.absolute_high is not None:
        return uncertainty_of(shift.absolute_low, shift.absolute_high)
    ratio = uncertainty_of_ratio(shift)
    return None if ratio is None else ratio * abs(level)


def is_in_points(name: str) -> bool:
    """Return whether a metric's change is told in percentage points.

    A relative change of a rate near zero says nothing: 0.01 % to 0.03 % would read as +200 %.
    """
    return name in METRICS and METRICS[name].unit is Unit.RATIO


def shift_of(record: RunRecord, name: str) -> Shift | None:
    """Return how a metric moved against the baseline; ``None`` where nothing was compared or is missing.

    The shift of a deviation where there is one, else what the comparison found; plain arithmetic in the records of
    earlier versions.
    """
    for deviation in record.deviations:
        if deviation.metric == name:
            return deviation.shift
    if name in record.shifts and is_compared(record):
        return record.shifts[name]
    value = record.metrics.get(name)
    if record.baseline is None or not is_compared(record) or value is None or value.value is None:
        return None
    baseline = record.baseline.metrics.get(name)
    if baseline is None:
        return None
    change = value.value - baseline
    return Shift(ratio=change / baseline if baseline else None, absolute=change)


def floor_of(metric: Metric, record: RunRecord) -> float | None:
    """Return the smallest change told against the record's baseline, in the metric's unit."""
    baseline = record.baseline
    if baseline is None or metric.name not in baseline.metrics:
        return None
    return metric.floor(baseline=baseline.metrics[metric.name], is_provisional=is_provisional(baseline))


def is_provisional(baseline: BaselineReference) -> bool:
    """Whether there are too few nights to tell what is usual: then only large changes are told."""
    return (baseline.nights or baseline.runs) < CANDIDATE_RUNS


def is_compared(record: RunRecord) -> bool:
    """Return whether the verdict rests on a comparison with a baseline."""
    return record.baseline is not None and record.verdict in COMPARED


def worsened(record: RunRecord) -> tuple[Deviation, ...]:
    """Return the deviations for the worse: the most severe first, of these what users feel, then the largest.

    A service that is slower and needs more CPU is told as slower; the CPU helps to tell why.
    """
    return tuple(sorted(record.regressions, key=lambda each: (-each.severity.rank, _is_inside(each))))


def _is_inside(deviation: Deviation) -> bool:
    metric = METRICS.get(deviation.metric)
    return metric is None or metric.source is Source.PROMETHEUS


def improved(record: RunRecord) -> tuple[Deviation, ...]:
    """Return the sure deviations for the better, largest first."""
    better = [deviation for deviation in record.deviations if not deviation.is_worse and deviation.is_confirmed]
    return tuple(sorted(better, key=lambda each: abs(each.shift.ratio or 0), reverse=True))


def title_of(name: str) -> str:
    """Return a metric's title; its name where it is not one of the eight."""
    metric = METRICS.get(name)
    return metric.title if metric else one_line(name)


def baseline_of(record: RunRecord) -> str:
    """Describe the baseline in a few words: ``version 3, approved, 14 runs and 20 nights since``."""
    baseline = record.baseline
    if baseline is None:
        return "none"
    since = baseline.nights - baseline.runs
    nights = f" and {counted(since, 'night')} since" if since > 0 else ""
    return f"version {baseline.version}, {one_line(baseline.state)}, {counted(baseline.runs, 'run')}{nights}"


def utc_window(window: Window) -> str:
    """Write a window in UTC: ``2026-03-02 06:40:00–06:55:00 UTC``; both dates where they differ."""
    start, end = window.start.astimezone(UTC), window.end.astimezone(UTC)
    ends = f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    return f"{start:%Y-%m-%d %H:%M:%S}–{ends} UTC"


def utc_time(moment: datetime) -> str:
    """Write a moment in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """Write a length of time as people say it: ``15 min``, ``1 h 30 min``, ``90 s``."""
    whole = round(seconds)
    if whole < 120 or whole % 60:
        return f"{seconds:g} s" if whole < 600 else str(timedelta(seconds=whole))
    hours, minutes = divmod(whole // 60, 60)
    return " ".join(part for part in (f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)) if part)


def counted(number: int, noun: str) -> str:
    """Write a number of things: ``1 run``, ``3 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(text: str) -> str:
    """Return text on one line, control characters and runs of white space turned into single spaces."""
    return " ".join(without_controls(text).split())


def without_controls(text: str) -> str:
    """Return text with a space instead of control characters, which could hide or turn around what follows."""
    return _CONTROL.sub(" ", text)
