"""The rows of ``requests.csv.gz`` as a table.

An hour at 500/s is 1.8 million rows, 180 MB of text: it is decompressed and read in pieces, and only the requested
columns are kept, in the smallest type that represents them exactly.
"""

import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from include.perf.load.load_plan import REQUEST_COLUMNS
from include.perf.load.worker_parts import complete_lines
from include.perf.model.errors import ItemError, LoadError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_TYPES = {
    "due_at": "float64",
    "phase": "category",
    "endpoint": "category",
    "status": "int16",
    "schedule_lag_s": "float64",
    "start_lag_s": "float64",
    "service_time_s": "float64",
    "latency_s": "float64",
    "bytes": "int64",
    "error": "category",
}


def read_requests(path: Path, columns: Sequence[str] = REQUEST_COLUMNS) -> pd.DataFrame:
    """Read ``requests.csv.gz``, also when a killed process left it truncated.

    Returns:
        (rows, columns), in the order in which the requests ended; a good answer has an empty ``error``.

    Raises:
        LoadError: the file is missing, no regular file, too large, damaged in the middle, or not a record of requests.
    """
    try:
        with io.BufferedReader(_Pieces(complete_lines(path))) as text:
            header, _, _ = text.peek().partition(b"\n")
            beginning = header.decode("ascii", errors="replace")
            if beginning != ",".join(REQUEST_COLUMNS):
                raise LoadError(f"{path} is not a record of requests: it begins with {beginning[:80]!r}")
            return pd.read_csv(text, usecols=list(columns), dtype=_TYPES, keep_default_na=False)
    except FileNotFoundError:
        raise LoadError(f"there is no {path}; the load never started") from None
    except ItemError as err:
        raise LoadError(f"{err}; start a new run") from err
    except zlib.error as err:
        raise LoadError(f"{path} is damaged and cannot be decompressed ({err}); start a new run") from err


class _Pieces(io.RawIOBase):
    """A readable file made of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Return ``True``: it can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Copy bytes of the current piece to the buffer; return their number, 0 at the end."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        target = memoryview(buffer).cast("B")
        taken = min(len(target), len(self._left))
        target[:taken] = self._left[:taken]
        self._left = self._left[taken:]
        return taken
