"""Hard limits in a verdict: a run beyond one is never a pass, whatever its baseline."""

from dataclasses import replace
from typing import Any

import pytest

from include.perf.catalogue.hard_limits import DEFAULT_LIMITS, HardLimit
from include.perf.runs.figures import EndpointFigures
from include.perf.runs.record import Severity, Verdict
from include.perf.verdict.comparison import Comparison
from include.perf.verdict.contender import MeasuredRun
from include.perf.verdict.limits import judge_limits
from tests.nights import PARTS, baseline_of, contender, judge, measured

P95_LIMIT = HardLimit(metric="latency_p95", value=0.45)  # the baseline is 0.4 s
BEYOND = "Latency p95 is 520 ms, above its limit of 450 ms"
ALONE = "a single run, not re-run: no time is left"


def over(*runs: MeasuredRun, limits: tuple[HardLimit, ...] = (P95_LIMIT,), **changes: Any) -> Comparison:
    """Judge a run with limits; nothing can be re-run any more."""
    return judge(contender(*runs, limits=limits, no_rerun="no time is left", **changes))


def endpoint(name: str, due: int, failed: int, **changes: Any) -> EndpointFigures:
    """Return an endpoint's figures; its p99 is 0.9 s."""
    made = EndpointFigures(name=name, due=due, failed=failed, latency_p50=0.1, latency_p95=0.4, latency_p99=0.9)
    return replace(made, **changes)


# The verdict


def test_the_first_run_of_a_service_is_judged_by_its_limits() -> None:
    """Without a baseline, a p95 beyond its limit is not NO_BASELINE."""
    slow = replace(contender(measured({"latency_p95": 1.3}), limits=(P95_LIMIT,), no_rerun="no time"), baseline=None)
    result = judge(slow)
    assert result.verdict is Verdict.OVER_LIMIT
    assert result.reasons == (
        f"{BEYOND} (a single run, not re-run: no time)",
        "there is no baseline yet; to record one, trigger a run with update_baseline",
    )
    assert result.exceeded[0].severity is Severity.CRITICAL


def test_another_load_does_not_lift_a_limit() -> None:
    """A run that cannot be compared is beyond its limit all the same."""
    result = over(measured({"latency_p95": 1.3}), fingerprint=PARTS | {"data": "sha256:9"})
    assert (result.verdict, result.reasons[0]) == (Verdict.OVER_LIMIT, f"{BEYOND} ({ALONE})")


def test_a_baseline_beyond_a_limit_does_not_raise_it() -> None:
    """Nothing changed, and every run is beyond the limit."""
    result = over(limits=(HardLimit(metric="latency_p95", value=0.35), HardLimit(metric="latency_p99", value=0.9)))
    assert result.verdict is Verdict.OVER_LIMIT
    assert [exceeded.metric for exceeded in result.exceeded] == ["latency_p95"]
    assert result.deviations == ()


def test_an_improvement_that_stays_beyond_its_limit_is_no_improvement() -> None:
    """40 % faster, and still too slow."""
    runs = [measured({"latency_p95": 0.6})] * 3  # 240 ms
    assert judge(contender(*runs)).verdict is Verdict.IMPROVEMENT
    assert over(*runs, limits=(HardLimit(metric="latency_p95", value=0.2),)).verdict is Verdict.OVER_LIMIT


def test_a_regression_beyond_a_limit_is_as_severe_as_the_limit() -> None:
    """Even with three nights, because a hard limit needs no history; the deviation stays."""
    runs, young = [measured({"latency_p95": 1.3})] * 3, baseline_of(3)
    assert judge(contender(*runs, baseline=young)).deviations[0].severity is Severity.WARNING
    result = over(*runs, baseline=young)
    assert (result.verdict, result.deviations[0].severity) == (Verdict.OVER_LIMIT, Severity.CRITICAL)
    mild = over(*runs, baseline=young, limits=(replace(P95_LIMIT, severity="warning"),))
    assert (mild.exceeded[0].severity, mild.deviations[0].severity) == (Severity.WARNING, Severity.WARNING)


def test_a_run_in_which_most_requests_failed_is_beyond_the_default_limit() -> None:
    """87 % of failures, and what was answered was fast: that is no improvement."""
    failing = measured({"latency_p50": 0.5, "latency_p95": 0.5}, failed=348_000, due=400_000)
    result = over(failing, limits=DEFAULT_LIMITS)
    assert result.verdict is Verdict.OVER_LIMIT
    assert result.reasons[0] == f"Error rate is 87.00 %, above its limit of 5.00 % ({ALONE})"
    assert result.limits == {"error_rate": 0.05}


def test_no_baseline_raises_the_limit_on_the_error_rate() -> None:
    """The baseline has 10 % of failures, and the run as many."""
    bad = baseline_of(10)
    bad = replace(bad, metrics={**bad.metrics, "error_rate": 0.1})
    assert over(measured(failed=40_000, due=400_000), baseline=bad, limits=DEFAULT_LIMITS).verdict is Verdict.OVER_LIMIT


# Re-runs


def test_a_single_run_beyond_a_limit_needs_a_re_run() -> None:
    """Until it is known that there is none."""
    single = judge(contender(measured({"latency_p95": 1.3}), limits=(P95_LIMIT,)))
    assert single.needs_rerun
    assert single.suspicion >= 0.52 / 0.45
    assert not over(*[measured({"latency_p95": 1.3})] * 3).needs_rerun


def test_the_median_of_the_runs_counts() -> None:
    """One bad run of three is noted; two make the verdict."""
    slow, fine = measured({"latency_p95": 1.3}), measured()
    one = over(slow, replace(fine, run_id="b"), replace(fine, run_id="c"))
    assert one.verdict is Verdict.PASS
    assert "Latency p95 was beyond its limit in 1 of 3 runs (tonight)" in one.reasons
    two = over(slow, slow, fine)
    assert (two.verdict, two.exceeded[0].evidence) == (Verdict.OVER_LIMIT, "confirmed by the median of 3 runs")


# Throughput, and limits without a value


@pytest.mark.parametrize(
    ("requested_rps", "verdict"),
    [
        (500, Verdict.OVER_LIMIT),  # 495/s would be enough, and 480/s were handled
        (100, Verdict.PASS),  # less was requested than the limit demands
        (None, Verdict.PASS),
    ],
)
def test_throughput_has_a_lower_limit(requested_rps: float | None, verdict: Verdict) -> None:
    """It applies only where as much was requested."""
    handled = replace(measured(throughput=480.0), requested_rps=requested_rps)
    limit = HardLimit(metric="throughput", value=495)
    found = judge_limits(contender(handled, limits=(limit,), no_rerun="no time"))
    assert bool(found.exceeded) is (verdict is Verdict.OVER_LIMIT)


def test_a_limit_without_a_value_is_noted() -> None:
    """What was not measured is not within its limit either."""
    result = over(measured(latency_p95="12 others are too few for it"))
    assert result.verdict is Verdict.PASS
    assert "the limit on Latency p95 could not be checked: 12 others are too few for it" in result.reasons


# Endpoints


def test_an_endpoint_has_its_own_limit() -> None:
    """The service is within its limits, one of its endpoints is not."""
    run = replace(measured(), endpoints=(endpoint("orders", 4_000, 0), endpoint("quotes", 4_000, 0, latency_p99=0.2)))
    limits = tuple(HardLimit(metric="latency_p99", value=0.5, endpoint=name) for name in ("orders", "quotes"))
    (found,) = over(run, limits=limits).exceeded
    assert (found.endpoint, found.value, found.key) == ("orders", 0.9, "limit:orders:latency_p99")


def test_few_requests_give_no_percentile_of_an_endpoint() -> None:
    """299 are needed for p99, as for a run; and an endpoint without requests is named."""
    run = replace(measured(), endpoints=(endpoint("orders", 100, 0),))
    limits = tuple(HardLimit(metric="latency_p99", value=0.5, endpoint=name) for name in ("orders", "gone"))
    result = over(run, limits=limits)
    assert result.verdict is Verdict.PASS
    assert result.reasons[-2:] == (
        "the limit on Latency p99 of orders could not be checked: 100 requests are too few for it (at least 299 are "
        "needed)",
        "the limit on Latency p99 of gone could not be checked: the endpoint got no request",
    )


@pytest.mark.parametrize(
    ("due", "failed", "is_beyond"),
    [
        (4_000, 4_000, True),  # 1 % of the service's requests, and all of this endpoint
        (40, 3, False),  # 7.5 %: at 5 %, three or more of 40 happen in a third of the runs
        (40, 12, True),
        (4_000, 200, False),  # 5 % is not beyond 5 %
        (4_000, 280, True),
    ],
)
def test_an_endpoint_that_fails_is_not_hidden_among_many(due: int, failed: int, *, is_beyond: bool) -> None:
    """It inherits the limit on the error rate; a few failures of a few requests are not enough."""
    run = replace(measured(), endpoints=(endpoint("orders", due, failed),))
    inherited = HardLimit(metric="error_rate", value=0.05, endpoint="orders", is_inherited=True)
    result = over(run, limits=(inherited,))
    assert (result.verdict is Verdict.OVER_LIMIT) is is_beyond
