"""The rows of ``requests.csv.gz`` as a table.

An hour at 500/s is 1.8 million rows, 180 MB of text: it is decompressed and read in pieces, and only the requested
columns are kept, in the smallest type that represents them exactly.
"""

import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from include.perf.load.load_plan import JOURNEY, JOURNEY_COLUMNS, REQUEST_COLUMNS
from include.perf.load.worker_parts import complete_lines
from include.perf.model.errors import ItemError, LoadError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

KNOWN_COLUMNS = (REQUEST_COLUMNS, (*REQUEST_COLUMNS, *JOURNEY_COLUMNS))
PART = "part"

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
    "arrival": "str",
    "part": "category",
}


class RecordRows(NamedTuple):
    """The rows of a record: of its requests, and of its journeys as a whole."""

    requests: pd.DataFrame
    journeys: pd.DataFrame


def read_requests(path: Path, columns: Sequence[str] = REQUEST_COLUMNS) -> pd.DataFrame:
    """Read the requests of ``requests.csv.gz``, also when a killed process left it truncated.

    Returns:
        (rows, columns), in the order in which the requests ended; a good answer has an empty ``error``. Columns that
        the record does not have are left out.

    Raises:
        LoadError: as `read_record`.
    """
    return read_record(path, columns).requests


def read_record(path: Path, columns: Sequence[str] = REQUEST_COLUMNS) -> RecordRows:
    """Read ``requests.csv.gz``, also when a killed process left it truncated.

    Raises:
        LoadError: the file is missing, no regular file, too large, damaged in the middle, or not a record of requests.
    """
    try:
        with io.BufferedReader(_Pieces(complete_lines(path))) as text:
            header, _, _ = text.peek().partition(b"\n")
            beginning = header.decode("ascii", errors="replace")
            known = next((known for known in KNOWN_COLUMNS if ",".join(known) == beginning), None)
            if known is None:
                raise LoadError(f"{path} is not a record of requests: it begins with {beginning[:80]!r}")
            wanted = [name for name in known if name in columns or name == PART]
            rows = pd.read_csv(text, usecols=wanted, dtype=_TYPES, keep_default_na=False)
            return _by_kind(rows, keeps_part=PART in columns)
    except FileNotFoundError:
        raise LoadError(f"there is no {path}; the load never started") from None
    except ItemError as err:
        raise LoadError(f"{err}; start a new run") from err
    except zlib.error as err:
        raise LoadError(f"{path} is damaged and cannot be decompressed ({err}); start a new run") from err


def _by_kind(rows: pd.DataFrame, *, keeps_part: bool) -> RecordRows:
    if PART not in rows:
        return RecordRows(rows, rows.iloc[:0])
    is_journey = (rows[PART] == JOURNEY).to_numpy()
    kept = rows if keeps_part else rows.drop(columns=PART)
    return RecordRows(kept[~is_journey].reset_index(drop=True), kept[is_journey].reset_index(drop=True))


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
