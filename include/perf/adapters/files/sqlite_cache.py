"""A SQLite file that is only a cache: rebuilt when it is damaged, and kept in memory where it cannot be written."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from include.perf.model.errors import StoreError

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 10.0
PAGE_BYTES = 16_384
"""With smaller pages, rows of about 3 KB would waste a quarter of the file."""

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
UNUSABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)

T = TypeVar("T")


class SqliteCache:
    """A cache file that several processes share.

    Every use opens its own connection, so threads and forked processes may share an instance.

    Args:
        tables: the statements that create tables and indexes.
        version: of the tables and their content; a file with another version is rebuilt.
        fill: fills an empty cache; called after a file was replaced.
    """

    def __init__(
        self, path: Path, *, tables: tuple[str, ...], version: int, fill: Callable[[sqlite3.Connection], None]
    ) -> None:
        self.path = path
        self._tables = tables
        self._version = version
        self._fill = fill
        self._lock = threading.RLock()
        self._in_memory: sqlite3.Connection | None = None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call a function with a connection; if the cache is damaged, rebuild it and call the function again.

        Raises:
            StoreError: another process locks the cache for too long, or rebuilding does not help.
        """
        try:
            with self._connected() as connection:
                return work(connection)
        except (sqlite3.DatabaseError, ValidationError) as err:
            self._replace(err)
        try:
            with self._connected() as connection:
                self._fill(connection)
                return work(connection)
        except sqlite3.DatabaseError as err:
            raise self._problem(err) from err

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if self._in_memory is not None:
            with self._lock:
                yield self._in_memory
            return
        with suppress(OSError):  # SQLite reports the problem better
            self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._open(str(self.path))
        try:
            yield connection
        finally:
            connection.close()

    def _replace(self, err: sqlite3.DatabaseError | ValidationError) -> None:
        """Remove a damaged file, or switch to memory; invalid content counts as damage."""
        code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        with self._lock:
            if code & 0xFF in DAMAGED:
                log.warning("%s is damaged and is rebuilt: %s", self.path, err)
                for suffix in ("", "-wal", "-shm", "-journal"):
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            elif code & 0xFF in UNUSABLE and code != sqlite3.SQLITE_READONLY_DBMOVED:
                if self._in_memory is None:
                    log.warning("%s cannot be written, so it is kept in memory: %s", self.path, err)
                    self._in_memory = self._open(":memory:")
            elif code != sqlite3.SQLITE_READONLY_DBMOVED:  # moved: another process is rebuilding it
                raise self._problem(err) from err

    def _problem(self, err: Exception) -> StoreError:
        return StoreError(f"cannot use {self.path}: {err}")

    def _open(self, path: str) -> sqlite3.Connection:
        """Open a file, and create the tables unless they have the current version."""
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            if not self._is_current(connection):
                self._create_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        with suppress(sqlite3.OperationalError):  # unsupported by the file system, or another process does it
            connection.execute("PRAGMA journal_mode = WAL")
        with change(connection):
            if self._is_current(connection):
                return  # another process was faster
            tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            for (name,) in tables:
                connection.execute(f'DROP TABLE "{name}"')
            for statement in self._tables:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {self._version}")

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return bool(version == self._version)


@contextmanager
def change(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction; one process at a time writes."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield
