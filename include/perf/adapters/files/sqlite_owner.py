"""Whether the file at a path is a SQLite file of ours.

The answer comes from the header of the file, so a file of somebody else is never opened as a database: SQLite alone
would already recover its journal, or write its log into it.

Source: "SQLite Database File Format", section 1.3 (the database header).
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from include.perf.model.errors import ItemError
from include.perf.model.file_reader import regular_file

APPLICATION_ID = 0x42574852
"""Identifies our files; SQLite stores it in the header ("BWHR" in ASCII)."""

_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_ID_AT = slice(68, 72)


class Owner(Enum):
    """Whose file it is."""

    NOBODY = "nobody"
    """There is no file, or an empty one."""
    US = "us"
    SOMEBODY_ELSE = "somebody else"


def owner_of(path: Path, *, tables: Iterable[str]) -> Owner:
    """Return whose file is at a path, without changing it.

    Args:
        tables: the statements that created our tables. Files of earlier releases have no application id and are
            recognised by them.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        with regular_file(path, what=str(path)) as file:
            header = file.read(_HEADER_BYTES)
    except FileNotFoundError:
        return Owner.NOBODY
    except (ItemError, IsADirectoryError):
        return Owner.SOMEBODY_ELSE
    if not header:
        return Owner.NOBODY
    if not header.startswith(_MAGIC):
        return Owner.SOMEBODY_ELSE
    application = int.from_bytes(header[_ID_AT], "big")
    is_ours = application == APPLICATION_ID or (application == 0 and _has_only(path, frozenset(tables)))
    return Owner.US if is_ours else Owner.SOMEBODY_ELSE


def inode_of(path: Path) -> tuple[int, int] | None:
    """Return what identifies a file while it exists; ``None`` if it does not."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _has_only(path: Path, ours: frozenset[str]) -> bool:
    """Return whether a database has tables, and all were created by our statements.

    It is opened so that SQLite neither writes nor locks anything.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?immutable=1", uri=True)) as connection:
            rows = connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'table'").fetchall()
    except sqlite3.Error:
        return False
    statements = {statement for (statement,) in rows}
    return bool(statements) and statements <= ours
