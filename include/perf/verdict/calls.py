"""What is said of a night: the statistics of `include.perf.baselines.detection`, held to their limits."""

from dataclasses import dataclass

import numpy as np

from include.perf.baselines.detection import MIN_REFERENCE
from include.perf.baselines.level import MEDIAN_OF_3_VARIANCE, Flags, Floats, Ints
from include.perf.baselines.panel import Panel, PanelStatistics, Shifts

SUSPECT_T = 2.7
"""Two of 24 cells a night are run again for nothing, which is cheap; what is not suspected is not found."""

CONFIRM_T = 4.35
"""Of the median of three, whose error is about 0.7 of one run's: 3.2 spreads with ten nights before, 3.8 with three."""

WINDOW_Z, ANCHOR_Z = 3.7, 3.5
"""About 1 in 10,000 each; the anchor does not move with what it judges, and is crossed by chance less often."""

SERVICE_Z, SERVICE_WINDOW_Z = 3.0, 2.6
"""Of one night, which two bad runs at once come near, and of several, which they do not."""

PLATFORM_Z = 3.5
"""From this z on, what all cells share is reported as a change of the platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What is said of a night in one direction; each (cells, metrics).

    Attributes:
        is_suspicious: beyond `SUSPECT_T` and the floor tonight: worth a re-run.
        by_night: sure by tonight alone, re-runs counted in.
        by_window: number, from 1, of the window in `PanelStatistics.windows` that is surest; 0 for none.
        by_service: number, from 1, of the entry in `PanelStatistics.services` that is surest; 0 for none.
    """

    is_suspicious: Flags
    by_night: Flags
    by_window: Ints
    by_service: Ints

    @property
    def is_sure(self) -> Flags:
        """Whether the shift is confirmed by any of them."""
        sure: Flags = self.by_night | (self.by_window > 0) | (self.by_service > 0)
        return sure


def call(findings: PanelStatistics, panel: Panel, *, runs: Ints, sign: int = 1) -> Calls:
    """Say which cells moved.

    Args:
        runs: (cells,), or (cells, metrics), valid runs behind tonight's value: 1, or with its re-runs 3. One alone is
            never sure.
        sign: 1 for the worse, −1 for the better.
    """
    tonight = findings.tonight
    runs = runs if runs.ndim > 1 else runs[:, np.newaxis]
    is_beyond = sign * tonight.shift > panel.minimum_effects
    judged = panel.is_tonight[:, np.newaxis]
    return Calls(
        is_suspicious=judged & is_beyond & (tonight.surest(sign) >= SUSPECT_T),
        by_night=judged & is_beyond & (t_of_reruns(findings, sign) >= CONFIRM_T) & (runs >= 2),
        by_window=judged * _surest_window(findings, panel, sign),
        by_service=judged * _surest_sum(findings, panel, sign),
    )


def t_of_reruns(findings: PanelStatistics, sign: int) -> Floats:
    """Return tonight's shift over the standard error of a median of three runs, or its family's; (cells, metrics)."""
    level = findings.level
    error = level.spread * np.sqrt(MEDIAN_OF_3_VARIANCE + 1 / np.maximum(level.nights, 1))
    z = np.where(level.nights >= MIN_REFERENCE, findings.tonight.shift / error, np.nan)
    larger: Floats = np.fmax(sign * z, sign * findings.family.sum_of(z, error))
    return larger


def _surest_window(findings: PanelStatistics, panel: Panel, sign: int) -> Ints:
    sure = []
    for each in findings.windows:
        limit = ANCHOR_Z if each.of_anchor else WINDOW_Z
        z = each.surest(sign)
        beyond = (sign * each.shift > panel.minimum_effects) & (z >= limit) & ~_is_over(each, findings, panel, sign)
        sure.append(np.where(beyond, z, 0.0))
    return _surest(sure, panel.minimum_effects.shape)


def _is_over(shifts: Shifts, findings: PanelStatistics, panel: Panel, sign: int) -> Flags:
    """Return where what the last nights show is gone tonight: within the floor, and far from them.

    Without it a cell that is healthy again would stay flagged until the bad nights have left every window.
    """
    tonight = findings.tonight
    back = (shifts.centre + shifts.told) - (findings.level.centre + tonight.shift)
    over: Flags = (sign * tonight.shift <= panel.minimum_effects) & (sign * back >= SUSPECT_T * tonight.error)
    return over


def _surest_sum(findings: PanelStatistics, panel: Panel, sign: int) -> Ints:
    sure = []
    for each in findings.services:
        shift, z = each.shift[panel.services], each.z[panel.services]
        limit = SERVICE_Z if each.nights == 1 else SERVICE_WINDOW_Z
        sure.append(np.where((sign * shift > panel.minimum_effects) & (sign * z >= limit), sign * z, 0.0))
    return _surest(sure, panel.minimum_effects.shape)


def _surest(statistics: list[Floats], shape: tuple[int, ...]) -> Ints:
    """Return the number, from 1, of the largest statistic of each cell and metric; 0 where all are 0."""
    if not statistics:
        return np.zeros(shape, dtype=np.int64)
    stacked = np.stack(statistics)
    surest: Ints = np.where(stacked.max(axis=0) > 0, stacked.argmax(axis=0) + 1, 0)
    return surest
