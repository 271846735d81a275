"""Centre and spread of the history that a night is compared with.

For one metric of one cell; all values are on the log scale of `include.perf.baselines.spread` and have no unit::

    y          (N,) values of the history: the reference nights among the last 45
    ȳ, N       their mean and their number
    μ          centre of the history
    s, ν       standard deviation between runs of the cell, and its degrees of freedom
    s₁², d₁    the cell's own variance, with d₁ = N − 1
    s₀², d₀    the variance common to the cells of the metric, and the degrees of freedom that it is worth

**Centre.** A trimmed mean; with three nights it is the median. V(N) is its variance over that of one run, for normal
values::

    μ    = mean of y₍c₊₁₎ … y₍N₋c₎         ordered values; c = ⌊N/4⌋ for N ≥ 4, ⌈N/2⌉ − 1 for N < 4
    V(N) = 1.2 / N                         N ≥ 4
    V(N) = 3 · 0.449 / N                   N < 4

**Spread.** Ten nights estimate a standard deviation only to about a quarter, so the cells of one metric share their
variances (empirical Bayes). s is never smaller than the cell's own s₁::

    s² = max( (d₀·s₀² + d₁·s₁²) / (d₀ + d₁), s₁² )
    ν  = d₀ + d₁

**Own variance.** Squared distances from the mean are bounded by b², so that one bad run does not blind a cell for
weeks. There is no bound for N < 6::

    s₁² = max( Σ min((yᵢ − ȳ)², b²) / d₁, 0.0001² )
    b²  = 9 · ( d₀·s₀² + Σ(yᵢ − ȳ)² − max(yᵢ − ȳ)² ) / (d₀ + d₁ − 1)

**Common variance.** See `pool`; it takes the variances without the bound.

Assumptions: runs of a cell are independent and, apart from single bad runs, close to normal on the log scale; the true
variances of the cells of one metric come from one scaled inverse χ² distribution.

Source: G. K. Smyth, Linear models and empirical Bayes methods for assessing differential expression in microarray
experiments, 2004, doi:10.2202/1544-6115.1027.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import digamma, zeta

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

MAX_REFERENCE = 45
"""Nights in a history; older ones are too far from the present."""

WINSOR_S = 3.0
"""Bound on one night's distance, in spreads: in the own variance (b), and in the mean of a window."""

TYPICAL_SPREAD, TYPICAL_DOF = 0.05, 4.0
"""s₀ and d₀ with fewer than `MIN_CELLS_TO_POOL` cells: 5 %, as if estimated from five runs."""

NEWTON_STEPS = 8
"""Enough for a relative error below 1e-8 for variances whose logarithms differ by less than 30 (standard deviation)."""

MIN_CELLS_TO_POOL = 4

MIN_SPREAD = 1e-4
"""Smallest s₁, so that a metric that never varies does not cause a division by zero."""

MIN_TO_BOUND = 6
"""With fewer nights, one distant night cannot be distinguished from a wide spread."""

MIN_TO_TRIM = 4

TRIMMED_VARIANCE = 1.2
"""Variance of the mean of the middle half, over that of a plain mean, for normal values."""

MEDIAN_OF_3_VARIANCE = 0.449
"""Variance of the median of three normal values, over that of one value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What nights are compared with; all arrays are (cells, metrics) on the log scale.

    Attributes:
        centre: μ; NaN without a history.
        spread: s.
        dof: ν.
        nights: N.
    """

    centre: Floats
    spread: Floats
    dof: Floats
    nights: Floats


def reference_of(values: Floats, is_reference: Flags) -> Reference:
    """Return centre and spread of the history of every cell; parameters as in `reference_values`."""
    kept = reference_values(values, is_reference)
    nights = np.sum(~np.isnan(kept), axis=-1).astype(float)
    centre = _trimmed_mean(kept, nights)
    dof = np.maximum(nights - 1, 0.0)
    variance, pooled_variance, pooled_dof = _variances(kept, nights, dof)
    own = np.where(dof >= 1, variance, 0.0)
    shrunk = (pooled_dof * pooled_variance + dof * own) / (pooled_dof + dof)
    spread = np.sqrt(np.maximum(shrunk, own))
    return Reference(
        centre=np.where(nights >= 1, centre, np.nan),
        spread=spread,
        dof=pooled_dof + dof,
        nights=nights,
    )


def reference_values(values: Floats, is_reference: Flags) -> Floats:
    """Return the last `MAX_REFERENCE` nights, with NaN for those that are not reference nights.

    Args:
        values: (cells, metrics, nights) on the log scale, ordered by time.
        is_reference: (cells, nights), or (cells, metrics, nights).

    Returns:
        (cells, metrics, at most `MAX_REFERENCE`).
    """
    if is_reference.ndim < values.ndim:
        is_reference = is_reference[:, np.newaxis, :]
    kept: Floats = np.where(is_reference, values, np.nan)[..., -MAX_REFERENCE:]
    return kept


def variance_of_centre(nights: Floats) -> Floats:
    """Return V(N): the variance of the centre over that of one run, for normal values.

    Args:
        nights: N, at least 1.
    """
    variance: Floats = np.where(nights < MIN_TO_TRIM, 3 * MEDIAN_OF_3_VARIANCE, TRIMMED_VARIANCE) / nights
    return variance


def pool(variance: Floats, dof: Floats) -> tuple[Floats, Floats]:
    """Return s₀² and d₀ of each metric from the variances of its cells.

    With the variance u² of a cell with d degrees of freedom, and over the n ≥ 4 cells with d ≥ 1 (ψ: digamma, ψ′:
    trigamma)::

        e        = ln u² − ψ(d/2) + ln(d/2)
        ψ′(d₀/2) = var(e) − mean ψ′(d/2)           at least 1/45, and d₀ at most 45
        s₀²      = exp( mean(e) + ψ(d₀/2) − ln(d₀/2) )

    With fewer cells, s₀ is `TYPICAL_SPREAD` and d₀ `TYPICAL_DOF`.

    Args:
        variance: u², (cells, metrics).
        dof: d, (cells, metrics).

    Returns:
        Two arrays (metrics,).

    Source: Smyth 2004, section 6.2.
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


def _variances(kept: Floats, nights: Floats, dof: Floats) -> tuple[Floats, Floats, Floats]:
    """Return s₁² (cells, metrics), and s₀² and d₀ (metrics,)."""
    squares = (kept - _mean(kept, nights)[..., np.newaxis]) ** 2
    squares = np.where(np.isnan(squares), 0.0, squares)
    total, farthest = np.sum(squares, axis=-1), np.max(squares, axis=-1, initial=0.0)
    smallest = MIN_SPREAD**2
    common, worth = pool(np.maximum(total / np.maximum(dof, 1), smallest), dof)
    rest_dof = np.maximum(dof - 1, 0.0)
    rest = (worth * common + total - farthest) / (worth + rest_dof)
    bound = np.where(nights >= MIN_TO_BOUND, WINSOR_S**2 * rest, np.inf)
    bounded = np.sum(np.minimum(squares, bound[..., np.newaxis]), axis=-1)
    variance = np.maximum(bounded / np.maximum(dof, 1), smallest)
    return variance, common, worth


def _mean(kept: Floats, nights: Floats) -> Floats:
    mean: Floats = np.sum(np.where(np.isnan(kept), 0.0, kept), axis=-1) / np.maximum(nights, 1)
    return mean


def _trimmed_mean(kept: Floats, nights: Floats) -> Floats:
    """Return μ, (cells, metrics)."""
    ordered = np.sort(kept, axis=-1)  # NaN sort last
    cut = np.floor(nights / 4)
    cut = np.where(nights < MIN_TO_TRIM, np.maximum(np.ceil(nights / 2) - 1, 0), cut)[..., np.newaxis]
    position = np.arange(kept.shape[-1])
    is_inside = (position >= cut) & (position < nights[..., np.newaxis] - cut)
    count = np.sum(is_inside, axis=-1)
    centre: Floats = np.sum(np.where(is_inside, ordered, 0.0), axis=-1) / np.maximum(count, 1)
    return centre


def _inverse_trigamma(value: Floats) -> Floats:
    """Solve ψ′(x) = value for x by Newton's method on 1/ψ′, which is convex.

    x ← x + ψ′(x) · (1 − ψ′(x)/value) / ψ″(x), from x = ½ + 1/value; ψ′(x) = ζ(2, x) and ψ″(x) = −2·ζ(3, x).

    Source: Smyth 2004, appendix.
    """
    x: Floats = 0.5 + 1 / value
    for _ in range(NEWTON_STEPS):
        trigamma = zeta(2, x)
        x = x + trigamma * (1 - trigamma / value) / (-2 * zeta(3, x))
    return x
