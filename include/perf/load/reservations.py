"""Reservations of load: no two loads on one target, and together no more than the generators can send.

A task reserves what its load needs and waits until there is room for it. An adapter keeps the reservations; `admit` is
the rule that every adapter applies.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.perf.model.bounds import EARLIEST, MAX_AMOUNT, MAX_NAME
from include.perf.model.errors import ItemError, Occupied, RunSkipped
from include.perf.model.json_files import from_json
from include.perf.model.text import span, utc_time
from include.perf.runs.results_store import log_left_out
from include.perf.runs.spec import ReservationRequest, RunSpec

log = logging.getLogger(__name__)

POLL_INTERVAL_S = 1.0

MAX_WAIT_S = 4 * 3600.0
"""A load that waits longer is skipped: something is wrong with the load that it waits for."""


ANY_TARGET = "*"
"""Stands for the targets of a running load whose reservation cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A reservation that was granted.

    Attributes:
        concurrent: the other loads that ran when it was granted.
        lock_fd: a file descriptor; the reservation stands until every process that has it open has exited. ``None``
            for a reservation that must be renewed.
        lost: returns why the reservation no longer stands, or ``None``; once it is lost, its load must end.
    """

    concurrent: tuple[ReservationRequest, ...]
    lock_fd: int | None = None
    lost: Callable[[], str | None] = lambda: None


class Reservations(Protocol):
    """Keeps loads from overlapping, across all tasks and command lines that share it."""

    def reserve(self, request: ReservationRequest, *, capacity_rps: float) -> AbstractContextManager[Reservation]:
        """Reserve what a load needs until the block ends.

        Args:
            capacity_rps: what all loads together may send.

        Raises:
            Occupied: another load is on one of the targets, or the remaining capacity is too small.
            StoreError: the existing reservations cannot be read.
        """

    def held(self) -> Set[str] | None:
        """Return the runs whose loads run now, including those of killed tasks; ``None`` when unknown."""


def reservation_request_of(
    spec: RunSpec, targets: tuple[str, ...], *, since: datetime, requests_per_arrival: float = 1.0
) -> ReservationRequest:
    """Return what the load of a run must reserve."""
    return ReservationRequest(
        run_id=spec.run_id,
        service=spec.service,
        scenario=spec.scenario,
        targets=targets,
        rate_rps=spec.load.peak_rate_rps * requests_per_arrival,
        since=since,
    )


@contextmanager
def await_reservation(
    request: Callable[[], ReservationRequest],
    reservations: Reservations,
    *,
    capacity_rps: float,
    still_wanted: Callable[[], None],
    wait: Callable[[float], None],
) -> Iterator[Reservation]:
    """Yield a reservation as soon as there is room for it.

    Args:
        request: returns what the load needs, as of now.
        still_wanted: called while waiting; raises when the load must not start any more.

    Raises:
        RunSkipped: there was no room for `MAX_WAIT_S`. Errors of ``still_wanted`` pass through.
    """
    with ExitStack() as held:
        waited_s = 0.0
        while True:
            try:
                reservation = held.enter_context(reservations.reserve(request(), capacity_rps=capacity_rps))
                break
            except Occupied as err:
                if waited_s == 0:
                    log.info("%s waits until its load can start: %s", request().run_id, err)
                if waited_s >= MAX_WAIT_S:
                    raise RunSkipped(f"its load could not start within {span(MAX_WAIT_S)}: {err}") from err
            still_wanted()
            wait(POLL_INTERVAL_S)
            waited_s += POLL_INTERVAL_S
        yield reservation


def admit(request: ReservationRequest, others: Sequence[ReservationRequest], *, capacity_rps: float) -> None:
    """Check that a load may run at the same time as the others.

    Raises:
        Occupied: another load is on one of its targets, or the remaining capacity is too small.
    """
    _refuse_overlap(request, others)
    _refuse_excess(request, others, capacity_rps)


def read_reservation(content: bytes, *, run_id: str, where: str) -> ReservationRequest:
    """Return the reservation of a running load from its JSON; of a damaged one, whatever can still be read.

    Its targets stay reserved. If they cannot be read, it stands for every target, so that no target gets a second load.

    Args:
        run_id: the run whose load it is.
        where: names the reservation in the log.
    """
    try:
        request = from_json(ReservationRequest, content, where=where)
        if request.targets:
            return request
        log_left_out(where, f"{where} has no targets; every target stays reserved until its load ends")
    except ItemError as err:
        log_left_out(where, f"{err}; its targets stay reserved until its load ends")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    fields = found if isinstance(found, dict) else {}
    return damaged_reservation(run_id, fields)


def damaged_reservation(run_id: str, fields: Mapping[str, object] | None = None) -> ReservationRequest:
    """Return what stands for a damaged reservation.

    Args:
        fields: what could be read of it.
    """
    given = fields or {}
    targets, rate = given.get("targets"), given.get("rate_rps")
    is_known = isinstance(targets, list) and targets and all(isinstance(target, str) for target in targets)
    is_rate = isinstance(rate, int | float) and not isinstance(rate, bool) and 0 <= rate <= MAX_AMOUNT
    return ReservationRequest(
        run_id=run_id,
        service=str(given.get("service") or "unknown")[:MAX_NAME],
        scenario=str(given.get("scenario") or "unknown")[:MAX_NAME],
        targets=tuple(targets) if isinstance(targets, list) and is_known else (ANY_TARGET,),
        rate_rps=float(rate) if isinstance(rate, int | float) and is_rate else 0.0,
        since=EARLIEST,
    )


def _refuse_overlap(request: ReservationRequest, others: Sequence[ReservationRequest]) -> None:
    for other in others:
        if ANY_TARGET in other.targets:
            raise Occupied(
                f"the reservation of run {other.run_id} cannot be read, so its targets are unknown; it counts until "
                "its load ends, or until you remove it because that load does not run any more"
            )
        shared = sorted(set(request.targets) & set(other.targets))
        if shared:
            raise Occupied(f"{', '.join(shared)} is under load by {_describe(other)}")


def _refuse_excess(request: ReservationRequest, others: Sequence[ReservationRequest], capacity_rps: float) -> None:
    used = sum(other.rate_rps for other in others)
    if others and used + request.rate_rps > capacity_rps:
        raise Occupied(
            f"of the generators' {capacity_rps:g}/s (capacity_rps) {used:g}/s are reserved by "
            f"{'; '.join(map(_describe, others))}, and this load needs {request.rate_rps:g}/s"
        )


def _describe(other: ReservationRequest) -> str:
    return f"run {other.run_id} ({other.scenario} on {other.service}, since {utc_time(other.since)})"
