"""Sentences about a run, shared by the report, the charts, Slack and the command line.

They are plain text; each renderer escapes them for its own medium. Control characters are removed, so that text from a
service can neither break a line nor colour a terminal.
"""

from datetime import UTC

from include.perf.model.metric import METRICS, Direction, Metric, Source, is_in_points, title_of
from include.perf.model.numbers import format_change, format_value, signed_percent, signed_points, uncertainty_of
from include.perf.model.text import counted, one_line
from include.perf.runs.figures import Window
from include.perf.runs.record import (
    CANDIDATE_RUNS,
    BaselineReference,
    Collapse,
    Deviation,
    ExceededLimit,
    RunRecord,
    Shift,
    Verdict,
)

COMPARED = (Verdict.PASS, Verdict.REGRESSION, Verdict.IMPROVEMENT)
"""The verdicts that result from a comparison; with others, showing a baseline is misleading unless there was one."""

SMALL_SHARE = 0.1
"""Share of an absolute minimum effect that is too small to mention, where there is no relative one."""

MANY_TIMES_RATIO = 9
"""From here on "12 times" is easier to read than "+1100 %"."""


def headline(record: RunRecord) -> str:
    """Summarise a run in one sentence, as plain text on one line.

    ``REGRESSION · analysis-engine-service · market_open – Latency p95 is 45 % above its baseline (61.2 ms,
    was 42.1 ms)``
    """
    return f"{record.verdict} · {one_line(record.service)} · {one_line(record.scenario)} – {finding(record)}"


def finding(record: RunRecord) -> str:
    """Return the finding without the verdict: ``Latency p95 is 45 % above its baseline (…)``."""
    match record.verdict:
        case Verdict.PASS:
            return _in_line(record)
        case Verdict.REGRESSION:
            return _changed(record, worsened(record), "worse")
        case Verdict.OVER_LIMIT:
            return _over_limit(record)
        case Verdict.IMPROVEMENT:
            return _changed(record, improved(record), "better")
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
    baseline, shift = record.baseline.metrics.get("latency_p95"), shift_of(record, "latency_p95")
    uncertainty = uncertainty_in_unit(shift, baseline) if shift and baseline else None
    shown = format_value(value.value, value.unit, uncertainty=uncertainty)
    if baseline is None or shift is None:
        return f"Latency p95 is {shown}; {_first(record.reasons)}"
    level = format_value(baseline, value.unit, uncertainty=uncertainty)
    is_unconfirmed = any(deviation.metric == "latency_p95" for deviation in record.deviations)
    why = "not confirmed" if is_unconfirmed else why_unchanged(METRICS["latency_p95"], record, shift)
    if why is None:
        return f"Latency p95 is {shown}, in line with its baseline ({level})"
    return f"Latency p95 is {shown}, {change_of('latency_p95', shift)} from its baseline ({level}): {why}"


def why_unchanged(metric: Metric, record: RunRecord, shift: Shift) -> str | None:
    """Return why a change that is no deviation raises no alert; ``None`` if it is too small to mention.

    ``below the minimum effect of 5 ms``, ``too few nights of history``, ``within the noise``
    """
    threshold = minimum_effect_of(metric, record)
    level = record.baseline.metrics.get(metric.name) if record.baseline else None
    if threshold is None or level is None:
        return None
    is_first = record.rerun_of is None
    if abs(shift.absolute) > threshold:
        return "within the noise" if is_first else "judged with the first run"
    usual = metric.minimum_effect(baseline=level, is_provisional=False)
    if abs(shift.absolute) > usual:
        return "too few nights of history"
    if abs(shift.absolute) <= (metric.min_effect_ratio * abs(level) or SMALL_SHARE * usual):
        return None
    least = f"{usual * 100:.2f} points" if is_in_points(metric.name) else format_value(usual, metric.unit)
    return f"below the minimum effect of {least}"


def _over_limit(record: RunRecord) -> str:
    exceeded = exceeded_of(record)
    if record.collapse is not None:
        return collapse_sentence(record.collapse)
    if not exceeded:
        return _first(record.reasons)
    rest = len(exceeded) - 1
    more = f"; {rest} more {'limit is' if rest == 1 else 'limits are'} exceeded" if rest else ""
    return f"{limit_sentence(exceeded[0])}{_most_frequent_error(record, exceeded[0])}{more}"


def collapse_sentence(collapse: Collapse) -> str:
    """Describe how a service failed, first things first: ``the service could not be reached from …; then it …``."""
    first, *others = (one_line(what) for what in collapse.happened)
    return "; then it ".join((f"the service {first}", *others))


def exceeded_of(record: RunRecord) -> tuple[ExceededLimit, ...]:
    """Return the exceeded limits: by severity, the error rate first, because it explains the others."""
    return tuple(sorted(record.exceeded, key=lambda found: (-found.severity.rank, found.metric != "error_rate")))


def limit_sentence(exceeded: ExceededLimit) -> str:
    """Describe an exceeded limit: ``Latency p95 of orders is 520 ms, above its limit of 450 ms``."""
    return f"{limited_name(exceeded)} is {_beyond(exceeded)}"


def limited_name(exceeded: ExceededLimit) -> str:
    """Return what is beyond its limit: ``Latency p95 of orders``."""
    title = title_of(exceeded.metric)
    return f"{title} of {one_line(exceeded.endpoint)}" if exceeded.endpoint else title


def _beyond(exceeded: ExceededLimit) -> str:
    metric = METRICS.get(exceeded.metric)
    is_upper = metric is None or metric.direction is Direction.LOWER_IS_BETTER
    value, limit = (format_value(number, exceeded.unit) for number in (exceeded.value, exceeded.limit))
    return f"{value}, {'above' if is_upper else 'below'} its limit of {limit}"


def _most_frequent_error(record: RunRecord, exceeded: ExceededLimit) -> str:
    """Return the kind of error behind an exceeded error rate: `` (mostly HTTP 401)``."""
    if exceeded.metric != "error_rate":
        return ""
    groups = [group for group in record.errors if exceeded.endpoint in ("", group.endpoint)]
    counts: dict[str, int] = {}
    for group in groups:
        counts[group.kind] = counts.get(group.kind, 0) + group.count
    return f" (mostly {one_line(max(counts, key=counts.__getitem__))})" if counts else ""


def _changed(record: RunRecord, deviations: tuple[Deviation, ...], which: str) -> str:
    if not deviations:
        return _first(record.reasons)
    rest = len(deviations) - 1
    more = f"; {rest} more {'metric is' if rest == 1 else 'metrics are'} {which}" if rest else ""
    return f"{distance(deviations[0])}{more}"


def _first(reasons: tuple[str, ...]) -> str:
    if not reasons:
        return "no reason was recorded"
    rest = len(reasons) - 1
    more = f" (and {counted(rest, 'more reason')})" if rest else ""
    return one_line(reasons[0]).rstrip(".") + more


def distance(deviation: Deviation) -> str:
    """Describe how far a metric is from its baseline: ``Latency p95 is 45 % above its baseline (…)``."""
    shift = deviation.shift
    side = "above" if shift.absolute >= 0 else "below"
    uncertainty = uncertainty_in_unit(shift, deviation.baseline)
    value = format_value(deviation.value, deviation.unit, uncertainty=uncertainty)
    baseline = format_value(deviation.baseline, deviation.unit, uncertainty=uncertainty)
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
    """Format a shift: ``+45 %``, ``×12``, ``+2.10 points`` for a ratio; in the unit if the baseline is zero."""
    metric = METRICS.get(name)
    if is_in_points(name):
        return f"{signed_points(shift.absolute)} points"
    if shift.ratio is None:
        sign = "+" if shift.absolute >= 0 else "−"
        return sign + (format_value(abs(shift.absolute), metric.unit) if metric else f"{abs(shift.absolute):g}")
    if shift.ratio >= MANY_TIMES_RATIO:
        return f"×{shift.ratio + 1:.0f}"
    return format_change(shift.ratio, uncertainty=uncertainty_of_ratio(shift))


def interval_of(name: str, shift: Shift) -> str:
    """Write the 95 % interval of a shift like the shift itself: ``+38 to +52 %``, ``×40–×78``; empty without one."""
    if is_in_points(name):
        if shift.absolute_low is None or shift.absolute_high is None:
            return ""
        return f"{signed_points(shift.absolute_low)} to {signed_points(shift.absolute_high)} points"
    if shift.low is None or shift.high is None:
        return ""
    if shift.ratio is not None and shift.ratio >= MANY_TIMES_RATIO:
        return "–".join(_times(bound) for bound in (shift.low, shift.high))
    uncertainty = uncertainty_of_ratio(shift)
    low, high = (signed_percent(bound, uncertainty=uncertainty) for bound in (shift.low, shift.high))
    return f"{low} to {high} %"


def _times(ratio: float) -> str:
    times = ratio + 1
    return f"×{times:.0f}" if times >= 10 else f"×{times:.1f}"


def uncertainty_of_ratio(shift: Shift) -> float | None:
    """Return the standard uncertainty of a relative change; ``None`` if the history is too short."""
    return None if shift.low is None or shift.high is None else uncertainty_of(shift.low, shift.high)


def uncertainty_in_unit(shift: Shift, baseline: float) -> float | None:
    """Return the standard uncertainty of a change from a baseline, in the metric's unit."""
    if shift.absolute_low is not None and shift.absolute_high is not None:
        return uncertainty_of(shift.absolute_low, shift.absolute_high)
    ratio = uncertainty_of_ratio(shift)
    return None if ratio is None else ratio * abs(baseline)


def shift_of(record: RunRecord, name: str) -> Shift | None:
    """Return the change of a metric from its baseline; ``None`` if it was not compared.

    The shift of a deviation comes first, then that of the comparison. Records of earlier versions have neither: the
    difference is computed.
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


def minimum_effect_of(metric: Metric, record: RunRecord) -> float | None:
    """Return the minimum effect of a metric for the record's baseline, in the metric's unit."""
    baseline = record.baseline
    if baseline is None or metric.name not in baseline.metrics:
        return None
    return metric.minimum_effect(baseline=baseline.metrics[metric.name], is_provisional=is_provisional(baseline))


def is_provisional(baseline: BaselineReference) -> bool:
    """Whether there are too few nights to know the usual variation: then only large changes count."""
    return (baseline.nights or baseline.runs) < CANDIDATE_RUNS


def is_compared(record: RunRecord) -> bool:
    """Return whether the verdict rests on a comparison with a baseline."""
    is_beyond_limit = record.verdict is Verdict.OVER_LIMIT and bool(record.shifts)
    return record.baseline is not None and (record.verdict in COMPARED or is_beyond_limit)


def worsened(record: RunRecord) -> tuple[Deviation, ...]:
    """Return the deviations for the worse: by severity, then those that users notice first, then by size.

    A service that is slower and uses more CPU is reported as slower; the CPU helps to find the cause.
    """
    return tuple(sorted(record.regressions, key=lambda deviation: (-deviation.severity.rank, _is_internal(deviation))))


def _is_internal(deviation: Deviation) -> bool:
    metric = METRICS.get(deviation.metric)
    return metric is None or metric.source is Source.PROMETHEUS


def improved(record: RunRecord) -> tuple[Deviation, ...]:
    """Return the confirmed deviations for the better, largest first."""
    better = [deviation for deviation in record.deviations if not deviation.is_worse and deviation.is_confirmed]
    return tuple(sorted(better, key=lambda deviation: abs(deviation.shift.ratio or 0), reverse=True))


def baseline_of(record: RunRecord) -> str:
    """Describe the baseline in a few words: ``version 3, approved, 14 runs and 20 nights since``."""
    baseline = record.baseline
    if baseline is None:
        return "none"
    since = baseline.nights - baseline.runs
    nights = f" and {counted(since, 'night')} since" if since > 0 else ""
    return f"version {baseline.version}, {one_line(baseline.state)}, {counted(baseline.runs, 'run')}{nights}"


def utc_window(window: Window) -> str:
    """Format a window in UTC: ``2026-03-02 06:40:00–06:55:00 UTC``; with both dates if they differ."""
    start, end = window.start.astimezone(UTC), window.end.astimezone(UTC)
    ends = f"{end:%H:%M:%S}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M:%S}"
    return f"{start:%Y-%m-%d %H:%M:%S}–{ends} UTC"
