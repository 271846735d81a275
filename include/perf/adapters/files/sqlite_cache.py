"""A SQLite file that is only a cache: rebuilt when it is damaged, and kept in memory where it cannot be written.

A file of somebody else, or of a newer version, is refused and never changed.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from include.perf.adapters.files.sqlite_owner import APPLICATION_ID, Owner, inode_of, owner_of
from include.perf.model.errors import StoreError

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 10.0
PAGE_BYTES = 16_384
"""With smaller pages, rows of about 3 KB would waste a quarter of the file."""

DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
UNUSABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)
FILES = ("", "-wal", "-shm", "-journal")

T = TypeVar("T")


class CacheEmptied(StoreError):
    """The cache was damaged and is empty now; fill it and try again."""


class SqliteCache:
    """A cache file that several processes share.

    Every use opens its own connection, so threads and forked processes may share an instance.

    Args:
        tables: the statements that create tables and indexes.
        version: of the tables and their content; a file of an earlier version is emptied.
    """

    def __init__(self, path: Path, *, tables: tuple[str, ...], version: int) -> None:
        self.path = path
        self._tables = tables
        self._version = version
        self._lock = threading.RLock()
        self._in_memory: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Call a function with a connection. It must be quick, because it may hold up others.

        Raises:
            CacheEmptied: the cache was damaged, or can no longer be written; now it is empty.
            StoreError: another process locks the cache for too long, or the file is not ours.
        """
        try:
            with self._connected() as connection:
                return work(connection)
        except (sqlite3.DatabaseError, ValidationError) as err:
            raise self._emptied(err) from err

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        if self._in_memory is not None:
            with self._lock:
                yield self._in_memory
            return
        with suppress(OSError):  # SQLite reports the problem better
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_owner()
        connection = self._open(str(self.path))
        try:
            self._inode = inode_of(self.path)
            yield connection
        finally:
            connection.close()

    def _check_owner(self) -> None:
        """Refuse a file that is not ours; one that we used before, and whose header is damaged, is still ours.

        Raises:
            StoreError: the file belongs to somebody else.
        """
        try:
            owner = owner_of(self.path, tables=self._tables)
        except OSError:  # SQLite reports the problem better
            return
        if owner is Owner.SOMEBODY_ELSE and (self._inode is None or inode_of(self.path) != self._inode):
            raise StoreError(
                f"{self.path} is not an index of Bellwether, so it is not used or changed; set BELLWETHER_INDEX to "
                "another path, or move the file away"
            )

    def _emptied(self, err: sqlite3.DatabaseError | ValidationError) -> StoreError:
        """Remove a damaged file, or switch to memory; invalid content counts as damage. Return the error to raise."""
        code = getattr(err, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        with self._lock:
            if code & 0xFF in DAMAGED:
                log.warning("%s is damaged and is rebuilt: %s", self.path, err)
                self._check_owner()
                for suffix in FILES:
                    self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            elif code & 0xFF in UNUSABLE and code != sqlite3.SQLITE_READONLY_DBMOVED:
                if self._in_memory is None:
                    log.warning(
                        "%s cannot be written, so it is kept in memory, which makes the first page slow: %s",
                        self.path,
                        err,
                    )
                    self._in_memory = self._open(":memory:")
            elif code != sqlite3.SQLITE_READONLY_DBMOVED:  # moved: another process is rebuilding it
                return StoreError(f"cannot use {self.path}: {err}")
        return CacheEmptied(f"cannot use {self.path}: {err}")

    def _open(self, path: str) -> sqlite3.Connection:
        """Open a file, and create the tables unless they have the current version."""
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = NORMAL")  # after a power loss, the cache is at worst rebuilt
            if not self._is_current(connection):
                self._create_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create_tables(self, connection: sqlite3.Connection) -> None:
        """Create the tables. The application id is written first: in WAL mode it would not be in the header yet."""
        version = self._version_in(connection)
        if version > self._version:
            raise StoreError(
                f"{self.path} was written by a newer Bellwether (version {version}, at most {self._version} is known "
                "here), so it is not used or changed; set BELLWETHER_INDEX to another path, or upgrade"
            )
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        with suppress(sqlite3.OperationalError):  # unsupported by the file system, or another process does it
            connection.execute("PRAGMA journal_mode = WAL")
        with change(connection):
            if self._is_current(connection):
                return  # another process was faster
            if self._version_in(connection) != self._version:
                tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
                for (name,) in tables:
                    connection.execute(f'DROP TABLE "{name}"')
            existing = self._statements(connection)
            for statement in self._tables:
                if statement not in existing:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {self._version}")

    def _is_current(self, connection: sqlite3.Connection) -> bool:
        """Return whether the tables have the current version; files of earlier releases lack a table or two."""
        return self._version_in(connection) == self._version and set(self._tables) <= self._statements(connection)

    def _statements(self, connection: sqlite3.Connection) -> set[str]:
        return {statement for (statement,) in connection.execute("SELECT sql FROM sqlite_schema")}

    def _version_in(self, connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return int(version)


@contextmanager
def change(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction; one process at a time writes."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        yield
