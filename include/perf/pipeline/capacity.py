"""How many requests per second the load generators can send without distorting the measurement.

**Search.** The rate doubles from step to step until a rate does not hold. Then the search tries √(held · failed), the
geometric mean of the highest rate that held and the lowest that did not, until their quotient is at most `PRECISION`.
A rate holds if a run would be valid by the rules of `include.perf.measure.validity` and every request was answered. A
rate that does not hold is tried a second time, because the machine may have been busy; it fails if it fails twice.

**Proposal.** ``capacity_rps`` is `HEADROOM` times the highest rate that held: it is the limit for a simple target, and
requests with larger answers, TLS or checks cost more. Runs at the limit would sometimes be invalid. With one worker and
a service, the highest rate that held is what a worker holds with that service, its ``worker_rps``; the plan of a load
takes the same headroom.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from include.perf.catalogue.worker_rates import HEADROOM, CallWay
from include.perf.measure.validity import MAX_WANTED_CORES

FIRST_RATE_RPS = 200.0
GROWTH = 2.0
PRECISION = 1.1
MAX_WORKER_RPS = CallWay.HTTP.rate_rps
MOST_STEPS = 20
"""Never reached: seven doublings lead to 25,600/s, then three halvings, and each failure is repeated once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One step: a load at one rate.

    Attributes:
        workers: the number of workers that shared the load.
        lag_p99_s: the 99th percentile of the schedule lag.
        wanted_cores: the CPU demand of the busiest worker; ``None`` if the kernel does not report it.
        target_cores: the CPU demand of the answering process; ``None`` for a service.
        hosts: the machines of the workers; empty if all ran on this one.
        problems: why the rate did not hold; empty if it did.
        requests_per_arrival: what a journey counts as; 1 without journeys.
    """

    rate_rps: float
    workers: int
    due: int
    answered: int
    lag_p99_s: float
    wanted_cores: float | None
    target_cores: float | None
    problems: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    requests_per_arrival: float = 1.0

    @property
    def holds(self) -> bool:
        """Whether the generators can send this rate."""
        return not self.problems

    @property
    def is_targets_fault(self) -> bool:
        """Whether the answering process was at its own limit."""
        return self.target_cores is not None and self.target_cores > MAX_WANTED_CORES


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The result of a search.

    Attributes:
        most_rps: the highest rate that might be tried.
        service: the service for which one worker was measured; ``None`` for the capacity of all.
    """

    trials: tuple[Trial, ...]
    most_rps: float
    service: str | None = None

    @property
    def best(self) -> Trial | None:
        """The trial of the highest rate that held; ``None`` if none did."""
        return max((trial for trial in self.trials if trial.holds), key=lambda trial: trial.rate_rps, default=None)

    @property
    def capacity_rps(self) -> float | None:
        """The ``capacity_rps`` to set: the best rate with headroom, in two digits."""
        return None if self.best is None else two_digits(self.best.rate_rps * HEADROOM, round_down=True)

    @property
    def worker_rps(self) -> float | None:
        """How many requests per second one worker held, in two digits."""
        if self.best is None:
            return None
        requests_rps = self.best.rate_rps * self.best.requests_per_arrival
        return two_digits(requests_rps / self.best.workers, round_down=True)

    @property
    def is_targets_limit(self) -> bool:
        """Whether the answering process, not the generators, ended the search."""
        return self._first_above is not None and self._first_above.is_targets_fault

    @property
    def is_disturbed(self) -> bool:
        """Whether the machine was busy: the generators demanded little CPU time, but did not get it."""
        above = self._first_above
        if above is None or above.is_targets_fault or above.wanted_cores is None:
            return False
        return above.wanted_cores < MAX_WANTED_CORES / 2

    @property
    def _first_above(self) -> Trial | None:
        """The last trial of the lowest rate that did not hold."""
        best_rps = self.best.rate_rps if self.best else 0.0
        above = [trial for trial in reversed(self.trials) if trial.rate_rps > best_rps]
        return min(above, key=lambda trial: trial.rate_rps, default=None)


def search(trial: Callable[[float], Trial], *, most_rps: float, first_rps: float = FIRST_RATE_RPS) -> Iterator[Trial]:
    """Try rates one after another, and yield each trial as soon as it is over.

    Args:
        trial: sends a load at a rate and judges it.
        most_rps: the highest rate to try; it is lowered to what the workers on other machines can share.
    """
    held, failed = 0.0, math.inf
    rate: float | None = min(first_rps, most_rps)
    for _ in range(MOST_STEPS):
        if rate is None:
            return
        result = trial(rate)
        yield result
        if not result.holds:
            result = trial(rate)
            yield result
        most_rps = within_reach(most_rps, [result])
        held, failed = (rate, failed) if result.holds else (held, rate)
        rate = _next(held, failed, most_rps=most_rps)


def _next(held: float, failed: float, *, most_rps: float) -> float | None:
    """Return the next rate to try; ``None`` when the search is over."""
    if math.isinf(failed):
        return min(held * GROWTH, most_rps) if held < most_rps else None
    if held == 0 or failed / held <= PRECISION:
        return None
    middle = two_digits(math.sqrt(held * failed))
    return middle if held < middle < failed else None


def two_digits(rate_rps: float, *, round_down: bool = False) -> float:
    """Return a rate rounded to two digits, the precision of the measurement."""
    unit = 10.0 ** (math.floor(math.log10(rate_rps)) - 1)
    return float((math.floor if round_down else round)(rate_rps / unit + 1e-9) * unit)


def most_for(workers: int) -> float:
    """Return the highest rate for a number of workers."""
    return workers * MAX_WORKER_RPS


def within_reach(most_rps: float, trials: Iterable[Trial]) -> float:
    """Return the highest rate to try, once the number of workers on other machines is known."""
    return min([most_rps, *(most_for(trial.workers) for trial in trials if trial.hosts)])


def described(capacity: Capacity) -> Iterator[str]:
    """Yield the result in sentences."""
    best = capacity.best
    if best is None:
        yield "no rate held; see the reasons above"
        return
    where = f" on {', '.join(sorted(set(best.hosts)))}" if best.hosts else ""
    workers = "one worker" if best.workers == 1 else f"{best.workers} workers"
    share = f"{capacity.worker_rps:g}/s per worker"
    yield f"the highest rate that held is {best.rate_rps:g}/s, by {workers}{where}: {share}"
    if capacity.is_targets_limit:
        yield (
            "above it the answering process was at its limit, not the generators; they may hold more: send to a "
            "service on another machine (--service)"
        )
    elif capacity.is_disturbed:
        yield (
            "above it the generators demanded less than half a core but did not get it in time: the machine was busy "
            "with something else; try again when it is idle"
        )
    elif best.rate_rps >= capacity.most_rps:
        yield f"no rate above {capacity.most_rps:g}/s was tried (--max-rate; {MAX_WORKER_RPS:g}/s per worker)"
    if capacity.service is not None:
        yield (
            f"set worker_rps: {capacity.worker_rps:g} for {capacity.service} in include/services.yaml, unless the "
            "service itself was at its limit; a load then gets as many workers as its peak needs"
        )
        return
    yield (
        f"set capacity_rps: {capacity.capacity_rps:g} in include/scenarios.yaml, {HEADROOM:.0%} of it: requests to "
        "a service may cost more than here, and machines are busier on other nights"
    )
