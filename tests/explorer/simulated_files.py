"""Files and connections of SQLite whose use is an operation."""

import io
import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_OS_OPEN = os.open


class Guard(Protocol):
    """Asks the machine before something is done."""

    def written(self, name: str, size: int, effect: Callable[[int], int]) -> int:
        """Write to a file."""

    def closed(self, number: int) -> None:
        """Forget a descriptor."""

    def of_index(self, what: str, effect: Callable[[], Any]) -> Any:
        """Use the index."""


class SimulatedFile(io.FileIO):
    """A file whose writes are operations."""

    def __init__(self, boundaries: Guard, name: str, file: Any, mode: str, **named: Any) -> None:
        self._boundaries = boundaries
        self._shown = name
        super().__init__(file, mode, **named)

    def write(self, data: Any) -> int:
        """Write, or fail as decided."""
        view = memoryview(data)
        return self._boundaries.written(
            self._shown, len(view), lambda size: super(SimulatedFile, self).write(view[:size])
        )

    def close(self) -> None:
        """Close the file, and forget its number."""
        if not self.closed:
            self._boundaries.closed(self.fileno())
        super().close()


class SimulatedConnection(sqlite3.Connection):
    """A connection whose statements are operations."""

    boundaries: Guard | None = None

    def execute(self, statement: str, *args: Any) -> Any:
        """Execute a statement, or fail as decided."""
        if self.boundaries is None:
            return super().execute(statement, *args)
        what = " ".join(statement.split()[:2])
        return self.boundaries.of_index(what, lambda: super(SimulatedConnection, self).execute(statement, *args))

    def __exit__(self, *error: Any) -> Any:
        if error[0] is None and self.boundaries is not None:
            return self.boundaries.of_index("COMMIT", lambda: super(SimulatedConnection, self).__exit__(*error))
        return super().__exit__(*error)


class SortedEntries(list[Any]):
    """The entries of a folder by name; the order of a file system would differ between machines."""

    def __enter__(self) -> "SortedEntries":
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __next__(self) -> Any:
        if not self:
            raise StopIteration
        return self.pop(0)

    def __iter__(self) -> Iterator[Any]:
        return self

    def close(self) -> None:
        """Do nothing; nothing is open."""


def opener(path: str, flags: int) -> int:
    """Open a file that no child inherits."""
    return _OS_OPEN(path, flags | os.O_CLOEXEC, 0o666)


def buffered(raw: SimulatedFile, plain: str, mode: str, *args: Any, **named: Any) -> Any:
    """Return a file with a buffer, as ``open`` does."""
    file: Any
    if "+" in plain:
        file = io.BufferedRandom(raw)
    elif plain == "r":
        file = io.BufferedReader(raw)
    else:
        file = io.BufferedWriter(raw)
    return file if "b" in mode else io.TextIOWrapper(file, *args, **named)
