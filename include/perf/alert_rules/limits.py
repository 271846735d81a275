"""The limits in force: from where on a live figure is told, in base units."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from include.perf.alert import CellName


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a metric is held to; for throughput the limits lie below the centre.

    Attributes:
        centre: the baseline's level.
        critical: ``None`` where the baseline bears no more than a warning.
        hard: the service's hard limit, where it has one; neither limit is beyond it.
    """

    centre: float
    warning: float
    critical: float | None = None
    hard: float | None = None

    @property
    def by_severity(self) -> dict[str, float]:
        """The limits that there are, by the severity of what is beyond them."""
        found = {"warning": self.warning, "critical": self.critical}
        return {severity: value for severity, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class CellLimits:
    """The limits of a service in a scenario.

    Attributes:
        baseline_version: that they are of.
        metrics: by name of the metric; one that has none is left out.
    """

    service: str
    scenario: str
    environment: str
    baseline_version: int
    metrics: Mapping[str, Limit]

    @property
    def cell(self) -> CellName:
        """The service and the scenario."""
        return CellName(self.service, self.scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits in force.

    Attributes:
        cells: in alphabetical order.
        edges: by service, the upper bounds in seconds of its latency histogram, ascending, as they were last known.
    """

    cells: tuple[CellLimits, ...] = ()
    edges: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def of(self, cell: CellName) -> CellLimits | None:
        """Return the limits of a cell, if it has any."""
        return next((each for each in self.cells if each.cell == cell), None)
