"""Which limits changed, in words."""

from dataclasses import replace

from include.perf.baselines.baselines import Baselines
from include.perf.monitoring.rule_changes import changes_between, in_lines
from include.perf.monitoring.rule_limits import Limit, RuleLimits
from tests.nights import baseline_of
from tests.perf.monitoring.rules_in_tests import baselines, cell_limits

BEFORE = RuleLimits(cells=(cell_limits(0.5),))


def test_what_stays_is_not_told() -> None:
    """The same limits of a later version of the baseline are no news."""
    assert changes_between(BEFORE, RuleLimits(cells=(cell_limits(0.5, baseline_version=4),))) == ()


def test_a_promotion_is_told_in_one_line() -> None:
    """Which baseline, whose, why, and each limit before and after in people's units."""
    faster = cell_limits(metrics={"latency_p95": Limit(centre=0.3, warning=0.36, critical=None)})
    lines = list(in_lines(changes_between(BEFORE, RuleLimits(cells=(faster,))), baselines(baseline_of())))
    assert lines == [
        "orders-service in brief (baseline version 3 by ana: agreed): p95 warning 500 ms → 360 ms, critical 600 ms → –"
    ]


def test_new_cells_and_those_that_are_gone() -> None:
    """Both are changes, each of its own cell."""
    other = replace(cell_limits(0.1), service="another-service")
    lines = list(in_lines(changes_between(BEFORE, RuleLimits(cells=(other,))), Baselines()))
    assert lines == [
        "another-service in brief (without a baseline): new limits: p95 warning 100 ms, critical 120 ms",
        "orders-service in brief (without a baseline): 2 limits no longer in force",
    ]
