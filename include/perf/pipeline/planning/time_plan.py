"""How long a night of a scenario takes, and whether it is over in time.

In which order scenarios are run when all are wanted.

Which suspicious runs are done again the same night: as many as the scenario allows, and only those over in time.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from heapq import heapify, heapreplace
from operator import add

from include.perf.catalogue.catalogue import ALL_SERVICES, Catalogue
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.model.text import counted, span, utc_time
from include.perf.runs.spec import RunSpec, run_id_of

RERUNS = 2
"""A suspicious run is done so many times more: of three, one bad one is outvoted."""

RERUN_OVERHEAD_S = 60
"""What a run takes beside its load: start-up, the last answers, the last scrapes."""


def refusal(spec: RunSpec, scenario: Scenario, *, length: timedelta, ahead: int, now: datetime) -> str | None:
    """Return why a suspicious run is not done again, or ``None``.

    Args:
        length: of one re-run, from its turn to the next one's.
        ahead: services whose re-runs come before its own.
    """
    if not spec.may_rerun:
        return "re-runs were not wanted"
    if ahead >= scenario.reruns:
        return f"at most {counted(scenario.reruns, 'service')} a night may be run again"
    if spec.deadline is None:
        return None
    rounds = (ahead // scenario.parallel + 1) * RERUNS
    needed = rounds * length
    if now + needed <= spec.deadline.at:
        return None
    return (
        f"its re-runs would take {span(needed.total_seconds())} from {utc_time(now)}, and must be over by "
        f"{utc_time(spec.deadline.at)}"
    )


def in_turn(reruns: Sequence[Sequence[str]], *, parallel: int) -> list[str]:
    """Return the re-runs of several services in the order in which they are done.

    Services side by side take turns, since the re-runs of one go to the same target and would wait for one another.
    """
    return [each for batch in _batches(reruns, parallel) for turn in zip(*batch, strict=True) for each in turn]


def reruns_of(spec: RunSpec, *, now: datetime) -> tuple[RunSpec, ...]:
    """Return what the re-runs of a run are to be: the same load, and never a baseline by themselves."""
    again = replace(spec, created_at=now, rerun_of=spec.run_id, update_baseline=False)
    return tuple(replace(again, run_id=run_id_of(now)) for _ in range(RERUNS))


def _batches(reruns: Sequence[Sequence[str]], size: int) -> list[Sequence[Sequence[str]]]:
    return [reruns[first : first + size] for first in range(0, len(reruns), size)]


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


def run_order(catalogue: Catalogue) -> list[Scenario]:
    """Return every scenario: those that must be over before an opening first, then the shortest first.

    What is short tells early that something is wrong; what may not wait does not wait for what may.
    """
    return sorted(
        catalogue.scenarios.values(),
        key=lambda scenario: (not (scenario.schedule and scenario.schedule.is_before_opening), scenario.load.total_s),
    )


def scenarios_of(catalogue: Catalogue, service: str = ALL_SERVICES) -> list[Scenario]:
    """Return every scenario that loads a service, in the same order.

    Raises:
        CatalogueError: the service is unknown, or none loads it.
    """
    if service == ALL_SERVICES:
        return run_order(catalogue)
    chosen = catalogue.service(service)
    catalogue.scenario_of(chosen)
    return [scenario for scenario in run_order(catalogue) if chosen in catalogue.services_of(scenario)]
