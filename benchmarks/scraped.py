"""A service with a known load, memory use and error ratio that also measures itself.

`benchmarks.scraping` runs it. It answers every line on its standard input with one line of JSON: its usage up to that
moment by its own count (``os.times()``, resident memory every 50 ms, requests one by one). Prometheus scrapes what any
Python service exports: the process collector of prometheus_client, and a counter.
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
"""Not a multiple of a scrape interval, or all scrapes would see the same parts of the wave."""

SEED = 20260101
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Truth:
    """Total usage up to a moment; the difference of two is the usage between them.

    Attributes:
        rss_byte_s: resident memory, summed over time.
    """

    at: float
    cpu_s: float
    rss_byte_s: float
    requests: int
    errors: int


class Worker:
    """Works 37 % of the time, in steps; its memory use rises and falls in a triangle wave."""

    def __init__(self) -> None:
        self._requests = Counter("scraped_requests", "Requests by outcome.", ["outcome"])
        for outcome in ("ok", "error"):  # otherwise rate() would miss the first error
            self._requests.labels(outcome)
        self._random = random.Random(SEED)
        self._held: list[mmap.mmap] = []
        self._lock = threading.Lock()
        self._counts = {"ok": 0, "error": 0}
        self._rss_byte_s = 0.0
        self._seen_at = time.monotonic()

    def run(self) -> None:
        """Work until the process ends."""
        while True:
            began = time.monotonic()
            self._hold(began)
            self._serve()
            self._note_memory()
            self._work()
            time.sleep(max(0.0, STEP_S - (time.monotonic() - began)))

    def truth(self) -> Truth:
        """Return the usage up to now."""
        self._note_memory()
        with self._lock:
            used, at = os.times(), time.time()
            requests, errors = sum(self._counts.values()), self._counts["error"]
            return Truth(at, used.user + used.system, self._rss_byte_s, requests, errors)

    def _hold(self, now: float) -> None:
        phase = now % MEMORY_PERIOD_S / MEMORY_PERIOD_S
        wanted = round((1 - abs(2 * phase - 1)) * MEMORY_BLOCKS)  # a triangle wave
        while len(self._held) < wanted:
            block = mmap.mmap(-1, BLOCK_BYTES)  # close() returns it to the system, unlike Python's own memory
            block.write(b"x" * BLOCK_BYTES)  # makes it resident
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
    """Serve metrics on a port, work, and answer requests for the truth until standard input ends."""
    start_http_server(port, "127.0.0.1")
    worker = Worker()
    threading.Thread(target=worker.run, daemon=True).start()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(asdict(worker.truth())) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
