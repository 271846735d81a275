"""The log scale, an entry's own spread, and the spread common to all cells."""

import math
from typing import Any

import pytest

from include.perf.baselines.entry import BaselineRun, Spread
from include.perf.baselines.spread import (
    JUDGED_ON_LOG,
    from_log_scale,
    log_of,
    on_log_scale,
    resolution_of,
    spread_between,
    spread_of,
)
from include.perf.model.metric import METRICS

P95, THROUGHPUT = METRICS["latency_p95"], METRICS["throughput"]


def run(p95: float, **changes: Any) -> BaselineRun:
    return BaselineRun(**{"run_id": "r", "metrics": {"latency_p95": p95}, **changes})


def runs(*p95: float) -> list[BaselineRun]:
    return [run(value) for value in p95]


@pytest.mark.parametrize(
    ("name", "value", "logarithm"),
    [
        ("latency_p95", 0.040, math.log(0.040)),
        ("latency_p95", 0.044, math.log(0.040) + 0.0953),  # ln 1.1
        ("throughput", 500.0, -math.log(500.0)),  # less is worse
        ("latency_p95", 0.0, math.log(0.00005)),  # 1 % of the minimum effect of 5 ms
        ("cpu_usage", 0.0, math.log(0.0005)),  # 1 % of 0.05 cores
    ],
)
def test_the_log_scale(name: str, value: float, logarithm: float) -> None:
    """Larger is worse, the same ratio is the same step at every value, and zero has a value."""
    assert on_log_scale(METRICS[name], value) == pytest.approx(logarithm, abs=5e-5)


@pytest.mark.parametrize("name", JUDGED_ON_LOG)
@pytest.mark.parametrize("times", [1.5, 1e3, 1e9])
def test_back_from_the_log_scale(name: str, times: float) -> None:
    """Every value above the resolution is restored; values below become zero."""
    metric = METRICS[name]
    value = resolution_of(metric) * times
    assert from_log_scale(metric, on_log_scale(metric, value)) == pytest.approx(value, rel=1e-11)
    assert from_log_scale(metric, on_log_scale(metric, resolution_of(metric) / 2)) == 0.0


def test_the_error_rate_is_not_on_the_log_scale() -> None:
    """It is a count, and normally zero."""
    assert set(METRICS) - set(JUDGED_ON_LOG) == {"error_rate"}


@pytest.mark.parametrize(
    ("metric", "value", "shared", "without"),
    [
        (P95, 0.044, 0.10, 0.040),  # 44 ms in a night when all were slower by 10 %
        (THROUGHPUT, 450.0, -0.10, 500.0),  # 450/s when all did 10 % less
        (P95, 0.040, 0.0, 0.040),
    ],
)
def test_the_platform_part_is_removed(metric: Any, value: float, shared: float, without: float) -> None:
    """A slow night of the platform is not a slow night of the service."""
    made = BaselineRun(run_id="r", metrics={metric.name: value}, platform={metric.name: shared})
    assert log_of(made, metric) == pytest.approx(on_log_scale(metric, without))


def test_a_run_without_a_value() -> None:
    """No data is not zero."""
    assert math.isnan(log_of(run(0.04), THROUGHPUT))


def test_the_own_spread() -> None:
    """Of 40, 44, 40, 44 ms the logarithms lie ± 0.0477 around their mean: √(4 × 0.0477² / 3) = 0.0550."""
    found = spread_of(runs(0.040, 0.044, 0.040, 0.044), others=[])
    assert found["latency_p95"].own == pytest.approx(0.0550, abs=5e-5)
    assert list(found) == list(JUDGED_ON_LOG)
    assert found["throughput"].own is None


@pytest.mark.parametrize("values", [(), (0.040,)])
def test_one_run_has_no_spread(values: tuple[float, ...]) -> None:
    """Then the typical spread is used: 5 %, as if estimated from five runs."""
    found = spread_of(runs(*values), others=[])["latency_p95"]
    assert (found.own, found.pooled, found.pooled_dof, found.within_run) == (None, 0.05, 4.0, None)


def test_the_same_value_every_night() -> None:
    """The spread is exactly zero, without rounding errors such as 1e-16."""
    assert spread_of(runs(0.1, 0.1, 0.1), others=[])["latency_p95"].own == 0.0


def test_a_slow_night_of_the_platform_adds_no_spread() -> None:
    """40 ms, and 44 ms in a night when all services were 10 % slower."""
    found = spread_of([run(0.040), run(0.044, platform={"latency_p95": 0.1})], others=[])
    assert found["latency_p95"].own == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("others", "pooled"), [(2, 0.05), (3, 0.105)])
def test_four_cells_make_a_common_spread(others: int, pooled: float) -> None:
    """Ten runs of 40 and 48.8 ms in turn: ln 1.22 / 2 × √(10 / 9) = 0.105; with fewer cells it is the typical 5 %."""
    ten = runs(*[0.040, 0.0488] * 5)
    # equal variances differ less than by chance, so the estimate is slightly larger
    assert spread_of(ten, others=[ten] * others)["latency_p95"].pooled == pytest.approx(pooled, rel=0.06)


def test_cells_with_one_run_are_not_pooled() -> None:
    """Only cells with a spread of their own count."""
    assert spread_of(runs(0.040, 0.044), others=[runs(0.04)] * 9)["latency_p95"].pooled == 0.05


def test_within_a_run() -> None:
    """Root of the mean variance: √((0.06² + 0.08²) / 2) = 0.0707; runs without a value are ignored."""
    made = [run(0.04, within_run={"latency_p95": 0.06}), run(0.04), run(0.04, within_run={"latency_p95": 0.08})]
    assert spread_of(made, others=[])["latency_p95"].within_run == pytest.approx(0.0707, abs=5e-5)


@pytest.mark.parametrize(
    ("own", "runs_behind", "expected"),
    [
        (None, 1, 0.05),  # no own spread
        (0.05, 10, 0.05),
        (0.02, 5, 0.03808),  # √((4 × 0.05² + 4 × 0.02²) / 8)
        (0.02, 45, 0.02398),  # √((4 × 0.05² + 44 × 0.02²) / 48): many runs dominate
        (0.10, 5, 0.10),  # never less than its own spread
    ],
)
def test_the_expected_spread(own: float | None, runs_behind: int, expected: float) -> None:
    """Shrunk towards the common 5 %, which is worth 4 degrees of freedom."""
    spread = Spread(own=own, pooled=0.05, pooled_dof=4.0)
    assert spread_between(spread, runs=runs_behind) == pytest.approx(expected, abs=5e-6)


def test_the_smallest_spread() -> None:
    """It is 0.01 %, so that nothing is divided by zero."""
    assert spread_between(Spread(own=0.0, pooled=0.0, pooled_dof=0.0), runs=1) == 1e-4
