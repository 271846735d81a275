"""The explorer finds bugs that were put in on purpose, in histories in which the real code breaks no rule."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from tests.explorer.decisions import Decisions, Fault, Interruption, Operation
from tests.explorer.exploring import explored, run
from tests.explorer.history import Actor, History
from tests.explorer.mutants import MUTANTS
from tests.explorer.preparation import prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A fault at the first operation that matches; ``process`` is a part of its name, ``what`` a pattern."""

    process: str
    what: str
    fault: Fault
    length_s: float = 0.0


class AtOperations(Decisions):
    """Interrupts some operations, in their order."""

    def __init__(self, planned: Sequence[Planned]) -> None:
        self._left = list(planned)

    def at(self, process: str, step: int, operation: Operation, *, is_awaited: bool = False) -> Interruption | None:
        """Return the next fault at its operation."""
        if not self._left or self._left[0].process not in process:
            return None
        if not re.search(self._left[0].what, operation.what):
            return None
        following = self._left.pop(0)
        return Interruption(
            process=process, step=step, fault=following.fault, length_s=following.length_s, what=operation.what
        )


FOUND_BY: Mapping[str, int] = {
    "the lock of a load is not taken": 0,
    "two loads on one target are admitted": 2,
    "a lease is not renewed": 4,
    "objects are written without a condition": 37,
    "a running load is not halted": 4,
    "figures of an earlier try are kept": 8,
    "the index misses runs that finish late": 332,
    "files are changed without their lock": 43,
    "files are written in place": 47,
    "a record is written before its figures": 1,
    "a run without re-runs waits for them": 327,
    "a stopped load counts as complete": 80,
    "a message is sent before that is stored": 34,
    "a message in doubt is posted again": 34,
    "what cannot be read counts as absent": 129,
    "a lost lease is ignored": 147,
}
"""By bug, a seed that finds it. A change of what is drawn needs new ones: ``python -m tests.explorer --mutant``."""

GIVEN_UP_THEN_UNREADABLE = (
    Planned(process="run_load", what="stage-beside", fault=Fault.GIVEN_UP, length_s=400),
    Planned(process="try 2", what="opens .*stage-tries", fault=Fault.FAILS),
)
"""Airflow gives up a task whose load goes on, and the next try cannot read that a load was begun."""

QUICK = tuple(FOUND_BY)[:4]
"""The bugs that every run of the tests looks for; ``make faults`` looks for all."""


def check_found(name: str) -> None:
    """Check that a history breaks a rule because of a bug, and for no other reason."""
    prepared()
    seed = FOUND_BY[name]
    assert not explored(seed).broken
    with MUTANTS[name]():
        assert explored(seed).broken, (
            f"seed {seed} does not find it any more; search with `python -m tests.explorer --histories 60 --mutant "
            f"'{name}'`, and if no history finds it, mend what is drawn or what is judged"
        )


def test_the_bug_that_needs_two_exact_faults_is_found() -> None:
    """No seed below 1,000 finds a record that cannot be read and counts as absent."""
    prepared()
    night = Actor(does="night", at_s=0, service="orders-service")
    history = History(seed=1, in_object_store=False, has_baselines=True, actors=(night,))
    assert not run(history, AtOperations(GIVEN_UP_THEN_UNREADABLE)).broken
    with MUTANTS["a record that cannot be read counts as absent"]():
        (rule,) = run(history, AtOperations(GIVEN_UP_THEN_UNREADABLE)).broken
    assert rule.endswith("is sent again, although it was complete")


@pytest.mark.parametrize("name", QUICK)
def test_a_bug_is_found(name: str) -> None:
    """A history breaks a rule because of the bug."""
    check_found(name)
