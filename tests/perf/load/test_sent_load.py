"""Whether a load is still running: no longer than planned, and no longer than its lock is held."""

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
        (None, True),  # unknown
        (frozenset({LOAD.run_id, "another"}), True),
        (frozenset({"another"}), False),  # its sender was killed
        (frozenset(), False),
    ],
)
def test_a_load_without_a_recorded_end(held: Set[str] | None, is_running: bool) -> None:
    """Its lock decides, where locks are known."""
    assert LOAD.is_running(START, held=held) is is_running


@pytest.mark.parametrize("held", [None, frozenset({LOAD.run_id})])
def test_no_load_runs_forever(held: Set[str] | None) -> None:
    """A minute after the planned end it counts as over, even if its lock is held."""
    assert LOAD.is_running(LOAD.ends_by + GRACE, held=held)
    assert not LOAD.is_running(LOAD.ends_by + GRACE + timedelta(milliseconds=1), held=held)


def test_a_load_that_ended_is_over() -> None:
    """At once, although its lock is released a moment later."""
    assert not sent_load(ended_at=START).is_running(START, held=frozenset({LOAD.run_id}))
