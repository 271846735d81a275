"""The sources of the pages, each with its own threads, a bounded wait and its last known state.

Only pages and metrics read through these. Changes use the sources themselves, so they never start from an old state.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import IO, Generic, TypeVar, cast

from bellwether.web.site import Site
from bellwether.web.sources import Freshness, GuardedSource, reason_of
from include.perf.alerts.alert_store import AlertStore
from include.perf.baselines.baselines import BaselineStore
from include.perf.load.announcing import SentLoad
from include.perf.model.cell import CellName
from include.perf.model.errors import StoreError
from include.perf.monitoring.cell_status import LoadSource
from include.perf.pages.freshness import StaleSource
from include.perf.runs.results_store import LeftOut, ResultsStore, log_left_out
from include.perf.runs.run_index import RunEntry, RunIndex

KEPT_BYTES = 16 * 1024**2
KEPT_ENTRIES = 3_000
"""About 20 MB."""

T = TypeVar("T")


class SourceGuards:
    """Guards the sources of a site; it has the threads and the last known states.

    Args:
        site: with the sources themselves.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        clock = site.clock
        self._catalogue = GuardedSource("the catalogue", clock=clock)
        self._scans = GuardedSource("the results store", clock=clock)
        self._runs = GuardedSource("the results store", clock=clock, threads=2, keeps=KEPT_BYTES, weigh=_bytes_in)
        self._index = GuardedSource("the index of runs", clock=clock, threads=2, keeps=KEPT_ENTRIES, weigh=_entries_in)
        self._baselines = GuardedSource("the baseline store", clock=clock)
        self._alerts = GuardedSource("the alert book", clock=clock)
        self._loads = GuardedSource("the load log", clock=clock)
        self._limits = GuardedSource("the folder of the alert rules", clock=clock)

    def reading(self, freshness: Freshness) -> Site:
        """Return the site as one response reads it.

        Args:
            freshness: receives the sources whose last known state is read.
        """
        site, metrics = self.site, self.site.metrics
        index = cast("RunIndex", GuardedIndex(site.index, self._index, scans=self._scans, freshness=freshness))
        baselines = cast("BaselineStore", _Readable(site.baselines.read, self._baselines, freshness))
        alerts = cast("AlertStore", _Readable(site.alerts.read, self._alerts, freshness))
        catalogue = _Readable(site.catalogue, self._catalogue, freshness).read
        return replace(
            site,
            catalogue=catalogue,
            store=cast("ResultsStore", GuardedRuns(site.store, self._runs, freshness)),
            index=index,
            baselines=baselines,
            alerts=alerts,
            metrics=replace(
                metrics,
                catalogue=catalogue,
                index=index,
                baselines=baselines,
                alerts=alerts,
                loads=GuardedLoads(metrics.loads, self._loads, freshness),
                limits=_Readable(metrics.limits, self._limits, freshness).read,
            ),
        )


@dataclass(frozen=True, slots=True)
class _Readable(Generic[T]):
    """Reads all of something at once."""

    read_all: Callable[[], T]
    source: GuardedSource
    freshness: Freshness

    def read(self) -> T:
        """Return it, as it is or as it was last known."""
        return self.source.read("all", self.read_all, self.freshness)


@dataclass(frozen=True, slots=True)
class GuardedRuns:
    """The part of the results store that pages read."""

    store: ResultsStore
    source: GuardedSource
    freshness: Freshness

    @property
    def root_uri(self) -> str:
        """The URI of the store."""
        return self.store.root_uri

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run."""
        return self.store.uri_of(service=service, scenario=scenario, run_id=run_id)

    def read(self, uri: str, name: str) -> bytes | None:
        """Return the content of a file of a run."""
        return self.source.read(("read", uri, name), lambda: self.store.read(uri, name), self.freshness)

    def names(self, uri: str) -> frozenset[str]:
        """Return the paths of all files in the folder of a run."""
        return self.source.read(("names", uri), lambda: self.store.names(uri), self.freshness)

    def latest(
        self, *, service: str, scenario: str, since: str = "", left_out: LeftOut = log_left_out
    ) -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first; all are listed before the first is returned."""

        def listed() -> tuple[str, ...]:
            return tuple(self.store.latest(service=service, scenario=scenario, since=since, left_out=left_out))

        return iter(self.source.read(("latest", service, scenario, since), listed, self.freshness))

    def opened(self, uri: str, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file of a run; downloads have threads of their own."""
        return self.store.opened(uri, name)


class GuardedIndex:
    """The index of runs. Looking for new runs reads the results store, everything else a file of this machine.

    Args:
        queries: guards the index itself.
        scans: guards the results store while it is searched for new runs.
    """

    def __init__(self, index: RunIndex, queries: GuardedSource, *, scans: GuardedSource, freshness: Freshness) -> None:
        self._index = index
        self._queries = queries
        self._scans = scans
        self._freshness = freshness

    def sync(self) -> None:
        """Add new runs; where the results store does not answer, the index stays as it was last synced."""
        try:
            self._scans.read("new runs", self._index.sync, self._freshness, keep=False)
        except StoreError as err:
            synced_at = self.synced_at()
            if synced_at is None:
                raise
            self._freshness.stale.append(StaleSource(at=synced_at, why=reason_of(err)))

    def synced_at(self) -> datetime | None:
        """Return when the index was last synced."""
        return self._read(("synced_at",), self._index.synced_at)

    def cells(self) -> tuple[CellName, ...]:
        """Return the cells that have runs."""
        return self._read(("cells",), self._index.cells)

    def left_out(self, cells: Collection[CellName] | None = None) -> Mapping[str, str]:
        """Return why items are left out."""
        key = ("left_out", None if cells is None else frozenset(cells))
        return self._read(key, lambda: self._index.left_out(cells))

    def latest(self, *, runs: int, measured_only: bool = False) -> Mapping[CellName, tuple[RunEntry, ...]]:
        """Return the latest runs of each cell."""
        key = ("latest", runs, measured_only)
        return self._read(key, lambda: self._index.latest(runs=runs, measured_only=measured_only))

    def history(self, cell: CellName, *, since: datetime | None = None) -> tuple[RunEntry, ...]:
        """Return the runs of a cell; a range that slides by seconds is the same range."""
        day = None if since is None else since.date()
        return self._read(("history", cell, day), lambda: self._index.history(cell, since=since))

    def find(self, run_id: str) -> RunEntry | None:
        """Return the run with this id."""
        return self._read(("find", run_id), lambda: self._index.find(run_id))

    def of_dag_run(self, dag_id: str, dag_run_id: str) -> tuple[RunEntry, ...]:
        """Return the runs of a DAG run."""
        key = ("of_dag_run", dag_id, dag_run_id)
        return self._read(key, lambda: self._index.of_dag_run(dag_id, dag_run_id))

    def _read(self, key: tuple[object, ...], query: Callable[[], T]) -> T:
        return self._queries.read(key, query, self._freshness)


@dataclass(frozen=True, slots=True)
class GuardedLoads:
    """Running and past loads."""

    loads: LoadSource
    source: GuardedSource
    freshness: Freshness

    def latest(self) -> Sequence[SentLoad]:
        """Return the latest load of each cell."""
        return self.source.read("latest", self.loads.latest, self.freshness)

    def held(self) -> Set[str] | None:
        """Return the runs that hold a lock; an old answer would be wrong, so ``None`` (unknown) stands for it."""
        try:
            return self.source.read("held", self.loads.held, self.freshness, keep=False)
        except StoreError:
            return None


def _bytes_in(value: object) -> int:
    """Return about how many bytes a result of the results store takes."""
    if isinstance(value, bytes):
        return len(value)
    return 100 * len(value) if isinstance(value, Collection) else 100


def _entries_in(value: object) -> int:
    """Return how many entries a result of the index has."""
    if isinstance(value, Mapping):
        return 1 + sum(len(found) if isinstance(found, tuple) else 1 for found in value.values())
    return 1 + len(value) if isinstance(value, tuple) else 1
