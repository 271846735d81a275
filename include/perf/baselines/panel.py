"""The arrays that the detection statistics work on."""

from dataclasses import dataclass

import numpy as np

from include.perf.baselines.level import Flags, Floats, Ints, ReferenceLevel

FAMILY_EDGE = 1.12
"""A family is one comparison where its members are three, and what a release does shows in all of them: at the same
rate of false alarms its limit is lower by so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The nights of many cells, right-aligned: the last column is tonight.

    Attributes:
        values: (cells, metrics, nights) on the log scale, more is worse; NaN where there is none.
        is_reference: (cells, nights), or (cells, metrics, nights), nights that later ones may be held to: valid, and
            not flagged.
        is_tonight: (cells,) whether the last column is of the night that is judged; other cells lend their
            spread, and their part to the statistics of their service.
        floors: (cells, metrics) smallest shift worth telling, log scale.
        services: (cells,) number of each cell's service, from 0.
        anchors: (cells, metrics) the frozen level of the approved baseline, NaN without one.
        anchor_runs: (cells,) runs behind it.
        families: (metrics,) number of the family of each metric, whose members move together when the service does,
            from 0; −1 for a metric by itself.
    """

    values: Floats
    is_reference: Flags
    is_tonight: Flags
    minimum_effects: Floats
    services: Ints
    anchors: Floats
    anchor_runs: Floats
    families: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifts:
    """How far the mean of the last nights lies from a level; each (cells, metrics), log scale, NaN where unknown.

    Attributes:
        nights: how many last nights.
        of_anchor: whether the level is the frozen anchor.
        centre: the level.
        shift: their mean minus the level, each night's part bounded.
        told: the same without the bounds, for people.
        error: its standard error.
        z: ``shift`` over ``error``.
        family_z: the weighted sum of ``z`` over the metric's family, over the standard deviation of that sum, times
            `FAMILY_EDGE`, so that one limit serves both; NaN where the metric is by itself.
        dof: degrees of freedom behind ``error``.
    """

    nights: int
    of_anchor: bool
    centre: Floats
    shift: Floats
    told: Floats
    error: Floats
    z: Floats
    family_z: Floats
    dof: Floats

    def surest(self, sign: int) -> Floats:
        """Return the larger of ``z`` and ``family_z`` in a direction."""
        larger: Floats = np.fmax(sign * self.z, sign * self.family_z)
        return larger


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceShifts:
    """The same over the scenarios of a service; each (services, metrics)."""

    nights: int
    shift: Floats
    z: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelStatistics:
    """What a night shows.

    Attributes:
        level: what tonight is held to.
        family: how the metrics of each family go together.
        tonight: the shift of this night, the platform's part taken out.
        windows: of the last nights, against the older ones and against the anchor.
        services: over scenarios.
        platform: (metrics,) part of all cells in tonight's shift, log scale; taken out of the above.
        platform_z: (metrics,) how far it stands out of its own uncertainty.
    """

    level: ReferenceLevel
    family: "Family"
    tonight: Shifts
    windows: tuple[Shifts, ...]
    services: tuple[ServiceShifts, ...]
    platform: Floats
    platform_z: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the metrics of each family go together.

    Attributes:
        correlation: (metrics, metrics) between the runs of a cell, pooled over the cells; 0 between families.
        belongs: (metrics, metrics) whether two metrics are of one family.
    """

    correlation: Floats
    belongs: Floats

    def sum_of(self, z: Floats, error: Floats) -> Floats:
        """Return the sum of (cells, metrics) statistics over each metric's family, over its standard deviation.

        Each counts by the precision of its shift, 1 / ``error``: a shift that all share shows there most.
        """
        known = ~np.isnan(z)
        weight = np.where(known, 1 / np.where(known, error, 1.0), 0.0)
        members = known.astype(float) @ self.belongs
        variance = (weight @ self.correlation * weight) @ self.belongs
        total = (np.where(known, z, 0.0) * weight) @ self.belongs
        found: Floats = np.where(members >= 2, total / np.sqrt(np.maximum(variance, 1e-12)), np.nan)
        return found
