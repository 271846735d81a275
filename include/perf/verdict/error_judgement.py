"""Judge the error rate of a run: as a count if the history has counts, else by the minimum effect alone."""

import math
from collections.abc import Sequence

from include.perf.baselines.error_count import CONFIRM_P, SUSPECT_P, FailureCount, compare_failures
from include.perf.baselines.history import Night
from include.perf.model.metric import METRICS
from include.perf.runs.record import Severity
from include.perf.verdict import reasons
from include.perf.verdict.contender import Contender
from include.perf.verdict.metric_change import ComparedMetric, MetricChange, absolute_shift, shift_between

ERROR_RATE = METRICS["error_rate"]
MINIMUM_EFFECT = ERROR_RATE.min_effect_absolute * (1 + 1e-9)
"""With a margin, so that a change of exactly the minimum effect does not pass for rounding."""


def judge_errors(
    contender: Contender, history: Sequence[Night], *, rate: float, baseline_rate: float
) -> ComparedMetric:
    """Compare tonight's failures with the history.

    Args:
        rate: tonight's error rate as a ratio, the median if there were re-runs.
        baseline_rate: error rate of the baseline, for a history without counts.
    """
    counts = [count for night in history if (count := _count(night.run.failed, night.run.due)) is not None]
    tonight = _tonight(contender, rate)
    found = compare_failures(tonight, counts) if tonight is not None else None
    if found is None:
        return _without_counts(contender, rate=rate, baseline_rate=baseline_rate)
    shift = absolute_shift(found.earlier_rate, found.shift, found.low, found.high)
    is_worse = found.shift > 0
    p = found.p_more if is_worse else found.p_fewer
    if abs(found.shift) <= MINIMUM_EFFECT or p >= SUSPECT_P:
        return ComparedMetric(reference=found.earlier_rate, shift=shift)
    change = MetricChange(
        reference=found.earlier_rate,
        shift=shift,
        is_worse=is_worse,
        is_confirmed=not is_worse or (p < CONFIRM_P and contender.is_backed(ERROR_RATE.name)),
        evidence=reasons.by_errors(p=p, upper=found.upper, nights=len(counts), is_worse=is_worse),
        max_severity=Severity.CRITICAL if contender.runs_with(ERROR_RATE.name) > 1 else Severity.WARNING,
    )
    suspicion = max(1.0, found.shift / (found.high - found.shift)) if is_worse else 0.0
    return ComparedMetric(reference=found.earlier_rate, shift=shift, suspicion=suspicion, change=change)


def _without_counts(contender: Contender, *, rate: float, baseline_rate: float) -> ComparedMetric:
    """Judge by the minimum effect alone: baselines of earlier versions have no counts."""
    shift = shift_between(baseline_rate, rate)
    if abs(shift.absolute) <= MINIMUM_EFFECT:
        return ComparedMetric(reference=baseline_rate, shift=shift)
    is_worse = shift.absolute > 0
    change = MetricChange(
        reference=baseline_rate,
        shift=shift,
        is_worse=is_worse,
        is_confirmed=not is_worse or contender.is_backed(ERROR_RATE.name),
        evidence=reasons.without_counts(ERROR_RATE.min_effect_absolute),
    )
    suspicion = 1 + shift.absolute if is_worse else 0.0
    return ComparedMetric(reference=baseline_rate, shift=shift, suspicion=suspicion, change=change)


def _tonight(contender: Contender, rate: float) -> FailureCount | None:
    """Return the count of the run whose error rate is judged."""
    for run in contender.runs:
        count = _count(run.failed, run.due)
        if count is not None and math.isclose(count.rate, rate, abs_tol=1e-12):
            return count
    return None


def _count(failed: int | None, due: int | None) -> FailureCount | None:
    return None if failed is None or not due else FailureCount(failed=failed, due=due)
