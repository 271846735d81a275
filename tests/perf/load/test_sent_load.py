"""Whether a load still goes out: no longer than was planned, and no longer than somebody holds its lock."""

from collections.abc import Set
from datetime import timedelta

import pytest

from include.perf.load.announcing import GRACE
from tests.fakes.clock import START
from tests.loads import sent_load

LOAD = sent_load()


@pytest.mark.parametrize(
    ("held", "is_running"),
    [
        (None, True),  # nobody can tell
        (frozenset({LOAD.run_id, "another"}), True),
        (frozenset({"another"}), False),  # who sent it was killed
        (frozenset(), False),
    ],
)
def test_a_load_that_nobody_ended(held: Set[str] | None, is_running: bool) -> None:
    """Its lock tells, where locks can be seen."""
    assert LOAD.is_running(START, held=held) is is_running


@pytest.mark.parametrize("held", [None, frozenset({LOAD.run_id})])
def test_nothing_runs_for_ever(held: Set[str] | None) -> None:
    """A minute after the planned end it is over, whatever else is said."""
    assert LOAD.is_running(LOAD.ends_by + GRACE, held=held)
    assert not LOAD.is_running(LOAD.ends_by + GRACE + timedelta(milliseconds=1), held=held)


def test_a_load_that_ended_is_over() -> None:
    """At once: its lock is given back a moment later."""
    assert not sent_load(ended_at=START).is_running(START, held=frozenset({LOAD.run_id}))
