"""Driving the load of a run, when its turn has come, and measuring what the client saw.

Which version of a service is deployed, as the service tells it.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.service import Service
from include.perf.guards.guard import Guard
from include.perf.load.announcing import LoadObserver, announced, load_of
from include.perf.load.generator import LoadGenerator, LoadOrder, ProgressListener
from include.perf.load.reservations import Reservation, Reservations, await_reservation, reservation_request_of
from include.perf.load.wire import Target
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import BellwetherError, TargetError
from include.perf.model.text import Clock, one_line
from include.perf.pipeline.load_tries import LoadTries
from include.perf.runs.figures import LoadFigures
from include.perf.runs.results_store import FEED_FILE, ResultsStore
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import ConcurrentLoads, Deployed, StageFiles

MAX_VERSION = 80
"""A version is read in messages; longer ones are cut."""


def read_deploy_version(
    service: Service, addresses: Sequence[str], target: Target, metrics: MetricsSource, *, at: datetime
) -> str | None:
    """Return the version, ``None`` for a service whose entry does not say where it is told.

    Args:
        addresses: of the service's host; no other is asked.

    Raises:
        TargetError, PrometheusError: it could not be had.
    """
    where = service.deploy_version
    if where is None:
        return None
    if where.query is not None:
        query = where.query.replace("$selector", service.prometheus.selector)
        return _shortened(metrics.label(query, where.label, at=at))
    assert where.path is not None  # noqa: S101 - an entry has one of the two
    return _shortened(_field(service, target.json(service, where.path, addresses), where.field))


def _field(service: Service, document: Any, path: str) -> str:
    found = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, (str, int, float)) or not one_line(str(found)):
        raise TargetError(f"{service.name} tells no version: there is no text at {path!r} in what it answers")
    return str(found)


def _shortened(version: str) -> str:
    return one_line(version)[:MAX_VERSION]


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """Sends loads, one at a time to a target, and asks the guard before each step.

    Attributes:
        wait: sleeps for so many seconds.
        observers: are told when a load begins and when it is over.
    """

    catalogue: Catalogue
    store: ResultsStore
    metrics: MetricsSource
    generator: LoadGenerator
    target: Target
    reservations: Reservations
    guard: Guard
    clock: Clock
    wait: Callable[[float], None]
    observers: Sequence[LoadObserver] = ()

    def drive(self, files: StageFiles, spec: RunSpec, *, on_progress: ProgressListener) -> LoadFigures:
        """Wait for the turn of a run, send its load, and leave its figures with it.

        Raises:
            RunSkipped, RunError: it may not be sent, or the generator left no record.
        """
        tries = LoadTries(
            files=files, store=self.store, reservations=self.reservations, clock=self.clock, wait=self.wait
        )
        service = self.catalogue.service(spec.service)
        longest_s = spec.load.longest_s(service.timeout_s)
        taken_over = tries.taken_over(spec, longest_s=longest_s, still_wanted=self.guard.check_halt)
        if taken_over is not None:
            return taken_over
        self.guard.check_time(spec)
        addresses = self.guard.addresses_of(service)
        with self._turn(spec, service, addresses) as turn:
            self.guard.check_time(spec)
            self.guard.check_ready(service, addresses)
            files.forget_figures()
            files.concurrent.write(ConcurrentLoads(loads=turn.concurrent))
            before = self._deploy_version(service, addresses)
            with tries.trying():
                figures = self._sent(files, spec, service, addresses, turn=turn, on_progress=on_progress)
                files.load.write(figures)
            files.deployed.write(Deployed(before=before, after=self._deploy_version(service, addresses)))
        return figures

    def _turn(self, spec: RunSpec, service: Service, addresses: tuple[str, ...]) -> AbstractContextManager[Reservation]:
        """Wait until no other load is on the target, and the generators have room for this one."""
        shared = self.generator.shared()
        targets = (*(f"{address}:{service.port}" for address in addresses), *([shared] if shared else []))
        return await_reservation(
            lambda: reservation_request_of(spec, targets, since=self.clock()),
            self.reservations,
            capacity_rps=self.catalogue.operations.capacity_rps,
            still_wanted=lambda: self.guard.check_time(spec),
            wait=self.wait,
        )

    def _sent(
        self,
        files: StageFiles,
        spec: RunSpec,
        service: Service,
        addresses: tuple[str, ...],
        *,
        turn: Reservation,
        on_progress: ProgressListener,
    ) -> LoadFigures:
        from include.perf.measure.measurement import measure

        with self.store.folder(files.uri, needed=(FEED_FILE,)) as folder:
            order = LoadOrder(service=service, load=spec.load, folder=folder, addresses=addresses, lock_fd=turn.lock_fd)
            announcement = announced(load_of(spec, service, clock=self.clock), self.observers, clock=self.clock)
            with self.guard.watching(spec, on_progress, lost=turn.lost) as watch, announcement:
                self.generator.run(order, watch=watch)
            return measure(folder)

    def _deploy_version(self, service: Service, addresses: tuple[str, ...]) -> str | None:
        """Return which version of the service is deployed, where it tells; not knowing keeps no run from its turn."""
        try:
            return read_deploy_version(service, addresses, self.target, self.metrics, at=self.clock())
        except BellwetherError as err:
            log.warning("the deploy version of %s could not be had: %s", service.name, err)
            return None
