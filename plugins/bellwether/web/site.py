"""The data sources of the pages, and the lookups that check the viewer's permissions."""

from collections.abc import Callable
from dataclasses import dataclass

from bellwether.web.access import Authenticate, Visitor
from bellwether.web.csrf import Tokens
from include.perf.alerts.alert_store import AlertStore
from include.perf.alerts.book import Message, Silence
from include.perf.baselines.baselines import BaselineStore
from include.perf.catalogue.catalogue import Catalogue
from include.perf.model.cell import CellName
from include.perf.model.text import Clock
from include.perf.monitoring.cell_status import Sources
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.run_index import RunEntry, RunIndex


class InvalidChoice(Exception):
    """The viewer chose something impossible; the message says what to choose."""


class NotFound(Exception):
    """There is no such page, or the viewer may not know that it exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything outside the app that the pages need.

    Attributes:
        catalogue: returns the current catalogue.
        acknowledged: returns the message that acknowledges a problem in its Slack thread.
        authenticate: returns the viewer.
        metrics: data sources of Bellwether's own metrics.
        metrics_token: returns the token that lets Prometheus scrape them; ``None`` where none is set.
    """

    catalogue: Callable[[], Catalogue]
    store: ResultsStore
    index: RunIndex
    baselines: BaselineStore
    alerts: AlertStore
    acknowledged: Callable[[Silence], Message]
    clock: Clock
    authenticate: Authenticate
    tokens: Tokens
    metrics: Sources
    metrics_token: Callable[[], str | None]

    def cells(self, visitor: Visitor) -> tuple[CellName, ...]:
        """Return the cells that the viewer may see: those of the catalogue in its order, then others that have runs."""
        self.index.sync()
        names = dict.fromkeys([*self.catalogue().cells(), *self.index.cells()])
        return tuple(name for name in names if visitor.may_read(name.scenario))

    def cell(self, visitor: Visitor, service: str, scenario: str) -> CellName:
        """Return the cell that a URL names.

        Raises:
            NotFound: it does not exist, or the viewer may not see it.
        """
        name = CellName(service, scenario)
        if name not in self.cells(visitor):
            raise NotFound(f"there is no service {service} under scenario {scenario} that you may view")
        return name

    def run(self, visitor: Visitor, run_id: str, *, cell: CellName | None = None) -> RunEntry:
        """Return the run that a URL names.

        Raises:
            NotFound: it does not exist or is not finished, or the viewer may not see it.
        """
        self.index.sync()
        entry = self.index.find(run_id)
        if entry is None or not visitor.may_read(entry.scenario) or cell not in (None, entry.cell):
            raise NotFound(f"there is no run {run_id} that you may view; it may not be finished yet")
        return entry
