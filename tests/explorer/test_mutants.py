"""The explorer finds bugs that were put in on purpose, within the histories of every run of the tests."""

from collections.abc import Mapping

import pytest

from tests.explorer.history import HISTORIES, explored, prepared
from tests.explorer.mutants import MUTANTS

FIRST_SEEDS: Mapping[str, int] = {
    "the lock of a load is not taken": 1,
    "a running load is not halted": 31,
}
"""By bug, the seed that found it when this was written: it is tried first, and all others if it does not find it.

The other bugs of `MUTANTS` are for the command line: how many histories they take was not measured yet.
"""


@pytest.mark.parametrize("name", FIRST_SEEDS)
def test_a_bug_is_found(name: str) -> None:
    """Each bug breaks a rule in one of the histories."""
    first = FIRST_SEEDS[name]
    prepared()
    with MUTANTS[name]():
        assert any(explored(seed).broken for seed in (first, *range(HISTORIES)))
