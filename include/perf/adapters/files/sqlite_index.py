"""The index of runs, in a SQLite file that several processes share."""

import math
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, make_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter

from include.perf.adapters.files.sqlite_cache import CacheEmptied, SqliteCache, change
from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import ItemError, StoreError
from include.perf.model.text import Clock
from include.perf.runs.results_store import ResultsStore, folder_uri, log_left_out
from include.perf.runs.run_index import IndexContents, RunEntry, entry_of, is_of_cells
from include.perf.runs.stage_files import StageFiles

SCHEMA_VERSION = 2
"""Increase it with every change of the tables, of `RunEntry` and of what `entry_of` returns for a record, unless new
fields have defaults that hold for every earlier record."""

TABLES = (
    "CREATE TABLE runs (service, scenario, run_id, started_at REAL, is_rerun, is_measured, dag_id, dag_run_id,"
    " entry BLOB, PRIMARY KEY (service, scenario, run_id))",
    "CREATE INDEX by_time ON runs (service, scenario, started_at, is_rerun, is_measured)",
    "CREATE INDEX by_id ON runs (run_id)",
    "CREATE INDEX by_dag_run ON runs (dag_id, dag_run_id)",
    "CREATE TABLE left_out (service, scenario, run_id, problem, PRIMARY KEY (service, scenario, run_id))",
    "CREATE TABLE compared (at REAL)",
    "CREATE TABLE synced (at REAL)",
)

ODD = ("", "")
"""Stands for service and scenario of an item that is left out and is no run; its URI takes the place of the run id."""

SHARED_FOR = timedelta(seconds=1)
"""Calls of `SqliteIndex.sync` within this time share one scan."""
LATE = timedelta(days=2)
"""A run may finish after a run of the same cell that started this much later."""
COMPARE_ALL_EVERY = timedelta(hours=1)
"""How often all names are compared, to find runs that were removed, restored, or finished later than `LATE`."""

T = TypeVar("T")

_ENTRY: TypeAdapter[RunEntry] = TypeAdapter(RunEntry)
_KINDS = get_type_hints(RunEntry, include_extras=True)


def _stored_field(known: Field[Any]) -> tuple[str, Any] | tuple[str, Any, Any]:
    """Return a field of an entry with its default, so that entries without it can be read."""
    if known.default_factory is not MISSING:
        return known.name, _KINDS[known.name], field(default_factory=known.default_factory)
    if known.default is not MISSING:
        return known.name, _KINDS[known.name], known.default
    return known.name, _KINDS[known.name]


_FIELDS = [_stored_field(known) for known in fields(RunEntry) if known.name != "uri"]
_STORED: TypeAdapter[Any] = TypeAdapter(make_dataclass("_StoredEntry", _FIELDS))
"""An entry without its URI. Parsing it and then adding the URI is faster than adding it to parsed JSON. An entry of an
earlier version with a value outside its domain counts as damage, so the index is rebuilt from the records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """The names of a cell's runs that are in the index, and of those whose record is unreadable."""

    runs: frozenset[str]
    left_out: frozenset[str]


class SqliteIndex:
    """Stores the entries of runs in a file; threads and processes may use it concurrently.

    Args:
        path: of the file.
        clock: the current time.
        shared_for: calls of `sync` within this time share one scan.
    """

    def __init__(self, path: Path, *, store: ResultsStore, clock: Clock, shared_for: timedelta = SHARED_FOR) -> None:
        self._cache = SqliteCache(path, tables=TABLES, version=SCHEMA_VERSION)
        self._store = store
        self._clock = clock
        self._shared_for = shared_for
        self._lock = threading.Lock()
        self._synced_at: datetime | None = None

    def sync(self) -> None:
        """Add the runs that finished since the last sync; calls in quick succession share one scan."""
        with self._lock:
            now = self._clock()
            if self._synced_at is not None and timedelta(0) <= now - self._synced_at < self._shared_for:
                return
            self._refill(self._scan)
            self._synced_at = now

    def synced_at(self) -> datetime | None:
        """Return when a process last completed a sync; ``None`` if the index was never complete."""
        (moment,) = self._cache.run(lambda connection: connection.execute("SELECT max(at) FROM synced").fetchone())
        return None if moment is None else datetime.fromtimestamp(moment, UTC)

    def rebuild(self) -> IndexContents:
        """Read all records again."""
        with self._lock:
            self._refill(lambda: self._cache.run(_forget_all))
            self._refill(self._scan)
            return self._cache.run(self._contents)

    def cells(self) -> tuple[CellName, ...]:
        """Return the cells that have runs in the index, in alphabetical order."""
        return tuple(self._query(_cells))

    def latest(self, *, runs: int, measured_only: bool = False) -> Mapping[CellName, tuple[RunEntry, ...]]:
        """Return the latest runs of every cell, oldest first, without re-runs."""
        condition = "is_rerun = 0 AND is_measured = 1" if measured_only else "is_rerun = 0"
        query = f"service = ? AND scenario = ? AND {condition} ORDER BY started_at DESC, run_id DESC LIMIT ?"

        def read(connection: sqlite3.Connection) -> dict[CellName, tuple[RunEntry, ...]]:
            found = {cell: self._entries(connection, query, *_key(cell), runs) for cell in _cells(connection)}
            return {cell: tuple(reversed(entries)) for cell, entries in found.items() if entries}

        return self._query(read)

    def history(self, cell: CellName, *, since: datetime | None = None) -> tuple[RunEntry, ...]:
        """Return the runs and re-runs of a cell, all or those since a time, oldest first."""
        first = since.timestamp() if since else -math.inf
        return self._found("service = ? AND scenario = ? AND started_at >= ? ORDER BY started_at", *_key(cell), first)

    def find(self, run_id: str) -> RunEntry | None:
        """Return a run by its id."""
        return next(iter(self._found("run_id = ? LIMIT 1", run_id)), None)

    def of_dag_run(self, dag_id: str, dag_run_id: str) -> tuple[RunEntry, ...]:
        """Return the runs and re-runs of a DAG run by cell, then oldest first."""
        query = "dag_id = ? AND dag_run_id = ? ORDER BY service, scenario, started_at"
        return self._found(query, dag_id, dag_run_id)

    def left_out(self, cells: Collection[CellName] | None = None) -> Mapping[str, str]:
        """Return by URI why an item of the store is not in the index; of some cells, or all."""
        found, root = self._query(self._left_out), self._store.root_uri
        return {uri: why for uri, why in found.items() if cells is None or is_of_cells(uri, root=root, cells=cells)}

    def _found(self, query: str, *values: str | float) -> tuple[RunEntry, ...]:
        return self._query(lambda connection: self._entries(connection, query, *values))

    def _query(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a query finds; if the file was damaged, read the records again first."""
        try:
            return self._cache.run(read)
        except CacheEmptied:
            self._scan()
            return self._cache.run(read)

    def _refill(self, step: Callable[[], object]) -> None:
        """Call a function, and once more if the file was damaged."""
        try:
            step()
        except CacheEmptied:
            step()

    def _entries(self, connection: sqlite3.Connection, query: str, *values: str | float) -> tuple[RunEntry, ...]:
        columns = "service, scenario, run_id, entry"
        rows = connection.execute(f"SELECT {columns} FROM runs WHERE {query}", values)  # noqa: S608 - no user input
        return tuple(self._entry(*row) for row in rows)

    def _entry(self, service: str, scenario: str, run_id: str, content: bytes) -> RunEntry:
        """Parse a stored entry and add its URI, which is not stored, so that the results may move."""
        stored = _STORED.validate_json(content)
        return RunEntry(uri=self._store.uri_of(service=service, scenario=scenario, run_id=run_id), **vars(stored))

    def _contents(self, connection: sqlite3.Connection) -> IndexContents:
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
        return IndexContents(runs=runs, left_out=self._left_out(connection))

    def _left_out(self, connection: sqlite3.Connection) -> dict[str, str]:
        rows = connection.execute("SELECT service, scenario, run_id, problem FROM left_out ORDER BY 1, 2, 3")
        return {
            run_id
            if (service, scenario) == ODD
            else self._store.uri_of(service=service, scenario=scenario, run_id=run_id): problem
            for service, scenario, run_id, problem in rows
        }

    def _scan(self) -> None:
        """Look for new runs in every cell, and once an hour compare all names.

        The store may be slow, so no connection is open while it is read.
        """
        now, run = self._clock(), self._cache.run
        is_due = run(lambda connection: _is_due(connection, now))
        odd: dict[str, str] = {}
        cells = list(self._store.cells(left_out=odd.__setitem__))
        gone = _gone(run(_cells), listed=cells, odd=odd, root=self._store.root_uri)
        if gone and not cells:
            raise StoreError(
                f"the results store {self._store.root_uri} has no runs any more, although the index knows some; is its "
                "file system mounted? If it was emptied on purpose, run `history rebuild`"
            )
        for cell in cells:
            try:
                self._scan_cell(cell, now=None if is_due else now, odd=odd)
            except ItemError as err:
                odd[folder_uri(self._store.root_uri, *_key(cell))] = str(err)
        run(lambda connection: _note_odd(connection, odd))
        run(lambda connection: _forget_cells(connection, gone))
        if is_due:
            run(lambda connection: _note_comparison(connection, odd, now=now))
        run(lambda connection: _note_sync(connection, now))

    def _scan_cell(self, cell: CellName, *, now: datetime | None, odd: dict[str, str]) -> None:
        """Compare the names of a cell's runs, and read the records of new runs.

        An unreadable record is tried again when all names are compared.

        Args:
            now: compare only the names that may be new at this time; ``None`` for all names.
        """
        since = "" if now is None else self._cache.run(lambda connection: _late_names(connection, cell, now=now))
        uris = self._store.latest(service=cell.service, scenario=cell.scenario, since=since, left_out=odd.__setitem__)
        named = {RunAddress.from_uri(uri).run_id: uri for uri in uris}
        known = self._cache.run(lambda connection: _known(connection, cell, since=since))
        settled = known.runs | known.left_out if since else known.runs
        finished: dict[str, RunEntry | ItemError] = {
            name: read for name, uri in named.items() if name not in settled and (read := self._read(uri)) is not None
        }
        gone = (known.runs | known.left_out) - named.keys()

        def write(connection: sqlite3.Connection) -> None:
            with change(connection):
                _forget(connection, cell, gone)
                for name in sorted(finished.keys() - _known(connection, cell, since=since).runs):
                    _add(connection, (*_key(cell), name), finished[name])

        if finished or gone:
            self._cache.run(write)

    def _read(self, uri: str) -> RunEntry | ItemError | None:
        """Return the entry of a run, or why its record cannot be used; ``None`` if the run is not finished."""
        try:
            record = StageFiles(self._store, uri).record.read()
        except ItemError as err:
            return err
        return None if record is None else entry_of(record, "")


def _add(connection: sqlite3.Connection, key: tuple[str, str, str], entry: RunEntry | ItemError) -> None:
    if isinstance(entry, ItemError):
        _leave_out(connection, key, str(entry))
        return
    stored = _ENTRY.dump_json(entry, exclude={"uri"})
    flags = (entry.started_at.timestamp(), entry.rerun_of is not None, entry.verdict.is_measured)
    connection.execute(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*key, *flags, entry.dag_id, entry.dag_run_id, stored)
    )
    connection.execute("DELETE FROM left_out WHERE (service, scenario, run_id) = (?, ?, ?)", key)


def _leave_out(connection: sqlite3.Connection, key: tuple[str, str, str], problem: str) -> None:
    """Store why a record is not in the index, and log it once."""
    query = "SELECT problem FROM left_out WHERE (service, scenario, run_id) = (?, ?, ?)"
    if connection.execute(query, key).fetchone() != (problem,):
        log_left_out(key[-1], problem)
        connection.execute("INSERT OR REPLACE INTO left_out VALUES (?, ?, ?, ?)", (*key, problem))


def _odd(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT run_id, problem FROM left_out WHERE (service, scenario) = (?, ?)", ODD))


def _note_odd(connection: sqlite3.Connection, odd: Mapping[str, str]) -> None:
    """Store why items were left out that are no runs."""
    if odd.items() - _odd(connection).items():
        with change(connection):
            for where, problem in odd.items():
                _leave_out(connection, (*ODD, where), problem)


def _gone(
    known: Iterable[CellName], *, listed: Iterable[CellName], odd: Mapping[str, str], root: str
) -> list[CellName]:
    """Return the known cells that the store no longer has; one whose folder cannot be listed is still there."""
    return [
        cell
        for cell in sorted(set(known) - set(listed))
        if folder_uri(root, cell.service) not in odd and folder_uri(root, *_key(cell)) not in odd
    ]


def _forget_cells(connection: sqlite3.Connection, gone: Collection[CellName]) -> None:
    if gone:
        with change(connection):
            for cell in gone:
                _forget(connection, cell, _known(connection, cell, since="").runs)


def _note_comparison(connection: sqlite3.Connection, odd: Mapping[str, str], *, now: datetime) -> None:
    """Store that all names were compared, and remove the problems of items that are gone."""
    with change(connection):
        _forget(connection, CellName(*ODD), _odd(connection).keys() - odd.keys())
        connection.execute("DELETE FROM compared")
        connection.execute("INSERT INTO compared VALUES (?)", (now.timestamp(),))


def _note_sync(connection: sqlite3.Connection, now: datetime) -> None:
    with change(connection):
        connection.execute("DELETE FROM synced")
        connection.execute("INSERT INTO synced VALUES (?)", (now.timestamp(),))


def _forget(connection: sqlite3.Connection, cell: CellName, names: Iterable[str]) -> None:
    keys = [(*_key(cell), name) for name in names]
    connection.executemany("DELETE FROM runs WHERE (service, scenario, run_id) = (?, ?, ?)", keys)
    connection.executemany("DELETE FROM left_out WHERE (service, scenario, run_id) = (?, ?, ?)", keys)


def _forget_all(connection: sqlite3.Connection) -> None:
    with change(connection):
        for table in ("runs", "left_out", "compared", "synced"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - no user input


def _is_due(connection: sqlite3.Connection, now: datetime) -> bool:
    """Return whether it is time to compare all names."""
    row = connection.execute("SELECT at FROM compared").fetchone()
    return row is None or not 0 <= now.timestamp() - row[0] < COMPARE_ALL_EVERY.total_seconds()


def _late_names(connection: sqlite3.Connection, cell: CellName, *, now: datetime) -> str:
    """Return the name from which runs of a cell may be new. Ids sort by time (`include.perf.runs.spec.run_id_of`)."""
    query = "SELECT max(started_at) FROM runs WHERE service = ? AND scenario = ? AND started_at <= ?"
    (latest,) = connection.execute(query, (*_key(cell), now.timestamp())).fetchone()
    return "" if latest is None else f"{datetime.fromtimestamp(latest, UTC) - LATE:%Y%m%dT%H%M%SZ}"


def _cells(connection: sqlite3.Connection) -> list[CellName]:
    rows = connection.execute("SELECT DISTINCT service, scenario FROM runs ORDER BY service, scenario")
    return [CellName(*row) for row in rows]


def _known(connection: sqlite3.Connection, cell: CellName, *, since: str) -> _Known:
    where = "WHERE service = ? AND scenario = ? AND run_id >= ?"
    runs = connection.execute(f"SELECT run_id FROM runs {where}", (*_key(cell), since))  # noqa: S608 - no user input
    left_out = connection.execute(f"SELECT run_id FROM left_out {where}", (*_key(cell), since))  # noqa: S608
    return _Known(runs=frozenset(name for (name,) in runs), left_out=frozenset(name for (name,) in left_out))


def _key(cell: CellName) -> tuple[str, str]:
    return cell.service, cell.scenario
