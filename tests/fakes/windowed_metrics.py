"""A Prometheus whose figures depend on the time that they are asked for, so that a wrong window is seen."""

from collections.abc import Callable
from datetime import datetime, timedelta

from include.perf.measure.metrics_source import LabelledValue, Sample
from include.perf.model.errors import NoData

MEMORY_BYTES = 512.0 * 1024**2
DISK_RATIO = 0.40


def cpu_at(moment: datetime) -> float:
    """Return the CPU usage of every service at a moment: 1.5 cores, and up to 0.2 % more."""
    return 1.5 * (1 + 0.002 * (int(moment.timestamp()) * 37 % 101) / 101)


class WindowedMetrics:
    """Answers the queries of a service that is scraped every second.

    Args:
        asked: called before each answer, which may raise.
        now: the true time; there is no data of the future.
    """

    def __init__(self, asked: Callable[[str], None], now: Callable[[], datetime]) -> None:
        self._asked = asked
        self._now = now

    def value(self, query: str, *, at: datetime) -> float:
        """Return the answer to a query."""
        self._asked(query)
        if at > self._now() + timedelta(seconds=1):
            raise NoData(f"no data for {query}")
        if query.startswith("count(up"):
            return 1.0
        if "sum_over_time(up" in query:
            return float(query.partition("[")[2].partition("ms]")[0]) / 1000
        if "start_time" in query:
            return (at - timedelta(days=30)).timestamp()
        if "cpu" in query:
            return cpu_at(at)
        if "memory" in query:
            return MEMORY_BYTES
        if "filesystem" in query:
            return DISK_RATIO
        raise AssertionError(f"unexpected query {query!r}")

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        """Return no data: nothing asks for several series."""
        raise NoData(f"no data for {query}")

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """Return no data: no series has labels here."""
        raise NoData(f"no data for {query}")

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return no data over time; no verdict needs it."""
        self._asked(query)
        raise NoData(f"no data for {query}")
