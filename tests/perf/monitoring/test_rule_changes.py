"""Descriptions of changed limits."""

from dataclasses import replace

from include.perf.baselines.baselines import Baselines
from include.perf.monitoring.rule_changes import changes_between, describe_changes
from include.perf.monitoring.rule_limits import Limit, RuleLimits
from tests.nights import baseline_of
from tests.perf.monitoring.rules_in_tests import baselines, cell_limits

BEFORE = RuleLimits(cells=(cell_limits(0.5),))


def test_unchanged_limits_are_not_reported() -> None:
    """A new version of the baseline with the same limits is no change."""
    assert changes_between(BEFORE, RuleLimits(cells=(cell_limits(0.5, baseline_version=4),))) == ()


def test_a_promotion_is_one_line() -> None:
    """It has the baseline, its author and reason, and each limit before and after."""
    faster = cell_limits(metrics={"latency_p95": Limit(centre=0.3, warning=0.36, critical=None)})
    lines = list(describe_changes(changes_between(BEFORE, RuleLimits(cells=(faster,))), baselines(baseline_of())))
    assert lines == [
        "orders-service under brief (baseline version 3 by ana: agreed): "
        "p95 warning 500 ms → 360 ms, critical 600 ms → –"
    ]


def test_new_and_removed_cells() -> None:
    """Each is a change of its own cell."""
    other = replace(cell_limits(0.1), service="another-service")
    lines = list(describe_changes(changes_between(BEFORE, RuleLimits(cells=(other,))), Baselines()))
    assert lines == [
        "another-service under brief (without a baseline): new limits: p95 warning 100 ms, critical 120 ms",
        "orders-service under brief (without a baseline): 2 limits no longer in force",
    ]
