"""What the judging of one metric of one run comes to, before it is put into a deviation.

Shifts as people read them: from the log scale back to ratios and units, with their 95 % intervals.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from scipy.special import stdtrit

from include.perf.baselines.panel import Shifts
from include.perf.baselines.spread import resolution_of, worse_sign
from include.perf.model.metric import Metric
from include.perf.runs.record import Cause, Severity, Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a change is significant, or only suspicious; parts of a sentence.

    Attributes:
        words: without the statistics, for Slack: ``confirmed by the median of 3 runs``.
        statistic: for the report: ``t = 5.1, threshold 4.35``; empty where there is none.
    """

    words: str
    statistic: str = ""

    def __str__(self) -> str:
        return f"{self.words} ({self.statistic})" if self.statistic else self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSeen:
    """When a change began, and with which deploy version.

    Attributes:
        at: start of the first run that showed it; ``None`` when that is tonight's.
        version: deploy version of that run; ``None`` when unknown.
        previous_version: deploy version of the night before; ``None`` when unknown.
    """

    at: datetime | None
    version: str | None
    previous_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """A metric that moved, or looks as if it did.

    Attributes:
        level: what it moved from, in base units.
        is_confirmed: whether it is sure.
        evidence: why it is significant, or only suspicious.
        since: the first night of it, where more than tonight speaks for it.
        most: how grave it is at the most.
    """

    level: float
    shift: Shift
    is_worse: bool
    is_confirmed: bool
    evidence: Evidence
    cause: Cause = Cause.CELL
    since: datetime | None = None
    most: Severity = Severity.CRITICAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How a metric compares.

    Attributes:
        level: what tonight was held to, in base units.
        shift: of tonight against it.
        suspicion: how far it lies beyond where suspicion begins, as a ratio; 0 for none.
        move: ``None`` where it did not move by more than is worth telling.
    """

    level: float
    shift: Shift
    suspicion: float = 0.0
    move: MetricChange | None = None


UPPER_TAIL = 0.975


def shift_between(level: float, value: float) -> Shift:
    """Return the plain change from a level to a value, without an interval."""
    return Shift(ratio=(value - level) / level if level else None, absolute=value - level)


def absolute_shift(level: float, shift: float, low: float, high: float) -> Shift:
    """Return a shift whose interval is known in the metric's unit."""
    if not level:
        return Shift(ratio=None, absolute=shift, absolute_low=low, absolute_high=high)
    return Shift(
        ratio=shift / level,
        absolute=shift,
        low=low / level,
        high=high / level,
        absolute_low=low,
        absolute_high=high,
    )


def shift_of_log(metric: Metric, shifts: Shifts, *, row: int, index: int, level: float) -> Shift:
    """Return a shift on the log scale as a ratio of ``level``; the interval is Student's.

    From a level of zero there is no ratio; the change is then that from the smallest value that is told from zero.
    """
    shift, error = float(shifts.told[row, index]), float(shifts.error[row, index])
    margin = float(stdtrit(float(shifts.dof[row, index]), UPPER_TAIL)) * error
    ratio = _ratio(metric, shift)
    low, high = sorted((_ratio(metric, shift - margin), _ratio(metric, shift + margin)))
    unit = level or resolution_of(metric)
    return Shift(
        ratio=ratio if level else None,
        absolute=ratio * unit,
        low=low if level else None,
        high=high if level else None,
        absolute_low=low * unit,
        absolute_high=high * unit,
    )


def _ratio(metric: Metric, shift: float) -> float:
    """Return a shift on the log scale as a relative change of the value, without the noise of the arithmetic."""
    return round(math.expm1(worse_sign(metric) * shift), 9) + 0.0  # which makes 0 of −0
