"""The last sign of life of a parent: when it is too old, and when it only looks so to a process that stood still."""

import pytest

from include.load import member, sign_of_life
from include.load.sign_of_life import LOOK_INTERVAL_S, SILENT_S, SignOfLife
from include.perf.load.load_plan import HEARTBEAT_INTERVAL_S


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_two_looks_in_a_row_must_find_it_too_old() -> None:
    """At the first look, what was received while this process stood still may not have been read."""
    clock = Clock()
    since = SignOfLife(limit_s=3.0, clock=clock)
    clock.now = 103.0
    assert [since.is_too_old(), since.is_too_old()] == [False, False]
    clock.now = 103.5
    assert [since.is_too_old(), since.is_too_old()] == [False, True]


def test_a_sign_of_life_between_the_looks_counts() -> None:
    """The process stood still, and then reads what had arrived."""
    clock = Clock()
    since = SignOfLife(limit_s=3.0, clock=clock)
    clock.now = 110.0
    assert not since.is_too_old()
    since.heard()
    assert not since.is_too_old()
    clock.now = 113.5
    assert [since.is_too_old(), since.is_too_old()] == [False, True]


def test_an_old_sign_of_life_counts_for_its_time() -> None:
    """The master reports how long ago it heard of the task; an older report never makes the last sign older."""
    clock = Clock()
    since = SignOfLife(limit_s=3.0, clock=clock)
    clock.now = 102.0
    since.heard(age_s=0.5)
    assert since.age_s == pytest.approx(0.5)
    since.heard(age_s=9.0)
    assert since.age_s == pytest.approx(0.5)
    since.heard(age_s=-9.0)
    assert since.age_s == 0.0


def test_the_limits_keep_the_promise() -> None:
    """No request 5 s after the end of the task, and none is stopped because a process stood still for 2 s."""
    assert SILENT_S + 2 * LOOK_INTERVAL_S <= 3.5
    assert SILENT_S - 2 * HEARTBEAT_INTERVAL_S >= 2.5
    assert member.SILENT_S > sign_of_life.SILENT_S  # a worker that lost its master stops before it is given up
