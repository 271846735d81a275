"""A lock between processes that test side by side: many hold it together, or one holds it alone."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SharedLock:
    """A lock by two files (``flock``); it is released when its process ends, however it ends.

    Whoever wants it alone is next: later requests to share it wait until that one has had it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._gate = folder / f"{name}.gate"
        self._door = folder / f"{name}.lock"
        self._held: int | None = None

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with others; within a block that holds it already, nothing changes."""
        if self._held is not None:
            yield
        else:
            with self._holding(fcntl.LOCK_SH):
                yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock alone; within a block that does so already, nothing changes."""
        if self._held == fcntl.LOCK_EX:
            yield
        else:
            assert self._held is None, "a lock that is shared cannot become exclusive: two that try would wait for ever"
            with self._holding(fcntl.LOCK_EX):
                yield

    @contextmanager
    def _holding(self, operation: int) -> Iterator[None]:
        with self._door.open("w") as door:
            with self._gate.open("w") as gate:
                fcntl.flock(gate, fcntl.LOCK_EX)
                fcntl.flock(door, operation)
            self._held = operation
            try:
                yield
            finally:
                self._held = None

    def is_held(self) -> bool:
        """Whether any process holds the lock at this moment."""
        with self._door.open("w") as door:
            try:
                fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False
