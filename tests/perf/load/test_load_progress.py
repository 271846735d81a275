"""How a load of several workers is going, added up from what each of them tells."""

import json
from typing import Any

import pytest

from include.perf.load.generator import LoadProgress, Progress, ProgressInterval
from tests.fakes.generator import counts_of


def report(**changes: Any) -> dict[str, Any]:
    """One worker's second, as it comes out of the pipe: 100 due, 98 answered, 2 of them wrong."""
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


def told(progress: Progress | None) -> Progress:
    assert progress is not None
    return progress


def test_one_worker_is_told_of_as_it_tells() -> None:
    """Latencies and lags are the histogram's, exact to half a percent."""
    progress = told(LoadProgress(workers=1, total_s=60.0).take_in(0, report()))
    assert (progress.elapsed_s, progress.total_s, progress.rate_rps) == (1.0, 60.0, 100.0)
    assert (progress.due, progress.finished, progress.failed, progress.in_flight) == (100, 96, 2, 2)
    assert progress.latency_p50_s == progress.latency_p99_s == pytest.approx(0.010, rel=0.005)
    assert progress.lag_p99_s == pytest.approx(0.001, rel=0.005)


def test_two_workers_are_added_up() -> None:
    """Counts and rates are sums, the time is the latest, and delays are those of both together."""
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
    progress = told(load.take_in(0, first))
    assert (progress.elapsed_s, progress.rate_rps, progress.due) == (1.1, 150.5, 150)
    assert (progress.finished, progress.failed, progress.in_flight) == (136, 9, 5)
    # 60 at 10 ms and 40 at 30 ms; 99 lags of 1 ms and one of 8 ms
    assert progress.latency_p50_s == pytest.approx(0.010, rel=0.005)
    assert progress.latency_p95_s == pytest.approx(0.030, rel=0.005)
    assert progress.lag_p99_s == pytest.approx(0.001, rel=0.005)


def test_nothing_is_told_before_all_have_told() -> None:
    """Half a load would look like a load that goes wrong."""
    load = LoadProgress(workers=3, total_s=60.0)
    assert [load.take_in(0, report()), load.take_in(0, report()), load.take_in(2, report())] == [None] * 3
    assert load.take_in(1, report()) is None
    assert told(load.take_in(0, report())).due == 300


def test_it_is_told_once_a_second() -> None:
    """When the first worker tells, with the latest of the others."""
    load = LoadProgress(workers=2, total_s=60.0)
    load.take_in(1, report())
    assert told(load.take_in(0, report())).due == 200
    assert load.take_in(1, report(due=190)) is None
    assert load.take_in(1, report(due=290)) is None
    assert told(load.take_in(0, report(due=200))).due == 490


def test_latencies_are_so_far_and_lags_of_the_second() -> None:
    """A slow second long ago stays in the percentiles; a late release does not."""
    load = LoadProgress(workers=1, total_s=60.0)
    load.take_in(0, report(latencies=counts_of(0.5), lags=counts_of(0.2)))
    progress = told(load.take_in(0, report(latencies=counts_of(0.01), lags=counts_of(0.001))))
    assert progress.latency_p99_s == pytest.approx(0.5, rel=0.005)
    assert progress.lag_p99_s == pytest.approx(0.001, rel=0.005)
    progress = told(load.take_in(0, report(latencies={}, lags={})))
    assert progress.latency_p99_s == pytest.approx(0.5, rel=0.005)
    assert progress.lag_p99_s is None


def test_the_warm_up_is_forgotten_when_measuring_begins() -> None:
    """Once, with the first worker that measures: its second belongs to the measured part."""
    load = LoadProgress(workers=2, total_s=60.0)
    load.take_in(1, report(latencies=counts_of(5.0)))
    load.take_in(0, report(latencies=counts_of(5.0)))
    load.take_in(1, report(is_measuring=True, latencies=counts_of(0.02)))
    progress = told(load.take_in(0, report(is_measuring=True, latencies=counts_of(0.04))))
    assert progress.latency_p50_s == pytest.approx(0.02, rel=0.005)
    assert progress.latency_p99_s == pytest.approx(0.04, rel=0.005)


def test_before_the_first_answer_there_is_no_latency() -> None:
    """No data is never zero."""
    progress = told(LoadProgress(workers=1, total_s=60.0).take_in(0, report(latencies={}, lags={})))
    assert (progress.latency_p50_s, progress.latency_p95_s, progress.latency_p99_s) == (None, None, None)
    assert progress.lag_p99_s is None


def test_what_is_recent_is_what_came_since() -> None:
    """Counts are differences, delays those of the second; what waits is what waits now."""
    load = LoadProgress(workers=1, total_s=60.0)
    assert told(load.take_in(0, report())).interval == ProgressInterval(
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
    recent = told(load.take_in(0, then)).interval
    assert (recent.due, recent.sent, recent.finished, recent.failed) == (120, 70, 44, 3)
    assert (recent.latencies, recent.waits, recent.wanted_cores) == (counts_of(0.3), {}, (None,))


def test_what_is_recent_of_two_workers() -> None:
    """Sums of both, and each one's cores: also where one has told twice, or not at all since."""
    load = LoadProgress(workers=2, total_s=60.0)
    load.take_in(1, report(due=90, wanted_cores=0.7))
    recent = told(load.take_in(0, report())).interval
    assert (recent.due, recent.finished, recent.wanted_cores) == (190, 192, (0.2, 0.7))
    assert sum(recent.latencies.values()) == sum(recent.lags.values()) == 2
    assert sum(recent.waits.values()) == 4
    load.take_in(1, report(due=140))
    load.take_in(1, report(due=190))
    recent = told(load.take_in(0, report(due=200))).interval
    assert (recent.due, sum(recent.latencies.values())) == (200, 3)  # 100 of each; two reports of the second
    assert told(load.take_in(0, report(due=300))).interval.due == 100


def test_the_end_of_the_warm_up_takes_nothing_from_what_is_recent() -> None:
    """Only the percentiles so far begin anew: a limit holds for all of the load."""
    load = LoadProgress(workers=2, total_s=60.0)
    load.take_in(1, report(latencies=counts_of(5.0)))
    progress = told(load.take_in(0, report(is_measuring=True, latencies=counts_of(0.02))))
    assert progress.latency_p99_s == pytest.approx(0.02, rel=0.005)
    assert progress.interval.latencies == counts_of(5.0, 0.02)
