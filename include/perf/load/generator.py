"""The port to the load generator, and the progress of a load from the reports of its workers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from include.perf.model.histogram import Histogram

COUNTED = ("due", "sent", "finished", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressInterval:
    """What happened since the previous progress, in all workers together.

    Delays are the counts of a `include.perf.model.histogram.Histogram`.

    Attributes:
        due: arrivals that were released.
        sent: requests that were sent; an arrival without a free connection waits.
        latencies: of the requests that ended; failures that were answered do not count.
        lags: how late arrivals were released.
        waits: how long ago the requests in flight were due.
        wanted_cores: cores that each worker would have used had it never waited for a processor; ``None`` where the
            kernel does not report it.
    """

    due: int
    sent: int
    finished: int
    failed: int
    latencies: Mapping[int, int]
    lags: Mapping[int, int]
    waits: Mapping[int, int]
    wanted_cores: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a load, about once a second.

    Attributes:
        elapsed_s: since the schedule started; negative before.
        total_s: warm-up and measured part together.
        rate_rps: arrivals released per second, over the last second.
        latency_p50_s, latency_p95_s, latency_p99_s: of all answers of the current part, warm-up or measured; ``None``
            without any.
        lag_p99_s: how late the arrivals of the last second were released.
        interval: what happened in the last second.
    """

    elapsed_s: float
    total_s: float
    rate_rps: float
    due: int
    finished: int
    failed: int
    in_flight: int
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    lag_p99_s: float | None
    interval: ProgressInterval


ProgressListener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOrder:
    """A load that may be sent.

    Attributes:
        folder: holds the feed; the raw record is written to it.
        addresses: the only addresses that the load goes to, in the order in which they are tried; the name of the
            host is not resolved again.
        lock_fd: a descriptor that every process of the load keeps open to its end.
    """

    service: Service
    load: LoadProfile
    folder: Path
    addresses: tuple[str, ...]
    lock_fd: int | None = None


class LoadWatch(Protocol):
    """Watches a load, and may stop it."""

    def take_in(self, progress: Progress) -> None:
        """Take in the progress, about once a second."""

    def reason_to_stop(self) -> str | None:
        """Return why the load must stop now, or ``None``; called at least twice a second, and must not block."""


class LoadGenerator(Protocol):
    """Sends loads; returns only when all processes of a load have ended."""

    def shared(self) -> str | None:
        """Return the name of the workers that all loads share; ``None`` when every load has its own on this machine.

        Raises:
            ConfigurationError: their configuration is wrong.
        """

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Send the feed on the arrival schedule, and write the raw record next to it.

        Raises:
            LoadError: the load could not be started, or left no record.
        """


class LoadProgress:
    """Combines the reports of all workers.

    Latencies are those of the warm-up until the measured part begins, and those of the measured part from then on.
    """

    def __init__(self, *, workers: int, total_s: float) -> None:
        self._latest: list[Mapping[str, Any]] = [{}] * workers
        self._total_s = total_s
        self._is_measuring = False
        self._latencies = Histogram()
        self._recent_latencies, self._recent_lags = Histogram(), Histogram()
        self._counts = dict.fromkeys(COUNTED, 0)

    def take_in(self, worker: int, report: Mapping[str, Any]) -> Progress | None:
        """Take in a worker's report; return the progress once all workers have reported the same second."""
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
            interval=self._take_interval(),
        )

    def _sum(self, name: str) -> Any:
        return sum(report[name] for report in self._latest)

    def _take_interval(self) -> ProgressInterval:
        """Return what happened since the previous call."""
        before, self._counts = self._counts, {name: self._sum(name) for name in COUNTED}
        waits = Histogram()
        for report in self._latest:
            waits.merge(_by_step(report["waits"]))
        return ProgressInterval(
            latencies=self._recent_latencies.take(),
            lags=self._recent_lags.take(),
            waits=waits.counts,
            wanted_cores=tuple(report["wanted_cores"] for report in self._latest),
            **{name: self._counts[name] - before[name] for name in COUNTED},
        )


def _by_step(counts: Mapping[str, int]) -> dict[int, int]:
    """Convert the keys back to integers; JSON made them text."""
    return {int(step): count for step, count in counts.items()}
