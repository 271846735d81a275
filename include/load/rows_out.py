"""The record of a load process whose folder is elsewhere: a file to write to, and pieces to send."""

from collections import deque
from collections.abc import Iterator

PIECE = 256 * 1024
"""Bytes that are sealed and sent at once, so that the schedule is not held up."""


class RowsOut:
    """Keeps what was written until it is taken; it may be written to from another thread."""

    def __init__(self) -> None:
        self._unsent: deque[bytes] = deque()

    def write(self, data: bytes) -> int:
        """Keep more."""
        self._unsent.append(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: it is sent with the next report."""

    def close(self) -> None:
        """Do nothing: the rest is sent with the summary."""

    def take(self) -> Iterator[bytes]:
        """Return what was written since this was last asked, in pieces."""
        while self._unsent:
            data = self._unsent.popleft()
            yield from (data[at : at + PIECE] for at in range(0, len(data), PIECE))
