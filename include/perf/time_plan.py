"""How long a night of a scenario takes, and whether it is over in time."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from heapq import heapify, heapreplace
from operator import add

from include.perf.catalogue import Catalogue
from include.perf.load_profile import LoadProfile
from include.perf.phrase import span
from include.perf.reruns import RERUN_OVERHEAD_S, RERUNS
from include.perf.scenario import Scenario
from include.perf.service import Service

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePlan:
    """The time that a night of a scenario needs, and the time that it has.

    Attributes:
        services: how many it loads.
        needed: for a run of each.
        reruns_needed: for as many re-runs as the scenario allows, after those.
        available: from the start by schedule until all load must be over; ``None`` where nothing says when.
        over_by: what the clock then shows.
    """

    scenario: Scenario
    services: int
    needed: timedelta
    reruns_needed: timedelta
    available: timedelta | None = None
    over_by: time | None = None

    @property
    def fits(self) -> bool:
        """Whether there is time for the runs and all re-runs."""
        return self.available is None or self.needed + self.reruns_needed <= self.available

    @property
    def runs_fit(self) -> bool:
        """Whether there is time for the runs, if not for all re-runs; those that come too late are refused."""
        return self.available is None or self.needed <= self.available

    @property
    def description(self) -> str:
        """The plan in a few words: ``1 h 43 min for 6 services, 4 h 1 min with re-runs, of 4 h 5 min``."""
        reruns = f", {_span(self.needed + self.reruns_needed)} with re-runs" if self.reruns_needed else ""
        of = f", of {_span(self.available)}" if self.available is not None else ""
        return f"{_span(self.needed)} for {self._services}{reruns}{of}"

    @property
    def problem(self) -> str | None:
        """By how much it does not fit, and what to do; ``None`` where it does."""
        if self.available is None or self.over_by is None or self.fits:
            return None
        if self.runs_fit:
            needed, fewer = self.needed + self.reruns_needed, "lower reruns"
            needs = f"{_span(needed)} for {self._services} with re-runs ({_span(self.needed)} without)"
        else:
            needed, fewer = self.needed, "load fewer services"
            needs = f"{_span(needed)} for {self._services} without any re-run"
        lacking = _whole_minutes(needed - self.available)
        remedies = [f"start it {lacking} min earlier"]
        if self.scenario.parallel < self.services:
            remedies.append("raise parallel")
        return (
            f"{self.scenario.name} needs {needs}, but starts {_span(self.available)} before all load must be over "
            f"({self.over_by:%H:%M}): {_span(lacking * MINUTE)} too little; {', '.join(remedies)}, or {fewer}"
        )

    @property
    def _services(self) -> str:
        return "1 service" if self.services == 1 else f"{self.services} services"


def time_plan(scenario: Scenario, catalogue: Catalogue) -> TimePlan:
    """Return the plan of a night in which every service of a scenario is loaded as the scenario says.

    At most ``parallel`` loads run side by side. The re-runs are those of the services that take longest; the two of one
    service never run side by side.
    """
    lengths = [run_length(scenario.load, service) for service in catalogue.services_of(scenario)]
    suspicious = sorted(lengths, reverse=True)[: scenario.reruns]
    schedule = scenario.schedule
    return TimePlan(
        scenario=scenario,
        services=len(lengths),
        needed=_side_by_side(lengths, places=scenario.parallel),
        reruns_needed=_side_by_side(suspicious * RERUNS, places=min(scenario.parallel, len(suspicious))),
        available=schedule.time_available() if schedule else None,
        over_by=schedule.over_by(catalogue.market_hours) if schedule else None,
    )


def time_plans(catalogue: Catalogue) -> list[TimePlan]:
    """Return the plan of every scenario."""
    return [time_plan(scenario, catalogue) for scenario in catalogue.scenarios.values()]


def run_length(load: LoadProfile, service: Service) -> timedelta:
    """Return how long a run takes from its turn to the next one's, if the last answers take as long as they may."""
    return timedelta(seconds=load.longest_s(service.timeout_s) + RERUN_OVERHEAD_S)


def starts_of(lengths: Iterable[timedelta], *, places: int) -> list[timedelta]:
    """Return when each starts, counted from the first, if each begins in order on the first place that is free."""
    free_at = [timedelta()] * max(1, places)
    heapify(free_at)
    return [heapreplace(free_at, free_at[0] + length) for length in lengths]


def _side_by_side(lengths: Sequence[timedelta], *, places: int) -> timedelta:
    """Return when the last is over."""
    ends = map(add, starts_of(lengths, places=places), lengths)
    return max(ends, default=timedelta())


def _whole_minutes(length: timedelta) -> int:
    return math.ceil(length / MINUTE)


def _span(length: timedelta) -> str:
    """Write a length of time in minutes, rounded up."""
    return span(60 * _whole_minutes(length))
