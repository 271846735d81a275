"""Stalls: what is one, worked out from rows that are made up to the request."""

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
    """Return requests at a steady rate, each answered after the same time."""
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
    """Let the service sleep for a while: what it had not answered is answered when it wakes."""
    slept = rows.copy()
    answered = slept["due_at"] + slept["latency_s"] - START
    waits = (answered >= begin_s) & (slept["due_at"] - START < begin_s + length_s)
    slept.loc[waits, "latency_s"] = begin_s + length_s - (slept["due_at"] - START)
    slept["service_time_s"] = slept["latency_s"]
    return slept


def stalls(rows: pd.DataFrame) -> list[tuple[float, float]]:
    return [(each.start_s, each.duration_s) for each in stalls_of(rows, started_at=START)]


def test_a_service_that_sleeps_has_stalled() -> None:
    """From its last answer, at 9.99 s, until it wakes at 11.5 s: 1.51 s, in which 151 requests came due."""
    rows = asleep(steady(), begin_s=10.0, length_s=1.5)
    ((start_s, duration_s),) = stalls(rows)
    assert start_s == pytest.approx(9.99, abs=0.011)
    assert start_s + duration_s == pytest.approx(11.5, abs=0.002)


def test_a_steady_service_never_stalls() -> None:
    """Not a fast one, nor one that takes three seconds for everything: answers come as evenly as requests."""
    assert stalls(steady()) == []
    assert stalls(steady(service_s=3.0)) == []


@pytest.mark.parametrize(("length_s", "count"), [(0.9, 0), (1.1, 1)])
def test_a_stall_is_a_second_at_least(length_s: float, count: int) -> None:
    """A pause that is shorter is in the percentiles only."""
    assert len(stalls(asleep(steady(), begin_s=10.0, length_s=length_s))) == count


@pytest.mark.parametrize(("rate_rps", "count"), [(5.0, 0), (12.0, 1)])
def test_twenty_requests_must_have_come_due(rate_rps: float, count: int) -> None:
    """At 5/s two seconds hold ten requests, of which none may be answered by chance; at 12/s they hold 24."""
    assert len(stalls(asleep(steady(rate_rps=rate_rps), begin_s=10.0, length_s=2.0))) == count


def test_an_answer_ends_a_stall() -> None:
    """Two spells of a second and a half each with one answer between them are two."""
    rows = asleep(steady(), begin_s=10.0, length_s=3.0)
    rows.loc[rows.index[1050], "latency_s"] = 11.5 - 10.5  # due at 10.5 s, answered at 11.5 s
    assert [duration_s for _, duration_s in stalls(rows)] == pytest.approx([1.51, 1.5], abs=0.02)


def test_a_failed_answer_is_an_answer_and_a_time_out_is_none() -> None:
    """A service that says 503 is there; one that lets everything time out is not."""
    rows = asleep(steady(), begin_s=10.0, length_s=2.0)
    during = (rows["due_at"] - START).between(10.2, 11.9)
    refusing = rows.copy()
    refusing.loc[during, ["latency_s", "service_time_s", "status"]] = [0.01, 0.01, 503]
    assert stalls(refusing) == []
    timing_out = rows.copy()
    timing_out.loc[during, "status"] = 0
    assert len(stalls(timing_out)) == 1


def test_a_service_that_refuses_connections_has_failed_and_not_stalled() -> None:
    """Nothing waits: each attempt ends at once."""
    rows = steady()
    down = (rows["due_at"] - START).between(10, 15)
    rows.loc[down, ["latency_s", "service_time_s", "status"]] = [0.001, 0.001, 0]
    assert stalls(rows) == []


def test_a_generator_that_stood_still_is_no_stall_of_the_service() -> None:
    """Requests of two seconds were all sent at the end of them; none was with the service meanwhile."""
    rows = steady()
    due_s = rows["due_at"] - START
    late = due_s.between(10, 12)
    rows.loc[late, "start_lag_s"] = 12 - due_s[late]
    rows.loc[late, "latency_s"] = rows["start_lag_s"] + 0.02
    assert stalls(rows) == []


def test_the_last_requests_may_be_slow() -> None:
    """After the load one request is answered five seconds later than all others; nothing came due meanwhile."""
    rows = steady()
    rows.loc[rows.index[-1], ["latency_s", "service_time_s"]] = 5.0
    assert stalls(rows) == []


def test_a_pause_of_the_load_is_no_stall() -> None:
    """Nothing is waited for between two loads."""
    rows = pd.concat([steady(duration_s=5), steady(duration_s=5, begin_s=20)], ignore_index=True)
    assert stalls(rows) == []


def test_before_its_first_answer_a_service_is_not_told_to_stall() -> None:
    """It may be slow; and one that never answers has errors to tell."""
    assert stalls(asleep(steady(), begin_s=0.0, length_s=3.0)) == []
    silent = steady(service_s=10.0).assign(status=0)
    assert stalls(silent) == []
    assert stalls(steady(duration_s=0)) == []


def test_requests_that_were_never_sent_wait_for_nobody() -> None:
    """Every connection being taken, they say nothing of the service; those that were sent do."""
    rows = asleep(steady(), begin_s=10.0, length_s=2.0)
    unsent = (rows["due_at"] - START).between(11, 12)
    rows.loc[unsent, ["start_lag_s", "service_time_s", "latency_s", "status"]] = [10.0, 0.0, 10.0, 0]
    ((_, duration_s),) = stalls(rows)
    assert duration_s == pytest.approx(2.01, abs=0.02)


def shuffled(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for seed in range(3):
        yield rows.sample(frac=1, random_state=seed, ignore_index=True)


def test_the_order_of_rows_does_not_matter() -> None:
    """Rows are in the order in which requests ended, and those of several workers one part after another."""
    rows = asleep(steady(), begin_s=10.0, length_s=2.0)
    assert [stalls(each) for each in shuffled(rows)] == [stalls(rows)] * 3


def test_times_are_told_to_the_millisecond() -> None:
    """They are read by people."""
    (found,) = stalls_of(asleep(steady(rate_rps=333.0), begin_s=10.0, length_s=2.0), started_at=START)
    assert found == Stall(start_s=round(found.start_s, 3), duration_s=round(found.duration_s, 3))
