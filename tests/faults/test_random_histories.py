"""A thousand random histories of the real stores, locks and stages, with faults wherever they touch the outside."""

import logging
import time

import pytest

from tests.explorer.__main__ import report
from tests.explorer.history import explored
from tests.explorer.shrinking import shortest

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
