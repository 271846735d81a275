"""Trying the load generators at one rate: a real load, sent and judged like the load of a run."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.prometheus_target import PrometheusTarget
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from include.perf.guards.hosts import allowed_addresses
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.generator import LoadOrder, Progress
from include.perf.measure.validity import load_problems
from include.perf.model.errors import ConfigurationError, Occupied, RunSkipped
from include.perf.pipeline.capacity import Trial
from include.perf.pipeline.outside import Outside
from include.perf.runs.figures import LoadFigures
from include.perf.runs.results_store import FEED_FILE
from include.perf.runs.spec import ReservationRequest, run_id_of

WARMUP_S = 2
CAPACITY = "capacity"
"""Takes the place of a scenario's name in reservations and logs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The target of the load.

    Attributes:
        addresses: the only addresses that the load goes to.
        cores: returns how many cores the target wanted since the last call; ``None`` for a service on another machine.
    """

    service: Service
    feed: Feed
    addresses: tuple[str, ...]
    cores: Callable[[], float | None] = field(default=lambda: None)


def aim_at_own(url: str, address: str, cores: Callable[[], float | None]) -> Aim:
    """Return the aim at Bellwether's own process, which answers every request."""
    endpoint = Endpoint(name="answer", method="GET", path="/")
    service = Service(
        name="answering-process",
        environment=CAPACITY,
        base_url=url,
        allowed_hosts=(address,),
        prometheus=PrometheusTarget(selector='job="none"'),
        endpoints=(endpoint,),
    )
    requests = tuple(Request(f"/?row={row}", None) for row in range(100))
    feed = Feed(
        endpoints=(FeedEndpoint(name=endpoint.name, method=endpoint.method, weight=1, rows=len(requests)),),
        requests=(requests,),
    )
    return Aim(service=service, feed=feed, addresses=(address,), cores=cores)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityTrials:
    """Sends loads to find out what the generators can send; only to targets that a run may load.

    Attributes:
        step_s: how long each load is measured.
    """

    outside: Outside
    step_s: int

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
        addresses = allowed_addresses(service, never=catalogue.forbidden_for(service), resolve=self.outside.resolve)
        self.outside.target.check(service, addresses)
        feed = build_feed(catalogue.data_path(scenario), service, scenario.load)
        return Aim(service=service, feed=feed, addresses=addresses)

    @contextmanager
    def reserved(self, aim: Aim) -> Iterator[Callable[[float], Trial]]:
        """Yield a function that tries a rate at an aim; no other load runs until the block ends.

        Raises:
            RunSkipped: load is halted, or another load runs.
        """
        guard, stores = self.outside.guard, self.outside.stores
        guard.check_halt()
        shared = self.outside.generator.shared()
        addresses = tuple(f"{address}:{aim.service.port}" for address in aim.addresses)
        request = ReservationRequest(
            run_id=run_id_of(stores.clock()),
            service=aim.service.name,
            scenario=CAPACITY,
            targets=(*addresses, *([shared] if shared else [])),
            rate_rps=stores.catalogue.operations.capacity_rps,
            since=stores.clock(),
        )
        try:
            with self.outside.reservations.reserve(request, capacity_rps=request.rate_rps) as reservation:
                yield lambda rate_rps: self._trial(aim, rate_rps, lost=reservation.lost, lock_fd=reservation.lock_fd)
        except Occupied as err:
            raise RunSkipped(
                f"the capacity of the generators can only be measured while no other load runs: {err}"
            ) from err

    def _trial(self, aim: Aim, rate_rps: float, *, lost: Callable[[], str | None], lock_fd: int | None) -> Trial:
        """Send one load and judge it; each problem is a reason why the rate does not hold."""
        from include.perf.measure.measurement import measure

        load = LoadProfile(rate_rps=rate_rps, duration_s=self.step_s, warmup_s=WARMUP_S)
        watch = _Watch(lambda: self.outside.halted() or lost(), begun=aim.cores)
        with tempfile.TemporaryDirectory(prefix="bellwether-capacity-") as name:
            folder = Path(name)
            aim.feed.write(folder / FEED_FILE)
            order = LoadOrder(service=aim.service, load=load, folder=folder, addresses=aim.addresses, lock_fd=lock_fd)
            self.outside.generator.run(order, watch=watch)
            cores = aim.cores()
            self.outside.guard.check_halt()
            return _judged(load, measure(folder), target_cores=cores)


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


class _Watch:
    """Ends a load as soon as there is a reason.

    Args:
        begun: called once, after the first requests were sent.
    """

    def __init__(self, reason: Callable[[], str | None], *, begun: Callable[[], object]) -> None:
        self._reason = reason
        self._begun = begun
        self._has_begun = False

    def take_in(self, progress: Progress) -> None:
        """Note the first progress; the figures themselves come from the record."""
        if not self._has_begun and progress.elapsed_s > 0:
            self._has_begun = True
            self._begun()

    def reason_to_stop(self) -> str | None:
        """Return why the load must end now, or ``None``."""
        return self._reason()
