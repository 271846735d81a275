"""The comparison of one night: every verdict, with one run and with re-runs."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from include.perf.model.metric import METRICS
from include.perf.runs.record import Cause, Deviation, Severity, Verdict
from include.perf.verdict.comparison import Comparison
from tests.nights import (
    BASELINE_VALUES,
    PARTS,
    baseline_of,
    contender,
    day,
    judge,
    judge_all,
    measured,
    night_on,
    run_on,
)

NO_CHANGE = "no significant change against baseline version 3"


def the_only(comparison: Comparison) -> Deviation:
    """Return the only deviation."""
    (found,) = comparison.deviations
    return found


# What is not compared


def test_a_run_that_records_the_baseline_names_no_remedy() -> None:
    """Its report says "baseline version 1 recorded" below the reason."""
    result = judge(replace(contender(), baseline=None, will_record_baseline=True))
    assert (result.verdict, result.reasons) == (Verdict.NO_BASELINE, ("there is no baseline yet",))


def test_without_a_baseline() -> None:
    """The first run of a cell is not a pass."""
    assert judge(replace(contender(), baseline=None)) == Comparison(
        verdict=Verdict.NO_BASELINE,
        reasons=("there is no baseline yet; to record one, trigger a run with update_baseline",),
    )


def test_a_different_fingerprint_is_not_comparable() -> None:
    """Every differing part is named with both values, missing parts too; no metric is judged."""
    parts = {"load": "200/s constant", "data": "sha256:1", "generator": "version 2"}
    result = judge(contender(measured(latency_p95=9.0), fingerprint=parts))
    assert result == Comparison(
        verdict=Verdict.NOT_COMPARABLE,
        reasons=(
            "the load differs from the baseline's: run 200/s, baseline 500/s",
            "the endpoints differ from the baseline's: run none, baseline sha256:2",
            "the generator differs from the baseline's: run version 2, baseline none",
        ),
    )


def test_no_common_metric_is_not_a_pass() -> None:
    """Without a common metric there is nothing to judge."""
    nothing = measured(failed=None, **dict.fromkeys(BASELINE_VALUES, "no answer"))
    result = judge(contender(nothing))
    assert result.verdict is Verdict.NOT_COMPARABLE
    assert result.reasons[:2] == (
        "the run and the baseline have no metric in common",
        "Latency p50 could not be compared: no answer",
    )


def test_runs_that_are_not_compared_keep_the_order() -> None:
    """The second of three runs has no baseline; every verdict belongs to its run."""
    first = contender(service="a")
    third = contender(service="c", fingerprint=PARTS | {"data": "sha256:9"})
    verdicts = [
        comparison.verdict for comparison in judge_all([first, replace(first, service="b", baseline=None), third])
    ]
    assert verdicts == [Verdict.PASS, Verdict.NO_BASELINE, Verdict.NOT_COMPARABLE]


def test_a_baseline_without_a_fingerprint_is_compared_with_a_note() -> None:
    """It may be of another load, so the reason asks for a new baseline."""
    plain = baseline_of([run_on(0, at=None, due=None, failed=None)], fingerprint={})
    result = judge(contender(baseline=plain))
    assert (result.verdict, result.nights, result.since) == (Verdict.PASS, 1, None)
    assert result.reasons[1] == (
        "the baseline has no fingerprint of load and data (recorded by an earlier version); record a new one"
    )


# The first nights


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize(
    ("name", "factor", "verdict"),
    [
        ("latency_p95", 1.30, Verdict.PASS),  # exactly 30 % does not exceed it
        ("latency_p95", 1.31, Verdict.REGRESSION),
        ("latency_p95", 0.69, Verdict.IMPROVEMENT),
        ("throughput", 0.71, Verdict.PASS),
        ("throughput", 0.69, Verdict.REGRESSION),
        ("disk_usage", 1.31, Verdict.REGRESSION),  # 40 % → 52 % used
    ],
)
def test_with_one_or_two_nights_the_threshold_is_30_percent(
    runs: int, name: str, factor: float, verdict: Verdict
) -> None:
    """The spread is unknown, so re-runs have to confirm it, and it is a warning at most."""
    baseline = baseline_of([run_on(0), replace(run_on(0), run_id="again", at=day(1))][:runs])
    result = judge(contender(*[measured({name: factor})] * 3, baseline=baseline))
    assert result.verdict is verdict
    severities = {Verdict.REGRESSION: [Severity.WARNING], Verdict.IMPROVEMENT: [Severity.DIGEST], Verdict.PASS: []}
    assert [deviation.severity for deviation in result.deviations] == severities[verdict]
    assert [deviation.shift.low for deviation in result.deviations] == [None] * len(result.deviations)


@pytest.mark.parametrize(("runs", "nights"), [(1, "1 night"), (2, "2 nights")])
def test_the_first_nights_name_their_threshold(runs: int, nights: str) -> None:
    """30 % of 400 ms are 120 ms."""
    baseline = baseline_of([run_on(0), replace(run_on(0), run_id="again", at=day(1))][:runs])
    found = the_only(judge(contender(*[measured({"latency_p95": 1.5})] * 3, baseline=baseline)))
    assert found.reason == (
        f"Latency p95 +50 %: 600 ms, was 400 ms over {nights}; threshold 120 ms (only {nights} of history)"
    )


def test_the_first_nights_need_a_re_run() -> None:
    """One run compared with one run is suspicious and a pass, until a re-run confirms it or is impossible."""
    result = judge(contender(measured({"latency_p95": 1.5}), baseline=baseline_of(1)))
    assert (result.verdict, the_only(result).is_confirmed) == (Verdict.PASS, False)
    assert result.suspicion == pytest.approx(1 + 0.5 / 0.3)  # 50 % of the 30 %
    refused = judge(contender(measured({"latency_p95": 1.5}), baseline=baseline_of(1), no_rerun="no time"))
    assert (refused.verdict, the_only(refused).severity) == (Verdict.REGRESSION, Severity.WARNING)


def test_a_new_metric_is_judged_by_its_own_nights() -> None:
    """Of ten nights only the last two have CPU: its threshold is 30 %, and it is a warning at most."""
    runs = [run_on(number) for number in range(10)]
    without = [replace(run, metrics={k: v for k, v in run.metrics.items() if k != "cpu_usage"}) for run in runs[:8]]
    baseline = baseline_of([*without, *runs[8:]])
    result = judge(contender(*[measured({"cpu_usage": 1.25})] * 3, baseline=baseline))
    assert result.verdict is Verdict.PASS
    result = judge(contender(*[measured(cpu_usage=8.0)] * 3, baseline=baseline))
    assert the_only(result).severity is Severity.WARNING
    assert "(only 2 nights of history)" in the_only(result).reason


# From three nights on


@pytest.mark.parametrize("runs", [3, 9, 10])
@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.04, Verdict.PASS),  # below the minimum effect of 5 %
        (1.40, Verdict.REGRESSION),
        (0.60, Verdict.IMPROVEMENT),
    ],
)
def test_from_three_nights_on_statistics_decide(runs: int, factor: float, verdict: Verdict) -> None:
    """The median of three runs is compared with the spread between runs."""
    runs_tonight = [measured({"latency_p95": factor * sway}) for sway in (1.0, 1.01, 0.99)]
    result = judge(contender(*runs_tonight, baseline=baseline_of(runs)))
    assert (result.verdict, result.nights, result.since) == (verdict, runs, day(0))
    assert result.judged["latency_p95"] == pytest.approx(0.4 * factor)


def test_a_single_run_is_suspicious_at_most() -> None:
    """+20 % after ten nights is t = 5.7, but one run in a hundred is that bad by chance: it is re-run."""
    result = judge(contender(measured({"latency_p95": 1.2})))
    found = the_only(result)
    assert result.verdict is Verdict.PASS
    assert (found.is_worse, found.is_confirmed, found.severity) == (True, False, Severity.DIGEST)
    assert result.suspicion > 1
    assert found.reason.startswith("Latency p95 +20 % (+12 to +29 %): 480 ms, was 400 ms over 10 nights; suspicious")
    assert result.reasons == (found.reason,)
    assert result.judged == {}


def test_no_suspicion() -> None:
    """A normal run, and a much better one, are not re-run."""
    assert judge(contender()).suspicion == 0
    better = judge(contender(measured({"latency_p95": 0.7})))
    assert (better.verdict, better.suspicion) == (Verdict.PASS, 0)
    assert (the_only(better).is_worse, the_only(better).is_confirmed) == (False, False)


def test_suspicion_grows_with_the_distance() -> None:
    """The most suspicious run is re-run first."""
    suspicions = [judge(contender(measured({"latency_p95": factor}))).suspicion for factor in (1.2, 1.4, 1.8)]
    assert suspicions == sorted(suspicions)
    assert min(suspicions) > 1


def test_three_runs_confirm() -> None:
    """The median of +18, +20 and +25 % counts, and the judged values are recorded."""
    result = judge(contender(*[measured({"latency_p95": factor}) for factor in (1.25, 1.18, 1.20)]))
    found = the_only(result)
    assert (result.verdict, found.severity, found.cause) == (Verdict.REGRESSION, Severity.CRITICAL, Cause.CELL)
    assert (found.value, found.shift.ratio) == (pytest.approx(0.48), pytest.approx(0.2))
    assert result.judged["latency_p95"] == pytest.approx(0.48)
    assert "; confirmed by the median of 3 runs (t = " in found.reason


def test_re_runs_that_do_not_confirm() -> None:
    """One run of +30 % and two normal ones: the median is normal, and it is a pass."""
    result = judge(contender(*[measured({"latency_p95": factor}) for factor in (1.30, 1.0, 1.02)]))
    assert (result.verdict, result.reasons) == (Verdict.PASS, (f"{NO_CHANGE} (10 nights)",))
    assert (result.suspicion, result.judged["latency_p95"]) == (0, pytest.approx(0.408))


@pytest.mark.parametrize(
    ("second", "verdict"),
    [(1.0, Verdict.PASS), (1.25, Verdict.REGRESSION)],  # the better of the two is 0 %, or +25 %
)
def test_of_two_runs_the_better_counts(second: float, verdict: Verdict) -> None:
    """One re-run was invalid; two runs that differ do not confirm a regression."""
    result = judge(contender(*[measured({"latency_p95": factor}) for factor in (1.30, second)]))
    assert (result.verdict, result.judged["latency_p95"]) == (verdict, pytest.approx(0.4 * second))
    if verdict is Verdict.REGRESSION:
        assert "; confirmed by the better of 2 runs (t = " in the_only(result).reason


def test_of_two_runs_the_better_is_the_larger_throughput() -> None:
    """The better value counts, not the smaller one."""
    result = judge(contender(measured({"throughput": 0.7}), measured()))
    assert (result.verdict, result.judged["throughput"]) == (Verdict.PASS, 500.0)


def test_a_re_run_without_the_value_confirms_nothing() -> None:
    """Of three runs only one has a CPU value, so it counts as a single run."""
    unknown = measured(cpu_usage="no data")
    result = judge(contender(measured({"cpu_usage": 1.5}), unknown, unknown))
    assert (result.verdict, the_only(result).is_confirmed) == (Verdict.PASS, False)
    early = judge(contender(measured({"cpu_usage": 1.5}), unknown, unknown, baseline=baseline_of(1)))
    assert (early.verdict, the_only(early).is_confirmed) == (Verdict.PASS, False)


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [
        (1.20, Verdict.PASS),  # significant, but below the 30 % for a single run
        (1.40, Verdict.REGRESSION),
    ],
)
def test_a_run_that_could_not_be_re_run(factor: float, verdict: Verdict) -> None:
    """A large change is reported as a warning; the reason says why there was no re-run."""
    result = judge(contender(measured({"latency_p95": factor}), no_rerun="re-runs were not requested"))
    found = the_only(result)
    assert (result.verdict, found.is_confirmed) == (verdict, verdict is Verdict.REGRESSION)
    assert found.severity is (Severity.WARNING if found.is_confirmed else Severity.DIGEST)
    assert "; suspicious, not re-run: re-runs were not requested (t = " in found.reason


@pytest.mark.parametrize("hundredths", range(4, 16))
def test_the_statistic_in_the_reason_decides(hundredths: int) -> None:
    """It is that of the median of three runs: significant from the threshold on."""
    found = judge(contender(*[measured({"latency_p95": 1 + hundredths / 100})] * 3)).deviations
    for change in found:
        statistic = re.search(r"\(t = ([\d.]+), threshold ([\d.]+)\)", change.reason)
        assert statistic is not None
        assert (float(statistic[1]) >= float(statistic[2]) - 0.05) is change.is_confirmed
        assert "t = " not in change.evidence


def test_latencies_together_are_more_sensitive() -> None:
    """+8 % in one percentile is noise; in all three percentiles it is suspicious."""
    three = dict.fromkeys(("latency_p50", "latency_p95"), 1.08) | {"latency_p99": 1.11}
    assert judge(contender(measured({"latency_p95": 1.08}))).suspicion == 0
    together = judge(contender(measured(three)))
    assert together.suspicion > 1
    assert {deviation.metric for deviation in together.deviations} == set(three)


# Minimum effects, directions, values


@pytest.mark.parametrize(
    "metric", [metric for metric in METRICS.values() if metric.min_effect_ratio], ids=lambda metric: metric.name
)
@pytest.mark.parametrize("is_worse", [True, False])
def test_every_metric_is_judged_in_its_direction(metric: object, is_worse: bool) -> None:
    """50 % worse or better; the interval is ordered and contains the shift."""
    name = metric.name  # type: ignore[attr-defined]
    factor = 1.5 if is_worse is (name != "throughput") else 1 / 1.5
    result = judge(contender(*[measured({name: factor})] * 3))
    found = the_only(result)
    assert result.verdict is (Verdict.REGRESSION if is_worse else Verdict.IMPROVEMENT)
    assert (found.metric, found.is_worse, found.unit) == (name, is_worse, METRICS[name].unit)
    assert found.baseline == pytest.approx(BASELINE_VALUES[name])
    shift = found.shift
    assert shift.ratio == pytest.approx(factor - 1)
    assert shift.low < shift.ratio < shift.high
    assert (shift.absolute_low, shift.absolute, shift.absolute_high) == tuple(
        pytest.approx(ratio * BASELINE_VALUES[name]) for ratio in (shift.low, shift.ratio, shift.high)
    )


@pytest.mark.parametrize(
    ("name", "baseline", "value"),
    [
        ("latency_p95", 0.020, 0.0249),  # +25 % but 4.9 ms < 5 ms
        ("cpu_usage", 0.100, 0.149),  # +49 % but 0.049 cores < 0.05 cores
        ("memory_usage", 4000.0 * 1024**2, 4190.0 * 1024**2),  # 190 MiB but +4.75 % < 5 %
    ],
)
def test_a_change_below_the_minimum_effect_is_not_reported(name: str, baseline: float, value: float) -> None:
    """With hardly any spread every change is significant; it must also exceed both minimum effects."""
    runs = [
        replace(run_on(0), run_id=f"r{n}", at=day(n), metrics=BASELINE_VALUES | {name: baseline}) for n in range(45)
    ]
    result = judge(contender(*[measured(**{name: value})] * 3, baseline=baseline_of(runs)))
    assert (result.verdict, result.deviations) == (Verdict.PASS, ())


def test_less_throughput_is_negative() -> None:
    """500/s → 400/s is −20 %, and the interval is below zero."""
    found = the_only(judge(contender(*[measured({"throughput": 0.8})] * 3)))
    assert found.reason.startswith("Throughput −20 % (−25 to −14 %): 400/s, was 500/s over 10 nights; confirmed by")
    assert found.severity is Severity.CRITICAL


@pytest.mark.parametrize("name", ["cpu_usage", "latency_p95"])
def test_from_a_baseline_of_zero(name: str) -> None:
    """There is no ratio to zero; the change is given in the metric's unit."""
    runs = [replace(run_on(number), metrics=BASELINE_VALUES | {name: 0.0}) for number in range(10)]
    result = judge(contender(*[measured(**{name: 0.5})] * 3, baseline=baseline_of(runs)))
    found = the_only(result)
    assert (result.verdict, found.baseline, found.shift.ratio) == (Verdict.REGRESSION, 0.0, None)
    assert found.shift.absolute == pytest.approx(0.5, abs=0.001)  # zero counts as 1 % of the minimum effect
    assert 0 < found.shift.absolute_low < found.shift.absolute < found.shift.absolute_high


def test_zero_and_zero_is_no_change() -> None:
    """The metric is always zero, as on an idle test bed."""
    runs = [replace(run_on(number), metrics=BASELINE_VALUES | {"cpu_usage": 0.0}) for number in range(10)]
    result = judge(contender(measured(cpu_usage=0.0), baseline=baseline_of(runs)))
    assert (result.verdict, result.deviations) == (Verdict.PASS, ())
    assert (result.shifts["cpu_usage"].ratio, result.shifts["cpu_usage"].absolute) == (None, 0.0)


def test_a_value_that_falls_to_zero() -> None:
    """A throughput of zero is a regression, not an arithmetic error."""
    result = judge(contender(*[measured(throughput=0.0)] * 3))
    assert (result.verdict, the_only(result).severity) == (Verdict.REGRESSION, Severity.CRITICAL)
    assert the_only(result).shift.ratio == pytest.approx(-1, abs=1e-4)


# Shifts, reasons and notes


def test_every_compared_metric_has_its_shift_and_reference() -> None:
    """For a pass too; the report and the charts show them."""
    result = judge(contender())
    assert list(result.shifts) == list(BASELINE_VALUES)
    assert result.reference == {name: pytest.approx(value) for name, value in BASELINE_VALUES.items()}
    assert all(shift.absolute_low <= 0 <= shift.absolute_high for shift in result.shifts.values())


def test_a_regression_outweighs_improvements() -> None:
    """The reasons are those of the worse metrics; the improvements are in the deviations, in display order."""
    factors = {"latency_p50": 0.5, "latency_p95": 1.5, "cpu_usage": 0.5}
    result = judge(contender(*[measured(factors)] * 3))
    assert result.verdict is Verdict.REGRESSION
    assert [reason.split(" (")[0] for reason in result.reasons] == ["Latency p95 +50 %"]
    assert [(found.metric, found.is_worse, found.severity) for found in result.deviations] == [
        ("latency_p50", False, Severity.DIGEST),
        ("latency_p95", True, Severity.CRITICAL),
        ("cpu_usage", False, Severity.DIGEST),
    ]


def test_a_suspicion_for_the_worse_outweighs_an_improvement() -> None:
    """CPU is significantly better, but p95 is suspicious in a single run: the suspicion is the first reason."""
    first, again = measured({"latency_p95": 1.3, "cpu_usage": 0.5}), measured({"cpu_usage": 0.5}, latency_p95="lost")
    result = judge(contender(first, again, again))
    assert result.verdict is Verdict.PASS
    assert [reason.split(" (")[0] for reason in result.reasons] == ["Latency p95 +30 %", "CPU −50 %"]


def test_missing_metrics_are_noted() -> None:
    """Missing data is neither zero nor a change; a metric missing on both sides is not noted."""
    known = {name: value for name, value in BASELINE_VALUES.items() if name not in ("memory_usage", "disk_usage")}
    baseline = baseline_of([replace(run_on(number), metrics=known) for number in range(10)])
    tonight = measured(cpu_usage="no data for rate(x)", disk_usage="no data")
    result = judge(contender(tonight, baseline=baseline))
    assert result.verdict is Verdict.PASS
    assert result.reasons == (
        f"{NO_CHANGE} (10 nights)",
        "CPU could not be compared: no data for rate(x)",
        "Memory is not in the baseline yet",
    )


def test_a_metric_missing_in_the_record() -> None:
    """It counts as a metric without a value."""
    tonight = measured()
    metrics = {name: value for name, value in tonight.metrics.items() if name != "disk_usage"}
    result = judge(contender(replace(tonight, metrics=metrics)))
    assert result.reasons[1:] == ("Disk used could not be compared: not measured",)


def test_notes_follow_the_reasons_of_a_regression() -> None:
    """First the changes, then the metrics that could not be compared."""
    result = judge(contender(*[measured({"latency_p95": 1.5}, cpu_usage="no data")] * 3))
    assert result.verdict is Verdict.REGRESSION
    assert result.reasons[1:] == ("CPU could not be compared: no data",)


# Severity


@pytest.mark.parametrize(
    ("runs", "factor", "severity"),
    [
        (10, 1.30, Severity.CRITICAL),  # at least +21 % with 95 % confidence
        (10, 1.14, Severity.WARNING),  # +14 %, but at least +6 % only
        (9, 1.60, Severity.WARNING),  # a candidate is never critical
        (3, 1.60, Severity.WARNING),
        (10, 0.50, Severity.DIGEST),  # better
    ],
)
def test_severity_by_state_and_lower_bound(runs: int, factor: float, severity: Severity) -> None:
    """Critical needs an approved baseline, ten nights, and at least 10 % at the near end of the interval."""
    result = judge(contender(*[measured({"latency_p95": factor})] * 3, baseline=baseline_of(runs)))
    assert the_only(result).severity is severity


def test_without_an_approval_it_is_a_warning() -> None:
    """Ten runs that a schedule promoted are only a candidate."""
    approved = baseline_of()
    state = replace(approved, state=baseline_of(9).state)
    result = judge(contender(*[measured({"latency_p95": 2.0})] * 3, baseline=state))
    assert the_only(result).severity is Severity.WARNING


def test_an_expired_baseline_gives_warnings_at_most() -> None:
    """It expires 184 days after its approval; the day before it is only due for review."""
    baseline = baseline_of()
    slow = [measured({"latency_p95": 2.0})] * 3
    expired = judge(replace(contender(*slow, baseline=baseline), at=baseline.expires_at))
    assert (expired.verdict, the_only(expired).severity) == (Verdict.REGRESSION, Severity.WARNING)
    assert expired.reasons[1] == "the baseline expired on 2026-09-11: no deviation is critical until it is renewed"
    due = judge(replace(contender(*slow, baseline=baseline), at=baseline.expires_at - timedelta(days=1)))
    assert the_only(due).severity is Severity.CRITICAL
    assert due.reasons[1] == "the baseline has been due for review since 2026-06-11"


# The history


def test_nights_with_a_change_are_not_in_the_history() -> None:
    """Three regressions at +30 % change neither the centre nor the number of nights."""
    flagged = [night_on(number, {"latency_p95": 1.3}, verdict=Verdict.REGRESSION) for number in (10, 11, 12)]
    lucky = [night_on(13, {"latency_p95": 0.5}, verdict=Verdict.IMPROVEMENT)]
    result = judge(contender(nights=[*flagged, *lucky, night_on(14)]))
    assert (result.nights, result.reference["latency_p95"]) == (11, pytest.approx(0.4, rel=0.01))


def test_nights_of_another_load_or_before_the_baseline_are_not_in_the_history() -> None:
    """Neither nights with another fingerprint, nor nights before the baseline's first run."""
    other = night_on(10, {"latency_p95": 3.0}, fingerprint=PARTS | {"load": "9/s"})
    result = judge(contender(nights=[night_on(-1, {"latency_p95": 3.0}), other, night_on(11)], on=12))
    assert (result.verdict, result.nights, result.since) == (Verdict.PASS, 11, day(0))


def test_the_history_has_45_nights() -> None:
    """Of 60 nights the last 45 count."""
    nights = [night_on(number) for number in range(10, 60)]
    result = judge(contender(nights=nights))
    assert (result.nights, result.since) == (45, day(15))


def test_the_platform_part_of_earlier_nights_is_removed() -> None:
    """Five nights were 20 % slower because of the platform, tonight is normal: no change."""
    factors = dict.fromkeys(("latency_p50", "latency_p95", "latency_p99"), 1.2)
    shared = [night_on(number, factors, platform=dict.fromkeys(factors, 0.2)) for number in range(10, 15)]
    result = judge(contender(measured(), nights=shared))
    assert (result.verdict, result.deviations) == (Verdict.PASS, ())
    assert result.reference["latency_p95"] == pytest.approx(0.4)


def test_latency_needs_no_request_counts() -> None:
    """The latencies of a run without counts are compared."""
    result = judge(contender(replace(measured(), due=None, failed=None)))
    assert (result.verdict, set(result.shifts)) == (Verdict.PASS, set(BASELINE_VALUES))
