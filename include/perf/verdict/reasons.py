"""The reasons of a verdict in words and numbers: plain text, one sentence each."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC

from include.perf.baselines.baselines import promote_command
from include.perf.baselines.entry import Baseline, State
from include.perf.baselines.error_count import CONFIRM_P, SUSPECT_P
from include.perf.catalogue.hard_limits import HardLimit
from include.perf.model.metric import METRICS, Metric, MetricValue, Unit
from include.perf.model.numbers import format_change, format_value
from include.perf.model.text import counted
from include.perf.runs.phrases import change_of, interval_of
from include.perf.runs.record import Shift
from include.perf.verdict.metric_change import Evidence, FirstSeen
from include.perf.verdict.significance import (
    ANCHOR_Z,
    CONFIRM_T,
    PLATFORM_Z,
    SERVICE_WINDOW_Z,
    SERVICE_Z,
    SUSPECT_T,
    WINDOW_Z,
)

NO_BASELINE = "there is no baseline yet"
HOW_TO_RECORD = "to record one, trigger a run with update_baseline"


def no_baseline(*, will_record: bool) -> str:
    """Return the reason of a run without a baseline, with the remedy unless the run is about to record one."""
    return NO_BASELINE if will_record else f"{NO_BASELINE}; {HOW_TO_RECORD}"


def unusable_baseline(problem: str, *, run_id: str) -> str:
    """Return the reason of a run whose cell has a baseline that cannot be used, with both remedies."""
    return f"its baseline cannot be used: {problem}, or make this run the baseline: {promote_command(run_id)}"


def differences(run: Mapping[str, str], baseline: Mapping[str, str]) -> list[str]:
    """Return the parts of the fingerprint that differ from the baseline's."""
    return [
        f"the {part} {'differ' if part.endswith('s') else 'differs'} from the baseline's: "
        f"run {_shown(run, part)}, baseline {_shown(baseline, part)}"
        for part in dict.fromkeys([*baseline, *run])
        if run.get(part) != baseline.get(part)
    ]


def _shown(fingerprint: Mapping[str, str], part: str) -> str:
    """Return a part for display; constant arrivals are the default and not mentioned."""
    text = fingerprint.get(part, "none")
    return text.replace("/s constant", "/s", 1) if part == "load" else text


def not_compared(metrics: Mapping[str, MetricValue], baseline: Mapping[str, float]) -> list[str]:
    """Return the metrics that only the run or only the baseline has."""
    notes = []
    for name, metric in METRICS.items():
        value = metrics.get(name)
        if name in baseline and (value is None or value.value is None):
            reason = value.reason if value else "not measured"
            notes.append(f"{metric.title} could not be compared: {reason}")
        elif name not in baseline and value is not None and value.value is not None:
            notes.append(f"{metric.title} is not in the baseline yet")
    return notes


def no_change(baseline: Baseline, *, nights: int) -> str:
    """Return the reason of a run without a significant change."""
    return f"no significant change against baseline version {baseline.version} ({counted(nights, 'night')})"


def of_shift(metric: Metric, *, value: float, reference: float, shift: Shift, nights: int) -> str:
    """Return a change in numbers: ``Latency p95 +21 % (+12 to +31 %): 61 ms, was 50 ms over 10 nights``."""
    now, then = format_value(value, metric.unit), format_value(reference, metric.unit)
    over = f" over {counted(nights, 'night')}" if nights else ""
    interval = interval_of(metric.name, shift)
    shown = f" ({interval})" if interval else ""
    return f"{metric.title} {change_of(metric.name, shift)}{shown}: {now}, was {then}{over}"


def provisional(metric: Metric, *, threshold: float, nights: int) -> Evidence:
    """Name the threshold that holds while there is little history."""
    limit = f"{threshold * 100:.2f} points" if metric.unit is Unit.RATIO else format_value(threshold, metric.unit)
    return Evidence(words=f"threshold {limit} (only {counted(max(nights, 1), 'night')} of history)")


def without_counts(threshold: float) -> Evidence:
    """Name the threshold for an error rate that is not judged as a count."""
    return Evidence(words=f"threshold {threshold * 100:.2f} points (no failure counts in the history)")


def of_limit(*, runs: int, no_rerun: str | None) -> str:
    """Explain on how many runs it rests that a limit is exceeded."""
    if runs > 1:
        return f"confirmed by the {'better' if runs == 2 else 'median'} of {runs} runs"
    return f"a single run, not re-run: {no_rerun}" if no_rerun else "a single run"


def of_collapse(*, failed: int, runs: int, no_rerun: str | None) -> str:
    """Explain in how many runs a service failed."""
    if runs > 1:
        return f"in {failed} of {runs} runs"
    return of_limit(runs=runs, no_rerun=no_rerun)


def exceeded_in_some(limit: HardLimit, *, beyond: Sequence[str], runs: int) -> str:
    """Return the note about a limit that some of several runs exceeded, but not their median."""
    return f"{limit_name(limit)} was beyond its limit in {len(beyond)} of {runs} runs ({', '.join(beyond)})"


def limit_not_checked(limit: HardLimit, why: str) -> str:
    """Return the note about a limit without a value to check."""
    return f"the limit on {limit_name(limit)} could not be checked: {why}"


def limit_name(limit: HardLimit) -> str:
    """Return what a limit applies to: ``Latency p95``, or ``Latency p95 of orders``."""
    title = METRICS[limit.metric].title
    return f"{title} of {limit.endpoint}" if limit.endpoint else title


def by_reruns(*, runs: int, t: float) -> Evidence:
    """Explain a change that re-runs confirmed."""
    which = "better" if runs == 2 else "median"
    return Evidence(words=f"confirmed by the {which} of {runs} runs", statistic=_statistic("t", t, CONFIRM_T))


def by_window(*, nights: int, z: float, anchor: int | None) -> Evidence:
    """Explain a change that several nights confirm.

    Args:
        anchor: version of the baseline whose anchor the nights are compared with; ``None`` for the nights before.
    """
    reference = "the nights before" if anchor is None else f"baseline version {anchor}"
    return Evidence(
        words=f"confirmed by the mean of the last {nights} nights against {reference}",
        statistic=_statistic("z", z, WINDOW_Z if anchor is None else ANCHOR_Z),
    )


def by_service(*, nights: int, z: float) -> Evidence:
    """Explain a change that the scenarios of the service confirm together."""
    when = "tonight" if nights == 1 else f"over the last {nights} nights"
    return Evidence(
        words=f"confirmed by all scenarios of the service together {when}",
        statistic=_statistic("z", z, SERVICE_Z if nights == 1 else SERVICE_WINDOW_Z),
    )


def by_platform(*, services: int, z: float) -> Evidence:
    """Explain a change that all services share."""
    return Evidence(
        words=f"all {services} services of this night changed alike: check the platform or the test bed first",
        statistic=_statistic("z", z, PLATFORM_Z),
    )


def by_errors(*, p: float, upper: float, nights: int, is_worse: bool) -> Evidence:
    """Explain a change of the error rate.

    Args:
        p: probability of as many failures or more (as few or fewer for an improvement), had nothing changed.
        upper: 95 % upper bound of the rate before, as a ratio.
    """
    shown = f"p = {p:.1g}" if p >= 1e-12 else "p < 1e-12"
    return Evidence(
        words=f"the error rate was at most {upper * 100:.3g} % over {counted(nights, 'night')}",
        statistic=f"{shown}, threshold {CONFIRM_P if is_worse else SUSPECT_P:g}",
    )


def suspicious(*, t: float, runs: int, no_rerun: str | None) -> Evidence:
    """Explain why a change is not significant."""
    if runs > 1:
        return Evidence(words=f"suspicious, but not confirmed by {runs} runs", statistic=_statistic("t", t, CONFIRM_T))
    why = f", not re-run: {no_rerun}" if no_rerun else ""
    return Evidence(words=f"suspicious{why}", statistic=_statistic("t", t, SUSPECT_T))


def _statistic(symbol: str, value: float, threshold: float) -> str:
    return f"{symbol} = {value:.1f}, threshold {threshold:g}"


def platform(parts: Mapping[str, float], *, services: int) -> Iterator[str]:
    """Yield the change that all services share, which was subtracted before judging."""
    shared = [f"{METRICS[name].title} {format_change(part)}" for name, part in parts.items() if abs(part) >= 0.01]
    if shared:
        yield f"subtracted before judging, as all {services} services of this night share it: {', '.join(shared)}"


def of_baseline(baseline: Baseline, *, state: State, is_due_for_review: bool) -> Iterator[str]:
    """Yield what a person should do about the baseline."""
    if not baseline.fingerprint:
        yield "the baseline has no fingerprint of load and data (recorded by an earlier version); record a new one"
    elif state is State.STALE:
        yield f"the baseline expired on {baseline.expires_at:%Y-%m-%d}: no deviation is critical until it is renewed"
    elif is_due_for_review:
        yield f"the baseline has been due for review since {baseline.review_by:%Y-%m-%d}"


def first_seen(seen: FirstSeen) -> str:
    """Return when a change began and with which version, as the end of a sentence."""
    day = "" if seen.at is None else f" on {seen.at.astimezone(UTC):%Y-%m-%d}"
    if seen.version is None:
        return f"; first seen{day}" if day else ""
    if seen.previous_version == seen.version:
        unchanged = f"version {seen.version} (not a new deployment)"
        return f"; first seen{day}, {unchanged}" if day else f"; {unchanged}"
    previous = "" if seen.previous_version is None else f" (previous version {seen.previous_version})"
    return f"; first seen{day} with version {seen.version}{previous}"
