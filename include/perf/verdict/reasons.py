"""How a verdict came about, in words and numbers; plain text, a sentence each."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from include.perf.baselines.baselines import Baseline, State
from include.perf.baselines.history import Night
from include.perf.model.metric import METRICS, Metric, MetricValue, Unit
from include.perf.model.numbers import format_change, format_value, signed_points
from include.perf.model.text import counted
from include.perf.runs.phrases import change_of
from include.perf.runs.record import Shift
from include.perf.verdict.calls import ANCHOR_Z, CONFIRM_T, SERVICE_WINDOW_Z, SERVICE_Z, SUSPECT_T, WINDOW_Z


def exceeded(limits: Mapping[str, float], metrics: Mapping[str, MetricValue]) -> Iterator[tuple[Metric, float]]:
    """Return each metric whose value is beyond its hard limit, with the limit."""
    for name, limit in limits.items():
        value = metrics[name].value if name in metrics else None
        if value is not None and value > limit:
            yield METRICS[name], limit


NO_BASELINE = "there is no baseline yet; trigger a run with update_baseline to record one"


def differences(run: Mapping[str, str], baseline: Mapping[str, str]) -> list[str]:
    """Return which parts of what a run is made of differ from the baseline's."""
    return [
        f"the {part} {'differ' if part.endswith('s') else 'differs'} from the baseline's: "
        f"{run.get(part, 'none')}, there {baseline.get(part, 'none')}"
        for part in dict.fromkeys([*baseline, *run])
        if run.get(part) != baseline.get(part)
    ]


def not_compared(metrics: Mapping[str, MetricValue], levels: Mapping[str, float]) -> list[str]:
    """Return which metrics are on one side only."""
    notes = []
    for name, metric in METRICS.items():
        value = metrics.get(name)
        if name in levels and (value is None or value.value is None):
            reason = value.reason if value else "not measured"
            notes.append(f"{metric.title} could not be compared: {reason}")
        elif name not in levels and value is not None and value.value is not None:
            notes.append(f"{metric.title} is not in the baseline yet")
    return notes


def nothing_moved(baseline: Baseline, *, nights: int) -> str:
    """Say that all is as it was."""
    return f"no metric moved for sure against baseline version {baseline.version} ({counted(nights, 'night')})"


def of_shift(metric: Metric, *, value: float, level: float, shift: Shift, nights: int) -> str:
    """Say how far a metric moved, from where to where: ``Latency p95 +21 % (+12 … +31 %): 61 ms, was 50 ms``."""
    now, then = format_value(value, metric.unit), format_value(level, metric.unit)
    over = f" over {counted(nights, 'night')}" if nights else ""
    return f"{metric.title} {change_of(metric.name, shift)}{_interval(metric, shift)}: {now}, was {then}{over}"


def _interval(metric: Metric, shift: Shift) -> str:
    if metric.unit is Unit.RATIO:
        low, high = shift.absolute_low, shift.absolute_high
        return "" if low is None or high is None else f" ({signed_points(low)} … {signed_points(high)} points)"
    if shift.low is None or shift.high is None:
        return ""
    return f" ({format_change(shift.low)} … {format_change(shift.high)})"


def provisional(metric: Metric, *, floor: float, nights: int) -> str:
    """Say why only much is told."""
    limit = f"{floor * 100:.2f} points" if metric.unit is Unit.RATIO else format_value(floor, metric.unit)
    count = max(nights, 1)
    is_are = "is" if count == 1 else "are"
    return f"told from {limit} on while there {is_are} only {counted(count, 'night')} to compare with"


def without_counts(floor: float) -> str:
    """Say why an error rate is not judged as a count."""
    return f"told from {floor * 100:.2f} points on while there are no counts of failures to compare"


def beyond_hard_limit(metric: Metric, *, limit: float) -> str:
    """Say that a value is beyond what the service must never exceed; a part of a sentence."""
    return f"beyond the hard limit of {format_value(limit, metric.unit)}"


def hard_limits(limits: Mapping[str, float], metrics: Mapping[str, MetricValue], *, told: Collection[str]) -> list[str]:
    """Return which values are beyond a hard limit, those left out that a deviation tells already."""
    return [
        f"{metric.title} {format_value(metrics[metric.name].value, metric.unit)} is "
        f"{beyond_hard_limit(metric, limit=limit)}"
        for metric, limit in exceeded(limits, metrics)
        if metric.name not in told
    ]


def by_reruns(*, runs: int, t: float) -> str:
    """Say that re-runs confirmed it."""
    which = "better" if runs == 2 else "median"
    return f"confirmed by the {which} of {runs} runs (t {t:.1f}, sure from {CONFIRM_T:g} on)"


def by_window(*, nights: int, z: float, anchor: int | None) -> str:
    """Say that several nights confirm it."""
    held = "the nights before" if anchor is None else f"the level of baseline version {anchor}"
    limit = WINDOW_Z if anchor is None else ANCHOR_Z
    return f"the mean of the last {nights} nights against {held} (z {z:.1f}, sure from {limit:g} on)"


def by_service(*, nights: int, z: float) -> str:
    """Say that the scenarios of the service confirm it together."""
    when = "tonight" if nights == 1 else f"over the last {nights} nights"
    limit = SERVICE_Z if nights == 1 else SERVICE_WINDOW_Z
    return f"all scenarios of the service together {when} (z {z:.1f}, sure from {limit:g} on)"


def by_platform(*, services: int, z: float) -> str:
    """Say that everything moved."""
    return f"all {services} services of this night moved alike (z {z:.1f}): look at the platform or the test bed first"


def by_errors(*, chance: float, upper: float, nights: int, is_worse: bool) -> str:
    """Say how unlikely so many failures are."""
    which = "as many" if is_worse else "as few"
    likely = f"{chance:.1g}" if chance >= 1e-12 else "below 1e-12"
    before = f"at most {upper * 100:.3g} % over {counted(nights, 'night')}"
    return f"the chance of {which} is {likely} with what was before ({before})"


def suspicious(*, t: float, runs: int, no_rerun: str | None) -> str:
    """Say why it is not sure."""
    if runs > 1:
        return f"suspicious, but not sure after {runs} runs (t {t:.1f}, sure from {CONFIRM_T:g} on)"
    why = f"; it was not run again: {no_rerun}" if no_rerun else ""
    return f"suspicious (t {t:.1f}, from {SUSPECT_T:g} on){why}"


def platform(parts: Mapping[str, float], *, services: int) -> Iterator[str]:
    """Tell what all services share and was taken out."""
    told = [f"{METRICS[name].title} {format_change(part)}" for name, part in parts.items() if abs(part) >= 0.01]
    if told:
        yield f"all {services} services of this night share {', '.join(told)}, which was taken out before judging"


def of_baseline(baseline: Baseline, *, state: State, is_due_for_review: bool) -> Iterator[str]:
    """Tell that somebody should look at the baseline."""
    if not baseline.fingerprint:
        yield "the baseline is of an earlier form that does not say what it was measured with; record a new one"
    elif state is State.STALE:
        yield f"the baseline expired on {baseline.expires_at:%Y-%m-%d}: nothing is critical until it is renewed"
    elif is_due_for_review:
        yield f"the baseline is due for review since {baseline.review_by:%Y-%m-%d}"


def first_seen(nights: Sequence[Night], version: str | None, *, since: datetime | None) -> str:
    """Say when it began and with which deploy version, where the service tells its versions."""
    before = [night for night in nights if since is None or _is_before(night, since)]
    during = [night for night in nights[len(before) :] if night.run.deploy_version is not None]
    began = during[0].run.deploy_version if during else version
    earlier = before[-1].run.deploy_version if before else None
    day = "" if since is None else f" on {since.astimezone(UTC):%Y-%m-%d}"
    if began is None:
        return f"; first seen{day}" if day else ""
    if earlier == began:
        return f"; first seen{day} with {began}, deployed before already"
    change = f" (before: {earlier})" if earlier is not None else ""
    return f"; first seen{day} with {began}{change}"


def _is_before(night: Night, moment: datetime) -> bool:
    return night.run.at is None or night.run.at < moment
