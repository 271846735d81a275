"""A file at the path of the index that is not ours is refused, and stays as it is to the last byte."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.sqlite_index import SCHEMA_VERSION, TABLES, SqliteIndex
from include.perf.adapters.files.sqlite_owner import APPLICATION_ID
from include.perf.model.cell import CellName
from include.perf.model.errors import StoreError

USES: tuple[Callable[[SqliteIndex], object], ...] = (
    lambda index: index.sync(),
    lambda index: index.synced_at(),
    lambda index: index.rebuild(),
    lambda index: index.latest(runs=1),
    lambda index: index.history(CellName("a", "b")),
    lambda index: index.find("a"),
    lambda index: index.of_dag_run("a", "b"),
    lambda index: index.left_out(),
)


def database(path: Path, *statements: str) -> None:
    """Create a database, by default with the version of ours."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def with_open_log(path: Path) -> None:
    """Leave a database whose last changes are only in its write-ahead log, as a process that was killed does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE ledger (a)")
        connection.commit()
        names = [path, path.with_name(path.name + "-wal")]
        contents = {name: name.read_bytes() for name in names}
    for name, content in contents.items():
        name.write_bytes(content)


FOREIGN: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("my notes\n"),
    "one byte": lambda path: path.write_bytes(b"S"),
    "zeros": lambda path: path.write_bytes(bytes(65_536)),
    "only the magic": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "a database": lambda path: database(path, "CREATE TABLE ledger (a)"),
    "a database without tables": lambda path: database(path, "PRAGMA user_version = 2"),
    "our version by chance": lambda path: database(
        path, "CREATE TABLE ledger (a)", f"PRAGMA user_version = {SCHEMA_VERSION}"
    ),
    "our table names": lambda path: database(path, "CREATE TABLE runs (a)", "CREATE TABLE compared (at REAL)"),
    "our tables and another one": lambda path: database(path, *TABLES, "CREATE TABLE ledger (a)"),
    "another application": lambda path: database(path, *TABLES, f"PRAGMA application_id = {APPLICATION_ID + 1}"),
    "a log that was not written back": with_open_log,
    "a folder": lambda path: path.mkdir(),
    "a FIFO": os.mkfifo,
}


def bytes_of(folder: Path) -> dict[str, bytes | None]:
    """Return every file of a folder with its content."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


def index_at(path: Path) -> SqliteIndex:
    """Return the index of an empty store."""
    store = FolderStore(str(path.parent.parent / "results"))
    return SqliteIndex(path, store=store, clock=lambda: datetime(2026, 4, 1, tzinfo=UTC))


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused_and_not_changed(tmp_path: Path, kind: str) -> None:
    """Whatever the index is asked, and however often; no file appears beside it."""
    path = tmp_path / "own" / "index.sqlite"
    path.parent.mkdir()
    FOREIGN[kind](path)
    before = bytes_of(path.parent)
    index = index_at(path)
    for use in (*USES, *USES):
        with pytest.raises(StoreError) as caught:
            use(index)
        assert str(caught.value) == (
            f"{path} is not an index of Bellwether, so it is not used or changed; set BELLWETHER_INDEX to another "
            "path, or move the file away"
        )
    assert bytes_of(path.parent) == before


def test_an_index_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """So an old process does not empty the index of a new one."""
    path = tmp_path / "own" / "index.sqlite"
    index_at(path).sync()
    newer = SCHEMA_VERSION + 1
    database(path, "CREATE TABLE added (a)", f"PRAGMA user_version = {newer}")
    before = bytes_of(path.parent)
    with pytest.raises(StoreError) as caught:
        index_at(path).sync()
    assert str(caught.value) == (
        f"{path} was written by a newer Bellwether (version {newer}, at most {SCHEMA_VERSION} is known here), so it is "
        "not used or changed; set BELLWETHER_INDEX to another path, or upgrade"
    )
    assert bytes_of(path.parent) == before


def test_an_empty_file_becomes_an_index(tmp_path: Path) -> None:
    """A process that was killed right after it created the file leaves one."""
    path = tmp_path / "own" / "index.sqlite"
    path.parent.mkdir()
    path.touch()
    index_at(path).sync()
    assert int.from_bytes(path.read_bytes()[68:72], "big") == APPLICATION_ID


def test_an_index_whose_writer_was_killed_is_ours(tmp_path: Path) -> None:
    """Its tables may be only in the write-ahead log, but its application id is in the header."""
    path = tmp_path / "own" / "index.sqlite"
    index = index_at(path)
    index.sync()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT * FROM runs").fetchall()
        index.sync()
        left = {name: content for name, content in bytes_of(path.parent).items() if content is not None}
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in left.items():
        (copy / name).write_bytes(content)
    index_at(copy / "index.sqlite").sync()


def test_the_folder_of_the_index_is_private(tmp_path: Path) -> None:
    """Headlines and reasons of runs are in it."""
    index_at(tmp_path / "own" / "index.sqlite").sync()
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0
