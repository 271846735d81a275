"""A service that knows the truth about itself: it works, holds memory and fails as told, and says what it really used.

Run by `benchmarks.scraping`. It answers every line on its standard input with one line of JSON: what it has used up to
that very moment, by its own count (``os.times()``, its resident memory every 50 ms, its requests one by one). What
Prometheus scrapes is what any Python service exports: the process collector of prometheus_client, and a counter.
"""

import json
import mmap
import os
import random
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from prometheus_client import Counter, start_http_server

CPU_SHARE = 0.37
STEP_S = 0.05
REQUESTS_A_STEP = 5
ERROR_RATIO = 0.02
MEMORY_BLOCKS = 16
BLOCK_BYTES = 4 * 1024**2
MEMORY_PERIOD_S = 43.7
"""No multiple of a scrape interval, or the scrapes would see the same parts of the wave again and again."""

SEED = 20260101
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Truth:
    """What was used up to a moment, as totals: the difference of two is what was used between them.

    Attributes:
        rss_byte_s: resident memory, summed over time.
    """

    at: float
    cpu_s: float
    rss_byte_s: float
    requests: int
    errors: int


class Worker:
    """Works 37 % of the time, in steps; its memory rises and falls like a wave."""

    def __init__(self) -> None:
        self._requests = Counter("scraped_requests", "Requests by outcome.", ["outcome"])
        for outcome in ("ok", "error"):  # or the first error would be lost
            self._requests.labels(outcome)
        self._random = random.Random(SEED)
        self._held: list[mmap.mmap] = []
        self._lock = threading.Lock()
        self._counts = {"ok": 0, "error": 0}
        self._rss_byte_s = 0.0
        self._seen_at = time.monotonic()

    def run(self) -> None:
        """Work for ever."""
        while True:
            began = time.monotonic()
            self._hold(began)
            self._serve()
            self._note_memory()
            self._work()
            time.sleep(max(0.0, STEP_S - (time.monotonic() - began)))

    def truth(self) -> Truth:
        """Return what was used up to now."""
        self._note_memory()
        with self._lock:
            used, at = os.times(), time.time()
            requests, errors = sum(self._counts.values()), self._counts["error"]
            return Truth(at, used.user + used.system, self._rss_byte_s, requests, errors)

    def _hold(self, now: float) -> None:
        phase = now % MEMORY_PERIOD_S / MEMORY_PERIOD_S
        wanted = round((1 - abs(2 * phase - 1)) * MEMORY_BLOCKS)  # up and down again
        while len(self._held) < wanted:
            block = mmap.mmap(-1, BLOCK_BYTES)  # given back to the system when it is closed, unlike Python's own
            block.write(b"x" * BLOCK_BYTES)  # touched, so that it is resident
            self._held.append(block)
        while len(self._held) > wanted:
            self._held.pop().close()

    def _serve(self) -> None:
        with self._lock:
            for _ in range(REQUESTS_A_STEP):
                outcome = "error" if self._random.random() < ERROR_RATIO else "ok"
                self._requests.labels(outcome).inc()
                self._counts[outcome] += 1

    def _note_memory(self) -> None:
        with self._lock:
            now = time.monotonic()
            self._rss_byte_s += _rss_bytes() * (now - self._seen_at)
            self._seen_at = now

    @staticmethod
    def _work() -> None:
        used = time.thread_time()
        while time.thread_time() - used < CPU_SHARE * STEP_S:
            pass


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES


def main(port: int) -> None:
    """Serve metrics on a port, work, and answer until standard input ends."""
    start_http_server(port, "127.0.0.1")
    worker = Worker()
    threading.Thread(target=worker.run, daemon=True).start()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(asdict(worker.truth())) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
