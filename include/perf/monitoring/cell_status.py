"""The current status of each cell (a service under a scenario), the input of Bellwether's metrics.

It is read from the index of runs, the baselines, the alert book and the load log, never from a run's record.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from include.perf.alerts.alert_store import AlertStore
from include.perf.alerts.book import AlertBook
from include.perf.baselines.baselines import BaselineStore
from include.perf.baselines.entry import Baseline
from include.perf.catalogue.catalogue import Catalogue
from include.perf.load.announcing import SentLoad
from include.perf.model.cell import CellName
from include.perf.model.text import Clock
from include.perf.monitoring.rule_limits import CellLimits, RuleLimits
from include.perf.runs.record import Severity
from include.perf.runs.run_index import RunEntry, RunIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStatus:
    """The current status of a cell.

    Attributes:
        environment: environment of the service in the catalogue.
        latest: the latest finished run, with any verdict.
        measured: the latest valid run.
        load: the latest load, which may still be running.
        is_loaded: whether a load is running.
        limits: limits of the alert rules in force.
        problems: number of open problems of the cell, by severity.
    """

    cell: CellName
    environment: str
    now: datetime
    latest: RunEntry | None = None
    measured: RunEntry | None = None
    baseline: Baseline | None = None
    load: SentLoad | None = None
    is_loaded: bool = False
    limits: CellLimits | None = None
    problems: Mapping[Severity, int] = field(default_factory=dict)

    @property
    def loaded(self) -> RunEntry | None:
        """The latest finished run that is known to have sent a load; a skipped run has sent none."""
        return next((run for run in (self.latest, self.measured) if run and run.window), None)


class LoadSource(Protocol):
    """Knows running and past loads."""

    def latest(self) -> Sequence[SentLoad]:
        """Return the latest load of each cell that had one.

        Raises:
            StoreError: the loads cannot be read.
        """

    def held(self) -> Set[str] | None:
        """Return the runs that hold a lock for their load; ``None`` where this is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The sources of the metrics.

    Attributes:
        catalogue: reads the current catalogue; only its cells have metrics.
        limits: reads the limits of the alert rules in force.
    """

    catalogue: Callable[[], Catalogue]
    index: RunIndex
    baselines: BaselineStore
    alerts: AlertStore
    loads: LoadSource
    limits: Callable[[], RuleLimits | None]
    clock: Clock

    def statuses(self, *, may_read: Callable[[str], bool] = lambda _: True) -> tuple[CellStatus, ...]:
        """Return the current status of each cell of the catalogue.

        Args:
            may_read: whether the user may see a scenario.

        Raises:
            ConfigurationError, StoreError: a source cannot be read.
        """
        self.index.sync()
        catalogue, now = self.catalogue(), self.clock()
        latest, measured = self.index.latest(runs=1), self.index.latest(runs=1, measured_only=True)
        loads = {CellName(load.service, load.scenario): load for load in self.loads.latest()}
        baselines, book, held = self.baselines.read(), self.alerts.read(), self.loads.held()
        limits = self.limits() or RuleLimits()
        return tuple(
            CellStatus(
                cell=cell,
                environment=catalogue.services[cell.service].environment,
                now=now,
                latest=next(iter(latest.get(cell, ())), None),
                measured=next(iter(measured.get(cell, ())), None),
                baseline=baselines.get(cell.service, cell.scenario),
                load=(load := loads.get(cell)),
                is_loaded=load is not None and load.is_running(now, held=held),
                limits=limits.of(cell),
                problems=_problems_of(cell, book),
            )
            for cell in catalogue.cells()
            if may_read(cell.scenario)
        )


def _problems_of(cell: CellName, book: AlertBook) -> Mapping[Severity, int]:
    """Count the open problems of a cell, including those of the pipeline under its scenario."""
    counts = dict.fromkeys(Severity, 0)
    for problem in book.problems:
        if problem.is_open and not {cell, CellName("", cell.scenario)}.isdisjoint(problem.cells):
            counts[problem.severity] += 1
    return counts
