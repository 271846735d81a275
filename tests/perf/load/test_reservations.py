"""Waiting until a load can start."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from include.perf.load.reservations import MAX_WAIT_S, Reservation, await_reservation, reservation_request_of
from include.perf.model.errors import Occupied, RunSkipped
from include.perf.runs.spec import ReservationRequest
from tests.fakes.clock import START, FixedClock
from tests.stages import SPEC

TARGETS = ("10.0.0.7:8000",)


class Busy:
    """Refuses a number of times, then grants; records the requests and whether the reservation is held."""

    def __init__(self, times: float) -> None:
        self.times = times
        self.requests: list[ReservationRequest] = []
        self.is_held = False

    @contextmanager
    def reserve(self, request: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        self.requests.append(request)
        if len(self.requests) <= self.times:
            raise Occupied("10.0.0.7:8000 is under load by run x")
        self.is_held = True
        yield Reservation(lock_fd=3, concurrent=())
        self.is_held = False


def reserve(busy: Busy, clock: FixedClock, refuse_at: float = float("inf")) -> None:
    """Await a reservation for a load that is wanted until a number of seconds has passed."""

    def still_wanted() -> None:
        if (clock() - START).total_seconds() >= refuse_at:
            raise RunSkipped("too late")

    def request() -> ReservationRequest:
        return reservation_request_of(SPEC, TARGETS, since=clock())

    with await_reservation(request, busy, capacity_rps=600, still_wanted=still_wanted, wait=clock.wait):
        assert busy.is_held


def test_a_free_target_is_reserved_at_once() -> None:
    """The request names what the load needs: its targets, and its peak rate."""
    clock, busy = FixedClock(), Busy(0)
    reserve(busy, clock)
    assert busy.requests == [
        ReservationRequest(
            run_id=SPEC.run_id,
            service=SPEC.service,
            scenario=SPEC.scenario,
            targets=TARGETS,
            rate_rps=SPEC.load.peak_rate_rps,
            since=START,
        )
    ]
    assert (clock.waits_s, busy.is_held) == ([], False)


def test_it_waits_until_there_is_room() -> None:
    """It tries once a second; the reservation is dated from when it is granted."""
    clock, busy = FixedClock(), Busy(3)
    reserve(busy, clock)
    assert clock.waits_s == [1.0, 1.0, 1.0]
    assert busy.requests[-1].since == START + timedelta(seconds=3)


def test_a_waiting_load_is_skipped_when_it_is_no_longer_wanted() -> None:
    """The market opens, or somebody halts all load, while it waits."""
    clock, busy = FixedClock(), Busy(float("inf"))
    with pytest.raises(RunSkipped, match=r"^too late$"):
        reserve(busy, clock, refuse_at=60)
    assert sum(clock.waits_s) == 60


def test_the_wait_is_limited() -> None:
    """After hours the load is skipped, and the reason says what it waited for."""
    clock, busy = FixedClock(), Busy(float("inf"))
    problem = r"^its load could not start within 4 h: 10\.0\.0\.7:8000 is under load by run x$"
    with pytest.raises(RunSkipped, match=problem):
        reserve(busy, clock)
    assert sum(clock.waits_s) == MAX_WAIT_S
