"""What the pages are made from: the stores, who may see what, and the time."""

from collections.abc import Callable
from dataclasses import dataclass

from bellwether.web.access import Door, Visitor
from bellwether.web.csrf import Tokens
from include.perf.alerts.book import Message, Silence
from include.perf.alerts.delivery import AlertStore
from include.perf.baselines.baselines import BaselineStore
from include.perf.catalogue.catalogue import Catalogue
from include.perf.model.cell import CellName
from include.perf.model.text import Clock
from include.perf.monitoring.standings import Sources
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.run_index import RunEntry, RunIndex


class NotThere(Exception):
    """There is no such page, or nobody may tell who asks that there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything outside that the pages need.

    Attributes:
        catalogue: reads the catalogue as it is now.
        acknowledged: says in a problem's thread that somebody knows.
        door: says who asks.
        metrics: what our own metrics are made of.
        metrics_token: returns the token that lets Prometheus have them; ``None`` for no token at all.
    """

    catalogue: Callable[[], Catalogue]
    store: ResultsStore
    index: RunIndex
    baselines: BaselineStore
    alerts: AlertStore
    acknowledged: Callable[[Silence], Message]
    clock: Clock
    door: Door
    tokens: Tokens
    metrics: Sources
    metrics_token: Callable[[], str | None]

    def cells(self, visitor: Visitor) -> tuple[CellName, ...]:
        """Return the cells that somebody may see: those of the catalogue in its order, then others that have runs."""
        names = dict.fromkeys([*self.catalogue().cells(), *self.store.cells()])
        return tuple(name for name in names if visitor.may_read(name.scenario))

    def cell(self, visitor: Visitor, service: str, scenario: str) -> CellName:
        """Return a cell by the names in an address.

        Raises:
            NotThere: there is none, or it may not be seen.
        """
        name = CellName(service, scenario)
        if name not in self.cells(visitor):
            raise NotThere(f"there is no cell {service} in {scenario} that you may see")
        return name

    def run(self, visitor: Visitor, run_id: str, *, cell: CellName | None = None) -> RunEntry:
        """Return a run by the names in an address.

        Raises:
            NotThere: there is none, or it may not be seen.
        """
        self.index.sync()
        entry = self.index.find(run_id)
        if entry is None or not visitor.may_read(entry.scenario) or cell not in (None, entry.cell):
            raise NotThere(f"there is no run {run_id} that you may see; it may not be finished yet")
        return entry
