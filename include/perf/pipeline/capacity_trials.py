"""Trying the load generators at one rate: a real load, driven and judged as that of a run."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.prometheus_target import PrometheusTarget
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from include.perf.guards.hosts import allowed_addresses
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.generator import LoadGenerator, LoadOrder, Progress
from include.perf.load.reservations import Reservations
from include.perf.load.wire import Resolver, Target
from include.perf.measure.validity import load_problems
from include.perf.model.errors import ConfigurationError, Occupied, RunSkipped
from include.perf.pipeline.capacity import Trial
from include.perf.runs.figures import LoadFigures
from include.perf.runs.results_store import FEED_FILE
from include.perf.runs.spec import ReservationRequest, run_id_of

WARMUP_S = 2
CAPACITY = "capacity"
"""Stands where a claim or a log names a scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What the load goes to.

    Attributes:
        addresses: the only ones that are connected to.
        cores: says how many cores it wanted since it was last asked; ``None`` for a service, which is elsewhere.
    """

    service: Service
    feed: Feed
    addresses: tuple[str, ...]
    cores: Callable[[], float | None] = field(default=lambda: None)


def aim_at_own(url: str, address: str, cores: Callable[[], float | None]) -> Aim:
    """Return the aim at a process of our own that answers whatever it is asked."""
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
    """Sends loads to find out what the generators can send, and to nothing that a run may not be sent to.

    Attributes:
        halted: says why no load may run, or ``None``.
        step_s: how long each load is measured.
    """

    catalogue: Catalogue
    generator: LoadGenerator
    target: Target
    resolve: Resolver
    reservations: Reservations
    halted: Callable[[], str | None]
    clock: Callable[[], datetime]
    step_s: int

    def aim_at(self, name: str) -> Aim:
        """Return the aim at a service of the catalogue; load may go there.

        Raises:
            ConfigurationError: it is production, or no scenario has data for it.
            RunError: load may not go to it, or it is not healthy.
        """
        from include.perf.load.staging import build_feed

        service = self.catalogue.service(name)
        if service.is_production:
            raise ConfigurationError(f"{service.name} is production; what generators can send is not tried out on it")
        scenario = self.catalogue.scenario_of(service)
        addresses = allowed_addresses(service, never=self.catalogue.forbidden_for(service), resolve=self.resolve)
        self.target.check(service, addresses)
        feed = build_feed(self.catalogue.data_path(scenario), service.endpoints, seed=scenario.load.seed)
        return Aim(service=service, feed=feed, addresses=addresses)

    @contextmanager
    def reserved(self, aim: Aim) -> Iterator[Callable[[float], Trial]]:
        """Lend trials at an aim while no other load runs.

        Raises:
            RunSkipped: load is halted, or another one runs.
        """
        self._check_halt()
        shared = self.generator.shared()
        addresses = tuple(f"{address}:{aim.service.port}" for address in aim.addresses)
        claim = ReservationRequest(
            run_id=run_id_of(self.clock()),
            service=aim.service.name,
            scenario=CAPACITY,
            targets=(*addresses, *([shared] if shared else [])),
            rate_rps=self.catalogue.operations.capacity_rps,
            since=self.clock(),
        )
        try:
            with self.reservations.reserve(claim, capacity_rps=claim.rate_rps) as reservation:
                yield lambda rate_rps: self._trial(aim, rate_rps, lost=reservation.lost, lock_fd=reservation.lock_fd)
        except Occupied as err:
            raise RunSkipped(f"what the generators can send is only known when nothing else uses them: {err}") from err

    def _check_halt(self) -> None:
        if (reason := self.halted()) is not None:
            raise RunSkipped(reason)

    def _trial(self, aim: Aim, rate_rps: float, *, lost: Callable[[], str | None], lock_fd: int | None) -> Trial:
        """Send one load and judge it; every problem of it is a reason why the rate does not hold."""
        from include.perf.measure.measurement import measure

        load = LoadProfile(rate_rps=rate_rps, duration_s=self.step_s, warmup_s=WARMUP_S)
        watch = _Watch(lambda: self.halted() or lost(), begun=aim.cores)
        with tempfile.TemporaryDirectory(prefix="bellwether-capacity-") as name:
            folder = Path(name)
            aim.feed.write(folder / FEED_FILE)
            order = LoadOrder(service=aim.service, load=load, folder=folder, addresses=aim.addresses, lock_fd=lock_fd)
            self.generator.run(order, watch=watch)
            cores = aim.cores()
            self._check_halt()
            return _judged(load, measure(folder), target_cores=cores)


def _judged(load: LoadProfile, figures: LoadFigures, *, target_cores: float | None) -> Trial:
    problems = load_problems(load, figures)
    if figures.failed:
        first = figures.errors[0]
        problems.append(
            f"{figures.failed} of {figures.due} requests failed ({first.kind}: {first.example or 'no example'}): what "
            "answers could not keep up, or is not well"
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
    """Ends a load for a reason that is looked for.

    Args:
        begun: is called when the first requests have gone out.
    """

    def __init__(self, reason: Callable[[], str | None], *, begun: Callable[[], object]) -> None:
        self._reason = reason
        self._begun = begun
        self._has_begun = False

    def take_in(self, progress: Progress) -> None:
        """Leave the figures to the record, but not the moment of the first."""
        if not self._has_begun and progress.elapsed_s > 0:
            self._has_begun = True
            self._begun()

    def reason_to_stop(self) -> str | None:
        """Return why no load may run any more."""
        return self._reason()
