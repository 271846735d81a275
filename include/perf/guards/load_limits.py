"""Checks the stop criteria about a load's own figures, each over a window of the last seconds.

`include.perf.catalogue.scenario.stop_criterion` defines the figures. Times are those of the load's progress.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from include.perf.catalogue.scenario.stop_criterion import StopCriterion, StopFigure
from include.perf.load.generator import Progress, ProgressInterval
from include.perf.model.histogram import Histogram

SHARES = {
    StopFigure.LATENCY_P50: 0.50,
    StopFigure.LATENCY_P95: 0.95,
    StopFigure.LATENCY_P99: 0.99,
    StopFigure.SCHEDULE_LAG_P99: 0.99,
}


class LoadLimits:
    """Follows the progress of a load, and keeps the first limit that was exceeded.

    Args:
        criteria: those about queries are ignored.
    """

    def __init__(self, criteria: Sequence[StopCriterion] = ()) -> None:
        self._windows = [_Window(criterion) for criterion in criteria if criterion.metric is not None]
        self._until_s = 0.0
        self._reached: str | None = None

    def take_in(self, progress: Progress) -> None:
        """Add a progress report."""
        if progress.elapsed_s <= self._until_s:
            return  # no time has passed
        since_s, self._until_s = self._until_s, progress.elapsed_s
        for window in self._windows:
            window.take_in(_Second(since_s, progress.elapsed_s, progress.interval))
        if self._reached is None:
            self._reached = next(self._reasons(), None)

    def _reasons(self) -> Iterator[str]:
        return (reason for window in self._windows if (reason := window.reason()) is not None)

    def reached(self) -> str | None:
        """Return which limit was exceeded, or ``None``.

        ``error ratio 0.62 over the last 30 s is above 0.5 (stop_when)``
        """
        return self._reached


class _Second(NamedTuple):
    """A progress report and the period of the load that it covers."""

    since_s: float
    until_s: float
    interval: ProgressInterval


class _Window:
    """The last seconds of a load for one criterion: as few as cover its window."""

    def __init__(self, criterion: StopCriterion) -> None:
        self._criterion = criterion
        self._seconds: deque[_Second] = deque()
        self._delays: Counter[int] = Counter()

    def take_in(self, second: _Second) -> None:
        self._seconds.append(second)
        self._delays.update(self._delays_of(second))
        while len(self._seconds) > 1 and second.until_s - self._seconds[1].since_s >= self._criterion.window_s:
            self._delays.subtract(self._delays_of(self._seconds.popleft()))
            self._delays = +self._delays

    def _delays_of(self, second: _Second) -> Mapping[int, int]:
        is_lag = self._criterion.metric is StopFigure.SCHEDULE_LAG_P99
        return second.interval.lags if is_lag else second.interval.latencies

    def reason(self) -> str | None:
        """Return how the limit is exceeded; ``None`` if it is not, or before the first full window."""
        criterion = self._criterion
        if self._seconds[-1].until_s - self._seconds[0].since_s < criterion.window_s:
            return None
        value = self._value()
        if value is None or not self._is_beyond(value):
            return None
        return (
            f"{criterion.subject} {criterion.format_beyond(value)} over the last {criterion.window_s} s is "
            f"{criterion.side} {criterion.amount(criterion.limit)} {criterion.mark}"
        )

    def _is_beyond(self, value: float) -> bool:
        """Whether the value exceeds the limit; a delay in the same histogram step as the limit does not."""
        figure = self._criterion.metric
        at_limit = _at_step(self._criterion.limit) if figure in SHARES else None
        return value != at_limit and self._criterion.is_beyond(value)

    def _value(self) -> float | None:
        """Return the figure; ``None`` without data."""
        figure = self._criterion.metric
        match figure:
            case StopFigure.ERROR_RATIO:
                stuck = sum(self._waits_beyond(self._criterion.window_s).values())
                failed = self._sum("failed") + stuck
                return _ratio(failed, self._sum("finished") + failed)
            case StopFigure.ACHIEVED_RATIO:
                return _ratio(self._sum("sent"), self._sum("due"))
            case StopFigure.GENERATOR_CORES:
                return self._wanted_cores()
            case StopFigure.SCHEDULE_LAG_P99:
                return Histogram(self._delays).quantile(SHARES[figure])
            case StopFigure.LATENCY_P50 | StopFigure.LATENCY_P95 | StopFigure.LATENCY_P99:
                waits = self._waits_beyond(self._criterion.limit)
                return Histogram(self._delays + waits).quantile(SHARES[figure])
            case None:
                return None

    def _sum(self, name: str) -> int:
        return sum(getattr(second.interval, name) for second in self._seconds)

    def _waits_beyond(self, delay_s: float) -> Counter[int]:
        """Return the requests in flight that have been waiting longer than this."""
        (limit,) = _counted(delay_s).counts
        waits = self._seconds[-1].interval.waits
        return Counter({step: count for step, count in waits.items() if step > limit})

    def _wanted_cores(self) -> float | None:
        workers = zip(*(second.interval.wanted_cores for second in self._seconds), strict=True)
        known = [[cores for cores in worker if cores is not None] for worker in workers]
        return max((sum(cores) / len(cores) for cores in known if cores), default=None)


def _ratio(part: int, total: int) -> float | None:
    return part / total if total else None


def _counted(delay_s: float) -> Histogram:
    histogram = Histogram()
    histogram.add(delay_s)
    return histogram


def _at_step(delay_s: float) -> float | None:
    """Return a delay rounded as in a histogram."""
    return _counted(delay_s).quantile(1)
