"""From what the workers of a load report to how the load is going."""

from collections.abc import Mapping
from typing import Any

from include.perf.histogram import Histogram
from include.perf.ports import Progress


class LoadProgress:
    """Adds up the reports of all workers.

    Latencies are so far: of the warm-up until the measured part begins, of the measured part from then on.
    """

    def __init__(self, *, workers: int, total_s: float) -> None:
        self._latest: list[Mapping[str, Any]] = [{}] * workers
        self._total_s = total_s
        self._is_measuring = False
        self._latencies, self._lags = Histogram(), Histogram()

    def take_in(self, worker: int, report: Mapping[str, Any]) -> Progress | None:
        """Take a worker's report; return the progress once all have told of the same second."""
        if report["is_measuring"] and not self._is_measuring:
            self._is_measuring = True
            self._latencies = Histogram()
        self._latencies.merge(_by_step(report["latencies"]))
        self._lags.merge(_by_step(report["lags"]))
        self._latest[worker] = report
        if worker or not all(self._latest):
            return None
        progress = self._progress()
        self._lags = Histogram()
        return progress

    def _progress(self) -> Progress:
        sums = {
            name: sum(report[name] for report in self._latest)
            for name in ("rate_rps", "due", "finished", "failed", "in_flight")
        }
        return Progress(
            elapsed_s=max(report["elapsed_s"] for report in self._latest),
            total_s=self._total_s,
            latency_p50_s=self._latencies.quantile(0.50),
            latency_p95_s=self._latencies.quantile(0.95),
            latency_p99_s=self._latencies.quantile(0.99),
            lag_p99_s=self._lags.quantile(0.99),
            **sums,
        )


def _by_step(counts: Mapping[str, int]) -> dict[int, int]:
    """Undo what JSON does to whole numbers as keys."""
    return {int(step): count for step, count in counts.items()}
