"""Stalls, found in constructed rows."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from include.perf.measure.stalls import stalls_of
from include.perf.runs.figures import Stall

START = 1_767_787_200.0


def steady(
    *, rate_rps: float = 100.0, duration_s: float = 30.0, service_s: float = 0.02, begin_s: float = 0.0
) -> pd.DataFrame:
    """Return requests at a steady rate, all answered after the same time."""
    due = START + begin_s + np.arange(round(rate_rps * duration_s)) / rate_rps
    return pd.DataFrame(
        {
            "due_at": due,
            "start_lag_s": 0.0,
            "service_time_s": service_s,
            "latency_s": service_s,
            "status": np.int16(200),
        }
    )


def asleep(rows: pd.DataFrame, *, begin_s: float, length_s: float) -> pd.DataFrame:
    """Let the service sleep for a while: it answers the waiting requests when it wakes."""
    slept = rows.copy()
    answered = slept["due_at"] + slept["latency_s"] - START
    waits = (answered >= begin_s) & (slept["due_at"] - START < begin_s + length_s)
    slept.loc[waits, "latency_s"] = begin_s + length_s - (slept["due_at"] - START)
    slept["service_time_s"] = slept["latency_s"]
    return slept


def stalls(rows: pd.DataFrame) -> list[tuple[float, float]]:
    return [(stall.start_s, stall.duration_s) for stall in stalls_of(rows, started_at=START)]


def test_a_service_that_sleeps_has_stalled() -> None:
    """From its last answer, at 9.99 s, until it wakes at 11.5 s: 1.51 s, in which 151 requests became due."""
    rows = asleep(steady(), begin_s=10.0, length_s=1.5)
    ((start_s, duration_s),) = stalls(rows)
    assert start_s == pytest.approx(9.99, abs=0.011)
    assert start_s + duration_s == pytest.approx(11.5, abs=0.002)


def test_a_steady_service_never_stalls() -> None:
    """Neither a fast one, nor one that takes three seconds for everything: answers arrive as evenly as requests."""
    assert stalls(steady()) == []
    assert stalls(steady(service_s=3.0)) == []


@pytest.mark.parametrize(("length_s", "count"), [(0.9, 0), (1.1, 1)])
def test_a_stall_lasts_at_least_a_second(length_s: float, count: int) -> None:
    """A shorter pause affects only the percentiles."""
    assert len(stalls(asleep(steady(), begin_s=10.0, length_s=length_s))) == count


@pytest.mark.parametrize(("rate_rps", "count"), [(5.0, 0), (12.0, 1)])
def test_twenty_requests_must_become_due(rate_rps: float, count: int) -> None:
    """At 5/s ten requests become due in two seconds, and may be unanswered by chance; at 12/s it is 24."""
    assert len(stalls(asleep(steady(rate_rps=rate_rps), begin_s=10.0, length_s=2.0))) == count


def test_an_answer_ends_a_stall() -> None:
    """Two pauses of 1.5 s with one answer between them are two stalls."""
    rows = asleep(steady(), begin_s=10.0, length_s=3.0)
    rows.loc[rows.index[1050], "latency_s"] = 11.5 - 10.5  # due at 10.5 s, answered at 11.5 s
    assert [duration_s for _, duration_s in stalls(rows)] == pytest.approx([1.51, 1.5], abs=0.02)


def test_an_error_is_an_answer_and_a_timeout_is_none() -> None:
    """A service that answers 503 is running; one that lets everything time out is stalled."""
    rows = asleep(steady(), begin_s=10.0, length_s=2.0)
    during = (rows["due_at"] - START).between(10.2, 11.9)
    refusing = rows.copy()
    refusing.loc[during, ["latency_s", "service_time_s", "status"]] = [0.01, 0.01, 503]
    assert stalls(refusing) == []
    timing_out = rows.copy()
    timing_out.loc[during, "status"] = 0
    assert len(stalls(timing_out)) == 1


def test_a_service_that_refuses_connections_has_failed_and_not_stalled() -> None:
    """Nothing waits: every attempt ends at once."""
    rows = steady()
    down = (rows["due_at"] - START).between(10, 15)
    rows.loc[down, ["latency_s", "service_time_s", "status"]] = [0.001, 0.001, 0]
    assert stalls(rows) == []


def test_a_stall_of_the_generator_is_no_stall_of_the_service() -> None:
    """The requests of two seconds were all sent at their end; none was in flight meanwhile."""
    rows = steady()
    due_s = rows["due_at"] - START
    late = due_s.between(10, 12)
    rows.loc[late, "start_lag_s"] = 12 - due_s[late]
    rows.loc[late, "latency_s"] = rows["start_lag_s"] + 0.02
    assert stalls(rows) == []


def test_the_last_requests_may_be_slow() -> None:
    """After the load one request is answered five seconds later than all others; nothing became due meanwhile."""
    rows = steady()
    rows.loc[rows.index[-1], ["latency_s", "service_time_s"]] = 5.0
    assert stalls(rows) == []


def test_a_pause_of_the_load_is_no_stall() -> None:
    """Between two loads no request is in flight."""
    rows = pd.concat([steady(duration_s=5), steady(duration_s=5, begin_s=20)], ignore_index=True)
    assert stalls(rows) == []


def test_there_is_no_stall_before_the_first_answer() -> None:
    """The service may be slow; one that never answers has errors."""
    assert stalls(asleep(steady(), begin_s=0.0, length_s=3.0)) == []
    silent = steady(service_s=10.0).assign(status=0)
    assert stalls(silent) == []
    assert stalls(steady(duration_s=0)) == []


def test_requests_that_were_never_sent_do_not_count() -> None:
    """All connections were busy; only requests that were sent say something about the service."""
    rows = asleep(steady(), begin_s=10.0, length_s=2.0)
    unsent = (rows["due_at"] - START).between(11, 12)
    rows.loc[unsent, ["start_lag_s", "service_time_s", "latency_s", "status"]] = [10.0, 0.0, 10.0, 0]
    ((_, duration_s),) = stalls(rows)
    assert duration_s == pytest.approx(2.01, abs=0.02)


def shuffled(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for seed in range(3):
        yield rows.sample(frac=1, random_state=seed, ignore_index=True)


def test_the_order_of_rows_does_not_matter() -> None:
    """Rows are in the order in which requests ended, and the parts of several workers follow each other."""
    rows = asleep(steady(), begin_s=10.0, length_s=2.0)
    assert [stalls(order) for order in shuffled(rows)] == [stalls(rows)] * 3


def test_times_are_rounded_to_milliseconds() -> None:
    """They are for people to read."""
    (found,) = stalls_of(asleep(steady(rate_rps=333.0), begin_s=10.0, length_s=2.0), started_at=START)
    assert found == Stall(start_s=round(found.start_s, 3), duration_s=round(found.duration_s, 3))
