"""What a load must not exceed while it runs: its own figures, over a window of its last seconds each.

`include.perf.catalogue.scenario.stop_criterion` says what the figures are. Time is the load's own, as its progress
tells it.
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
    """Follows the progress of a load; the first limit that it reaches stays reached.

    Args:
        criteria: those about the figures of the load; others are left to those who ask for them.
    """

    def __init__(self, criteria: Sequence[StopCriterion] = ()) -> None:
        self._windows = [_Window(criterion) for criterion in criteria if criterion.metric is not None]
        self._until_s = 0.0
        self._reached: str | None = None

    def take_in(self, progress: Progress) -> None:
        """Hear how the load is going."""
        if progress.elapsed_s <= self._until_s:
            return  # it has not begun
        since_s, self._until_s = self._until_s, progress.elapsed_s
        for window in self._windows:
            window.take_in(_Second(since_s, progress.elapsed_s, progress.interval))
        if self._reached is None:
            self._reached = next(self._reasons(), None)

    def _reasons(self) -> Iterator[str]:
        return (reason for window in self._windows if (reason := window.reason()) is not None)

    def reached(self) -> str | None:
        """Return which limit was reached, or ``None``.

        ``error ratio 0.62 over the last 30 s is above 0.5 (stop_when)``
        """
        return self._reached


class _Second(NamedTuple):
    """What one progress told of, and which seconds of the load that was."""

    since_s: float
    until_s: float
    interval: ProgressInterval


class _Window:
    """The last seconds of a load, as one criterion sees them: as few as cover its window."""

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
        """Return how the limit is passed, ``None`` while it is not or the load has not run for long enough."""
        criterion = self._criterion
        if self._seconds[-1].until_s - self._seconds[0].since_s < criterion.window_s:
            return None
        value = self._value()
        if value is None or not self._is_beyond(value):
            return None
        return (
            f"{criterion.subject} {criterion.told(value)} over the last {criterion.window_s} s is {criterion.side} "
            f"{criterion.amount(criterion.limit)} (stop_when)"
        )

    def _is_beyond(self, value: float) -> bool:
        """Whether the value is beyond the limit; a delay that is counted in the limit's own step is not."""
        figure = self._criterion.metric
        at_limit = _at_step(self._criterion.limit) if figure in SHARES else None
        return value != at_limit and self._criterion.is_beyond(value)

    def _value(self) -> float | None:
        """Return the figure, ``None`` where there is nothing to tell it from."""
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
        """Return the requests in flight that have been waiting for longer."""
        (limit,) = _counted(delay_s).counts
        waits = self._seconds[-1].interval.waits
        return Counter({step: count for step, count in waits.items() if step > limit})

    def _wanted_cores(self) -> float | None:
        workers = zip(*(second.interval.wanted_cores for second in self._seconds), strict=True)
        known = [[cores for cores in worker if cores is not None] for worker in workers]
        return max((sum(cores) / len(cores) for cores in known if cores), default=None)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _counted(delay_s: float) -> Histogram:
    histogram = Histogram()
    histogram.add(delay_s)
    return histogram


def _at_step(delay_s: float) -> float | None:
    """Return a delay as exactly as a histogram tells it."""
    return _counted(delay_s).quantile(1)
