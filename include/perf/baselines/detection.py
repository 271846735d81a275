"""Telling a regression from noise: the statistics of one night over all cells.

A *cell* is one service in one scenario, a *night* one run of it (or the median of the run and its re-runs). All is
judged on the logarithm, signed so that more is worse, where a slowdown of a fifth is the same step at every level and
the spread between runs is about the same for all. Runs are the unit: requests or seconds within a run are not
independent, and tests on them reject nearly every pair of runs of the same code.

The rule, in the order in which it is applied:

1. **Level.** A night is held to the centre of the nights before, in units of the spread between runs s, of which the
   cells of one metric share what they know: `include.perf.baselines.level`.
2. **Platform.** What all cells did on a night is the test bed's or the platform's doing: the median shift of each
   metric is taken out of that night, as far as it stands out of its own uncertainty; tonight's is told once.
3. **Tonight.** t = (tonight − centre) / (s·√(1 + 1/n)). Beyond `SUSPECT_T` the cell is worth two re-runs in the same
   night; the median of the three counts, and is sure beyond `CONFIRM_T` of its own, smaller error.
   The latencies of a cell are summed too, each by the precision of its shift, over what such a sum varies by: what a
   release does shows in all of them, chance mostly in one. The same holds below.
4. **Across nights.** The mean of the last 2 … 14 nights, each night's part bounded (winsorised), against the older
   ones (`WINDOW_Z`), and against the frozen anchor of the approved baseline, so that creeping is never absorbed
   (`ANCHOR_Z`). That s is estimated is in their error: the factor √(ν / (ν − 2)) of Student's t.
5. **Across scenarios.** The same statistics summed over the scenarios of a service (Stouffer), each one's part bounded:
   `SERVICE_Z` for a night, `SERVICE_WINDOW_Z` for several.

Here are the statistics; `include.perf.verdict.calls` holds them to their limits. Everything is arrays over (cells,
metrics):
judging a night takes milliseconds. `benchmarks/detection.py` has the error rates and the power of it, beside other
detectors.

Sources: S. A. Stouffer et al., The American Soldier, vol. 1, 1949 (the sum); W. James & C. Stein, Estimation with
quadratic loss, 1961 (the platform's part).
"""

from dataclasses import dataclass

import numpy as np

from include.perf.baselines.level import (
    WINSOR_S,
    Flags,
    Floats,
    Ints,
    ReferenceLevel,
    kept_nights,
    level_of,
    variance_of_centre,
)
from include.perf.baselines.panel import FAMILY_EDGE, Family, Panel, PanelStatistics, ServiceShifts, Shifts

SCENARIO_Z = 2.5
"""Bound on one scenario's part in its service's sum: one bad run, which nobody has repeated, is no service."""

WINDOWS = (2, 3, 5, 7, 10, 14)

MIN_REFERENCE = 3
"""With fewer nights before it no run is judged by statistics."""

MIN_CELLS_OF_PLATFORM = 4

MEDIAN_EFFICIENCY = 1.2533
"""Standard error of a median over that of a mean, for normal values: √(π/2)."""

MIN_CORRELATION = 0.2
"""Latencies of a run are never taken to be less alike than this, however few runs there are to tell."""


def examine(panel: Panel) -> PanelStatistics:
    """Compute the statistics of a night."""
    level = level_of(panel.values[..., :-1], panel.is_reference[..., :-1])
    latest = panel.values[..., -1:] - level.centre[..., np.newaxis]
    platform, platform_z = _platform(latest, level, panel.is_tonight[:, np.newaxis])
    own_part = np.where(panel.is_tonight[:, np.newaxis], latest[..., 0] - platform[:, 0], latest[..., 0])
    family = _family(panel, level)
    tonight = _shifts(_Mean(bounded=own_part, plain=own_part), level, family, nights=1)
    windows = []
    for nights in WINDOWS:
        if nights >= panel.values.shape[-1]:
            break
        older = level_of(panel.values[..., :-nights], panel.is_reference[..., :-nights])
        recent = panel.values[..., -nights:]
        windows.append(_window(recent, older, family, panel))
        windows.append(_against_anchor(recent, older, family, panel))
    return PanelStatistics(
        level=level,
        family=family,
        tonight=tonight,
        windows=tuple(windows),
        services=tuple(_by_service(shifts, panel.services) for shifts in (tonight, *windows) if not shifts.of_anchor),
        platform=platform[:, 0],
        platform_z=platform_z[:, 0],
    )


def _family(panel: Panel, level: ReferenceLevel) -> Family:
    """Find how far the metrics of a family vary together from run to run."""
    is_one = (panel.families[:, np.newaxis] == panel.families) & (panel.families >= 0)
    belongs = is_one.astype(float)
    kept = kept_nights(panel.values[..., :-1], panel.is_reference[..., :-1])
    bound = WINSOR_S
    residuals = np.clip((kept - level.centre[..., np.newaxis]) / level.spread[..., np.newaxis], -bound, bound)
    residuals = np.where(np.isnan(residuals), 0.0, residuals)
    flat = residuals.transpose(1, 0, 2).reshape(residuals.shape[1], -1)
    products = flat @ flat.T
    scale = np.sqrt(np.maximum(np.diag(products), 1e-12))
    correlation = np.clip(products / np.outer(scale, scale), 0.0, 1.0)
    correlation = np.maximum(correlation, MIN_CORRELATION)
    np.fill_diagonal(correlation, 1.0)
    return Family(correlation=correlation * belongs, belongs=belongs)


def _platform(shift: Floats, level: ReferenceLevel, is_judged: Flags) -> tuple[Floats, Floats]:
    """Return the part of a night that all cells share, shrunk by its own uncertainty, and how far it stands out.

    Args:
        shift: (cells, metrics, nights) distance from the level.
        is_judged: (cells, nights) whose part it is.

    Returns:
        Two arrays (metrics, nights); 0 with fewer than `MIN_CELLS_OF_PLATFORM`.
    """
    is_known = is_judged[:, np.newaxis, :] & ~np.isnan(shift) & (level.nights >= MIN_REFERENCE)[..., np.newaxis]
    expected = (level.spread * np.sqrt(1 + 1 / np.maximum(level.nights, 1)))[..., np.newaxis]
    count = np.sum(is_known, axis=0)
    is_enough = count >= MIN_CELLS_OF_PLATFORM
    median = np.where(is_enough, _median(np.where(is_known, shift, np.inf), count), 0.0)
    typical = np.where(is_enough, _median(np.where(is_known, expected, np.inf), count), 1.0)
    z = median * np.sqrt(count) / (MEDIAN_EFFICIENCY * typical)
    return median * np.maximum(0.0, 1 - 1 / np.maximum(z**2, 1.0)), z


def _median(values: Floats, count: Ints) -> Floats:
    """Return the median of the first axis, of which ``count`` values are finite; the others are +∞."""
    ordered = np.sort(values, axis=0)
    last = len(values) - 1
    if np.all(count == len(values)):
        whole: Floats = (ordered[last // 2] + ordered[(last + 1) // 2]) / 2
        return whole
    lower = np.take_along_axis(ordered, np.clip((count - 1) // 2, 0, last)[np.newaxis], axis=0)[0]
    upper = np.take_along_axis(ordered, np.clip(count // 2, 0, last)[np.newaxis], axis=0)[0]
    median: Floats = (lower + upper) / 2
    return median


@dataclass(frozen=True, slots=True)
class _Mean:
    """The mean distance of some nights from a level, with each night's part bounded and without."""

    bounded: Floats
    plain: Floats


def _shifts(mean: _Mean, level: ReferenceLevel, family: Family, *, nights: int, of_anchor: bool = False) -> Shifts:
    enough = level.nights >= MIN_REFERENCE
    runs = np.maximum(level.nights, 1)
    if nights == 1:
        error = level.spread * np.sqrt(1 + 1 / runs)
    else:
        error = level.spread * _uncertainty(level.dof) * np.sqrt(1 / nights + variance_of_centre(runs))
    error = np.where(enough, error, np.nan)
    z = mean.bounded / error
    return Shifts(
        nights=nights,
        of_anchor=of_anchor,
        centre=level.centre,
        shift=mean.bounded,
        told=mean.plain,
        error=error,
        z=z,
        family_z=FAMILY_EDGE * family.sum_of(z, error),
        dof=level.dof,
    )


def _uncertainty(dof: Floats) -> Floats:
    """Return the factor for a spread that is itself estimated: the standard deviation of Student's t."""
    factor: Floats = np.sqrt(dof / np.maximum(dof - 2, 1.0))
    return factor


def _window(recent: Floats, older: ReferenceLevel, family: Family, panel: Panel) -> Shifts:
    mean = _mean_distance(recent, older, panel.is_tonight)
    return _shifts(mean, older, family, nights=recent.shape[-1])


def _against_anchor(recent: Floats, older: ReferenceLevel, family: Family, panel: Panel) -> Shifts:
    runs = np.broadcast_to(panel.anchor_runs[:, np.newaxis], panel.anchors.shape)
    anchor = ReferenceLevel(centre=panel.anchors, spread=older.spread, dof=older.dof, nights=runs)
    mean = _mean_distance(recent, anchor, panel.is_tonight)
    return _shifts(mean, anchor, family, nights=recent.shape[-1], of_anchor=True)


def _mean_distance(recent: Floats, level: ReferenceLevel, is_tonight: Flags) -> _Mean:
    """Return the mean distance from the level, the platform's part out of each night.

    Only tonight's cells share their nights; NaN when a night has no value.
    """
    distance = recent - level.centre[..., np.newaxis]
    shared = np.broadcast_to(is_tonight[:, np.newaxis], (len(recent), recent.shape[-1]))
    part, _ = _platform(distance, level, shared)
    part = np.where(is_tonight[:, np.newaxis, np.newaxis], part, 0.0)
    bound = WINSOR_S * level.spread[..., np.newaxis]
    own = distance - part
    return _Mean(bounded=np.mean(np.clip(own, -bound, bound), axis=-1), plain=np.mean(own, axis=-1))


def _by_service(shifts: Shifts, services: Ints) -> ServiceShifts:
    """Sum over the scenarios of each service, each one's part bounded; NaN with fewer than two of them."""
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
