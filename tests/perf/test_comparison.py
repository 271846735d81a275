"""The comparison: each branch of the ladder, each floor at its very edge."""

from dataclasses import replace

import pytest

from include.perf.baseline import Approval, Baseline, BaselineRun, State
from include.perf.comparison import Comparison, compare
from include.perf.metric import METRICS
from include.perf.run import Severity, Verdict
from tests.fakes import START
from tests.records import metric_values

PARTS = {"load": "100/s constant", "data": "sha256:1", "endpoints": "sha256:2"}
LEVELS = {
    "latency_p50": 0.020,
    "latency_p95": 0.040,
    "latency_p99": 0.080,
    "throughput": 100.0,
    "error_rate": 0.010,
    "cpu_usage": 2.0,
    "memory_usage": 1000.0 * 1024**2,
    "disk_usage": 0.40,
}
EQUAL = "no metric moved beyond its floor against baseline version 3"


def baseline_of(runs: int = 10, **changes: float) -> Baseline:
    states = {1: State.PROVISIONAL, 2: State.PROVISIONAL, 3: State.CANDIDATE, 9: State.CANDIDATE, 10: State.APPROVED}
    levels = LEVELS | changes
    return Baseline(
        version=3,
        state=states[runs],
        fingerprint=PARTS,
        metrics=levels,
        runs=tuple(BaselineRun(run_id=f"r{number}", metrics=levels) for number in range(runs)),
        approval=Approval(by="ana", at=START, reason="agreed", run_id="r0"),
    )


def judged(baseline: Baseline, **values: float | str | None) -> Comparison:
    """Compare a run that is exactly at LEVELS except for ``values``; a string is a reason for no value."""
    return compare(metric_values(**(LEVELS | values)), fingerprint=PARTS, baseline=baseline)


def test_without_a_baseline() -> None:
    """The first run of a cell is nobody's pass."""
    result = compare(metric_values(), fingerprint=PARTS, baseline=None)
    assert result == Comparison(
        verdict=Verdict.NO_BASELINE,
        reasons=("there is no baseline yet; trigger a run with update_baseline to record one",),
    )


def test_other_parts_are_not_compared() -> None:
    """Each part that differs is named with both values, a part on one side only as well; no metric is judged."""
    parts = {"load": "200/s constant", "data": "sha256:1", "generator": "version 2"}
    result = compare(metric_values(latency_p95=9.0), fingerprint=parts, baseline=baseline_of())
    assert result == Comparison(
        verdict=Verdict.NOT_COMPARABLE,
        reasons=(
            "the load differs from the baseline's: 200/s constant, there 100/s constant",
            "the endpoints differ from the baseline's: none, there sha256:2",
            "the generator differs from the baseline's: version 2, there none",
        ),
    )


def test_nothing_in_common_is_no_pass() -> None:
    """With no metric in both there is nothing to judge, and silence must not read as a pass."""
    result = compare({}, fingerprint=PARTS, baseline=baseline_of())
    assert result.verdict is Verdict.NOT_COMPARABLE
    assert result.reasons[0] == "no metric is in both"


@pytest.mark.parametrize(("runs", "words"), [(1, "1 run"), (10, "10 runs")])
def test_a_run_at_its_baseline_passes(runs: int, words: str) -> None:
    """Equal figures pass, with the version and the runs it rests on."""
    assert judged(baseline_of(runs)) == Comparison(verdict=Verdict.PASS, reasons=(f"{EQUAL} ({words})",))


FLOORS = [  # metric, baseline, floor in its unit
    ("latency_p50", 0.020, 0.002),  # 5 % of 20 ms = 1 ms < 2 ms: the absolute floor
    ("latency_p95", 0.040, 0.005),  # 5 % of 40 ms = 2 ms < 5 ms
    ("latency_p95", 0.400, 0.020),  # 5 % of 400 ms = 20 ms > 5 ms: the relative floor
    ("latency_p99", 0.800, 0.080),  # 10 % of 800 ms = 80 ms > 10 ms
    ("throughput", 100.0, 5.0),  # 5 % of 100/s = 5/s > 0.5/s
    ("throughput", 4.0, 0.5),  # 5 % of 4/s = 0.2/s < 0.5/s
    ("error_rate", 0.010, 0.005),  # half a point
    ("error_rate", 0.0, 0.005),
    ("cpu_usage", 2.0, 0.2),  # 10 % of 2 cores > 0.05 cores
    ("cpu_usage", 0.1, 0.05),  # 10 % of 0.1 cores = 0.01 < 0.05
    ("memory_usage", 1000.0 * 1024**2, 50.0 * 1024**2),  # 5 % of 1000 MiB > 16 MiB
    ("disk_usage", 0.40, 0.04),  # 10 % of 40 % = 4 points > 2 points
    ("disk_usage", 0.10, 0.02),  # 10 % of 10 % = 1 point < 2 points
    ("latency_p95", 0.0, 0.005),  # nothing relative to zero
]


@pytest.mark.parametrize(("name", "level", "floor"), FLOORS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_change_of_exactly_the_floor_is_none(name: str, level: float, floor: float, sign: int) -> None:
    """At the floor nothing has moved, up or down; rounding in binary does not change that."""
    if level + sign * floor >= 0:
        assert judged(baseline_of(**{name: level}), **{name: level + sign * floor}).verdict is Verdict.PASS


@pytest.mark.parametrize(("name", "level", "floor"), FLOORS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_hair_above_the_floor_has_moved(name: str, level: float, floor: float, sign: int) -> None:
    """Beyond the floor by a millionth the metric has moved, for the worse or the better by its direction."""
    value = level + sign * floor * 1.000001
    if value < 0:
        return
    result = judged(baseline_of(**{name: level}), **{name: value})
    is_worse = (sign > 0) is (name != "throughput")
    assert result.verdict is (Verdict.REGRESSION if is_worse else Verdict.IMPROVEMENT)
    (moved,) = result.deviations
    assert (moved.metric, moved.baseline, moved.value, moved.is_worse) == (name, level, value, is_worse)
    assert moved.shift.absolute == value - level
    assert moved.shift.ratio == (pytest.approx((value - level) / level) if level else None)
    assert moved.unit is METRICS[name].unit


@pytest.mark.parametrize(
    ("name", "level", "value"),
    [
        ("latency_p95", 0.040, 0.0449),  # +12 % but 4.9 ms < 5 ms
        ("latency_p95", 0.400, 0.4190),  # 19 ms but +4.75 % < 5 %
    ],
)
def test_both_floors_must_be_passed(name: str, level: float, value: float) -> None:
    """Much relative to little, or little relative to much, is not told."""
    assert judged(baseline_of(**{name: level}), **{name: value}).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("runs", "value", "verdict"),
    [
        (1, 0.520, Verdict.PASS),  # 30 % of 400 ms = 120 ms
        (2, 0.520, Verdict.PASS),
        (2, 0.521, Verdict.REGRESSION),
        (2, 0.421, Verdict.PASS),
        (3, 0.421, Verdict.REGRESSION),  # 5 % of 400 ms = 20 ms
        (3, 0.420, Verdict.PASS),
        (9, 0.421, Verdict.REGRESSION),
        (10, 0.421, Verdict.REGRESSION),
    ],
)
def test_a_provisional_baseline_needs_30_percent(runs: int, value: float, verdict: Verdict) -> None:
    """One or two runs say nothing about how far runs differ; from three on the metric's own floors count."""
    assert judged(baseline_of(runs, latency_p95=0.400), latency_p95=value).verdict is verdict


@pytest.mark.parametrize(("value", "verdict"), [(0.015, Verdict.PASS), (0.0151, Verdict.REGRESSION)])
def test_errors_are_told_in_points_even_while_provisional(value: float, verdict: Verdict) -> None:
    """1 % → 1.51 % is half a point: the error rate has no relative floor to widen."""
    assert judged(baseline_of(1), error_rate=value).verdict is verdict


@pytest.mark.parametrize(
    ("changes", "value", "reason"),
    [
        (  # 0.6 points > 0.5 points
            {"error_rate": 0.0},
            {"error_rate": 0.006},
            "Error rate +0.60 points: 0.60 %, baseline 0.00 % (told from 0.50 points on)",
        ),
        (  # 20 / 40 = +50 %
            {},
            {"latency_p95": 0.060},
            "Latency p95 +50 %: 60.0 ms, baseline 40.0 ms (told from 5.00 ms on)",
        ),
        ({}, {"latency_p95": 0.480}, "Latency p95 ×12: 480 ms, baseline 40.0 ms (told from 5.00 ms on)"),
        (
            {"latency_p95": 0.0},
            {"latency_p95": 0.0061},
            "Latency p95 +6.10 ms: 6.10 ms, baseline 0 ms (told from 5.00 ms on)",
        ),
        ({}, {"throughput": 90.0}, "Throughput −10 %: 90.0/s, baseline 100/s (told from 5.00/s on)"),
        ({}, {"disk_usage": 0.45}, "Disk used +5.00 points: 45.00 %, baseline 40.00 % (told from 4.00 points on)"),
    ],
)
def test_the_reason_has_the_numbers(changes: dict[str, float], value: dict[str, float], reason: str) -> None:
    """A reason says how far, from where to where, and from where on it is told."""
    result = judged(baseline_of(**changes), **value)
    assert result.reasons == (reason,)
    assert result.deviations[0].reason == reason


def test_a_zero_baseline_has_no_ratio() -> None:
    """From zero errors to one in a hundred is a point more, not infinitely more."""
    (moved,) = judged(baseline_of(error_rate=0.0), error_rate=0.01).deviations
    assert (moved.shift.ratio, moved.shift.absolute) == (None, 0.01)
    assert moved.severity is Severity.CRITICAL


def test_a_regression_outweighs_improvements() -> None:
    """The verdict and its reasons are of what is worse; what is better is still in the list."""
    result = judged(baseline_of(), latency_p50=0.010, latency_p95=0.060, cpu_usage=1.0)
    assert result.verdict is Verdict.REGRESSION
    assert result.reasons == ("Latency p95 +50 %: 60.0 ms, baseline 40.0 ms (told from 5.00 ms on)",)
    assert [(each.metric, each.is_worse, each.severity) for each in result.deviations] == [
        ("latency_p50", False, Severity.DIGEST),
        ("latency_p95", True, Severity.CRITICAL),
        ("cpu_usage", False, Severity.DIGEST),
    ]


def test_only_improvements() -> None:
    """Every improvement is a reason, in the order in which people read the metrics."""
    result = judged(baseline_of(), cpu_usage=1.0, latency_p95=0.020)
    assert result.verdict is Verdict.IMPROVEMENT
    assert result.reasons == (
        "Latency p95 −50 %: 20.0 ms, baseline 40.0 ms (told from 5.00 ms on)",
        "CPU −50 %: 1.00 cores, baseline 2.00 cores (told from 0.200 cores on)",
    )


@pytest.mark.parametrize(
    ("runs", "value", "severity"),
    [
        (10, 0.439, Severity.WARNING),  # +9.75 %
        (10, 0.440, Severity.CRITICAL),  # +10 %
        (9, 0.800, Severity.WARNING),  # a candidate wakes nobody
        (1, 0.800, Severity.WARNING),
        (10, 0.200, Severity.DIGEST),  # better
    ],
)
def test_severity_by_state_and_size(runs: int, value: float, severity: Severity) -> None:
    """Critical takes an approved baseline and 10 %; what is better waits for the digest."""
    (moved,) = judged(baseline_of(runs, latency_p95=0.400), latency_p95=value).deviations
    assert moved.severity is severity


def test_a_metric_missing_in_the_run_is_noted() -> None:
    """No data is neither zero nor a change; the reader is told why."""
    result = judged(baseline_of(), cpu_usage="no data for rate(x)")
    assert result.verdict is Verdict.PASS
    assert result.reasons == (f"{EQUAL} (10 runs)", "CPU could not be compared: no data for rate(x)")


def test_a_metric_the_run_knows_nothing_of_is_noted() -> None:
    """A record without a metric at all is read like one without its value."""
    values = metric_values(**LEVELS)
    del values["disk_usage"]
    result = compare(values, fingerprint=PARTS, baseline=baseline_of())
    assert result.reasons == (f"{EQUAL} (10 runs)", "Disk used could not be compared: not measured")


def test_a_metric_missing_in_the_baseline_is_noted() -> None:
    """A metric is compared from the first baseline on that has it."""
    levels = {name: value for name, value in LEVELS.items() if name != "memory_usage"}
    result = judged(replace(baseline_of(), metrics=levels), memory_usage=9e9)
    assert result.verdict is Verdict.PASS
    assert result.reasons == (f"{EQUAL} (10 runs)", "Memory is not in the baseline yet")


def test_a_metric_missing_on_both_sides_needs_no_word() -> None:
    """Nothing was expected and nothing came."""
    levels = {name: value for name, value in LEVELS.items() if name != "disk_usage"}
    assert judged(replace(baseline_of(), metrics=levels), disk_usage="no data").reasons == (f"{EQUAL} (10 runs)",)


def test_notes_follow_the_reasons_of_a_regression() -> None:
    """First what moved, then what could not be looked at."""
    result = judged(baseline_of(), latency_p95=0.060, cpu_usage="no data")
    assert result.verdict is Verdict.REGRESSION
    assert result.reasons[1:] == ("CPU could not be compared: no data",)
