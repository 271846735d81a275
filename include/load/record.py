"""The raw record: one row a request, written as it happens and readable after a kill."""

import time
import zlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from include.perf.load_plan import REQUEST_COLUMNS

FLUSH_EVERY_S = 1.0
EXAMPLE_LENGTH = 300


@dataclass(slots=True)
class Outcome:
    """How a request ended; ``error`` is its kind, empty when all is well."""

    status: int = 0
    size: int = 0
    error: str = ""
    example: str = ""


class RequestLog:
    """Writes ``requests.csv.gz``: compressed as it goes, flushed to the kernel once a second.

    A flush ends a compressed block, so that a reader gets every row up to the last second even when the
    process is killed and the file has no proper end.

    Attributes:
        first_due_at: Unix time of the first arrival; set before the first row.
        latencies: of the rows since the progress was last told.
        examples: the first failed answer of each kind, by ``<endpoint> <kind>``.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
        self._pending: list[str] = [",".join(REQUEST_COLUMNS) + "\n"]
        self.first_due_at = 0.0
        self.rows = 0
        self.finished = 0
        self.failed = 0
        self.latencies: deque[float] = deque(maxlen=10_000)
        self.examples: dict[str, str] = {}

    def add(
        self,
        *,
        due_s: float,
        phase: str,
        endpoint: str,
        start_lag_s: float,
        service_time_s: float,
        outcome: Outcome,
    ) -> None:
        """Add a request that has ended; ``due_s`` counts from the first arrival."""
        latency_s = start_lag_s + service_time_s
        self._pending.append(
            f"{self.first_due_at + due_s:.6f},{phase},{endpoint},{outcome.status},"
            f"{start_lag_s:.6f},{service_time_s:.6f},{latency_s:.6f},{outcome.size},{outcome.error}\n"
        )
        self.rows += 1
        self.latencies.append(latency_s)
        if outcome.error:
            self.failed += 1
            self.examples.setdefault(f"{endpoint} {outcome.error}", outcome.example[:EXAMPLE_LENGTH])
        else:
            self.finished += 1

    def flush(self) -> None:
        """Hand everything up to now to the kernel."""
        data = self._compressor.compress("".join(self._pending).encode())
        self._pending.clear()
        self._file.write(data + self._compressor.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()

    def close(self) -> None:
        """End the file properly."""
        self.flush()
        self._file.write(self._compressor.flush(zlib.Z_FINISH))
        self._file.close()


class ProcessorClock:
    """What this process used of the processors, and how long it waited for one."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._processor = time.process_time()
        self._waited = _run_queue_wait_s()

    def since_start(self) -> tuple[float, float | None]:
        """Return cores used, and cores it would have used had it never waited (``None`` where unknown).

        The wait is the run-queue time of the main thread (``/proc/self/schedstat``): with a share w of the
        time spent waiting, the work fitted into 1 − w of it.
        """
        wall = time.perf_counter() - self._wall
        cores = (time.process_time() - self._processor) / wall
        waited = _run_queue_wait_s()
        if waited is None or self._waited is None:
            return cores, None
        return cores, cores / max(0.01, 1 - (waited - self._waited) / wall)


def _run_queue_wait_s() -> float | None:
    """Return the main thread's time in the run queue, ``None`` where the kernel does not tell."""
    try:
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
