"""Stop criteria about a load: each figure over its window, at its limit, and without data."""

from typing import Any

import pytest

from include.perf.catalogue.scenario.stop_criterion import StopCriterion
from include.perf.guards.load_limits import LoadLimits
from include.perf.load.generator import LoadProgress, ProgressInterval
from tests.fakes.generator import counts_of, progress, recent

NOTHING: dict[int, int] = {}
QUIET: dict[str, Any] = {"due": 0, "sent": 0, "finished": 0, "failed": 0, "latencies": {}, "lags": {}, "waits": {}}


def limits(*criteria: dict[str, Any], window_s: int = 3) -> LoadLimits:
    return LoadLimits([StopCriterion.model_validate({"window_s": window_s} | criterion) for criterion in criteria])


def second(**changes: Any) -> ProgressInterval:
    """Return a second in which only the given things happened."""
    return recent(**(QUIET | changes))


def go(limits: LoadLimits, *seconds: ProgressInterval, begin_s: float = 0.0) -> list[str | None]:
    """Let seconds pass; return the exceeded limit after each."""
    reasons = []
    for number, interval in enumerate(seconds, start=1):
        limits.take_in(progress(elapsed_s=begin_s + number, interval=interval))
        reasons.append(limits.reached())
    return reasons


def answered(finished: int, failed: int) -> ProgressInterval:
    return second(finished=finished, failed=failed)


def took(*delays_s: float) -> ProgressInterval:
    return second(latencies=counts_of(*delays_s), finished=len(delays_s))


def late(*delays_s: float) -> ProgressInterval:
    return second(lags=counts_of(*delays_s), due=len(delays_s))


def sent(sent: int, due: int) -> ProgressInterval:
    return second(sent=sent, due=due)


def cores(*cores: float | None) -> ProgressInterval:
    return second(wanted_cores=cores)


ABOVE_HALF = {"metric": "error_ratio", "above": 0.5}
SLOW = {"metric": "latency_p95", "above": 1.0}

REACHED = [
    # criterion, seconds of a window of 3 s → the reason after the last, and not before
    (
        ABOVE_HALF,
        [answered(100, 0), answered(20, 80), answered(0, 120)],  # 200 of 320
        "error ratio 0.625 over the last 3 s is above 0.5 (stop_when)",
    ),
    (
        ABOVE_HALF,
        [answered(0, 0), answered(0, 0), answered(0, 1)],
        "error ratio 1 over the last 3 s is above 0.5 (stop_when)",
    ),
    (
        ABOVE_HALF | {"name": "failing"},
        [answered(0, 1), answered(1, 0), answered(1_000, 1_001)],  # 1 002 of 2 003: 0.50025
        "failing 0.5002 over the last 3 s is above 0.5 (stop_when)",
    ),
    (
        SLOW,
        [took(0.1), took(0.1), took(*[0.1] * 17, 2.0)],  # the 19th of 20 is 0.1 s
        None,
    ),
    (
        SLOW,
        [took(0.1), took(0.1), took(*[0.1] * 16, 2.0, 2.0)],  # the 19th of 20 is 2 s
        "latency p95 2.01 s over the last 3 s is above 1 s (stop_when)",
    ),
    (
        {"metric": "latency_p50", "above": 0.02},
        [took(0.01), took(0.03), took(0.04)],
        "latency p50 0.0301 s over the last 3 s is above 0.02 s (stop_when)",
    ),
    (
        {"metric": "latency_p99", "below": 0.001},  # responses that are too fast to be real
        [took(0.0005), took(0.0005), took(0.0005)],
        "latency p99 0.0005 s over the last 3 s is below 0.001 s (stop_when)",
    ),
    (
        {"metric": "achieved_ratio", "below": 0.5},
        [sent(100, 100), sent(10, 100), sent(30, 100)],  # 140 of 300
        "achieved ratio 0.467 over the last 3 s is below 0.5 (stop_when)",
    ),
    (
        {"metric": "achieved_ratio", "above": 0.99},
        [sent(0, 100), sent(100, 100), sent(200, 100)],
        "achieved ratio 1 over the last 3 s is above 0.99 (stop_when)",
    ),
    (
        {"metric": "schedule_lag_p99", "above": 0.25},
        [late(*[0.001] * 98), late(0.3), late(0.4)],  # the 99th of 100
        "schedule lag p99 0.3 s over the last 3 s is above 0.25 s (stop_when, not the target)",
    ),
    (
        {"metric": "generator_cores", "above": 0.8},
        [cores(0.7, 0.9), cores(0.7, None), cores(0.7, 0.75)],  # (0.9 + 0.75) / 2
        "generator cores 0.825 over the last 3 s is above 0.8 (stop_when, not the target)",
    ),
]


@pytest.mark.parametrize(("criterion", "seconds", "reason"), REACHED)
def test_a_limit_must_be_exceeded_over_a_full_window(
    criterion: dict[str, Any], seconds: list[ProgressInterval], reason: str | None
) -> None:
    """After three seconds, by the figure of all three; delays are exact to half a percent."""
    assert go(limits(criterion), *seconds) == [None, None, reason]


AT_THE_LIMIT = [
    (ABOVE_HALF, answered(50, 50)),
    (SLOW, took(1.0)),
    (SLOW | {"above": 0.0183}, took(0.0183)),
    ({"metric": "latency_p50", "below": 0.25}, took(0.25)),
    ({"metric": "achieved_ratio", "below": 0.5}, sent(50, 100)),
    ({"metric": "schedule_lag_p99", "above": 0.25}, late(0.25)),
    ({"metric": "generator_cores", "above": 0.75}, cores(0.75)),
]


@pytest.mark.parametrize(("criterion", "at_limit"), AT_THE_LIMIT)
def test_the_limit_itself_is_allowed(criterion: dict[str, Any], at_limit: ProgressInterval) -> None:
    """Any length of time; a delay in the histogram step of the limit does not exceed it."""
    assert set(go(limits(criterion), *[at_limit] * 10)) == {None}


@pytest.mark.parametrize(
    "criterion",
    [
        ABOVE_HALF,
        SLOW,
        {"metric": "latency_p50", "below": 1.0},
        {"metric": "achieved_ratio", "below": 0.5},
        {"metric": "schedule_lag_p99", "above": 0.25},
        {"metric": "generator_cores", "above": 0.8},
    ],
)
def test_without_requests_no_limit_is_exceeded(criterion: dict[str, Any]) -> None:
    """No data is never zero, and not a reason to stop."""
    assert set(go(limits(criterion), *[second(wanted_cores=(None, None))] * 10)) == {None}


def test_an_incomplete_window_has_no_result() -> None:
    """Thirty seconds with errors only: the load ends in the thirtieth second."""
    reasons = go(limits(ABOVE_HALF, window_s=30), *[answered(0, 10)] * 30)
    assert reasons == [None] * 29 + ["error ratio 1 over the last 30 s is above 0.5 (stop_when)"]


def test_time_before_the_start_does_not_count() -> None:
    """Workers already report while they wait for the common start."""
    made = limits(ABOVE_HALF)
    assert go(made, *[answered(0, 1)] * 4, begin_s=-4.0) == [None] * 4  # up to 0 s
    assert go(made, *[answered(0, 1)] * 3)[:2] == [None, None]
    assert made.reached() is not None


def test_a_load_continues_if_the_target_recovers_within_the_window() -> None:
    """Ten seconds of errors are less than half of thirty, and then leave the window."""
    good, bad = answered(100, 0), answered(0, 100)
    made = limits(ABOVE_HALF, window_s=30)
    assert set(go(made, *[good] * 20, *[bad] * 10, *[good] * 40)) == {None}
    # fifteen are exactly half, one more is too much
    assert set(go(limits(ABOVE_HALF, window_s=30), *[good] * 20, *[bad] * 15)) == {None}
    assert go(limits(ABOVE_HALF, window_s=30), *[good] * 20, *[bad] * 16)[-1] is not None


def test_values_that_left_the_window_no_longer_count() -> None:
    """A slow start has no effect four seconds later."""
    made = limits(SLOW | {"window_s": 5})
    assert go(made, took(9.0), took(9.0))[-1] is None
    assert set(go(made, *[took(*[0.1] * 100)] * 10, begin_s=2)) == {None}
    made = limits(SLOW)
    assert (
        go(made, *[took(0.1)] * 50, *[took(9.0)])[-1] == "latency p95 9.02 s over the last 3 s is above 1 s (stop_when)"
    )


def test_reports_may_have_any_interval() -> None:
    """As few reports as cover the window are used: three of 1.2 s for a window of 3 s."""
    made, reasons = limits(ABOVE_HALF), []
    for number, failed in enumerate([0, 0, 100, 0, 0, 0], start=1):
        made.take_in(progress(elapsed_s=1.2 * number, interval=answered(90, failed)))
        reasons.append(made.reached())
    assert reasons == [None] * 6  # 100 of 370
    made = limits(ABOVE_HALF, window_s=1)
    made.take_in(progress(elapsed_s=0.9, interval=answered(0, 1)))
    assert made.reached() is None
    made.take_in(progress(elapsed_s=1.8, interval=answered(0, 1)))
    assert made.reached() is not None


def test_a_late_report_covers_its_own_window() -> None:
    """After a machine stood still for 5 s, one report covers all of them."""
    made = limits(ABOVE_HALF)
    made.take_in(progress(elapsed_s=1.0, interval=answered(100, 0)))
    made.take_in(progress(elapsed_s=6.0, interval=answered(0, 10)))
    assert made.reached() == "error ratio 1 over the last 3 s is above 0.5 (stop_when)"


def test_the_first_exceeded_limit_is_kept() -> None:
    """The load is being stopped, and its reason must not change."""
    made = limits(SLOW, ABOVE_HALF)
    bad = second(failed=9, finished=1, latencies=counts_of(0.1))
    reasons = go(made, bad, bad, bad, *[took(5.0)] * 3, *[took(0.1)] * 9)
    assert set(reasons[2:]) == {"error ratio 0.9 over the last 3 s is above 0.5 (stop_when)"}


def test_the_order_in_the_scenario_decides_between_two_limits() -> None:
    """The criteria are checked from first to last."""
    both = second(failed=9, finished=1, latencies=counts_of(5.0))
    assert str(go(limits(SLOW, ABOVE_HALF), *[both] * 3)[-1]).startswith("latency p95")
    assert str(go(limits(ABOVE_HALF, SLOW), *[both] * 3)[-1]).startswith("error ratio")


def test_each_criterion_has_its_own_window() -> None:
    """A high limit for a short window, or a lower one for a longer window."""
    made = limits(ABOVE_HALF | {"window_s": 10}, ABOVE_HALF | {"above": 0.9, "window_s": 2})
    assert go(made, *[answered(100, 0)] * 3, answered(0, 100), answered(0, 100))[-1] == (
        "error ratio 1 over the last 2 s is above 0.9 (stop_when)"
    )


def test_without_criteria_no_limit_is_exceeded() -> None:
    """Criteria with queries are checked elsewhere."""
    query = {"query": "x", "above": 0}
    assert set(go(limits(query), *[answered(0, 1)] * 9)) == set(go(LoadLimits(), answered(0, 1))) == {None}


# A target that hangs: no answer comes, and no time-out yet


def hanging(*waits_s: float, finished: int = 0) -> ProgressInterval:
    return second(waits=counts_of(*waits_s), finished=finished, latencies=counts_of(*[0.1] * finished))


def test_requests_that_wait_longer_than_the_limit_count_as_slow() -> None:
    """Their age is a lower bound of their latency; younger requests do not count yet."""
    reasons = go(limits(SLOW), hanging(0.9), hanging(1.0, 0.9, 0.1), hanging(2.0, 1.9, 0.2))
    assert reasons == [None, None, "latency p95 2.01 s over the last 3 s is above 1 s (stop_when)"]


def test_some_hanging_requests_among_many_responses() -> None:
    """5 of 100 are at the 95th percentile, 6 of 101 beyond it; each waiting request counts once."""
    good = [hanging(finished=30), hanging(finished=30)]
    assert go(limits(SLOW), *good, hanging(*[7.0] * 5, finished=35))[-1] is None
    assert go(limits(SLOW), *good, hanging(*[7.0] * 6, finished=35))[-1] is not None


def test_a_hanging_target_is_not_below_a_limit() -> None:
    """Its latency is not below a limit that it has already exceeded."""
    assert set(go(limits({"metric": "latency_p50", "below": 1.0}), *[hanging(5.0)] * 5)) == {None}


def test_requests_that_wait_for_the_full_window_count_as_failed() -> None:
    """Before the time-out: 30 of 40 have been waiting for more than three seconds."""
    waiting = [*[3.2] * 30, *[2.0] * 60]
    reasons = go(limits(ABOVE_HALF), answered(10, 0), answered(0, 0), hanging(*waiting))
    assert reasons[-1] == "error ratio 0.75 over the last 3 s is above 0.5 (stop_when)"
    reasons = go(limits(ABOVE_HALF), answered(10, 0), answered(0, 0), hanging(*[2.9] * 90))
    assert reasons[-1] is None


def test_two_workers_are_one_load() -> None:
    """Half of the requests fail: 100 of 200 a second are the limit, and one more exceeds it."""

    def report(failed: int, number: int, **changes: Any) -> dict[str, Any]:
        so_far = {"due": 100 * number, "sent": 100 * number, "finished": (100 - failed) * number}
        made = {"elapsed_s": float(number), "rate_rps": 100.0, "failed": failed * number, "in_flight": 0}
        return so_far | made | {"is_measuring": True, "lags": {}, "waits": {}, "wanted_cores": 0.2} | changes

    def reached_with(*failed: int) -> str | None:
        made, load = limits(ABOVE_HALF), LoadProgress(workers=2, total_s=60.0)
        for number in (1, 2, 3):
            for worker in (1, 0):
                total = load.take_in(worker, report(failed[worker], number, latencies={}))
            assert total is not None
            made.take_in(total)
        return made.reached()

    assert reached_with(100, 100) == "error ratio 1 over the last 3 s is above 0.5 (stop_when)"
    assert reached_with(0, 100) is None  # 300 of 600
    assert reached_with(1, 100) == "error ratio 0.505 over the last 3 s is above 0.5 (stop_when)"  # 303 of 600
