"""Waiting for the turn of a load: no two on one target, and no more at once than the generators can send.

Whether there is room for a load beside those that run, wherever they are kept account of.
"""

import logging
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from include.perf.model.errors import Occupied, RunSkipped
from include.perf.model.text import span, utc_time
from include.perf.runs.spec import ReservationRequest, RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A claim that was granted.

    Attributes:
        beside: the other loads that ran when it was granted.
        hold: a descriptor; the claim stands until every process that has it open is gone. ``None`` where it stands
            only as long as it is renewed.
        lost: says why the claim does not stand any more, or ``None``; then its load must end.
    """

    beside: tuple[ReservationRequest, ...]
    hold: int | None = None
    lost: Callable[[], str | None] = lambda: None


class Reservations(Protocol):
    """Keeps loads from overlapping, over all tasks and command lines that share it."""

    def reserve(self, claim: ReservationRequest, *, capacity_rps: float) -> AbstractContextManager[Reservation]:
        """Take what a load needs for as long as the block lasts.

        Args:
            capacity_rps: what all loads together may send.

        Raises:
            Occupied: another load is on one of the targets, or there is not capacity enough left.
            StoreError: it cannot be told what is taken.
        """

    def held(self) -> Set[str] | None:
        """Return the runs whose loads run now, killed tasks' included; ``None`` where nobody can tell."""


log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0

MOST_WAIT_S = 4 * 3600.0
"""Who waits longer waits for something that is wrong."""


def claim_of(spec: RunSpec, targets: tuple[str, ...], *, since: datetime) -> ReservationRequest:
    """Return what the load of a run takes."""
    return ReservationRequest(
        run_id=spec.run_id,
        service=spec.service,
        scenario=spec.scenario,
        targets=targets,
        rate_rps=spec.load.peak_rate_rps,
        since=since,
    )


@contextmanager
def turn_of(
    claim: Callable[[], ReservationRequest],
    reservations: Reservations,
    *,
    capacity_rps: float,
    still_wanted: Callable[[], None],
    wait: Callable[[float], None],
) -> Iterator[Reservation]:
    """Lend a reservation, as soon as there is room for it.

    Args:
        claim: what the load takes, as of now.
        still_wanted: asked while it waits; raises when the load must not come any more.

    Raises:
        RunSkipped: there was no room for too long; what ``still_wanted`` raises.
    """
    with ExitStack() as held:
        waited_s = 0.0
        while True:
            try:
                reservation = held.enter_context(reservations.reserve(claim(), capacity_rps=capacity_rps))
                break
            except Occupied as err:
                if waited_s == 0:
                    log.info("%s waits for its turn: %s", claim().run_id, err)
                if waited_s >= MOST_WAIT_S:
                    raise RunSkipped(f"it waited {span(MOST_WAIT_S)} for its turn: {err}") from err
            still_wanted()
            wait(LOOK_EVERY_S)
            waited_s += LOOK_EVERY_S
        yield reservation


def admit(claim: ReservationRequest, others: Sequence[ReservationRequest], *, capacity_rps: float) -> None:
    """Make sure that a load may run beside others.

    Raises:
        Occupied: another one is on one of its targets, or there is not capacity enough left.
    """
    _refuse_overlap(claim, others)
    _refuse_excess(claim, others, capacity_rps)


def _refuse_overlap(claim: ReservationRequest, others: Sequence[ReservationRequest]) -> None:
    for other in others:
        shared = sorted(set(claim.targets) & set(other.targets))
        if shared:
            raise Occupied(f"{', '.join(shared)} is under load by {_told(other)}")


def _refuse_excess(claim: ReservationRequest, others: Sequence[ReservationRequest], capacity_rps: float) -> None:
    used = sum(other.rate_rps for other in others)
    if others and used + claim.rate_rps > capacity_rps:
        raise Occupied(
            f"of the generators' {capacity_rps:g}/s (capacity_rps) {used:g}/s are taken by "
            f"{'; '.join(map(_told, others))}, and this load needs {claim.rate_rps:g}/s"
        )


def _told(other: ReservationRequest) -> str:
    return f"run {other.run_id} ({other.scenario} on {other.service}, since {utc_time(other.since)})"
