"""Sending the load of a run: wait for a reservation, send the load, measure what the client saw."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.perf.catalogue.service import Service
from include.perf.load.announcing import announced, load_of
from include.perf.load.generator import LoadOrder, ProgressListener
from include.perf.load.reservations import Reservation, await_reservation, reservation_request_of
from include.perf.load.wire import Target
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import BellwetherError, TargetError
from include.perf.model.text import one_line
from include.perf.pipeline.load_tries import LoadTries
from include.perf.pipeline.moving_reservation import MovingReservation
from include.perf.pipeline.outside import Outside
from include.perf.runs.figures import LoadFigures
from include.perf.runs.planned_run import PlannedRun
from include.perf.runs.results_store import FEED_FILE, LOCUSTFILE_FILE
from include.perf.runs.stage_files import ConcurrentLoads, Deployed, StageFiles

log = logging.getLogger(__name__)

MAX_VERSION = 80
"""Longer versions are cut, because they appear in messages."""


@dataclass(frozen=True, slots=True)
class Loading:
    """Sends the load of a run, one load per target at a time, and asks the guard before each step."""

    outside: Outside
    files: StageFiles

    def drive(self, run: PlannedRun, *, on_progress: ProgressListener) -> LoadFigures:
        """Wait until the load can start, send it, and write its figures to the run's folder.

        Raises:
            RunSkipped, RunError: the load must not be sent, or the generator left no record.
        """
        guard = self.outside.guard
        tries = LoadTries(self.outside, self.files)
        taken_over = tries.taken_over(run, still_wanted=guard.check_halt)
        if taken_over is not None:
            return taken_over
        with MovingReservation(guard, self._reservation_of) as moving:
            reserved = moving.checked(run)
            run, reservation = reserved.run, reserved.reservation
            guard.check_ready(run)
            self.files.forget_figures()
            self.files.concurrent.write(ConcurrentLoads(loads=reservation.concurrent))
            before = self._deploy_version(run)
            with tries.trying():
                figures = self._send(run, reservation=reservation, on_progress=on_progress)
                self.files.load.write(figures)
            self.files.deployed.write(Deployed(before=before, after=self._deploy_version(run)))
        return figures

    def _reservation_of(self, run: PlannedRun) -> AbstractContextManager[Reservation]:
        """Wait until no other load is on the target and the generators have capacity for this one."""
        shared = self.outside.generator.shared()
        places = [f"{address}:{port}" for address in run.addresses for port in run.service.ports]
        targets = (*places, *([shared] if shared else []))
        stores, guard = self.outside.stores, self.outside.guard
        return await_reservation(
            lambda: reservation_request_of(
                run.spec, targets, since=stores.clock(), requests_per_arrival=run.service.requests_per_arrival
            ),
            self.outside.reservations,
            capacity_rps=stores.catalogue.operations.capacity_rps,
            still_wanted=lambda: guard.check_time(run),
            wait=self.outside.wait,
        )

    def _send(self, run: PlannedRun, *, reservation: Reservation, on_progress: ProgressListener) -> LoadFigures:
        from include.perf.measure.measurement import measure

        stores = self.outside.stores
        needed = (FEED_FILE,) if run.service.locustfile is None else (FEED_FILE, LOCUSTFILE_FILE)
        with stores.results.folder(self.files.uri, needed=needed) as folder:
            order = LoadOrder(
                service=run.service,
                load=run.spec.load,
                folder=folder,
                addresses=run.addresses,
                lock_fd=reservation.lock_fd,
            )
            load = load_of(run.spec, run.service, clock=stores.clock)
            announcement = announced(load, self.outside.observers, clock=stores.clock)
            watching = self.outside.guard.watching(run, on_progress, lost=reservation.lost)
            with watching as watch, announcement:
                self.outside.generator.run(order, watch=watch)
            return measure(folder)

    def _deploy_version(self, run: PlannedRun) -> str | None:
        """Return the deployed version of the service; a version that cannot be read does not stop the run."""
        outside = self.outside
        try:
            return read_deploy_version(
                run.service, run.addresses, outside.target, outside.metrics, at=outside.stores.clock()
            )
        except BellwetherError as err:
            log.warning("cannot read the deployed version of %s: %s", run.service.name, err)
            return None


def read_deploy_version(
    service: Service, addresses: Sequence[str], target: Target, metrics: MetricsSource, *, at: datetime
) -> str | None:
    """Return the deployed version of a service; ``None`` if its entry has no ``deploy_version``.

    Args:
        addresses: of the service's host; no other address is asked.

    Raises:
        TargetError, PrometheusError: the version cannot be read.
    """
    where = service.deploy_version
    if where is None:
        return None
    if where.query is not None:
        query = where.query.replace("$selector", service.prometheus.selector)
        return _shortened(metrics.label(query, where.label, at=at))
    assert where.path is not None  # noqa: S101 - an entry has one of the two
    version = _field(service, target.json(service, where.path, addresses), where.field)
    return _shortened(target.masked(service, version))


def _field(service: Service, document: Any, path: str) -> str:
    found = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, (str, int, float)) or not one_line(str(found)):
        raise TargetError(f"{service.name} reports no version: its answer has no text at {path!r}")
    return str(found)


def _shortened(version: str) -> str:
    return one_line(version)[:MAX_VERSION]
