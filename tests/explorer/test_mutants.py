"""The explorer finds bugs that were put in on purpose, in histories in which the real code breaks no rule."""

from collections.abc import Mapping

import pytest

from tests.explorer.exploring import explored
from tests.explorer.mutants import MUTANTS
from tests.explorer.preparation import prepared

FOUND_BY: Mapping[str, int] = {
    "the lock of a load is not taken": 0,
    "two loads on one target are admitted": 3,
    "files are changed without their lock": 15,
    "a running load is not halted": 16,
}
"""By bug, the first seed that finds it. ``make faults`` searches for them anew, and for the other bugs of `MUTANTS`."""


@pytest.mark.parametrize("name", FOUND_BY)
def test_a_bug_is_found(name: str) -> None:
    """A history breaks a rule because of the bug, and for no other reason."""
    prepared()
    seed = FOUND_BY[name]
    assert not explored(seed).broken
    with MUTANTS[name]():
        assert explored(seed).broken, f"seed {seed} does not find it any more; find another one with make faults"
