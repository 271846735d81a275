"""How many requests a second the present load generators send honestly.

**Search.** The rate doubles from step to step until one does not hold, then the middle (geometric mean) of the highest
rate that held and the lowest that did not is tried, until they are within `PRECISION` of one another. A step holds when
a run would be valid: by the very rules of `include.perf.measure.validity`, and with every request answered. A step
that does
not hold is tried once more, since a machine may be busy with something else for a moment; it fails when it fails twice.

**Proposal.** `HEADROOM` of the highest rate that held. What was found is the edge: a service whose answers are larger,
come over TLS or are checked costs more a request, and a machine is not as quiet every night. On the edge, nights would
be invalid now and then; with that much room a worker wants about half a core where 0.8 is the limit.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from include.perf.catalogue.scenario.load_profile import MAX_RATE_PER_WORKER_RPS
from include.perf.measure.validity import MAX_WANTED_CORES

FIRST_RATE_RPS = 200.0
GROWTH = 2.0
PRECISION = 1.1
HEADROOM = 0.7
MOST_STEPS = 20
"""More cannot be needed: seven doublings to 25,600/s, three halvings, and each failure once more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One step: a load at one rate.

    Attributes:
        workers: that shared it.
        lag_p99_s: how late requests were released.
        wanted_cores: of the worker that wanted most; ``None`` where the kernel does not tell.
        target_cores: what the answering process wanted; ``None`` for a service.
        hosts: where the workers ran; empty when all ran here.
        problems: why it did not hold; empty when it did.
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

    @property
    def holds(self) -> bool:
        """Whether the generators sent this rate honestly."""
        return not self.problems

    @property
    def is_targets_fault(self) -> bool:
        """Whether the answering process was at its own limit."""
        return self.target_cores is not None and self.target_cores > MAX_WANTED_CORES


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a search found.

    Attributes:
        most_rps: no higher rate was to be tried.
    """

    trials: tuple[Trial, ...]
    most_rps: float

    @property
    def best(self) -> Trial | None:
        """The highest rate that held, ``None`` where none did."""
        return max((trial for trial in self.trials if trial.holds), key=lambda trial: trial.rate_rps, default=None)

    @property
    def capacity_rps(self) -> float | None:
        """What to set: the best rate with headroom, in two digits."""
        return None if self.best is None else two_digits(self.best.rate_rps * HEADROOM, round_down=True)

    @property
    def is_targets_limit(self) -> bool:
        """Whether the answering process, not the generators, ended the search."""
        return self._first_above is not None and self._first_above.is_targets_fault

    @property
    def is_disturbed(self) -> bool:
        """Whether what ended the search was neither of them: the generators wanted little, and did not get it."""
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
    """Try rates one after another, and return each trial as soon as it is over.

    Args:
        trial: sends a load at a rate and judges it.
        most_rps: the highest rate that may be tried; workers elsewhere are never waited for in vain.
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
    """Return the rate to try next, ``None`` when all is known."""
    if math.isinf(failed):
        return min(held * GROWTH, most_rps) if held < most_rps else None
    if held == 0 or failed / held <= PRECISION:
        return None
    middle = two_digits(math.sqrt(held * failed))
    return middle if held < middle < failed else None


def two_digits(rate_rps: float, *, round_down: bool = False) -> float:
    """Return a rate in two digits: what was measured is not known better."""
    unit = 10.0 ** (math.floor(math.log10(rate_rps)) - 1)
    return float((math.floor if round_down else round)(rate_rps / unit + 1e-9) * unit)


def most_for(workers: int) -> float:
    """Return the rate beyond which so many workers are never asked to go."""
    return float(workers * MAX_RATE_PER_WORKER_RPS)


def within_reach(most_rps: float, trials: Iterable[Trial]) -> float:
    """Return the highest rate to try once it is known how many workers elsewhere there are."""
    return min([most_rps, *(most_for(trial.workers) for trial in trials if trial.hosts)])


def described(capacity: Capacity) -> Iterator[str]:
    """Say what was found, a sentence a line."""
    best = capacity.best
    if best is None:
        yield "no rate that was tried held; see the reasons above"
        return
    per_worker = two_digits(best.rate_rps / best.workers, round_down=True)
    where = f" on {', '.join(sorted(set(best.hosts)))}" if best.hosts else ""
    workers = "one worker" if best.workers == 1 else f"{best.workers} workers"
    yield f"the highest rate that held is {best.rate_rps:g}/s, by {workers}{where}: {per_worker:g}/s a worker"
    if capacity.is_targets_limit:
        yield (
            "beyond it the answering process was at its limit, not the generators: they may hold more; try them "
            "against a service on another machine (--service)"
        )
    elif capacity.is_disturbed:
        yield (
            "beyond it the generators wanted less than half of a core and did not get it in time: the machine was busy "
            "with something else; try again when it is quiet"
        )
    elif best.rate_rps >= capacity.most_rps:
        yield f"nothing beyond {capacity.most_rps:g}/s was tried (--max-rate; {MAX_RATE_PER_WORKER_RPS}/s a worker)"
    yield (
        f"set capacity_rps: {capacity.capacity_rps:g} in include/scenarios.yaml, {HEADROOM:.0%} of it: a service may "
        "cost more a request than what answered here, and machines are not as quiet every night"
    )
