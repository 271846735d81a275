"""Separate a regression from noise: the statistics of one night over all cells.

A *cell* is one service under one scenario. A *night* is one run of a cell, or the median of the run and its re-runs.
For one metric of one cell, on the log scale of `include.perf.baselines.spread` (larger is worse, no unit)::

    y              value of a night
    μ, s, ν, N     centre, spread, degrees of freedom and nights of the history, see `include.perf.baselines.reference`
    V(N)           variance of μ over that of one run
    f              minimum effect
    δ = y − μ      distance of a night from the centre
    P              the part of δ that all cells of the night share

**Platform.** What all cells do in one night is attributed to the test bed or the platform. Over the n ≥ 4 judged cells
with N ≥ 3::

    m = median of δ
    z = m · √n / (1.2533 · median of s·√(1 + 1/N))         1.2533 = √(π/2), the price of a median
    P = m · max(0, 1 − 1/z²)                               positive-part James–Stein shrinkage

**Tonight.** For N ≥ 3::

    t = (δ − P) / ( s · √(1 + 1/N) )

**Latencies together.** A release that changes a service shows in all its latencies, chance mostly in one. Over the
metrics i of a family, with wᵢ = 1 / standard error of shift i and their correlation R::

    z_F = k · Σ wᵢ·zᵢ / √(wᵀ·R·w)                          k = 1.12, see `FAMILY_EDGE`

    R_ij = Σ rᵢ·rⱼ / √(Σ rᵢ² · Σ rⱼ²), clipped to [0.2, 1]  over all reference nights of all cells
    r    = clip( (y − μ) / s, −3, 3 )

**Across nights.** For each window of the last n = 2, 3, 5, 7, 10, 14 nights, with μ, s, ν and N of the older nights::

    D = mean of clip(δᵢ − Pᵢ, −3s, 3s)                     Pᵢ: platform part of night i
    z = D / ( s · √(ν / (ν − 2)) · √(1/n + V(N)) )

√(ν / (ν − 2)), the standard deviation of Student's t, accounts for the estimated s. Each window is also compared with
the frozen anchor of the approved baseline: then μ is the anchor and N the number of runs behind it. The anchor does not
follow a drift, so a slow drift is never absorbed.

**Across scenarios.** Over the K ≥ 2 scenarios of a service::

    Z = Σ clip(z, −2.5, 2.5) / √K

Assumptions:

1. Runs are the unit. Requests or seconds within a run are not independent; a test on them rejects nearly every pair of
   runs of the same code.
2. On the log scale, the spread between runs does not depend on the level.
3. Runs of a cell are independent, apart from the part that all cells of a night share.
4. Differences between runs are close to normal. Heavy tails and single bad runs are expected; trimming, bounds and
   re-runs limit their influence.

`include.perf.verdict.significance` applies the thresholds. All statistics are arrays over (cells, metrics), so judging
a night takes milliseconds. `benchmarks/detection.py` measures false alarms and power.

Sources: S. A. Stouffer et al., The American Soldier, vol. 1, 1949 (the sum over scenarios); W. James & C. Stein,
Estimation with quadratic loss, 1961 (the platform part).
"""

from dataclasses import dataclass

import numpy as np

from include.perf.baselines.panel import FAMILY_EDGE, Family, Panel, PanelStatistics, ServiceShifts, Shifts
from include.perf.baselines.reference import (
    WINSOR_S,
    Flags,
    Floats,
    Ints,
    Reference,
    reference_of,
    reference_values,
    variance_of_centre,
)

SCENARIO_Z = 2.5
"""Bound on the z of one scenario in the sum of its service: one bad run, which was not repeated, is not a service."""

WINDOWS = (2, 3, 5, 7, 10, 14)
"""n, in nights."""

MIN_REFERENCE = 3
"""With fewer nights of history, no run is judged by statistics."""

MIN_CELLS_OF_PLATFORM = 4

MEDIAN_EFFICIENCY = 1.2533
"""√(π/2): standard error of a median over that of a mean, for normal values."""

MIN_CORRELATION = 0.2
"""Smallest correlation assumed between the latencies of a run; few runs estimate it badly."""


def examine(panel: Panel) -> PanelStatistics:
    """Compute the statistics of a night, as defined in the docstring of the module."""
    reference = reference_of(panel.values[..., :-1], panel.is_reference[..., :-1])
    latest = panel.values[..., -1:] - reference.centre[..., np.newaxis]
    platform, platform_z = _platform(latest, reference, panel.is_tonight[:, np.newaxis])
    own_part = np.where(panel.is_tonight[:, np.newaxis], latest[..., 0] - platform[:, 0], latest[..., 0])
    family = _family(panel, reference)
    tonight = _shifts(_Mean(bounded=own_part, plain=own_part), reference, family, nights=1)
    windows = []
    for nights in WINDOWS:
        if nights >= panel.values.shape[-1]:
            break
        older = reference_of(panel.values[..., :-nights], panel.is_reference[..., :-nights])
        recent = panel.values[..., -nights:]
        windows.append(_window(recent, older, family, panel))
        windows.append(_against_anchor(recent, older, family, panel))
    return PanelStatistics(
        reference=reference,
        family=family,
        tonight=tonight,
        windows=tuple(windows),
        services=tuple(_by_service(shifts, panel.services) for shifts in (tonight, *windows) if not shifts.of_anchor),
        platform=platform[:, 0],
        platform_z=platform_z[:, 0],
    )


def _family(panel: Panel, reference: Reference) -> Family:
    """Estimate R, the correlation of the metrics of each family between runs."""
    is_same = (panel.families[:, np.newaxis] == panel.families) & (panel.families >= 0)
    belongs = is_same.astype(float)
    kept = reference_values(panel.values[..., :-1], panel.is_reference[..., :-1])
    bound = WINSOR_S
    residuals = np.clip((kept - reference.centre[..., np.newaxis]) / reference.spread[..., np.newaxis], -bound, bound)
    residuals = np.where(np.isnan(residuals), 0.0, residuals)
    flat = residuals.transpose(1, 0, 2).reshape(residuals.shape[1], -1)
    products = flat @ flat.T
    scale = np.sqrt(np.maximum(np.diag(products), 1e-12))
    correlation = np.clip(products / np.outer(scale, scale), 0.0, 1.0)
    correlation = np.maximum(correlation, MIN_CORRELATION)
    np.fill_diagonal(correlation, 1.0)
    return Family(correlation=correlation * belongs, belongs=belongs)


def _platform(shift: Floats, reference: Reference, is_judged: Flags) -> tuple[Floats, Floats]:
    """Return P and its z.

    Args:
        shift: δ, (cells, metrics, nights).
        is_judged: (cells, nights) the cells that P is estimated from.

    Returns:
        Two arrays (metrics, nights); 0 with fewer than `MIN_CELLS_OF_PLATFORM` cells.
    """
    is_known = is_judged[:, np.newaxis, :] & ~np.isnan(shift) & (reference.nights >= MIN_REFERENCE)[..., np.newaxis]
    expected = (reference.spread * np.sqrt(1 + 1 / np.maximum(reference.nights, 1)))[..., np.newaxis]
    count = np.sum(is_known, axis=0)
    is_enough = count >= MIN_CELLS_OF_PLATFORM
    median = np.where(is_enough, _median(np.where(is_known, shift, np.inf), count), 0.0)
    typical = np.where(is_enough, _median(np.where(is_known, expected, np.inf), count), 1.0)
    z = median * np.sqrt(count) / (MEDIAN_EFFICIENCY * typical)
    return median * np.maximum(0.0, 1 - 1 / np.maximum(z**2, 1.0)), z


def _median(values: Floats, count: Ints) -> Floats:
    """Return the median over the first axis of the ``count`` finite values; the others are +∞."""
    ordered = np.sort(values, axis=0)
    last = len(values) - 1
    if np.all(count == len(values)):
        middle: Floats = (ordered[last // 2] + ordered[(last + 1) // 2]) / 2
        return middle
    lower = np.take_along_axis(ordered, np.clip((count - 1) // 2, 0, last)[np.newaxis], axis=0)[0]
    upper = np.take_along_axis(ordered, np.clip(count // 2, 0, last)[np.newaxis], axis=0)[0]
    median: Floats = (lower + upper) / 2
    return median


@dataclass(frozen=True, slots=True)
class _Mean:
    """The mean distance of some nights from the centre, with each night's part bounded and without bounds."""

    bounded: Floats
    plain: Floats


def _shifts(mean: _Mean, reference: Reference, family: Family, *, nights: int, of_anchor: bool = False) -> Shifts:
    """Return the shifts with their standard errors; NaN with less than `MIN_REFERENCE` nights of history."""
    enough = reference.nights >= MIN_REFERENCE
    runs = np.maximum(reference.nights, 1)
    if nights == 1:
        error = reference.spread * np.sqrt(1 + 1 / runs)
    else:
        error = reference.spread * _uncertainty(reference.dof) * np.sqrt(1 / nights + variance_of_centre(runs))
    error = np.where(enough, error, np.nan)
    z = mean.bounded / error
    return Shifts(
        nights=nights,
        of_anchor=of_anchor,
        centre=reference.centre,
        shift=mean.bounded,
        plain_shift=mean.plain,
        error=error,
        z=z,
        family_z=FAMILY_EDGE * family.sum_of(z, error),
        dof=reference.dof,
    )


def _uncertainty(dof: Floats) -> Floats:
    """Return √(ν / (ν − 2)), the factor for an estimated spread."""
    factor: Floats = np.sqrt(dof / np.maximum(dof - 2, 1.0))
    return factor


def _window(recent: Floats, older: Reference, family: Family, panel: Panel) -> Shifts:
    mean = _mean_distance(recent, older, panel.is_tonight)
    return _shifts(mean, older, family, nights=recent.shape[-1])


def _against_anchor(recent: Floats, older: Reference, family: Family, panel: Panel) -> Shifts:
    runs = np.broadcast_to(panel.anchor_runs[:, np.newaxis], panel.anchors.shape)
    anchor = Reference(centre=panel.anchors, spread=older.spread, dof=older.dof, nights=runs)
    mean = _mean_distance(recent, anchor, panel.is_tonight)
    return _shifts(mean, anchor, family, nights=recent.shape[-1], of_anchor=True)


def _mean_distance(recent: Floats, reference: Reference, is_tonight: Flags) -> _Mean:
    """Return the mean distance from the centre, without the platform part of each night.

    Only for tonight's cells the nights are the same, so only they have a platform part. NaN if a night has no value.
    """
    distance = recent - reference.centre[..., np.newaxis]
    shared = np.broadcast_to(is_tonight[:, np.newaxis], (len(recent), recent.shape[-1]))
    part, _ = _platform(distance, reference, shared)
    part = np.where(is_tonight[:, np.newaxis, np.newaxis], part, 0.0)
    bound = WINSOR_S * reference.spread[..., np.newaxis]
    own = distance - part
    return _Mean(bounded=np.mean(np.clip(own, -bound, bound), axis=-1), plain=np.mean(own, axis=-1))


def _by_service(shifts: Shifts, services: Ints) -> ServiceShifts:
    """Return Z and the mean bounded shift of each service; NaN with fewer than two scenarios."""
    count = int(services.max()) + 1 if len(services) else 0
    belongs = (services == np.arange(count)[:, np.newaxis]).astype(float)
    bounded = np.clip(shifts.z, -SCENARIO_Z, SCENARIO_Z)
    known = ~np.isnan(bounded)
    number = belongs @ known
    is_enough = number >= 2
    number = np.maximum(number, 1)
    z = np.where(is_enough, belongs @ np.where(known, bounded, 0.0) / np.sqrt(number), np.nan)
    shift = np.where(is_enough, belongs @ np.where(known, bounded * shifts.error, 0.0) / number, np.nan)
    return ServiceShifts(nights=shifts.nights, shift=shift, z=z)
