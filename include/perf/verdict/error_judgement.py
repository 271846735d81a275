"""The judgement of the failures of one run: as counts where the nights before have them, else by the floor alone."""

import math
from collections.abc import Sequence

from include.perf.baselines.error_count import CONFIRM_P, SUSPECT_P, FailureCount, excess
from include.perf.baselines.history import Night
from include.perf.model.metric import METRICS
from include.perf.runs.record import Severity
from include.perf.verdict import reasons
from include.perf.verdict.contender import Contender
from include.perf.verdict.moves import Compared, MetricChange, absolute_shift, shift_between

ERROR_RATE = METRICS["error_rate"]
FLOOR = ERROR_RATE.min_effect_absolute * (1 + 1e-9)


def judge_errors(contender: Contender, reference: Sequence[Night], *, rate: float, level: float) -> Compared:
    """Return how tonight's failures compare.

    Args:
        rate: tonight's, the median where there are re-runs.
        level: the baseline's rate, for nights that have no counts.
    """
    counts = [count for night in reference if (count := _count(night.run.failed, night.run.due)) is not None]
    tonight = _tonight(contender, rate)
    found = excess(tonight, counts) if tonight is not None else None
    if found is None:
        return _by_floor(contender, rate=rate, level=level)
    shift = absolute_shift(found.level, found.shift, found.low, found.high)
    is_worse = found.shift > 0
    chance = found.p_more if is_worse else found.p_fewer
    if abs(found.shift) <= FLOOR or chance >= SUSPECT_P:
        return Compared(level=found.level, shift=shift)
    move = MetricChange(
        level=found.level,
        shift=shift,
        is_worse=is_worse,
        is_confirmed=not is_worse or (chance < CONFIRM_P and contender.is_backed(ERROR_RATE.name)),
        evidence=reasons.by_errors(p=chance, upper=found.upper, nights=len(counts), is_worse=is_worse),
        most=Severity.CRITICAL if contender.runs_with(ERROR_RATE.name) > 1 else Severity.WARNING,
    )
    suspicion = max(1.0, found.shift / (found.high - found.shift)) if is_worse else 0.0
    return Compared(level=found.level, shift=shift, suspicion=suspicion, move=move)


def _by_floor(contender: Contender, *, rate: float, level: float) -> Compared:
    """Judge without counts, as baselines of earlier days have none."""
    shift = shift_between(level, rate)
    if abs(shift.absolute) <= FLOOR:
        return Compared(level=level, shift=shift)
    is_worse = shift.absolute > 0
    move = MetricChange(
        level=level,
        shift=shift,
        is_worse=is_worse,
        is_confirmed=not is_worse or contender.is_backed(ERROR_RATE.name),
        evidence=reasons.without_counts(ERROR_RATE.min_effect_absolute),
    )
    return Compared(level=level, shift=shift, suspicion=1 + shift.absolute if is_worse else 0.0, move=move)


def _tonight(contender: Contender, rate: float) -> FailureCount | None:
    """Return the count of the run whose error rate was judged."""
    for run in contender.runs:
        count = _count(run.failed, run.due)
        if count is not None and math.isclose(count.rate, rate, abs_tol=1e-12):
            return count
    return None


def _count(failed: int | None, due: int | None) -> FailureCount | None:
    return None if failed is None or not due else FailureCount(failed=failed, due=due)
