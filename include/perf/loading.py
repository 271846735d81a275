"""Driving the load of a run, when its turn has come, and measuring what the client saw."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from include.perf.catalogue import Catalogue
from include.perf.deployment import read_deploy_version
from include.perf.errors import BellwetherError
from include.perf.guard import Guard
from include.perf.load_announcement.announcing import LoadObserver, announced, load_of
from include.perf.load_tries import LoadTries
from include.perf.ports import (
    FEED_FILE,
    Clock,
    LoadGenerator,
    LoadOrder,
    MetricsSource,
    ProgressListener,
    Reservation,
    Reservations,
    ResultsStore,
    Target,
)
from include.perf.run import LoadFigures, RunSpec
from include.perf.service import Service
from include.perf.stage_files import Beside, Deployed, StageFiles
from include.perf.turn import claim_of, turn_of

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
        taken_over = tries.taken_over(spec, longest_s=longest_s, still_wanted=self.guard.check_switch)
        if taken_over is not None:
            return taken_over
        self.guard.check_time(spec)
        addresses = self.guard.addresses_of(service)
        with self._turn(spec, service, addresses) as turn:
            self.guard.check_time(spec)
            self.guard.check_ready(service, addresses)
            files.forget_figures()
            files.write_beside(Beside(loads=turn.beside))
            before = self._deploy_version(service, addresses)
            with tries.trying():
                figures = self._sent(files, spec, service, addresses, turn=turn, on_progress=on_progress)
                files.write_load(figures)
            files.write_deployed(Deployed(before=before, after=self._deploy_version(service, addresses)))
        return figures

    def _turn(self, spec: RunSpec, service: Service, addresses: tuple[str, ...]) -> AbstractContextManager[Reservation]:
        """Wait until no other load is on the target, and the generators have room for this one."""
        shared = self.generator.shared()
        targets = (*(f"{address}:{service.port}" for address in addresses), *([shared] if shared else []))
        return turn_of(
            lambda: claim_of(spec, targets, since=self.clock()),
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
        from include.perf.measurement import measure

        with self.store.folder(files.uri, needed=(FEED_FILE,)) as folder:
            order = LoadOrder(service=service, load=spec.load, folder=folder, addresses=addresses, hold=turn.hold)
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
