"""A reservation that follows the addresses of a host: every load asks the guard again right before it is sent."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from include.perf.guards.guard import Guard
from include.perf.load.reservations import Reservation
from include.perf.model.errors import TargetError
from include.perf.runs.planned_run import PlannedRun

log = logging.getLogger(__name__)

MAX_RESERVATIONS = 5
"""How often a load reserves addresses before it gives up on a host whose addresses change all the time."""

Reserve = Callable[[PlannedRun], AbstractContextManager[Reservation]]
"""Reserves the addresses of a run until its block ends, perhaps after a wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedRun:
    """A run with the addresses that its load goes to, and the reservation that covers them."""

    run: PlannedRun
    reservation: Reservation


class MovingReservation:
    """The reservation of one load, or of several loads on the same service one after another."""

    def __init__(self, guard: Guard, reserve: Reserve) -> None:
        self._guard = guard
        self._reserve = reserve
        self._held = ExitStack()
        self._reservation: Reservation | None = None
        self._covered: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        """Begin without a reservation."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release what is reserved."""
        self._held.close()

    def checked(self, run: PlannedRun) -> ReservedRun:
        """Return the run with the addresses that its host has now, and a reservation that covers all of them.

        A reservation may take hours, so halt, time, market and addresses are checked again after it. If the host has
        other addresses by then, the reservation is released, and the new ones are reserved.

        Raises:
            RunSkipped: load is halted, it is too late for the load, or the market of a production service is open.
            HostRefused: load to one of the addresses is not allowed.
            TargetError: the host had other addresses after each of `MAX_RESERVATIONS` reservations.
        """
        moves = 0
        while True:
            self._guard.check_time(run)
            run = self._guard.with_addresses(run)
            if self._reservation is not None and set(run.addresses) <= set(self._covered):
                return ReservedRun(run=run, reservation=self._reservation)
            if moves == MAX_RESERVATIONS:
                raise TargetError(
                    f"load on {run.service.name} cannot start: the addresses of its host {run.service.host} changed "
                    f"{MAX_RESERVATIONS} times while they were reserved, most recently to "
                    f"{', '.join(run.addresses)}; set base_url to a name with stable addresses"
                )
            self._move(run)
            moves += 1

    def _move(self, run: PlannedRun) -> None:
        if self._covered:
            log.info(
                "%s: %s now has the addresses %s, so these are reserved instead of %s",
                *(run, run.service.host, ", ".join(run.addresses), ", ".join(self._covered)),
            )
        self._held.close()
        self._reservation = None
        self._covered = run.addresses
        self._reservation = self._held.enter_context(self._reserve(run))
