"""The raw record: one row per request, written during the load and readable after the process was killed."""

import errno
import zlib
from collections.abc import Callable, Iterable
from typing import IO, NamedTuple

from gevent import get_hub

from include.load.cookies import ECHOED
from include.load.outcome import EXAMPLE_BYTES
from include.perf.load.load_plan import JOURNEY, JOURNEY_COLUMNS, REQUEST_COLUMNS, TIMED_OUT, UNFINISHED
from include.perf.model.histogram import Histogram
from include.perf.model.masking import Mask

FLUSH_EVERY_S = 1.0
BATCH_ROWS = 25
"""Rows that are formatted together: one by one costs three times as much, because the code has left the processor's
cache by the next request; a second's worth at once would delay the schedule."""

EXAMPLE_LENGTH = 300
MAX_EXAMPLES = 500
"""A hostile service may answer with hundreds of different statuses."""

MAX_UNWRITTEN_BYTES = 64 * 1024 * 1024
"""Compressed rows that may wait for a disk that does not take them; then the load ends."""

UNANSWERED = (TIMED_OUT, UNFINISHED)
"""The failures that count towards latency, as in `include.perf.measure.measurement`."""


class RequestRow(NamedTuple):
    """A request that has ended; times are in seconds after the start of the schedule.

    Attributes:
        status: 0 without an answer.
        released_s: when the generator released it; a delay up to here is the generator's fault.
        started_s: when it was sent; later when every connection was busy.
        error: the kind of error, empty for a good answer.
        example: the text of the failed answer.
        arrival: the number of the arrival, if it is a journey.
        part: `STEP` or `JOURNEY` of `include.perf.load.load_plan`; empty for the request of an endpoint.
        secrets: values that the example must not contain.
    """

    due_s: float
    phase: str
    endpoint: str
    status: int
    released_s: float
    started_s: float
    ended_s: float
    size: int
    error: str = ""
    example: str = ""
    arrival: int | None = None
    part: str = ""
    secrets: tuple[str, ...] = ()


class _Example(NamedTuple):
    """The text of a failed answer, and the tokens and cookies that it may repeat.

    Attributes:
        is_cut: whether the text may end within a secret.
    """

    text: str
    is_cut: bool
    tokens: tuple[str, ...]


def _raise(err: Exception) -> None:
    raise err


class RequestLog:
    """Writes ``requests.csv.gz``: compresses rows as they are added and flushes them to the kernel once a second.

    A flush ends a compressed block, so a reader gets every row up to the last second even when the process was killed
    and the file has no proper end. With several workers only the first writes the header: their files, one after
    another, make up the file of the load.

    Args:
        file: takes the compressed rows; written to from a thread.
        secrets: values that no example may contain.
        tokens: returns the tokens of the requests that may still be in flight, which none may contain either.
        has_journeys: whether the record has `JOURNEY_COLUMNS`.

    Attributes:
        started_at: Unix time at which the schedule started; set before the first row.
        rows, failed: requests written so far, and those with an error; up to date after a flush.
        latencies: of the rows since the histogram was last taken; failures that were answered do not count.
        on_behind: called with an error when too many rows wait for the disk.
    """

    def __init__(
        self,
        file: IO[bytes],
        *,
        has_header: bool = True,
        secrets: Iterable[str] = (),
        tokens: Callable[[], tuple[str, ...]] = tuple,
        has_journeys: bool = False,
    ) -> None:
        columns = (*REQUEST_COLUMNS, *JOURNEY_COLUMNS) if has_journeys else REQUEST_COLUMNS
        self._has_journeys = has_journeys
        self._file = file
        self._compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
        self._compressed = [self._compressor.compress(",".join(columns).encode() + b"\n" if has_header else b"")]
        self._secrets = tuple(secrets)
        self._tokens = tokens
        self._unwritten = 0
        self.on_behind: Callable[[Exception], object] = _raise
        self._pending: list[RequestRow] = []
        self.started_at = 0.0
        self.rows = 0
        self.failed = 0
        self.latencies = Histogram()
        self._examples: dict[str, _Example] = {}

    @property
    def finished(self) -> int:
        """Rows without an error."""
        return self.rows - self.failed

    def add(self, row: RequestRow) -> None:
        """Add a request that has ended."""
        self._pending.append(row)
        if len(self._pending) >= BATCH_ROWS:
            self._digest()

    def _digest(self) -> None:
        lines, journeys = [], 0
        began = self.started_at
        for row in self._pending:
            due_s, phase, endpoint, status, released_s, started_s, ended_s, size, error, example, number, part, _ = row
            latency_s = ended_s - due_s
            line = (
                f"{began + due_s:.6f},{phase},{endpoint},{status},"
                f"{released_s - due_s:.6f},{started_s - due_s:.6f},{ended_s - started_s:.6f},{latency_s:.6f},"
                f"{size},{error}"
            )
            lines.append(f"{line},{'' if number is None else number},{part}\n" if self._has_journeys else line + "\n")
            if part == JOURNEY:
                journeys += 1
                continue
            if error:
                self.failed += 1
                self._keep_example(f"{endpoint} {error}", example, row.secrets, is_cut=size > EXAMPLE_BYTES)
            if not error or error in UNANSWERED:
                self.latencies.add(latency_s)
        self.rows += len(lines) - journeys
        self._pending.clear()
        self._add(self._compressor.compress("".join(lines).encode()))
        if self._unwritten > MAX_UNWRITTEN_BYTES:
            self.on_behind(OSError(errno.ENOSPC, "the disk does not take the rows of the record"))

    def _add(self, data: bytes) -> None:
        self._compressed.append(data)
        self._unwritten += len(data)

    def _keep_example(self, name: str, example: str, secrets: tuple[str, ...], *, is_cut: bool) -> None:
        """Keep the first example of a name.

        Args:
            is_cut: whether the text may end within a secret.
        """
        if name in self._examples or len(self._examples) >= MAX_EXAMPLES:
            return
        self._examples[name] = _Example(example, is_cut, (*self._tokens(), *ECHOED.values, *secrets))

    @property
    def examples(self) -> dict[str, str]:
        """The first failed answer of a kind, by ``<endpoint> <kind>``, masked: a server may repeat a secret.

        It takes up to milliseconds for each, so it waits until the load is over.
        """
        masks: dict[tuple[str, ...], Mask] = {}
        found = {}
        for name, (text, is_cut, tokens) in self._examples.items():
            if tokens not in masks:
                masks[tokens] = Mask([*self._secrets, *tokens])
            found[name] = masks[tokens](text, is_cut=is_cut)[:EXAMPLE_LENGTH]
        return found

    def flush(self) -> None:
        """Hand all rows so far to the kernel, in a thread: a slow disk must not delay the schedule."""
        self._digest()
        self._add(self._compressor.flush(zlib.Z_SYNC_FLUSH))
        data = b"".join(self._compressed)
        self._compressed.clear()
        self._unwritten = 0
        get_hub().threadpool.apply(self._write, (data,))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()

    def close(self) -> None:
        """End the file properly."""
        self._digest()
        self._compressed.append(self._compressor.flush(zlib.Z_FINISH))
        self._write(b"".join(self._compressed))
        self._file.close()
