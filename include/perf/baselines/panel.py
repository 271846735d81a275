"""Input and results of the detection statistics: arrays over (cells, metrics).

`include.perf.baselines.detection` defines the symbols that are used here.
"""

from dataclasses import dataclass

import numpy as np

from include.perf.baselines.reference import Flags, Floats, Ints, Reference

FAMILY_EDGE = 1.12
"""k: a family of three latencies is one comparison instead of three, so the same threshold would give fewer false
alarms. This factor makes the rate the same again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The nights of all cells, right-aligned: the last column is tonight.

    Attributes:
        values: y, (cells, metrics, nights), log scale, larger is worse; NaN if unknown.
        is_reference: (cells, nights), or (cells, metrics, nights): whether later nights may be compared with it, that
            is, it was valid and had no significant change.
        is_tonight: (cells,) whether the last column is a run of the night that is judged. The other cells contribute
            their history to the common spread and their latest night to the statistics of their service.
        minimum_effects: f, (cells, metrics), log scale.
        services: (cells,) index of each cell's service.
        anchors: (cells, metrics) frozen values of the approved baseline, log scale; NaN without one.
        anchor_runs: (cells,) number of runs behind the anchor.
        families: (metrics,) index of each metric's family, whose members change together when the service does; −1
            for a metric without a family.
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
    """How far the mean of the last nights lies from a centre; arrays (cells, metrics), log scale, NaN if unknown.

    Attributes:
        nights: n, number of last nights.
        of_anchor: whether the centre is the frozen anchor.
        centre: μ.
        shift: D, the mean distance from μ with each night's part bounded; for one night δ − P.
        plain_shift: the same without the bounds; this one is reported.
        error: standard error of ``shift``.
        z: ``shift`` / ``error``.
        family_z: z_F; NaN for a metric without a family.
        dof: ν, degrees of freedom behind ``error``.
    """

    nights: int
    of_anchor: bool
    centre: Floats
    shift: Floats
    plain_shift: Floats
    error: Floats
    z: Floats
    family_z: Floats
    dof: Floats

    def max_z(self, sign: int) -> Floats:
        """Return the larger of z and z_F: ``sign`` is 1 for worse, −1 for better."""
        larger: Floats = np.fmax(sign * self.z, sign * self.family_z)
        return larger


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceShifts:
    """The shifts over all scenarios of a service; arrays (services, metrics).

    Attributes:
        nights: n, number of last nights.
        shift: mean of clip(z, −2.5, 2.5) · error.
        z: Z.
    """

    nights: int
    shift: Floats
    z: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelStatistics:
    """The statistics of one night.

    Attributes:
        reference: centre and spread that tonight is compared with.
        family: correlation of the metrics of each family.
        tonight: the shift of this night, without the platform part.
        windows: the shifts of the last nights, against the older nights and against the anchor.
        services: the shifts over the scenarios of each service.
        platform: P, (metrics,) the part of tonight's shift that all cells share, log scale.
        platform_z: (metrics,) the z of the platform part.
    """

    reference: Reference
    family: "Family"
    tonight: Shifts
    windows: tuple[Shifts, ...]
    services: tuple[ServiceShifts, ...]
    platform: Floats
    platform_z: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the metrics of each family vary together from run to run.

    Attributes:
        correlation: R, (metrics, metrics), pooled over the cells; 0 between families.
        belongs: (metrics, metrics) 1 where two metrics are of one family, else 0.
    """

    correlation: Floats
    belongs: Floats

    def sum_of(self, z: Floats, error: Floats) -> Floats:
        """Combine the statistics of each family: Σ wᵢ·zᵢ / √(wᵀ·R·w), weighted by the precision wᵢ = 1 / errorᵢ.

        A shift that all members share stands out most in this sum.

        Args:
            z: (cells, metrics); NaN is left out.
            error: (cells, metrics) standard errors of the shifts.

        Returns:
            (cells, metrics); NaN with fewer than two known members.
        """
        known = ~np.isnan(z)
        weight = np.where(known, 1 / np.where(known, error, 1.0), 0.0)
        members = known.astype(float) @ self.belongs
        variance = (weight @ self.correlation * weight) @ self.belongs
        total = (np.where(known, z, 0.0) * weight) @ self.belongs
        found: Floats = np.where(members >= 2, total / np.sqrt(np.maximum(variance, 1e-12)), np.nan)
        return found
