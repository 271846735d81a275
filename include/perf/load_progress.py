"""From what the workers of a load report to how the load is going."""

from collections.abc import Mapping
from typing import Any

from include.perf.histogram import Histogram
from include.perf.ports import Progress, Recent

COUNTED = ("due", "sent", "finished", "failed")


class LoadProgress:
    """Adds up the reports of all workers.

    Latencies are so far: of the warm-up until the measured part begins, of the measured part from then on.
    """

    def __init__(self, *, workers: int, total_s: float) -> None:
        self._latest: list[Mapping[str, Any]] = [{}] * workers
        self._total_s = total_s
        self._is_measuring = False
        self._latencies = Histogram()
        self._recent_latencies, self._recent_lags = Histogram(), Histogram()
        self._told = dict.fromkeys(COUNTED, 0)

    def take_in(self, worker: int, report: Mapping[str, Any]) -> Progress | None:
        """Take a worker's report; return the progress once all have told of the same second."""
        if report["is_measuring"] and not self._is_measuring:
            self._is_measuring = True
            self._latencies = Histogram()
        latencies = _by_step(report["latencies"])
        self._latencies.merge(latencies)
        self._recent_latencies.merge(latencies)
        self._recent_lags.merge(_by_step(report["lags"]))
        self._latest[worker] = report
        if worker or not all(self._latest):
            return None
        return self._progress()

    def _progress(self) -> Progress:
        lag_p99_s = self._recent_lags.quantile(0.99)
        return Progress(
            elapsed_s=max(report["elapsed_s"] for report in self._latest),
            total_s=self._total_s,
            rate_rps=self._sum("rate_rps"),
            due=self._sum("due"),
            finished=self._sum("finished"),
            failed=self._sum("failed"),
            in_flight=self._sum("in_flight"),
            latency_p50_s=self._latencies.quantile(0.50),
            latency_p95_s=self._latencies.quantile(0.95),
            latency_p99_s=self._latencies.quantile(0.99),
            lag_p99_s=lag_p99_s,
            recent=self._take_recent(),
        )

    def _sum(self, name: str) -> Any:
        return sum(report[name] for report in self._latest)

    def _take_recent(self) -> Recent:
        """Return what came since the last time, and begin anew."""
        before, self._told = self._told, {name: self._sum(name) for name in COUNTED}
        waits = Histogram()
        for report in self._latest:
            waits.merge(_by_step(report["waits"]))
        return Recent(
            latencies=self._recent_latencies.take(),
            lags=self._recent_lags.take(),
            waits=waits.counts,
            wanted_cores=tuple(report["wanted_cores"] for report in self._latest),
            **{name: self._told[name] - before[name] for name in COUNTED},
        )


def _by_step(counts: Mapping[str, int]) -> dict[int, int]:
    """Undo what JSON does to whole numbers as keys."""
    return {int(step): count for step, count in counts.items()}
