"""Limits out of baselines: the arithmetic, what bears none, and what caps them.

Ten nights that sway are 3.04 % apart (`tests.nights`). Without a spread within runs that counts as much as the one
between them: s_live² = 0.0304² · (1 + 1/10) + 0.0304² = 0.0440², and exp(4 · 0.0440) = 1.1926.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline
from include.perf.catalogue.catalogue import Catalogue
from include.perf.monitoring.derivation import Derived, derive
from include.perf.monitoring.rule_limits import Limit
from tests.fakes.small_catalogue import small_catalogue, small_scenario, small_service
from tests.nights import BASELINE_VALUES, DUE, SERVICE, run_on
from tests.perf.monitoring.rules_in_tests import NOW, baseline, baselines

FACTOR = 1.1926
OUT_OF_REACH = (
    "its limit is where no live figure can get, at the end of the histogram or at 100 %; give the service buckets that "
    "reach further, or a hard limit"
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A service and a scenario."""
    return small_catalogue(tmp_path)


def derived(catalogue: Catalogue, entry: Baseline, edges: tuple[float, ...] = (), **service: Any) -> Derived:
    """Return what follows from one baseline for a service."""
    changed = replace(catalogue, services={SERVICE: small_service(**service)})
    return derive(baselines(entry), changed, edges=lambda _: edges, now=NOW)


def limits_of(catalogue: Catalogue, entry: Baseline, edges: tuple[float, ...] = (), **service: Any) -> dict[str, Limit]:
    """Return the limits of the one cell."""
    (cell,) = derived(catalogue, entry, edges, **service).limits.cells
    return dict(cell.metrics)


def test_limits_lie_four_standard_deviations_off(catalogue: Catalogue) -> None:
    """The centre times exp(4 s_live), and a quarter more than the centre for what is critical."""
    limits = limits_of(catalogue, baseline())
    for name in ("latency_p50", "latency_p95", "latency_p99", "cpu_usage", "memory_usage", "disk_usage"):
        assert limits[name].centre == pytest.approx(BASELINE_VALUES[name])
        assert limits[name].warning == pytest.approx(FACTOR * BASELINE_VALUES[name], rel=1e-4)
        assert limits[name].critical == pytest.approx(1.25 * BASELINE_VALUES[name])


def test_throughput_is_mirrored(catalogue: Catalogue) -> None:
    """500/s ÷ 1.1926 = 419/s warns, and 500/s ÷ 1.25 = 400/s is critical."""
    throughput = limits_of(catalogue, baseline())["throughput"]
    assert (throughput.warning, throughput.critical) == (pytest.approx(419.25, abs=0.05), pytest.approx(400))


def test_a_load_that_varies_has_no_throughput_to_watch(catalogue: Catalogue) -> None:
    """After the burst there is less than the mean of a run, and nothing is wrong."""
    load = {"rate_rps": 40, "duration_s": 600, "profile": [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1}]}
    changed = replace(catalogue, scenarios={"brief": small_scenario(load=load)})
    found = derived(changed, baseline())
    assert "throughput" not in found.limits.cells[0].metrics
    assert found.left_out == (
        "orders-service in brief: Throughput: the rate of its load varies, so no five minutes are like the whole of a "
        "run",
    )


def test_minutes_within_a_run_count_as_five_together(catalogue: Catalogue) -> None:
    """Of 3 % between minutes five have 1.34 %: √(0.0304² · 1.1 + 0.0134²) = 3.46 %, exp(4 · 0.0346) = 1.148."""
    assert limits_of(catalogue, baseline(within_run=0.03))["latency_p95"].warning == pytest.approx(0.4593, abs=1e-4)


def test_the_floor_holds_where_runs_hardly_differ(catalogue: Catalogue) -> None:
    """A p99 that never moves still warns only 10 % above its level, as in a run's verdict."""
    entry = baseline(within_run=0.0)
    still = {name: replace(each, own=0.0, pooled=0.0) for name, each in entry.spread.items()}
    limits = limits_of(catalogue, replace(entry, spread=still))
    assert limits["latency_p99"].warning == pytest.approx(1.10 * 0.8)
    assert limits["latency_p95"].warning == pytest.approx(1.05 * 0.4)


def test_a_warning_is_never_beyond_what_is_critical(catalogue: Catalogue) -> None:
    """Where runs differ by so much that even 25 % are usual, both are the same."""
    limit = limits_of(catalogue, baseline(within_run=0.2))["latency_p95"]
    assert limit.critical == limit.warning > 1.25 * 0.4


def test_latency_is_rounded_up_to_a_bound_of_the_histogram(catalogue: Catalogue) -> None:
    """0.477 s lies between two bounds, and only above 0.6 s is it known to be beyond; CPU has no bounds."""
    limits = limits_of(catalogue, baseline(), (0.3, 0.45, 0.6, 1.2))
    assert (limits["latency_p95"].warning, limits["latency_p95"].critical) == (0.6, 0.6)
    assert limits["cpu_usage"].warning == pytest.approx(FACTOR * 4.0, rel=1e-4)


def test_a_limit_in_the_last_bucket_stays_where_it_can_be_passed(catalogue: Catalogue) -> None:
    """Prometheus tells no quantile above the last bound: 0.477 s is not rounded up to it, and 0.954 s is no limit."""
    found = derived(catalogue, baseline(), (0.3, 0.6))
    (cell,) = found.limits.cells
    assert cell.metrics["latency_p95"].warning == pytest.approx(0.477, abs=1e-3)
    assert "latency_p99" not in cell.metrics
    assert found.left_out == (f"orders-service in brief: Latency p99: {OUT_OF_REACH}",)
    assert found.limits.edges == {SERVICE: (0.3, 0.6)}


def test_a_ratio_of_one_is_no_limit(catalogue: Catalogue) -> None:
    """A disk of which 85 % are used warns nobody at 101 %; a hard limit does."""
    full = [run_on(number, {"disk_usage": 0.85 / 0.4}) for number in range(10)]
    assert "disk_usage" not in limits_of(catalogue, baseline(full))
    limits = limits_of(catalogue, baseline(full), hard_limits={"disk_usage": 0.9})
    assert limits["disk_usage"] == Limit(centre=pytest.approx(0.85), warning=0.9, critical=0.9, hard=0.9)


def test_failures_are_counted(catalogue: Catalogue) -> None:
    """1,000 failures of 1,000,000: at most 0.106 % with 95 % confidence, and half a point, or one, on top."""
    limit = limits_of(catalogue, baseline())["error_rate"]
    assert limit.centre == pytest.approx(0.001)
    assert limit.warning == pytest.approx(0.00106 + 0.005, abs=5e-5)
    assert limit.critical == pytest.approx(0.00106 + 0.010, abs=5e-5)


def test_without_failures_the_rule_of_three_holds(catalogue: Catalogue) -> None:
    """None of 3 × 100,000: at most 3 in 300,000; a baseline of earlier days has no counts at all."""
    spotless = [run_on(number, failed=0) for number in range(3)]
    runs = [replace(run, metrics={**run.metrics, "error_rate": 0.0}) for run in spotless]
    assert limits_of(catalogue, baseline(runs))["error_rate"].warning == pytest.approx(3 / (3 * DUE) + 0.005)
    plain = [replace(run, failed=None, due=None) for run in runs]
    assert limits_of(catalogue, baseline(plain))["error_rate"].warning == pytest.approx(0.005)


def test_hard_limits_cap_both(catalogue: Catalogue) -> None:
    """Neither limit is beyond 0.45 s, and a wider one changes nothing."""
    capped = limits_of(catalogue, baseline(), hard_limits={"latency_p95": 0.45, "latency_p99": 3})
    assert capped["latency_p95"] == Limit(centre=pytest.approx(0.4), warning=0.45, critical=0.45, hard=0.45)
    assert capped["latency_p99"].critical == pytest.approx(1.0)


@pytest.mark.parametrize("runs", [3, 9])
def test_a_candidate_only_warns(catalogue: Catalogue, runs: int) -> None:
    """As in a run's verdict nothing is critical before ten runs, but what is beyond a hard limit."""
    limits = limits_of(catalogue, baseline(runs), hard_limits={"latency_p50": 0.5})
    assert {name: limit.critical for name, limit in limits.items() if limit.critical} == {"latency_p50": 0.5}


def test_a_stale_baseline_only_warns(catalogue: Catalogue) -> None:
    """Nobody looked at it for two quarters: it still tells, but it alarms nobody."""
    assert limits_of(catalogue, baseline(expires_at=NOW))["latency_p95"].critical is None


@pytest.mark.parametrize("runs", [1, 2])
def test_a_provisional_baseline_gives_none(catalogue: Catalogue, runs: int) -> None:
    """Two runs do not say how far runs differ, and that is said."""
    found = derived(catalogue, baseline(runs))
    assert found.limits.cells == ()
    assert found.left_out == (
        "orders-service in brief: its baseline is provisional, and fewer than three runs do not say how far runs "
        "differ",
    )


def test_what_left_the_catalogue_has_none(catalogue: Catalogue) -> None:
    """Its services are gone, or a scenario loads them no more."""
    entry = baseline()
    gone = Baselines(entries={"gone-service": {"brief": entry}, SERVICE: {"gone": entry}})
    found = derive(gone, catalogue, edges=lambda _: (), now=NOW)
    assert found.limits.cells == ()
    assert found.left_out == (
        "gone-service in brief: it is not in the catalogue any more",
        "orders-service in gone: it is not in the catalogue any more",
    )


def test_limits_are_those_of_the_services_environment(catalogue: Catalogue) -> None:
    """A rule is about the environment in which the baseline was measured, and about no other."""
    (cell,) = derived(catalogue, baseline(), environment="perf-lab").limits.cells
    assert (cell.service, cell.scenario, cell.environment, cell.baseline_version) == (SERVICE, "brief", "perf-lab", 3)
