"""The result of comparing one metric of one run, before it becomes a deviation.

Shifts are converted from the log scale to ratios and units, with their 95 % intervals.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from scipy.special import stdtrit

from include.perf.baselines.panel import Shifts
from include.perf.baselines.spread import resolution_of, worse_sign
from include.perf.model.metric import Metric
from include.perf.runs.record import Cause, Severity, Shift

UPPER_TAIL = 0.975


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a change is significant, or only suspicious; parts of a sentence.

    Attributes:
        words: without the statistic, for Slack: ``confirmed by the median of 3 runs``.
        statistic: for the report: ``t = 5.1, threshold 4.35``; empty if there is none.
    """

    words: str
    statistic: str = ""

    def __str__(self) -> str:
        return f"{self.words} ({self.statistic})" if self.statistic else self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSeen:
    """When a change began, and with which deploy version.

    Attributes:
        at: start of the first run with the change; ``None`` if that is tonight's run.
        version: deploy version of that run; ``None`` if unknown.
        previous_version: deploy version of the night before; ``None`` if unknown.
    """

    at: datetime | None
    version: str | None
    previous_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """A significant or suspicious change of a metric.

    Attributes:
        reference: the value that it changed from, in base units.
        is_confirmed: whether it is significant, not only suspicious.
        evidence: why.
        since: first night of it, if earlier nights support it.
        max_severity: upper limit of the severity.
    """

    reference: float
    shift: Shift
    is_worse: bool
    is_confirmed: bool
    evidence: Evidence
    cause: Cause = Cause.CELL
    since: datetime | None = None
    max_severity: Severity = Severity.CRITICAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMetric:
    """How a metric compares with its history.

    Attributes:
        reference: the value that tonight was compared with, in base units.
        shift: of tonight against it.
        suspicion: the statistic over its threshold, at least 1 if suspicious for the worse; else 0.
        change: ``None`` if the metric did not change by more than the minimum effect.
    """

    reference: float
    shift: Shift
    suspicion: float = 0.0
    change: MetricChange | None = None


def shift_between(reference: float, value: float) -> Shift:
    """Return the plain change from a reference to a value, without an interval."""
    return Shift(ratio=(value - reference) / reference if reference else None, absolute=value - reference)


def absolute_shift(reference: float, shift: float, low: float, high: float) -> Shift:
    """Return a shift whose 95 % interval is known in the metric's unit."""
    if not reference:
        return Shift(ratio=None, absolute=shift, absolute_low=low, absolute_high=high)
    return Shift(
        ratio=shift / reference,
        absolute=shift,
        low=low / reference,
        high=high / reference,
        absolute_low=low,
        absolute_high=high,
    )


def shift_of_log(metric: Metric, shifts: Shifts, *, row: int, index: int, reference: float) -> Shift:
    """Return a shift on the log scale as a ratio of ``reference``, with Student's 95 % interval.

    exp(σ · (shift ± t₀.₉₇₅,ν · error)) − 1, with σ and r as in `include.perf.baselines.spread`. There is no ratio to a
    reference of zero; the change is then given relative to r, the smallest value that differs from zero.
    """
    shift, error = float(shifts.plain_shift[row, index]), float(shifts.error[row, index])
    margin = float(stdtrit(float(shifts.dof[row, index]), UPPER_TAIL)) * error
    ratio = _ratio(metric, shift)
    low, high = sorted((_ratio(metric, shift - margin), _ratio(metric, shift + margin)))
    unit = reference or resolution_of(metric)
    return Shift(
        ratio=ratio if reference else None,
        absolute=ratio * unit,
        low=low if reference else None,
        high=high if reference else None,
        absolute_low=low * unit,
        absolute_high=high * unit,
    )


def _ratio(metric: Metric, shift: float) -> float:
    """Return a shift on the log scale as a relative change of the value, rounded to remove floating-point noise."""
    return round(math.expm1(worse_sign(metric) * shift), 9) + 0.0  # + 0.0 turns −0 into 0
