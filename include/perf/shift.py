"""Shifts as people read them: from the log scale back to ratios and units, with their 95 % intervals."""

import math

from scipy.special import stdtrit

from include.perf.detection import Shifts
from include.perf.metric import Metric
from include.perf.run import Shift
from include.perf.spread import resolution_of, worse_sign

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
