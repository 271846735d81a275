"""The time of a night: how long a scenario takes, whether it ends in time, and which re-runs fit.

Also the order in which all scenarios run one after another.
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

MINUTE = timedelta(minutes=1)

RERUNS = 2
"""Re-runs of a suspicious run: of three runs, a single bad one is outvoted."""

RERUN_OVERHEAD_S = 60
"""The time of a run in addition to its load: start-up, the last answers, the last scrapes."""


def refusal(spec: RunSpec, scenario: Scenario, *, length: timedelta, ahead: int, now: datetime) -> str | None:
    """Return why a suspicious run gets no re-runs, or ``None``.

    Args:
        length: from the start of one re-run to the start of the next.
        ahead: the number of services whose re-runs come first.
    """
    if not spec.may_rerun:
        return "re-runs are turned off for this run"
    if ahead >= scenario.reruns:
        return f"at most {counted(scenario.reruns, 'service')} per night may be re-run"
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
    """Return the re-runs of several services in the order in which they run.

    Services that run in parallel alternate, because the re-runs of one service would wait for its own target.
    """
    return [uri for batch in _batches(reruns, parallel) for one_each in zip(*batch, strict=True) for uri in one_each]


def reruns_of(spec: RunSpec, *, now: datetime) -> tuple[RunSpec, ...]:
    """Return the specifications of the re-runs of a run: the same load, and never promoted on their own."""
    again = replace(spec, created_at=now, rerun_of=spec.run_id, update_baseline=False)
    return tuple(replace(again, run_id=run_id_of(now)) for _ in range(RERUNS))


def _batches(reruns: Sequence[Sequence[str]], size: int) -> list[Sequence[Sequence[str]]]:
    return [reruns[first : first + size] for first in range(0, len(reruns), size)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePlan:
    """The time that a night of a scenario needs, and the time that is available.

    Attributes:
        services: the number of services.
        needed: for one run of each service.
        reruns_needed: for as many re-runs as the scenario allows, after those runs.
        available: from the scheduled start until all load must be over; ``None`` without a deadline.
        over_by: the time of day when all load must be over.
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
        """Whether there is time for the runs. Re-runs for which there is none are refused."""
        return self.available is None or self.needed <= self.available

    @property
    def description(self) -> str:
        """The plan in a few words: ``1 h 43 min for 6 services, 4 h 1 min with re-runs, of 4 h 5 min``."""
        reruns = f", {_span(self.needed + self.reruns_needed)} with re-runs" if self.reruns_needed else ""
        of = f", of {_span(self.available)}" if self.available is not None else ""
        return f"{_span(self.needed)} for {self._services}{reruns}{of}"

    @property
    def problem(self) -> str | None:
        """How much time is missing, and the remedy; ``None`` if there is enough."""
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
    """Return the plan of a night in which a scenario loads all of its services.

    At most ``parallel`` loads run at the same time. The re-runs counted are those of the services that take longest;
    the two re-runs of one service never run at the same time.
    """
    lengths = [run_length(scenario.load, service) for service in catalogue.services_of(scenario)]
    suspicious = sorted(lengths, reverse=True)[: scenario.reruns]
    schedule = scenario.schedule
    return TimePlan(
        scenario=scenario,
        services=len(lengths),
        needed=_total(lengths, places=scenario.parallel),
        reruns_needed=_total(suspicious * RERUNS, places=min(scenario.parallel, len(suspicious))),
        available=schedule.time_available() if schedule else None,
        over_by=schedule.over_by(catalogue.market_hours) if schedule else None,
    )


def time_plans(catalogue: Catalogue) -> list[TimePlan]:
    """Return the plans of all scenarios."""
    return [time_plan(scenario, catalogue) for scenario in catalogue.scenarios.values()]


def run_length(load: LoadProfile, service: Service) -> timedelta:
    """Return the longest time from the start of a run to the start of the next one."""
    return timedelta(seconds=service.longest_s(load) + RERUN_OVERHEAD_S)


def starts_of(lengths: Iterable[timedelta], *, places: int) -> list[timedelta]:
    """Return the starts, relative to the first, of runs that begin in order as soon as one of the places is free."""
    free_at = [timedelta()] * max(1, places)
    heapify(free_at)
    return [heapreplace(free_at, free_at[0] + length) for length in lengths]


def _total(lengths: Sequence[timedelta], *, places: int) -> timedelta:
    """Return when the last run is over, relative to the first start."""
    ends = map(add, starts_of(lengths, places=places), lengths)
    return max(ends, default=timedelta())


def _whole_minutes(length: timedelta) -> int:
    return math.ceil(length / MINUTE)


def _span(length: timedelta) -> str:
    """Return a length of time in words, rounded up to minutes."""
    return span(60 * _whole_minutes(length))


def run_order(catalogue: Catalogue) -> list[Scenario]:
    """Return all scenarios: first those that must end before an opening, then the others, the shortest first.

    A short scenario shows early that something is wrong, and a scenario with a deadline cannot wait for the others.
    """
    return sorted(
        catalogue.scenarios.values(),
        key=lambda scenario: (not (scenario.schedule and scenario.schedule.is_before_opening), scenario.load.total_s),
    )


def scenarios_of(catalogue: Catalogue, service: str = ALL_SERVICES) -> list[Scenario]:
    """Return all scenarios that load a service, in the order of `run_order`.

    Raises:
        CatalogueError: the service is unknown, or no scenario loads it.
    """
    if service == ALL_SERVICES:
        return run_order(catalogue)
    chosen = catalogue.service(service)
    catalogue.scenario_of(chosen)
    return [scenario for scenario in run_order(catalogue) if chosen in catalogue.services_of(scenario)]
