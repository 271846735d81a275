"""Which changes of a night are suspicious or significant: the thresholds on `include.perf.baselines.detection`.

A shift passes in a direction only if it exceeds the minimum effect f. With the statistics t, z, z_F and Z defined there
(z* = max(z, z_F)), a change is *suspicious* if t* ≥ 2.7 tonight, and *significant* if any of these holds:

- **Re-runs:** t₃* ≥ 4.35, with the median of at least two runs as tonight's value. For V = 0.449, the variance of a
  median of three over that of one run::

      t₃ = (δ − P) / ( s · √(0.449 + 1/N) )                 N ≥ 3; here k = 1 in z_F

- **Window:** z* ≥ 3.7 against the older nights, or z* ≥ 3.5 against the anchor. A window does not count once the
  change is over: tonight's shift is within f, and at least 2.7 standard errors of tonight below the window's plain
  mean.
- **Service:** Z ≥ 3.0 for tonight, Z ≥ 2.6 for a window, and the mean bounded shift of the scenarios exceeds f.

Improvements are judged in the same way with the sign reversed. `benchmarks/detection.py` measures the resulting rates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.perf.baselines.detection import MIN_REFERENCE
from include.perf.baselines.panel import Panel, PanelStatistics, Shifts
from include.perf.baselines.reference import MEDIAN_OF_3_VARIANCE, Flags, Floats, Ints

SUSPECT_T = 2.7
"""Of 24 cells, about two a night are re-run without a reason. A lower rate would miss more regressions."""

CONFIRM_T = 4.35
"""In units of one run's spread: 3.2 with ten nights of history, 3.8 with three."""

WINDOW_Z, ANCHOR_Z = 3.7, 3.5
"""About 1 in 10,000 each. The anchor does not follow the nights, so chance crosses its threshold less often."""

SERVICE_Z, SERVICE_WINDOW_Z = 3.0, 2.6
"""One night needs more than several nights: two bad runs at once come close to 3."""

PLATFORM_Z = 3.5
"""From this z on, the part that all cells share is reported as a change of the platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strongest:
    """The strongest of several statistics that pass their thresholds; arrays (cells, metrics).

    Attributes:
        is_any: whether at least one passes.
        index: index of the largest that passes; has no meaning where ``is_any`` is false.
    """

    is_any: Flags
    index: Ints

    def at(self, cell: int, metric: int) -> int | None:
        """Return the index of the strongest statistic, ``None`` if none passes."""
        return int(self.index[cell, metric]) if self.is_any[cell, metric] else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """The suspicious and the significant changes of a night in one direction; arrays (cells, metrics).

    Attributes:
        is_suspicious: whether tonight alone is suspicious, that is, worth a re-run.
        by_night: whether re-runs confirm tonight's change.
        by_window: the strongest of `PanelStatistics.windows`.
        by_service: the strongest of `PanelStatistics.services`.
    """

    is_suspicious: Flags
    by_night: Flags
    by_window: Strongest
    by_service: Strongest

    @property
    def is_significant(self) -> Flags:
        """Whether any of re-runs, windows and service confirms a change."""
        significant: Flags = self.by_night | self.by_window.is_any | self.by_service.is_any
        return significant


def significance_of(statistics: PanelStatistics, panel: Panel, *, runs: Ints, sign: int = 1) -> Significance:
    """Apply the thresholds to the statistics of a night.

    Args:
        runs: (cells,) or (cells, metrics) number of valid runs behind tonight's value: 1, or 2 to 3 with re-runs.
        sign: 1 for worse, −1 for better.
    """
    tonight = statistics.tonight
    runs = runs if runs.ndim > 1 else runs[:, np.newaxis]
    is_beyond = sign * tonight.shift > panel.minimum_effects
    is_judged = panel.is_tonight[:, np.newaxis]
    return Significance(
        is_suspicious=is_judged & is_beyond & (tonight.max_z(sign) >= SUSPECT_T),
        by_night=is_judged & is_beyond & (t_of_reruns(statistics, sign) >= CONFIRM_T) & (runs >= 2),
        by_window=_strongest_window(statistics, panel, sign),
        by_service=_strongest_service_sum(statistics, panel, sign),
    )


def t_of_reruns(statistics: PanelStatistics, sign: int) -> Floats:
    """Return the larger of t₃ and its sum over the family, (cells, metrics); NaN with too little history."""
    reference = statistics.reference
    error = reference.spread * np.sqrt(MEDIAN_OF_3_VARIANCE + 1 / np.maximum(reference.nights, 1))
    z = np.where(reference.nights >= MIN_REFERENCE, statistics.tonight.shift / error, np.nan)
    larger: Floats = np.fmax(sign * z, sign * statistics.family.sum_of(z, error))
    return larger


def _strongest_window(statistics: PanelStatistics, panel: Panel, sign: int) -> Strongest:
    values, passed = [], []
    for window in statistics.windows:
        z = window.max_z(sign)
        is_beyond = sign * window.shift > panel.minimum_effects
        values.append(z)
        passed.append(
            is_beyond & (z >= (ANCHOR_Z if window.of_anchor else WINDOW_Z)) & ~_is_over(window, statistics, panel, sign)
        )
    return _strongest(values, passed, panel)


def _is_over(window: Shifts, statistics: PanelStatistics, panel: Panel, sign: int) -> Flags:
    """Return where the change of a window is no longer there tonight.

    Without this rule a recovered cell would stay flagged until the bad nights have left every window.
    """
    tonight = statistics.tonight
    recovery = (window.centre + window.plain_shift) - (statistics.reference.centre + tonight.shift)
    is_over: Flags = (sign * tonight.shift <= panel.minimum_effects) & (sign * recovery >= SUSPECT_T * tonight.error)
    return is_over


def _strongest_service_sum(statistics: PanelStatistics, panel: Panel, sign: int) -> Strongest:
    values, passed = [], []
    for service in statistics.services:
        shift, z = service.shift[panel.services], sign * service.z[panel.services]
        threshold = SERVICE_Z if service.nights == 1 else SERVICE_WINDOW_Z
        values.append(z)
        passed.append((sign * shift > panel.minimum_effects) & (z >= threshold))
    return _strongest(values, passed, panel)


def _strongest(values: Sequence[Floats], passed: Sequence[Flags], panel: Panel) -> Strongest:
    """Return the largest value that passed, in tonight's cells."""
    if not values:
        shape = panel.minimum_effects.shape
        return Strongest(is_any=np.zeros(shape, dtype=bool), index=np.zeros(shape, dtype=np.int64))
    has_passed = np.stack(passed)
    return Strongest(
        is_any=has_passed.any(axis=0) & panel.is_tonight[:, np.newaxis],
        index=np.where(has_passed, np.stack(values), -np.inf).argmax(axis=0),
    )
