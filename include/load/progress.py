"""Tells how a load is going, a JSON line a second on a pipe."""

import json
import os

from include.load.drive import Drive
from include.load.record import RequestLog


class ProgressReport:
    """Writes one line about what happened since the last."""

    def __init__(self, descriptor: int, *, total_s: float) -> None:
        self._descriptor = descriptor
        self._total_s = total_s
        self._released = 0
        self._told_s = 0.0

    def tell(self, drive: Drive, log: RequestLog) -> None:
        """Write a line; a pipe that nobody reads is no reason to stop."""
        elapsed_s = drive.elapsed_s
        released = drive.released - self._released
        latencies = sorted(log.latencies)
        line = {
            "elapsed_s": elapsed_s,
            "total_s": self._total_s,
            "rate_rps": released / max(0.001, elapsed_s - self._told_s),
            "due": drive.released,
            "finished": log.finished,
            "failed": log.failed,
            "in_flight": drive.in_flight,
            "latency_p50_s": _quantile(latencies, 0.50),
            "latency_p95_s": _quantile(latencies, 0.95),
            "latency_p99_s": _quantile(latencies, 0.99),
            "lag_p99_s": drive.recent_lags.quantile(0.99) if released else None,
        }
        log.latencies.clear()
        drive.recent_lags.clear()
        self._released, self._told_s = drive.released, max(0.0, elapsed_s)
        try:
            os.write(self._descriptor, json.dumps(line).encode() + b"\n")
        except (BlockingIOError, BrokenPipeError):
            return


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
