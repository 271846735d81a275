"""Sums, means and deviations over every run of `period` values of an array.

They use cumulative sums, so the cost does not depend on the period. Each takes (n,) floats and gives
(n - period + 1,), nothing where there are fewer values than the period.
"""

import numpy as np

from demo.platform.prices import FloatArray


def rolling_sum(values: FloatArray, period: int) -> FloatArray:
    """Sum the last `period` values, in their unit."""
    sums = np.cumsum(values)
    rolled = sums[period - 1 :].copy()
    rolled[1:] -= sums[:-period]
    return rolled


def rolling_mean(values: FloatArray, period: int) -> FloatArray:
    """Average the last `period` values, in their unit."""
    means = rolling_sum(values, period)
    means /= period
    return means


def rolling_deviation(values: FloatArray, period: int) -> FloatArray:
    """Take the sample standard deviation (n - 1) of the last `period` values, at least 2, in their unit.

    The values are centred first, which keeps the cancellation between the two sums small.
    """
    centred = values - values.sum() / len(values)
    total = rolling_sum(centred, period)
    variance = rolling_sum(centred * centred, period) - total * total / period
    deviations: FloatArray = np.sqrt(np.maximum(variance, 0.0) / (period - 1))
    return deviations
