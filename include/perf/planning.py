"""From what was asked for to the runs that come of it; everything wrong with it is said at once."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from include.perf.catalogue import Catalogue
from include.perf.ceilings import problems_of_capacity, problems_of_ceiling
from include.perf.deadline import Deadline
from include.perf.errors import ConfigurationError, collected
from include.perf.load_profile import LoadProfile
from include.perf.market_hours import MarketHours
from include.perf.request import RunRequest, load_of
from include.perf.run import RunSpec, run_id_of
from include.perf.scenario import Scenario
from include.perf.service import Service


def specs_for(
    request: RunRequest, catalogue: Catalogue, *, now: datetime, problems: Sequence[str] = ()
) -> list[RunSpec]:
    """Return what each run is to be, one a service, in the order of the catalogue.

    Args:
        problems: what is wrong already.

    Raises:
        ConfigurationError: with everything that is wrong with the request.
    """
    found = [*request.problems(), *problems]
    load: LoadProfile | None = None
    services: Sequence[Service] = ()
    with collected(found):
        scenario = catalogue.scenario(request.scenario)
        with collected(found):
            load = load_of(scenario, request)
        with collected(found):
            services = catalogue.services_of(scenario, request.service)
    if load is not None:
        found += _problems_of_load(load, services, catalogue)
    if found or load is None:
        raise ConfigurationError(found)
    return [_spec(request, scenario, service, load, catalogue=catalogue, now=now) for service in services]


def _problems_of_load(load: LoadProfile, services: Sequence[Service], catalogue: Catalogue) -> Iterator[str]:
    yield from problems_of_capacity(load, catalogue.operations)
    for service in services:
        yield from problems_of_ceiling(load, service)


def _spec(
    request: RunRequest, scenario: Scenario, service: Service, load: LoadProfile, *, catalogue: Catalogue, now: datetime
) -> RunSpec:
    return RunSpec(
        run_id=run_id_of(now),
        service=service.name,
        scenario=scenario.name,
        environment=service.environment,
        load=load,
        created_at=now,
        update_baseline=request.update_baseline,
        reason=request.reason or None,
        triggered_by=request.triggered_by,
        may_rerun=request.may_rerun,
        dag_id=request.dag_id,
        dag_run_id=request.dag_run_id,
        deadline=_deadline(request, scenario, catalogue.market_hours, now=now),
    )


def _deadline(request: RunRequest, scenario: Scenario, hours: MarketHours, *, now: datetime) -> Deadline | None:
    """Return when the load must be over: every run before an opening has to, of the others those by schedule."""
    schedule = scenario.schedule
    if schedule is None or (request.due_at is None and not schedule.is_before_opening):
        return None
    return schedule.deadline(request.due_at or now, hours)
