"""The progress of a load, combined from the reports of its workers."""

import json
from typing import Any

import pytest

from include.perf.load.generator import LoadProgress, Progress, ProgressInterval
from tests.fakes.generator import counts_of


def report(**changes: Any) -> dict[str, Any]:
    """One worker's report of a second, as read from the pipe: 100 due, 98 answered, 2 of them wrong."""
    made = {
        "elapsed_s": 1.0,
        "rate_rps": 100.0,
        "due": 100,
        "sent": 100,
        "finished": 96,
        "failed": 2,
        "in_flight": 2,
        "is_measuring": False,
        "latencies": counts_of(0.010),
        "lags": counts_of(0.001),
        "waits": counts_of(0.004, 0.006),
        "wanted_cores": 0.2,
    }
    read: dict[str, Any] = json.loads(json.dumps(made | changes))
    return read


def present(progress: Progress | None) -> Progress:
    assert progress is not None
    return progress


def test_the_report_of_one_worker_is_the_progress() -> None:
    """Latencies and lags are quantiles of the histogram, accurate to half a percent."""
    progress = present(LoadProgress(workers=1, total_s=60.0).take_in(0, report()))
    assert (progress.elapsed_s, progress.total_s, progress.rate_rps) == (1.0, 60.0, 100.0)
    assert (progress.due, progress.finished, progress.failed, progress.in_flight) == (100, 96, 2, 2)
    assert progress.latency_p50_s == progress.latency_p99_s == pytest.approx(0.010, rel=0.005)
    assert progress.lag_p99_s == pytest.approx(0.001, rel=0.005)


def test_the_reports_of_two_workers_are_combined() -> None:
    """Counts and rates are added, the time is the latest, and the histograms of delays are merged."""
    load = LoadProgress(workers=2, total_s=60.0)
    first = report(latencies=counts_of(*[0.010] * 60), lags=counts_of(*[0.001] * 99))
    second = report(
        elapsed_s=1.1,
        rate_rps=50.5,
        due=50,
        finished=40,
        failed=7,
        in_flight=3,
        latencies=counts_of(*[0.030] * 40),
        lags=counts_of(0.008),
    )
    assert load.take_in(1, second) is None
    progress = present(load.take_in(0, first))
    assert (progress.elapsed_s, progress.rate_rps, progress.due) == (1.1, 150.5, 150)
    assert (progress.finished, progress.failed, progress.in_flight) == (136, 9, 5)
    # 60 at 10 ms and 40 at 30 ms; 99 lags of 1 ms and one of 8 ms
    assert progress.latency_p50_s == pytest.approx(0.010, rel=0.005)
    assert progress.latency_p95_s == pytest.approx(0.030, rel=0.005)
    assert progress.lag_p99_s == pytest.approx(0.001, rel=0.005)


def test_there_is_no_progress_before_all_have_reported() -> None:
    """Half of the workers would look like a load at half its rate."""
    load = LoadProgress(workers=3, total_s=60.0)
    assert [load.take_in(0, report()), load.take_in(0, report()), load.take_in(2, report())] == [None] * 3
    assert load.take_in(1, report()) is None
    assert present(load.take_in(0, report())).due == 300


def test_there_is_one_progress_a_second() -> None:
    """It is made when the first worker reports, with the latest reports of the others."""
    load = LoadProgress(workers=2, total_s=60.0)
    load.take_in(1, report())
    assert present(load.take_in(0, report())).due == 200
    assert load.take_in(1, report(due=190)) is None
    assert load.take_in(1, report(due=290)) is None
    assert present(load.take_in(0, report(due=200))).due == 490


def test_latencies_accumulate_and_lags_are_of_the_second() -> None:
    """A slow second long ago stays in the percentiles; a late release does not."""
    load = LoadProgress(workers=1, total_s=60.0)
    load.take_in(0, report(latencies=counts_of(0.5), lags=counts_of(0.2)))
    progress = present(load.take_in(0, report(latencies=counts_of(0.01), lags=counts_of(0.001))))
    assert progress.latency_p99_s == pytest.approx(0.5, rel=0.005)
    assert progress.lag_p99_s == pytest.approx(0.001, rel=0.005)
    progress = present(load.take_in(0, report(latencies={}, lags={})))
    assert progress.latency_p99_s == pytest.approx(0.5, rel=0.005)
    assert progress.lag_p99_s is None


def test_the_warm_up_is_dropped_when_measuring_begins() -> None:
    """With the report of the first worker that measures: its second belongs to the measured part."""
    load = LoadProgress(workers=2, total_s=60.0)
    load.take_in(1, report(latencies=counts_of(5.0)))
    load.take_in(0, report(latencies=counts_of(5.0)))
    load.take_in(1, report(is_measuring=True, latencies=counts_of(0.02)))
    progress = present(load.take_in(0, report(is_measuring=True, latencies=counts_of(0.04))))
    assert progress.latency_p50_s == pytest.approx(0.02, rel=0.005)
    assert progress.latency_p99_s == pytest.approx(0.04, rel=0.005)


def test_before_the_first_answer_there_is_no_latency() -> None:
    """No data is never zero."""
    progress = present(LoadProgress(workers=1, total_s=60.0).take_in(0, report(latencies={}, lags={})))
    assert (progress.latency_p50_s, progress.latency_p95_s, progress.latency_p99_s) == (None, None, None)
    assert progress.lag_p99_s is None


def test_the_interval_is_what_happened_since_the_previous_progress() -> None:
    """Counts are differences, delays are those of the second; waits are those of the requests now in flight."""
    load = LoadProgress(workers=1, total_s=60.0)
    assert present(load.take_in(0, report())).interval == ProgressInterval(
        due=100,
        sent=100,
        finished=96,
        failed=2,
        latencies=counts_of(0.010),
        lags=counts_of(0.001),
        waits=counts_of(0.004, 0.006),
        wanted_cores=(0.2,),
    )
    then = report(due=220, sent=170, finished=140, failed=5, latencies=counts_of(0.3), waits={}, wanted_cores=None)
    interval = present(load.take_in(0, then)).interval
    assert (interval.due, interval.sent, interval.finished, interval.failed) == (120, 70, 44, 3)
    assert (interval.latencies, interval.waits, interval.wanted_cores) == (counts_of(0.3), {}, (None,))


def test_the_interval_of_two_workers() -> None:
    """Sums of both, and the cores of either; one may have reported twice, or not at all."""
    load = LoadProgress(workers=2, total_s=60.0)
    load.take_in(1, report(due=90, wanted_cores=0.7))
    interval = present(load.take_in(0, report())).interval
    assert (interval.due, interval.finished, interval.wanted_cores) == (190, 192, (0.2, 0.7))
    assert sum(interval.latencies.values()) == sum(interval.lags.values()) == 2
    assert sum(interval.waits.values()) == 4
    load.take_in(1, report(due=140))
    load.take_in(1, report(due=190))
    interval = present(load.take_in(0, report(due=200))).interval
    assert (interval.due, sum(interval.latencies.values())) == (200, 3)  # 100 of each; two reports of the second
    assert present(load.take_in(0, report(due=300))).interval.due == 100


def test_the_end_of_the_warm_up_does_not_cut_the_interval() -> None:
    """Only the accumulated percentiles start again: limits apply to the complete load."""
    load = LoadProgress(workers=2, total_s=60.0)
    load.take_in(1, report(latencies=counts_of(5.0)))
    progress = present(load.take_in(0, report(is_measuring=True, latencies=counts_of(0.02))))
    assert progress.latency_p99_s == pytest.approx(0.02, rel=0.005)
    assert progress.interval.latencies == counts_of(5.0, 0.02)
