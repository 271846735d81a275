"""Trying the load generators at one rate: a real load, sent and judged like the load of a run."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.forbidden_hosts import ForbiddenHost
from include.perf.catalogue.network import network_of
from include.perf.catalogue.prometheus_target import PrometheusTarget
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.catalogue.worker_rates import least_workers
from include.perf.guards.hosts import allowed_addresses
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.generator import LoadOrder, Progress
from include.perf.load.locustfile_bundle import bundle_of
from include.perf.load.reservations import Reservation, reservation_request_of
from include.perf.measure.validity import load_problems
from include.perf.model.errors import ConfigurationError, Occupied, RunSkipped
from include.perf.pipeline.capacity import Trial
from include.perf.pipeline.moving_reservation import MovingReservation, ReservedRun
from include.perf.pipeline.outside import Outside
from include.perf.runs.figures import LoadFigures
from include.perf.runs.planned_run import PlannedRun
from include.perf.runs.results_store import FEED_FILE, LOCUSTFILE_FILE
from include.perf.runs.spec import RunSpec, run_id_of

WARMUP_S = 2
LEAST_RATE_RPS = 50.0
"""At a lower rate, ten seconds have too few requests for a 99th percentile."""
NO_DATA = Path("none.csv")
"""The feed of a trial is made before."""
CAPACITY = "capacity"
"""Takes the place of a scenario's name in reservations and logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The target of the load.

    Attributes:
        forbidden_hosts: the hosts that no load for the service may reach.
        cores: returns how many cores the target wanted since the last call; ``None`` for a service on another machine.
    """

    service: Service
    feed: Feed
    forbidden_hosts: tuple[ForbiddenHost, ...] = ()
    cores: Callable[[], float | None] = field(default=lambda: None)


def aim_at_own(url: str, address: str, cores: Callable[[], float | None]) -> Aim:
    """Return the aim at Bellwether's own process, which answers every request."""
    endpoint = Endpoint(name="answer", method="GET", path="/")
    service = Service(
        name="answering-process",
        environment=CAPACITY,
        base_url=url,
        allowed_hosts=(address,),
        allowed_networks=(network_of(address),),
        prometheus=PrometheusTarget(selector='job="none"'),
        endpoints=(endpoint,),
    )
    requests = tuple(Request(f"/?row={row}", None) for row in range(100))
    feed = Feed(
        endpoints=(FeedEndpoint(name=endpoint.name, method=endpoint.method, weight=1, rows=len(requests)),),
        requests=(requests,),
    )
    return Aim(service=service, feed=feed, cores=cores)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityTrials:
    """Sends loads to find out what the generators can send; only to targets that a run may load.

    Attributes:
        step_s: how long each load is measured.
        workers: load processes for each load; by default the fewest that hold it.
    """

    outside: Outside
    step_s: int
    workers: int | None = None

    def aim_at(self, name: str) -> Aim:
        """Return the aim at a service of the catalogue, after checking that it may be loaded.

        Raises:
            ConfigurationError: the service is production, or no scenario has data for it.
            RunError: load must not go to the service, or it is not healthy.
        """
        from include.perf.load.staging import build_feed

        catalogue = self.outside.stores.catalogue
        service = catalogue.service(name)
        if service.is_production:
            raise ConfigurationError(f"{service.name} is production; the capacity of generators is not measured on it")
        scenario = catalogue.scenario_of(service)
        never = catalogue.forbidden_for(service)
        addresses = allowed_addresses(service, never=never, resolve=self.outside.resolve)
        self.outside.target.check(service, addresses)
        feed = build_feed(catalogue.data_path(scenario), service, scenario.load)
        return Aim(service=service, feed=feed, forbidden_hosts=never)

    @contextmanager
    def reserved(self, aim: Aim) -> Iterator[Callable[[float], Trial]]:
        """Yield a function that tries a rate at an aim; no other load runs until the block ends.

        Raises:
            RunSkipped: load is halted, or another load runs.
        """
        with MovingReservation(self.outside.guard, self._reservation_of) as moving:
            moving.checked(self._run(aim, LEAST_RATE_RPS))
            yield lambda rate_rps: self._trial(aim, moving.checked(self._run(aim, rate_rps)))

    def _run(self, aim: Aim, rate_rps: float) -> PlannedRun:
        """Return the load of a rate in the form in which the guard checks the load of a run."""
        service = aim.service
        load = LoadProfile(rate_rps=rate_rps, duration_s=self.step_s, warmup_s=WARMUP_S)
        load = load.model_copy(update={"workers": self.workers or least_workers(load, service)})
        now = self.outside.stores.clock()
        spec = RunSpec(
            run_id=run_id_of(now),
            service=service.name,
            scenario=CAPACITY,
            environment=service.environment,
            load=load,
            created_at=now,
        )
        scenario = Scenario(name=CAPACITY, title=CAPACITY, load=load, data=NO_DATA)
        return PlannedRun(
            spec=spec, service=service, scenario=scenario, data=NO_DATA, forbidden_hosts=aim.forbidden_hosts
        )

    @contextmanager
    def _reservation_of(self, run: PlannedRun) -> Iterator[Reservation]:
        """Reserve the target of a run and all capacity, without a wait."""
        stores, shared = self.outside.stores, self.outside.generator.shared()
        addresses = [f"{address}:{port}" for address in run.addresses for port in run.service.ports]
        request = replace(
            reservation_request_of(run.spec, (*addresses, *([shared] if shared else [])), since=stores.clock()),
            rate_rps=stores.catalogue.operations.capacity_rps,
        )
        with ExitStack() as held:
            try:
                reserve = self.outside.reservations.reserve(request, capacity_rps=request.rate_rps)
                reservation = held.enter_context(reserve)
            except Occupied as err:
                raise RunSkipped(
                    f"the capacity of the generators can only be measured while no other load runs: {err}"
                ) from err
            yield reservation

    def _trial(self, aim: Aim, reserved: ReservedRun) -> Trial:
        """Send one load and judge it; each problem is a reason why the rate does not hold."""
        from include.perf.measure.measurement import measure

        run, reservation = reserved.run, reserved.reservation
        guard, load = self.outside.guard, run.spec.load
        with tempfile.TemporaryDirectory(prefix="bellwether-capacity-") as name:
            folder = Path(name)
            aim.feed.write(folder / FEED_FILE)
            if run.service.locustfile is not None:
                bundle_of(run.service.locustfile).write(folder / LOCUSTFILE_FILE)
            order = LoadOrder(
                service=run.service,
                load=load,
                folder=folder,
                addresses=run.addresses,
                lock_fd=reservation.lock_fd,
            )
            with guard.watching(run, _FirstProgress(aim.cores), lost=reservation.lost) as watch:
                self.outside.generator.run(order, watch=watch)
            cores = aim.cores()
            guard.check_halt()
            trial = _judged(load, measure(folder), target_cores=cores)
            return replace(trial, requests_per_arrival=run.service.requests_per_arrival)


def _judged(load: LoadProfile, figures: LoadFigures, *, target_cores: float | None) -> Trial:
    problems = load_problems(load, figures)
    if figures.failed:
        first = figures.errors[0]
        problems.append(
            f"{figures.failed} of {figures.due} requests failed ({first.kind}: {first.example or 'no example'}): the "
            "target could not keep up, or is not healthy"
        )
    return Trial(
        rate_rps=load.rate_rps,
        workers=figures.generator.workers,
        due=figures.due,
        answered=figures.finished,
        lag_p99_s=figures.generator.schedule_lag_p99_s,
        wanted_cores=figures.generator.wanted_cores,
        target_cores=target_cores,
        hosts=figures.generator.hosts,
        problems=tuple(problems),
    )


class _FirstProgress:
    """Calls a function once, after the first requests were sent."""

    def __init__(self, begun: Callable[[], object]) -> None:
        self._begun = begun
        self._has_begun = False

    def __call__(self, progress: Progress) -> None:
        if not self._has_begun and progress.elapsed_s > 0:
            self._has_begun = True
            self._begun()
