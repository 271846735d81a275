"""The record of a load process whose results are on another machine: written like a file, and sent in pieces."""

from collections import deque
from collections.abc import Iterator

PIECE_BYTES = 256 * 1024
"""How much is encrypted and sent at once, so that the schedule is not delayed."""


class RowsOut:
    """Buffers what is written until it is taken; another thread may write to it."""

    def __init__(self) -> None:
        self._unsent: deque[bytes] = deque()

    def write(self, data: bytes) -> int:
        """Buffer data."""
        self._unsent.append(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the data is sent with the next report."""

    def close(self) -> None:
        """Do nothing: the rest is sent with the summary."""

    def take(self) -> Iterator[bytes]:
        """Yield what was written since the previous call, in pieces."""
        while self._unsent:
            data = self._unsent.popleft()
            yield from (data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))
