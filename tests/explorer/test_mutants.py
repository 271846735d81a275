"""The explorer finds bugs that were put in on purpose, in histories in which the real code breaks no rule."""

from collections.abc import Mapping

import pytest

from tests.explorer.exploring import explored
from tests.explorer.mutants import MUTANTS
from tests.explorer.preparation import prepared

FOUND_BY: Mapping[str, int] = {
    "the lock of a load is not taken": 0,
    "two loads on one target are admitted": 2,
    "a lease is not renewed": 4,
    "objects are written without a condition": 4,
    "a running load is not halted": 4,
    "figures of an earlier try are kept": 8,
    "the index misses runs that finish late": 32,
    "files are changed without their lock": 43,
    "files are written in place": 47,
    "a record is written before its figures": 48,
    "a run without re-runs waits for them": 61,
    "a stopped load counts as complete": 80,
    "a lost lease is ignored": 147,
}
"""By bug, a seed that finds it. A change of what is drawn needs new ones: ``python -m tests.explorer --mutant``.

No seed below 200 is known to find the other bugs of `MUTANTS`, whose history needs a fault at one exact operation."""

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


@pytest.mark.parametrize("name", QUICK)
def test_a_bug_is_found(name: str) -> None:
    """A history breaks a rule because of the bug."""
    check_found(name)
