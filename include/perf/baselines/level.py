"""What a night is held to: the centre of the nights before it, and how far the runs of a cell differ.

A cell's own history of ten nights knows its standard deviation to a quarter at best. So the cells of one metric
share: the variance is shrunk towards their common one (empirical Bayes), and is never less than the cell's own. With
the cell's own variance s₁² of d₁ degrees of freedom and the common s₀², worth d₀,

    s² = max((d₀·s₀² + d₁·s₁²) / (d₀ + d₁), s₁²).

In the cell's own variance a night that is far off is bounded, so that a bad run does not blind it for weeks; in the
centre a quarter of the nights is left out at either end.

Source: G. K. Smyth, Linear models and empirical Bayes methods, 2004, doi:10.2202/1544-6115.1027.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import digamma, zeta

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MAX_REFERENCE = 45
"""Nights of a reference: more would be of another season."""

WINSOR_S = 3.0
"""Bound on a night's part, in spreads, in a mean and in a cell's own variance: one bad run proves nothing."""

TYPICAL_SPREAD, TYPICAL_DOF = 0.05, 4.0
"""What is assumed of the spread between runs while too few cells are there to tell: 5 %, as if from five runs."""

NEWTON_STEPS = 8
"""Enough for a relative error below 1e-8 for variances whose logarithms differ by less than 30 (standard deviation)."""

MIN_CELLS_TO_POOL = 4

MIN_SPREAD = 1e-4
"""A spread below 0.01 % is a figure that does not vary, and nothing to divide by."""

MIN_TO_BOUND = 6
"""Of fewer nights the one that is far off is not told from a wide spread."""

MIN_TO_TRIM = 4
"""A trimmed mean needs four nights; the centre of three is their median."""

TRIMMED_VARIANCE = 1.2
"""Of the mean of the middle half, over that of a plain mean, for normal values."""

MEDIAN_OF_3_VARIANCE = 0.449
"""Of three normal values, over the variance of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceLevel:
    """What a night is held to; each (cells, metrics).

    Attributes:
        centre: robust centre of the reference, log scale; NaN without one.
        spread: standard deviation between runs, log scale.
        dof: degrees of freedom behind ``spread``.
        nights: nights in the reference.
    """

    centre: Floats
    spread: Floats
    dof: Floats
    nights: Floats


def kept_nights(values: Floats, is_reference: Flags) -> Floats:
    """Return the last `MAX_REFERENCE` nights, NaN where one may not be a reference; (cells, metrics, nights).

    Args:
        values: (cells, metrics, nights) on the log scale.
        is_reference: (cells, nights), or (cells, metrics, nights).
    """
    if is_reference.ndim < values.ndim:
        is_reference = is_reference[:, np.newaxis, :]
    kept: Floats = np.where(is_reference, values, np.nan)[..., -MAX_REFERENCE:]
    return kept


def level_of(values: Floats, is_reference: Flags) -> ReferenceLevel:
    """Return the level of those of the last `MAX_REFERENCE` nights that may be a reference, as `kept_nights`."""
    kept = kept_nights(values, is_reference)
    nights = np.sum(~np.isnan(kept), axis=-1).astype(float)
    centre = _robust_centre(kept, nights)
    dof = np.maximum(nights - 1, 0.0)
    variance, pooled_variance, pooled_dof = _variances(kept, nights, dof)
    own = np.where(dof >= 1, variance, 0.0)
    shrunk = (pooled_dof * pooled_variance + dof * own) / (pooled_dof + dof)
    spread = np.sqrt(np.maximum(shrunk, own))
    return ReferenceLevel(
        centre=np.where(nights >= 1, centre, np.nan),
        spread=spread,
        dof=pooled_dof + dof,
        nights=nights,
    )


def _mean(kept: Floats, nights: Floats) -> Floats:
    mean: Floats = np.sum(np.where(np.isnan(kept), 0.0, kept), axis=-1) / np.maximum(nights, 1)
    return mean


def _variances(kept: Floats, nights: Floats, dof: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each cell's own variance, the one that is common to the metric's cells, and what that is worth.

    One bad run in a history would make its cell blind for weeks. So a night's distance from the mean is bounded by
    `WINSOR_S` spreads of a first pass, in which each cell's farthest night is left out.
    """
    squares = (kept - _mean(kept, nights)[..., np.newaxis]) ** 2
    squares = np.where(np.isnan(squares), 0.0, squares)
    total, farthest = np.sum(squares, axis=-1), np.max(squares, axis=-1, initial=0.0)
    floor = MIN_SPREAD**2
    common, worth = pool(np.maximum(total / np.maximum(dof, 1), floor), dof)
    rest_dof = np.maximum(dof - 1, 0.0)
    rest = (worth * common + total - farthest) / (worth + rest_dof)
    bound = np.where(nights >= MIN_TO_BOUND, WINSOR_S**2 * rest, np.inf)
    bounded = np.sum(np.minimum(squares, bound[..., np.newaxis]), axis=-1)
    variance = np.maximum(bounded / np.maximum(dof, 1), floor)
    return variance, common, worth


def _robust_centre(kept: Floats, nights: Floats) -> Floats:
    """Return the mean after a quarter of the nights is left out at either end; of fewer than four, the median."""
    ordered = np.sort(kept, axis=-1)  # NaN go last
    cut = np.floor(nights / 4)
    cut = np.where(nights < MIN_TO_TRIM, np.maximum(np.ceil(nights / 2) - 1, 0), cut)[..., np.newaxis]
    position = np.arange(kept.shape[-1])
    is_inside = (position >= cut) & (position < nights[..., np.newaxis] - cut)
    count = np.sum(is_inside, axis=-1)
    centre: Floats = np.sum(np.where(is_inside, ordered, 0.0), axis=-1) / np.maximum(count, 1)
    return centre


def variance_of_centre(nights: Floats) -> Floats:
    """Return the variance of a level's centre over that of one night, for normal values.

    Args:
        nights: in the reference, at least 1.
    """
    variance: Floats = np.where(nights < MIN_TO_TRIM, 3 * MEDIAN_OF_3_VARIANCE, TRIMMED_VARIANCE) / nights
    return variance


def pool(variance: Floats, dof: Floats) -> tuple[Floats, Floats]:
    """Return the common variance of each metric's cells and the degrees of freedom that it is worth.

    The variances of the cells are taken to be draws of a scaled inverse χ²; its two parameters are found from the
    mean and the spread of their logarithms (Smyth 2004, section 6.2).

    Args:
        variance: (cells, metrics).
        dof: (cells, metrics) degrees of freedom of each; those below 1 are left out.

    Returns:
        Two arrays (metrics,).
    """
    is_known = dof >= 1
    number = np.sum(is_known, axis=0)
    half = np.where(is_known, dof, 1.0) / 2
    logs = np.where(is_known, np.log(np.where(is_known, variance, 1.0)) - digamma(half) + np.log(half), 0.0)
    mean = np.sum(logs, axis=0) / np.maximum(number, 1)
    squares = np.sum(np.where(is_known, (logs - mean) ** 2, 0.0), axis=0) / np.maximum(number - 1, 1)
    excess = squares - np.sum(np.where(is_known, zeta(2, half), 0.0), axis=0) / np.maximum(number, 1)
    half_worth = np.minimum(_inverse_trigamma(np.maximum(excess, 1 / MAX_REFERENCE)), MAX_REFERENCE / 2)
    common = np.exp(mean + digamma(half_worth) - np.log(half_worth))
    is_enough = number >= MIN_CELLS_TO_POOL
    return np.where(is_enough, common, TYPICAL_SPREAD**2), np.where(is_enough, 2 * half_worth, TYPICAL_DOF)


def _inverse_trigamma(value: Floats) -> Floats:
    """Solve trigamma(x) = value by Newton's method on its reciprocal, which is convex (Smyth 2004, appendix)."""
    x: Floats = 0.5 + 1 / value
    for _ in range(NEWTON_STEPS):
        trigamma = zeta(2, x)
        x = x + trigamma * (1 - trigamma / value) / (-2 * zeta(3, x))
    return x
