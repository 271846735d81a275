"""A results store that repeats reads that fail because the place behind it cannot be used now."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TypeVar

from include.perf.adapters.wiring.store_presence import StorePresence
from include.perf.model.cell import CellName
from include.perf.model.patience import Patience
from include.perf.runs.results_store import LeftOut, log_left_out
from include.perf.runs.retention import Archive, Holding

T = TypeVar("T")


class PatientResults:
    """Repeats reads and lists, so that a short outage passes. A list is read completely before it is used.

    Changes are not repeated here: the task that makes them fails, and is tried again as a whole.

    Args:
        presence: checks that the store is not gone before it is listed, before a run is created, and where there is
            no such file.
    """

    def __init__(self, store: Archive, patience: Patience, *, presence: StorePresence | None = None) -> None:
        self._store = store
        self._patience = patience
        self._presence = presence

    @property
    def root_uri(self) -> str:
        """The URI of the store."""
        return self._store.root_uri

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Create the folder of a run and return its URI."""
        if self._presence:
            self._presence.establish()
        return self._store.create(service=service, scenario=scenario, run_id=run_id)

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run, which need not exist."""
        return self._store.uri_of(service=service, scenario=scenario, run_id=run_id)

    def create_summary(self, *, dag_id: str, dag_run_id: str) -> str:
        """Create the folder for the summary of a DAG run, if it does not exist, and return its URI."""
        if self._presence:
            self._presence.establish()
        return self._store.create_summary(dag_id=dag_id, dag_run_id=dag_run_id)

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run or summary atomically."""
        self._store.write(uri, name, content)

    def read(self, uri: str, name: str) -> bytes | None:
        """Return the content of a file of a run, or ``None`` if it does not exist."""

        def read() -> bytes | None:
            content = self._store.read(uri, name)
            if content is None:
                self._check()
            return content

        return self._patience(read)

    def names(self, uri: str) -> frozenset[str]:
        """Return the paths of all files in the folder of a run; none if the run does not exist."""

        def listed() -> frozenset[str]:
            names = self._store.names(uri)
            if not names:
                self._check()
            return names

        return self._patience(listed)

    def opened(self, uri: str, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file of a run for reading."""
        return self._store.opened(uri, name)

    def folder(
        self, uri: str, *, needed: Collection[str] | None = None, left_out: LeftOut = log_left_out
    ) -> AbstractContextManager[Path]:
        """Provide the folder of a run as a local path."""
        return self._store.folder(uri, needed=needed, left_out=left_out)

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run, if it exists."""
        self._store.remove(uri, name)

    def holding(self, uri: str) -> Holding:
        """Return what a run occupies."""
        return self._patience(lambda: self._store.holding(uri))

    def discard(self, uri: str) -> None:
        """Remove the folder of a run."""
        self._store.discard(uri)

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Return the URIs of the finished runs, oldest first."""
        return iter(self._patience(lambda: self._listed(self._store.runs(service=service, scenario=scenario))))

    def latest(
        self, *, service: str, scenario: str, since: str = "", left_out: LeftOut = log_left_out
    ) -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first, including unfinished ones."""
        return iter(
            self._patience(
                lambda: self._listed(
                    self._store.latest(service=service, scenario=scenario, since=since, left_out=left_out)
                )
            )
        )

    def cells(self, *, left_out: LeftOut = log_left_out) -> Iterator[CellName]:
        """Return every cell that ever had a run, in alphabetical order."""
        return iter(self._patience(lambda: self._listed(self._store.cells(left_out=left_out))))

    def _listed(self, items: Iterator[T]) -> list[T]:
        """Return a list of a store that is there; one that has items, and no marker yet, gets it."""
        is_marked = self._check()
        found = list(items)
        if found and not is_marked and self._presence:
            self._presence.adopt()
        return found

    def _check(self) -> bool:
        return self._presence is None or self._presence.check()
