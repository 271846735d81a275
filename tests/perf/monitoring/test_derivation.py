"""Limits derived from baselines: the arithmetic, baselines without limits, and hard limits.

Ten varying nights have a spread of 3.04 % (`tests.nights`). Without a known spread within runs, that between runs takes
its place: s_live² = 0.0304² · (1 + 1/10) + 0.0304² = 0.0440², and exp(4 · 0.0440) = 1.1926.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline
from include.perf.baselines.odd_entry import OddEntry
from include.perf.catalogue.catalogue import Catalogue
from include.perf.monitoring.derivation import Derived, derive
from include.perf.monitoring.rule_limits import Limit
from tests.fakes.small_catalogue import small_catalogue, small_scenario, small_service
from tests.nights import BASELINE_VALUES, DUE, SERVICE, run_on
from tests.perf.monitoring.rules_in_tests import NOW, baseline, baselines

FACTOR = 1.1926
OUT_OF_REACH = (
    "no live figure can exceed its limit, which is beyond the histogram or 100 %; add larger buckets to the service, "
    "or set a hard limit"
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """A catalogue with one service and one scenario."""
    return small_catalogue(tmp_path)


def derived(catalogue: Catalogue, entry: Baseline, edges: tuple[float, ...] = (), **service: Any) -> Derived:
    """Return the limits derived from one baseline of a service."""
    changed = replace(catalogue, services={SERVICE: small_service(**service)})
    return derive(baselines(entry), changed, edges=lambda _: edges, now=NOW)


def limits_of(catalogue: Catalogue, entry: Baseline, edges: tuple[float, ...] = (), **service: Any) -> dict[str, Limit]:
    """Return the limits of the one cell."""
    (cell,) = derived(catalogue, entry, edges, **service).limits.cells
    return dict(cell.metrics)


def test_limits_are_four_standard_deviations_from_the_centre(catalogue: Catalogue) -> None:
    """The warning is the centre times exp(4 · s_live), the critical limit 1.25 times the centre."""
    limits = limits_of(catalogue, baseline())
    for name in ("latency_p50", "latency_p95", "latency_p99", "cpu_usage", "memory_usage", "disk_usage"):
        assert limits[name].centre == pytest.approx(BASELINE_VALUES[name])
        assert limits[name].warning == pytest.approx(FACTOR * BASELINE_VALUES[name], rel=1e-4)
        assert limits[name].critical == pytest.approx(1.25 * BASELINE_VALUES[name])


def test_a_cell_whose_baseline_cannot_be_used_keeps_its_limits(catalogue: Catalogue) -> None:
    """Otherwise an odd entry would end the alerts of its cell; a cell without limits gets none."""
    before = derived(catalogue, baseline()).limits
    (cell,) = catalogue.cells()
    odd = Baselines()
    odd.odd.cells[cell] = OddEntry(values=(5,), where="b.json", problems=("it is odd",))
    kept = derive(odd, catalogue, edges=lambda _: (), now=NOW, before=before)
    assert (kept.limits.cells, before.cells == ()) == (before.cells, False)
    assert kept.left_out == (f"{cell.service} under {cell.scenario}: its limits stay as they are",)
    new = derive(odd, catalogue, edges=lambda _: (), now=NOW)
    assert (new.limits.cells, new.left_out[0].endswith("b.json: it is odd; restore it from version control")) == (
        (),
        True,
    )


def test_throughput_limits_are_below_the_centre(catalogue: Catalogue) -> None:
    """500/s ÷ 1.1926 = 419/s warns, and 500/s ÷ 1.25 = 400/s is critical."""
    throughput = limits_of(catalogue, baseline())["throughput"]
    assert (throughput.warning, throughput.critical) == (pytest.approx(419.25, abs=0.05), pytest.approx(400))


def test_a_varying_load_has_no_throughput_limit(catalogue: Catalogue) -> None:
    """After the burst, throughput is below the mean of the run without any problem."""
    load = {"rate_rps": 40, "duration_s": 600, "profile": [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1}]}
    changed = replace(catalogue, scenarios={"brief": small_scenario(load=load)})
    found = derived(changed, baseline())
    assert "throughput" not in found.limits.cells[0].metrics
    assert found.left_out == (
        "orders-service under brief: Throughput: the rate of the load varies, so five minutes cannot be compared with "
        "a complete run",
    )


def test_the_spread_within_a_run_is_that_of_five_minutes(catalogue: Catalogue) -> None:
    """3 % between minutes is 1.34 % between fives; √(0.0304² · 1.1 + 0.0134²) = 3.46 %; exp(4 · 0.0346) = 1.148."""
    assert limits_of(catalogue, baseline(within_run=0.03))["latency_p95"].warning == pytest.approx(0.4593, abs=1e-4)


def test_the_minimum_effect_applies_where_runs_hardly_differ(catalogue: Catalogue) -> None:
    """A constant p99 warns only 10 % above its level, as in a run's verdict."""
    entry = baseline(within_run=0.0)
    still = {name: replace(spread, own=0.0, pooled=0.0) for name, spread in entry.spread.items()}
    limits = limits_of(catalogue, replace(entry, spread=still))
    assert limits["latency_p99"].warning == pytest.approx(1.10 * 0.8)
    assert limits["latency_p95"].warning == pytest.approx(1.05 * 0.4)


def test_a_warning_is_never_beyond_the_critical_limit(catalogue: Catalogue) -> None:
    """Where runs often differ by 25 %, both limits are the same."""
    limit = limits_of(catalogue, baseline(within_run=0.2))["latency_p95"]
    assert limit.critical == limit.warning > 1.25 * 0.4


def test_latency_is_rounded_up_to_a_bound_of_the_histogram(catalogue: Catalogue) -> None:
    """0.477 s is between two bounds, so the limit is 0.6 s; CPU has no histogram."""
    limits = limits_of(catalogue, baseline(), (0.3, 0.45, 0.6, 1.2))
    assert (limits["latency_p95"].warning, limits["latency_p95"].critical) == (0.6, 0.6)
    assert limits["cpu_usage"].warning == pytest.approx(FACTOR * 4.0, rel=1e-4)


def test_a_limit_in_the_last_bucket_is_not_rounded(catalogue: Catalogue) -> None:
    """Prometheus returns no quantile above the last bound: 0.477 s is kept, and 0.954 s is dropped."""
    found = derived(catalogue, baseline(), (0.3, 0.6))
    (cell,) = found.limits.cells
    assert cell.metrics["latency_p95"].warning == pytest.approx(0.477, abs=1e-3)
    assert "latency_p99" not in cell.metrics
    assert found.left_out == (f"orders-service under brief: Latency p99: {OUT_OF_REACH}",)
    assert found.limits.edges == {SERVICE: (0.3, 0.6)}


def test_a_limit_above_100_percent_is_dropped(catalogue: Catalogue) -> None:
    """A disk that is 85 % full would warn at 101 %; a hard limit applies instead."""
    full = [run_on(number, {"disk_usage": 0.85 / 0.4}) for number in range(10)]
    assert "disk_usage" not in limits_of(catalogue, baseline(full))
    limits = limits_of(catalogue, baseline(full), hard_limits={"disk_usage": 0.9})
    assert limits["disk_usage"] == Limit(centre=pytest.approx(0.85), warning=0.9, critical=0.9, hard=0.9)


def test_the_error_rate_is_derived_from_counts(catalogue: Catalogue) -> None:
    """1,000 failures of 1,000,000: at most 0.106 % with 95 % confidence, and half a point, or one, on top."""
    limit = limits_of(catalogue, baseline())["error_rate"]
    assert limit.centre == pytest.approx(0.001)
    assert limit.warning == pytest.approx(0.00106 + 0.005, abs=5e-5)
    assert limit.critical == pytest.approx(0.00106 + 0.010, abs=5e-5)


def test_without_failures_the_rule_of_three_applies(catalogue: Catalogue) -> None:
    """No failure in 3 × 100,000: at most 3 in 300,000; an old baseline has no counts."""
    spotless = [run_on(number, failed=0) for number in range(3)]
    runs = [replace(run, metrics={**run.metrics, "error_rate": 0.0}) for run in spotless]
    assert limits_of(catalogue, baseline(runs))["error_rate"].warning == pytest.approx(3 / (3 * DUE) + 0.005)
    plain = [replace(run, failed=None, due=None) for run in runs]
    assert limits_of(catalogue, baseline(plain))["error_rate"].warning == pytest.approx(0.005)


def test_hard_limits_cap_both_limits(catalogue: Catalogue) -> None:
    """Neither limit is beyond 0.45 s, and a wider one changes nothing."""
    capped = limits_of(catalogue, baseline(), hard_limits={"latency_p95": 0.45, "latency_p99": 3})
    assert capped["latency_p95"] == Limit(centre=pytest.approx(0.4), warning=0.45, critical=0.45, hard=0.45)
    assert capped["latency_p99"].critical == pytest.approx(1.0)


@pytest.mark.parametrize("runs", [3, 9])
def test_a_candidate_only_warns(catalogue: Catalogue, runs: int) -> None:
    """As in a run's verdict, only a hard limit is critical before ten runs."""
    limits = limits_of(catalogue, baseline(runs), hard_limits={"latency_p50": 0.5})
    critical = {name: limit.critical for name, limit in limits.items() if limit.critical}
    assert critical == {"latency_p50": 0.5, "error_rate": 0.05}  # the limit that every service has


def test_a_stale_baseline_only_warns(catalogue: Catalogue) -> None:
    """It was not reviewed for two quarters."""
    assert limits_of(catalogue, baseline(expires_at=NOW))["latency_p95"].critical is None


@pytest.mark.parametrize("runs", [1, 2])
def test_a_provisional_baseline_has_no_limits(catalogue: Catalogue, runs: int) -> None:
    """Two runs do not show how much runs differ; the reason is stated."""
    found = derived(catalogue, baseline(runs))
    assert found.limits.cells == ()
    assert found.left_out == (
        "orders-service under brief: its baseline is provisional: fewer than three runs do not show how much runs "
        "differ",
    )


def test_cells_that_left_the_catalogue_have_no_limits(catalogue: Catalogue) -> None:
    """The service or the scenario was removed."""
    entry = baseline()
    gone = Baselines(entries={"gone-service": {"brief": entry}, SERVICE: {"gone": entry}})
    found = derive(gone, catalogue, edges=lambda _: (), now=NOW)
    assert found.limits.cells == ()
    assert found.left_out == (
        "gone-service under brief: it is no longer in the catalogue",
        "orders-service under gone: it is no longer in the catalogue",
    )


def test_limits_apply_to_the_environment_of_the_service(catalogue: Catalogue) -> None:
    """That in which the baseline was measured, and no other."""
    (cell,) = derived(catalogue, baseline(), environment="perf-lab").limits.cells
    assert (cell.service, cell.scenario, cell.environment, cell.baseline_version) == (SERVICE, "brief", "perf-lab", 3)
