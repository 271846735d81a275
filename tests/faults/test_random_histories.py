"""A thousand random histories with faults wherever they touch the outside, and bugs put in on purpose."""

import logging
import time

import pytest

from tests.explorer.__main__ import report
from tests.explorer.exploring import explored
from tests.explorer.shrinking import shortest
from tests.explorer.test_mutants import FOUND_BY, check_found

pytestmark = pytest.mark.faults

log = logging.getLogger(__name__)

HISTORIES = 1_000
AT_A_TIME = 50


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("first", range(0, HISTORIES, AT_A_TIME))
def test_random_histories_break_no_rule(first: int) -> None:
    """The same as `tests/explorer/test_histories.py`, twenty times as long."""
    began = time.monotonic()
    for seed in range(first, first + AT_A_TIME):
        outcome = explored(seed)
        if outcome.broken:
            pytest.fail(report(shortest(outcome)), pytrace=False)
    log.info("%d of %d histories, %.0f s", first + AT_A_TIME, HISTORIES, time.monotonic() - began)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FOUND_BY)
def test_a_bug_is_found(name: str) -> None:
    """Each bug breaks a rule in the history of its seed, in which the real code breaks none."""
    check_found(name)
