"""The comparison of failures: a count over a known number of requests, judged by its probability."""

from dataclasses import replace

import pytest

from include.perf.runs.record import Deviation, Severity, Verdict
from include.perf.verdict.comparison import Comparison
from tests.nights import BASELINE_VALUES, DUE, baseline_of, contender, judge, measured, run_on


def failing(*failed: int, due: int = DUE) -> list[object]:
    """Return the first run and its re-runs with these numbers of failures."""
    return [measured(failed=count, due=due) for count in failed]


def of_nights(*failed: int, due: int = DUE) -> object:
    """Return a baseline of nights with these numbers of failures."""
    runs = [
        replace(run_on(number), due=due, failed=count, metrics=BASELINE_VALUES | {"error_rate": count / due})
        for number, count in enumerate(failed)
    ]
    return baseline_of(runs)


def of(comparison: Comparison) -> Deviation | None:
    """Return the deviation of the error rate, if any."""
    return next((found for found in comparison.deviations if found.metric == "error_rate"), None)


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        (0, Verdict.PASS),  # 0.1 points fewer: below the minimum effect of 0.5
        (130, Verdict.PASS),  # 0.13 %: unlikely from 0.10 %, but below the minimum effect
        (599, Verdict.PASS),  # 0.5 points more are 600 of 100 000
        (600, Verdict.PASS),  # exactly the minimum effect
        (601, Verdict.REGRESSION),
        (9_000, Verdict.REGRESSION),
    ],
)
def test_the_minimum_effect_of_half_a_point(failed: int, verdict: Verdict) -> None:
    """Every night 100 of 100 000 failed; a change must exceed half a point."""
    result = judge(contender(*failing(failed, failed, failed)))
    assert result.verdict is verdict
    assert result.shifts["error_rate"].absolute == pytest.approx((failed - 100) / DUE)


def test_the_reason_has_figures_and_probability() -> None:
    """Change in points with its interval, upper bound of the earlier rate, and probability."""
    found = of(judge(contender(*failing(1_000, 1_000, 1_000))))
    assert found is not None
    assert found.reason == (
        "Error rate +0.90 points (+0.84 to +0.96 points): 1.00 %, was 0.10 % over 10 nights; the error rate was at "
        "most 0.106 % over 10 nights (p < 1e-12, threshold 0.0001)"
    )
    assert (found.baseline, found.value) == (pytest.approx(0.001), 0.01)
    assert found.shift.absolute_low < 0.009 < found.shift.absolute_high


def test_a_burst_in_one_run_is_suspicious() -> None:
    """However unlikely, a re-run has to confirm it; more failures are more suspicious."""
    few, many = (judge(contender(*failing(failed))) for failed in (800, 5_000))
    for result in (few, many):
        found = of(result)
        assert found is not None
        assert (result.verdict, found.is_confirmed, found.severity) == (Verdict.PASS, False, Severity.DIGEST)
    assert 1 < few.suspicion < many.suspicion


def test_a_burst_that_re_runs_do_not_repeat() -> None:
    """5 % once and normal twice: the median is normal."""
    result = judge(contender(*failing(5_000, 100, 98)))
    assert (result.verdict, result.deviations, result.judged["error_rate"]) == (Verdict.PASS, (), 0.001)


def test_the_median_run_gives_the_count() -> None:
    """Of 700, 900 and 5 000 failures, 900 are judged, with the interval of that run."""
    found = of(judge(contender(*failing(5_000, 700, 900))))
    assert found is not None
    assert (found.value, found.is_confirmed) == (0.009, True)
    assert found.shift.absolute == pytest.approx(0.008)


def test_a_run_that_could_not_be_re_run_is_a_warning_at_most() -> None:
    """Even if half of all requests failed."""
    found = of(judge(contender(*failing(50_000), no_rerun="no time")))
    assert found is not None
    assert (found.is_confirmed, found.severity) == (True, Severity.WARNING)


@pytest.mark.parametrize(
    ("failed", "severity"),
    [
        (1_000, Severity.WARNING),  # 0.9 points more
        (1_300, Severity.CRITICAL),  # 1.2 points more, at least 1.1
    ],
)
def test_severity_in_points(failed: int, severity: Severity) -> None:
    """Critical means at least one point at the near end of the interval."""
    found = of(judge(contender(*failing(failed, failed, failed))))
    assert found is not None
    assert found.severity is severity


def test_the_first_failures_of_a_service_that_had_none() -> None:
    """After ten nights without failures the rate is at most 3 in a million (rule of three)."""
    found = of(judge(contender(*failing(700, 700, 700), baseline=of_nights(*[0] * 10))))
    assert found is not None
    assert (found.is_worse, found.baseline, found.shift.ratio) == (True, 0.0, None)
    assert "; the error rate was at most 0.0003 % over 10 nights (p < " in found.reason


@pytest.mark.parametrize(
    ("failed", "verdict"),
    [
        (3, Verdict.PASS),  # 0.75 points, but 3 after 0 of 400 has a probability of 1 in 20
        (9, Verdict.PASS),  # 1 in 1 500: suspicious, but not significant (1 in 10 000)
        (13, Verdict.REGRESSION),
    ],
)
def test_few_requests_need_many_failures(failed: int, verdict: Verdict) -> None:
    """A short run of 400 requests after one night of 400 without a failure."""
    result = judge(contender(*failing(failed, failed, failed, due=400), baseline=of_nights(0, due=400)))
    assert result.verdict is verdict


def test_nights_that_differ_by_more_than_chance() -> None:
    """1.2 % is significant for a steady service, but not if the rate varies between 0.05 and 0.90 %."""
    restless = of_nights(100, 900, 50, 600, 300, 800, 60, 700, 200, 450)
    steady = of_nights(*[416] * 10)  # the same mean
    tonight = failing(1_200, 1_200, 1_200)
    assert judge(contender(*tonight, baseline=restless)).verdict is Verdict.PASS
    assert judge(contender(*tonight, baseline=steady)).verdict is Verdict.REGRESSION


def test_fewer_failures_are_an_improvement() -> None:
    """2 % every night and 0.1 % tonight: an improvement from a single run, for the digest."""
    result = judge(contender(*failing(100), baseline=of_nights(*[2_000] * 10)))
    found = of(result)
    assert found is not None
    assert (result.verdict, result.suspicion) == (Verdict.IMPROVEMENT, 0)
    assert (found.is_worse, found.is_confirmed, found.severity) == (False, True, Severity.DIGEST)
    assert found.reason.endswith(", threshold 0.001)")


def test_counts_need_one_night_of_history() -> None:
    """After the first night, failures are judged as counts, as a warning."""
    found = of(judge(contender(*failing(1_000, 1_000, 1_000), baseline=of_nights(100))))
    assert found is not None
    assert (found.is_confirmed, found.severity) == (True, Severity.WARNING)
    assert "the error rate was at most" in found.reason


WITHOUT_COUNTS = baseline_of([replace(run_on(0), due=None, failed=None)])


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [
        (0.006, Verdict.PASS),  # exactly half a point more
        (0.0061, Verdict.REGRESSION),
        (0.0, Verdict.PASS),
    ],
)
def test_nights_without_counts_are_judged_by_the_minimum_effect(rate: float, verdict: Verdict) -> None:
    """Baselines of earlier versions have only the rate."""
    runs = [measured(failed=round(rate * DUE))] * 3
    result = judge(contender(*runs, baseline=WITHOUT_COUNTS))
    assert result.verdict is verdict
    found = of(result)
    if found is not None:
        assert found.severity is Severity.WARNING
        assert found.reason.startswith(
            "Error rate +0.51 points: 0.61 %, was 0.10 % over 1 night; "
            "threshold 0.50 points (no failure counts in the history)"
        )


def test_without_counts_a_single_run_is_suspicious() -> None:
    """A re-run has to confirm it."""
    result = judge(contender(*failing(5_000), baseline=WITHOUT_COUNTS))
    assert (result.verdict, result.suspicion > 1) == (Verdict.PASS, True)


def test_a_run_without_counts_against_nights_with_them() -> None:
    """A record of an earlier version has only the rate, so the minimum effect decides."""
    tonight = [replace(measured(failed=None, error_rate=0.02), due=None)] * 3
    found = of(judge(contender(*tonight)))
    assert found is not None
    assert (found.is_confirmed, found.shift.absolute_low) == (True, None)


def test_no_error_rate_at_all() -> None:
    """Without requests there is no error rate, not an error rate of zero."""
    result = judge(contender(measured(failed=0, due=0, error_rate="nothing was due in the measured window")))
    assert "Error rate could not be compared: nothing was due in the measured window" in result.reasons
    assert "error_rate" not in result.shifts
