"""The request of a person or a schedule, and the specifications of its runs; all problems are reported at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from include.perf.catalogue.catalogue import ALL_SERVICES, Catalogue
from include.perf.catalogue.operations import problems_of_capacity, problems_of_ceiling
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.catalogue.service import Service
from include.perf.catalogue.worker_rates import problems_of_concurrency, problems_of_workers
from include.perf.model.errors import ConfigurationError, collected
from include.perf.model.validation import problem_of
from include.perf.runs.spec import RunSpec, run_id_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The request of a person or a schedule; it leads to one run for each service.

    Attributes:
        duration_s, rate_rps: instead of the scenario's own. The scenario's rate profile keeps its times, is cut off at
            the end, and multiplies the requested rate.
        update_baseline: promote each valid run; needs a ``reason``.
        due_at: the scheduled start, which may be long ago; ``None`` for a person's request.
        may_rerun: re-run what looks suspicious twice; otherwise a single run decides, and only warns.
    """

    scenario: str
    service: str = ALL_SERVICES
    duration_s: int | None = None
    rate_rps: float | None = None
    update_baseline: bool = False
    reason: str | None = None
    may_rerun: bool = True
    triggered_by: str = "unknown"
    dag_id: str | None = None
    dag_run_id: str | None = None
    due_at: datetime | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with the request without looking at the catalogue, one sentence per problem."""
        if self.update_baseline and not (self.reason or "").strip():
            return ["update_baseline needs a reason; it is stored with the baseline"]
        return []


def load_of(scenario: Scenario, request: RunRequest) -> LoadProfile:
    """Return the scenario's load with the requested changes; a short run gets a short warm-up and ramp."""
    load = scenario.load
    changes: dict[str, float] = {}
    if request.rate_rps is not None:
        changes["rate_rps"] = request.rate_rps
    if request.duration_s is not None:
        warmup_s = min(load.warmup_s, max(0, request.duration_s))
        changes |= {"duration_s": request.duration_s, "warmup_s": warmup_s, "ramp_s": min(load.ramp_s, warmup_s)}
    try:
        return LoadProfile.model_validate(load.model_dump() | changes)
    except ValidationError as err:
        raise ConfigurationError([problem_of(error) for error in err.errors()]) from err


def specs_for(
    request: RunRequest, catalogue: Catalogue, *, now: datetime, problems: Sequence[str] = ()
) -> list[RunSpec]:
    """Return the specification of the run of each service, in the order of the catalogue.

    Args:
        problems: problems that were found before; they are raised together with those of the request.

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
        yield from problems_of_workers(load, service)
        yield from problems_of_concurrency(load, service)


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
    """Return when the load must be over: for runs before an opening, and for scheduled runs.

    A scheduled run that is planned after the next start of its schedule is too late: after an outage, Airflow may
    create the run of a missed start together with the one that follows.
    """
    schedule = scenario.schedule
    if schedule is None or (request.due_at is None and not schedule.is_before_opening):
        return None
    deadline = schedule.deadline(request.due_at or now, hours)
    following = schedule.next_start(request.due_at, hours) if request.due_at is not None else None
    if following is None or following > now or (deadline is not None and deadline.at <= following):
        return deadline
    return Deadline(at=following, occasion="the next start of its schedule has come, and only that one is made up for")
