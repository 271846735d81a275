"""Waiting for the turn of a load."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from include.perf.load.reservations import MOST_WAIT_S, Reservation, claim_of, turn_of
from include.perf.model.errors import Occupied, RunSkipped
from include.perf.runs.spec import ReservationRequest
from tests.fakes.clock import START, FixedClock
from tests.stages import SPEC

TARGETS = ("10.0.0.7:8000",)


class Busy:
    """Refuses so many times, then grants; notes what was asked and what was given back."""

    def __init__(self, times: float) -> None:
        self.times = times
        self.asked: list[ReservationRequest] = []
        self.is_held = False

    @contextmanager
    def reserve(self, claim: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        self.asked.append(claim)
        if len(self.asked) <= self.times:
            raise Occupied("10.0.0.7:8000 is under load by run x")
        self.is_held = True
        yield Reservation(hold=3, beside=())
        self.is_held = False


def take(busy: Busy, clock: FixedClock, refuse_at: float = float("inf")) -> None:
    """Take a turn that is wanted until a number of seconds has gone by."""

    def still_wanted() -> None:
        if (clock() - START).total_seconds() >= refuse_at:
            raise RunSkipped("too late")

    claim = lambda: claim_of(SPEC, TARGETS, since=clock())  # noqa: E731
    with turn_of(claim, busy, capacity_rps=600, still_wanted=still_wanted, wait=clock.wait):
        assert busy.is_held


def test_a_free_target_is_taken_at_once() -> None:
    """A claim says what the load takes: its targets, and its peak rate."""
    clock, busy = FixedClock(), Busy(0)
    take(busy, clock)
    assert busy.asked == [
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
    """It looks once a second, and what is granted is dated from then."""
    clock, busy = FixedClock(), Busy(3)
    take(busy, clock)
    assert clock.waits_s == [1.0, 1.0, 1.0]
    assert busy.asked[-1].since == START + timedelta(seconds=3)


def test_who_waits_is_asked_whether_it_is_still_wanted() -> None:
    """The market opens or somebody halts all load meanwhile."""
    clock, busy = FixedClock(), Busy(float("inf"))
    with pytest.raises(RunSkipped, match=r"^too late$"):
        take(busy, clock, refuse_at=60)
    assert sum(clock.waits_s) == 60


def test_nobody_waits_for_ever() -> None:
    """After hours something is wrong, and the reason says what it waited for."""
    clock, busy = FixedClock(), Busy(float("inf"))
    with pytest.raises(RunSkipped, match=r"^it waited 4 h for its turn: 10.0.0.7:8000 is under load by run x$"):
        take(busy, clock)
    assert sum(clock.waits_s) == MOST_WAIT_S
