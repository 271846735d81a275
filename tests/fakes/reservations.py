"""Reservations that are granted unless a test says otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

from include.perf.load.reservations import Reservation
from include.perf.runs.spec import ReservationRequest


class FakeReservations:
    """Grants everything.

    Attributes:
        problems: what stands in the way, one after another, before it is granted.
        claims: what was asked for.
        beside: the loads that run as well.
        running: the runs whose loads are said to run, one answer after another; then none does.
    """

    def __init__(self) -> None:
        self.running: list[frozenset[str] | None] = []
        self.problems: list[Exception] = []
        self.claims: list[ReservationRequest] = []
        self.beside: tuple[ReservationRequest, ...] = ()

    @contextmanager
    def reserve(self, claim: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        """Grant a claim, or raise the next problem."""
        self.claims.append(claim)
        if self.problems:
            raise self.problems.pop(0)
        yield Reservation(lock_fd=0, concurrent=self.beside)

    def held(self) -> frozenset[str] | None:
        """Return the next answer."""
        return self.running.pop(0) if self.running else frozenset()
