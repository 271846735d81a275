"""The driver in virtual time: when requests are due, sent and given up, to the microsecond."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import gevent
import pytest

from include.load.connection import ConnectTimeout
from include.load.pacer import MAX_RELEASES_AT_ONCE
from include.load.progress import ProgressReport
from include.load.tokens import CurrentTokens
from include.perf.catalogue.expectation import Expectation
from include.perf.model.histogram import Histogram
from include.perf.runs.figures import COMPLETED
from tests.fakes.generator import counts_of
from tests.load.driven_loads import plan_of, requests_of
from tests.load.virtual_time import LATE_S, NEVER, UNIX, Reaction, VirtualLoad, VirtualTime

Start = Callable[..., VirtualLoad]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    return VirtualTime(monkeypatch)


@pytest.fixture
def start(time: VirtualTime, tmp_path: Path) -> Start:
    """Start loads of 10/s × 1 s, due at 0.05 s, 0.15 s, … 0.95 s; requests time out after 0.3 s."""

    def begin(react: Reaction, *, plan: dict[str, Any] | None = None, worker: int = 0, **load: Any) -> VirtualLoad:
        asked = plan_of(tmp_path, "http://gateway", **({"rate_rps": 10, "max_concurrency": 20, "drain_s": 5.0} | load))
        asked = replace(asked, **({"timeout_s": 0.3} | (plan or {})))
        return VirtualLoad(time, asked, requests_of(asked), react, worker=worker)

    return begin


def exactly(*times_s: float) -> Any:
    """Times to the microsecond by which an alarm may be late, a few of them one after another."""
    return pytest.approx(list(times_s), abs=1e-5)


DUE_S = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95]


def is_order(wire: bytes) -> bool:
    return wire.startswith(b"POST")


def test_every_request_is_sent_when_it_is_due(start: Start) -> None:
    """Its latency counts from then, on the clock of the schedule."""
    load = start(lambda _: 0.02)
    load.pass_until(2)
    assert load.summary().ended == COMPLETED
    assert load.sent_s == exactly(*DUE_S)
    assert [row.due_s for row in load.rows] == exactly(*DUE_S)
    assert [row.ended_s - row.due_s for row in load.rows] == exactly(*[0.02] * 10)
    assert load.summary().started_at == UNIX
    assert (load.summary().measured_from, load.summary().measured_to) == (UNIX, UNIX + 1)


def test_every_request_has_its_own_timeout(start: Start) -> None:
    """Orders are never answered, positions after 20 ms: an order times out exactly 0.3 s after it was sent."""
    load = start(lambda wire: NEVER if is_order(wire) else 0.02)
    load.pass_until(2)
    summary = load.summary()
    assert Counter((row.endpoint, row.error) for row in load.rows) == {("orders", "timeout"): 6, ("positions", ""): 4}
    for row in load.rows:
        assert row.ended_s - row.started_s == pytest.approx(0.3 if row.endpoint == "orders" else 0.02, abs=1e-5)
    assert load.sent_s == exactly(*DUE_S)
    assert (summary.ended, summary.arrivals, summary.concurrency_peak <= 4) == (COMPLETED, 10, True)
    assert [row.example for row in load.rows if row.error] == ["no complete answer within 0.3 s"] * 6


def test_an_answer_just_in_time_counts(start: Start) -> None:
    """0.299 s of 0.3 s; the deadline of an answered request has no effect."""
    load = start(lambda _: 0.299)
    load.pass_until(2)
    load.summary()
    assert {(row.status, row.error) for row in load.rows} == {(200, "")}


def test_requests_sent_together_time_out_together(start: Start) -> None:
    """After a delay ten are sent at once; one is answered, the others are given up 0.3 s later."""
    reactions = iter([0.1] + [NEVER] * 9)
    load = start(lambda _: next(reactions))
    load.hold_up_until(1.0)
    load.pass_until(2)
    load.summary()
    assert load.sent_s == exactly(*[1.0] * 10)
    assert [row.ended_s for row in load.rows] == exactly(1.1, *[1.3] * 9)


def test_waiting_for_a_connection_does_not_shorten_the_timeout(start: Start) -> None:
    """One connection and no answers: sent at 0.05 s, and then whenever one is given up; latency counts from due."""
    load = start(lambda _: NEVER, max_concurrency=1)
    load.pass_until(4)
    summary = load.summary()
    assert load.sent_s == exactly(*[0.05 + 0.3 * number for number in range(10)])
    assert [row.ended_s - row.started_s for row in load.rows] == exactly(*[0.3] * 10)
    assert [row.started_s - row.due_s for row in load.rows] == exactly(*[0.2 * number for number in range(10)])
    # All but the first found the connection busy.
    assert (summary.capped, summary.concurrency_peak) == (9, 1)


def test_the_user_that_became_idle_last_is_used_first(start: Start) -> None:
    """So few connections are used: one, as long as answers arrive before the next arrival is due."""
    load = start(lambda _: 0.09)
    load.pass_until(2)
    assert load.summary().concurrency_peak == 1


def test_a_late_schedule_reads_answers_in_between(start: Start) -> None:
    """Blocked for 0.6 s at 100/s: 60 are due, and are released twenty at a time."""
    load = start(lambda _: 0.001, rate_rps=100, max_concurrency=100)
    load.hold_up_until(0.6)
    released = []
    for ring in range(4):
        load.pass_until(0.6 + (ring + 0.5) * LATE_S)  # it rings once more in each microsecond
        released.append(load.drive.released)
    assert (MAX_RELEASES_AT_ONCE, released) == (20, [20, 40, 60, 60])
    load.pass_until(2)
    summary = load.summary()
    assert summary.arrivals == len(load.rows) == 100
    # Of 100 lags 60 were 0.005 s, 0.015 s, … 0.595 s; the 50th of all is the 10th of these.
    assert Histogram(summary.schedule_lags).quantile(0.50) == pytest.approx(0.095, rel=0.01)
    assert Histogram(summary.schedule_lags).quantile(1.0) == pytest.approx(0.595, rel=0.01)


def test_lags_are_those_of_the_measured_part(start: Start) -> None:
    """A delay in the warm-up of 1 s is in the rows and not in the summary; the same for arrivals that waited."""
    load = start(lambda _: 0.001, warmup_s=1, max_concurrency=2)
    load.hold_up_until(0.9)
    load.pass_until(3)
    summary = load.summary()
    assert [row.phase for row in load.rows] == ["warmup"] * 10 + ["measured"] * 10
    assert load.rows[0].started_s == pytest.approx(0.9, abs=1e-5)
    assert summary.capped == 0
    assert sum(summary.schedule_lags.values()) == 10
    assert (Histogram(summary.schedule_lags).quantile(1.0) or 1) < 1e-4
    assert (summary.measured_from, summary.measured_to) == (UNIX + 1, UNIX + 2)


def test_a_stop_while_waiting_for_the_last_answers(start: Start) -> None:
    """The window is complete; requests in flight are unfinished."""
    load = start(lambda _: NEVER, plan={"timeout_s": 60.0})
    load.pass_until(1.5)
    assert load.drive.in_flight == 10
    load.drive.stop("stopped by SIGTERM")
    load.drive.stop("and again")
    summary = load.summary()
    assert (summary.ended, summary.measured_to) == ("stopped by SIGTERM", UNIX + 1)
    assert [row.error for row in load.rows] == ["unfinished"] * 10
    assert [row.ended_s for row in load.rows] == exactly(*[1.5] * 10)
    assert {row.example for row in load.rows} == {"no answer when the load ended"}


def test_other_greenlets_run_while_rows_are_written_at_the_end(start: Start, time: VirtualTime) -> None:
    """3,000 arrivals, 2,500 in flight: heartbeats run every 100 rows, and answers that arrive then are ignored."""
    sent = count()
    # Who was sent last is answered first, and has its row last.
    load = start(lambda _: 50 - 0.01 * next(sent), plan={"timeout_s": 60.0}, rate_rps=3_000, max_concurrency=2_500)
    load.pass_until(1.5)
    assert (load.drive.sent, load.drive.in_flight) == (2_500, 2_500)
    load.drive.stop("stopped by SIGTERM")
    rows_at_beats: set[int] = set()

    def beat() -> None:
        while len(load.log.written) < 3_000:
            rows_at_beats.add(len(load.log.written))
            gevent.sleep(0)

    beating, answering = gevent.spawn(beat), gevent.spawn(load.pass_until, 50.0)
    summary = load.summary()
    gevent.killall([beating, answering])
    assert set(range(100, 3_000, 100)) <= rows_at_beats
    assert time.now > 1_020.0  # answers did come
    assert (summary.arrivals, len(load.rows), len({row.due_s for row in load.rows})) == (3_000, 3_000, 3_000)
    assert load.drive.sent == 2_500
    assert Counter(row.example for row in load.rows) == {
        "no answer when the load ended": 2_500,
        "never sent: all connections were busy": 500,
    }
    assert {row.ended_s for row in load.rows} == {1.5}


def test_a_stop_before_the_first_arrival(start: Start) -> None:
    """Nothing was due: no rows, and an empty window."""
    load = start(lambda _: NEVER)
    load.drive.stop("stopped by SIGINT")
    load.pass_until(2)
    summary = load.summary()
    assert (load.rows, summary.arrivals, summary.schedule_lags) == ([], 0, {})
    assert (summary.ended, summary.measured_from, summary.measured_to) == ("stopped by SIGINT", UNIX, UNIX)


def test_a_stop_in_the_middle(start: Start) -> None:
    """0.52 s after the start 5 were due; 2 are in flight, and the window ends there."""
    load = start(lambda _: 0.18)
    load.pass_until(0.52)
    load.drive.stop("stopped by SIGTERM")
    summary = load.summary()
    assert [row.error for row in load.rows] == ["", "", "", "unfinished", "unfinished"]
    assert (summary.arrivals, summary.measured_to) == (5, pytest.approx(UNIX + 0.52))


def test_nothing_is_sent_once_the_load_is_over(start: Start) -> None:
    """Five were due during a delay and have one connection: the load stops during the second; three stay unsent."""
    began = []

    def react(_: bytes) -> float | Exception:
        began.append(None)
        if len(began) < 2:
            return 0.01
        load.drive.stop("stopped by SIGTERM")
        return ConnectionRefusedError(111, "refused")

    load = start(react, max_concurrency=1)
    load.hold_up_until(0.5)
    load.pass_until(2)
    load.summary()
    assert len(load.sent_s) == 2
    assert [row.error for row in load.rows] == ["", "connection refused", *["unfinished"] * 3]
    assert [row.example for row in load.rows][2:] == ["never sent: all connections were busy"] * 3


def test_a_fault_of_the_generator_ends_the_load(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    """An error that no service can cause is logged with its trace, and every arrival has its row."""
    reactions = iter([0.01, 0.01, ZeroDivisionError("on purpose")])
    load = start(lambda _: next(reactions))
    load.pass_until(2)
    summary = load.summary()
    assert summary.ended == "the load generator failed unexpectedly (on purpose); its log has the details"
    assert [row.error for row in load.rows] == ["", "", "unfinished"]
    assert summary.arrivals == 3
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize("changes", [{"wires": []}, {"tokens": CurrentTokens()}])
def test_a_fault_of_the_schedule_ends_the_load(
    time: VirtualTime,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
) -> None:
    """A failed alarm would never ring again, so the load would wait forever; a request is prepared, then released."""
    plan = plan_of(tmp_path, "http://gateway", max_concurrency=2)
    requests = [replace(endpoint, **changes) for endpoint in requests_of(plan)]
    load = VirtualLoad(time, plan, requests, lambda _: 0.01)
    load.pass_until(2)
    assert load.summary().ended.startswith("the load generator failed unexpectedly (")
    assert "Traceback" in caplog.text + capfd.readouterr().err


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (ConnectTimeout("no connection within 1 s"), "timeout"),
        (ConnectionRefusedError(111, "refused"), "connection refused"),
    ],
)
def test_a_failure_of_the_service_does_not_end_the_load(start: Start, err: Exception, kind: str) -> None:
    """It has its row, and the schedule continues."""
    load = start(lambda _: err)
    load.pass_until(2)
    assert load.summary().ended == COMPLETED
    assert [(row.status, row.error, row.size) for row in load.rows] == [(0, kind, 0)] * 10


def test_an_unexpected_answer_has_its_own_kind_of_failure(time: VirtualTime, tmp_path: Path) -> None:
    """With its status, size and text; the other endpoint has no expectation."""
    plan = plan_of(tmp_path, "http://gateway", rate_rps=10, max_concurrency=2)
    expected = Expectation.model_validate({"json": {"status": "filled"}})
    plan = replace(plan, expectations={"orders": expected})
    body = b'{"status":"rejected"}'
    load = VirtualLoad(time, plan, requests_of(plan), lambda _: 0.01, body=body)
    load.pass_until(2)
    load.summary()
    assert Counter((row.endpoint, row.status, row.size, row.error, row.example) for row in load.rows) == {
        ("orders", 200, 21, "wrong answer: status", body.decode()): 6,
        ("positions", 200, 21, "", ""): 4,
    }


@pytest.mark.parametrize("worker", [0, 1, 2])
def test_a_worker_sends_its_share(start: Start, worker: int) -> None:
    """One of three workers sends every third arrival, from its own number on."""
    load = start(lambda _: 0.01, workers=3, worker=worker)
    load.pass_until(2)
    assert load.summary().arrivals == len(DUE_S[worker::3])
    assert load.sent_s == exactly(*DUE_S[worker::3])


def test_a_worker_without_arrivals_ends_with_the_load(start: Start, time: VirtualTime) -> None:
    """Eight workers share 0.5/s × 4 s = 2 arrivals: the last six have none."""
    load = start(lambda _: 0.01, workers=8, worker=7, rate_rps=0.5, duration_s=4)
    load.hold_up_until(4.0)
    load.pass_until(4.0)
    summary = load.summary()
    assert (summary.ended, summary.arrivals, load.rows) == (COMPLETED, 0, [])
    assert summary.measured_to == UNIX + 4


def test_a_report_covers_the_time_since_the_previous_one(start: Start) -> None:
    """Counts are totals; the rate and the lags are those since the previous report."""
    load = start(lambda _: 0.02, warmup_s=1)
    progress = ProgressReport(load.drive, load.log)
    load.pass_until(0.5)
    report = progress.make()
    assert (report["elapsed_s"], report["due"], report["is_measuring"]) == (pytest.approx(0.5), 5, False)
    assert (report["rate_rps"], sum(report["lags"].values())) == (pytest.approx(5 / 0.5), 5)
    load.pass_until(1.0)
    progress.make()
    load.pass_until(2.0)
    report = progress.make()
    assert (report["elapsed_s"], report["due"], report["is_measuring"]) == (pytest.approx(2.0), 20, True)
    assert (report["rate_rps"], sum(report["lags"].values())) == (pytest.approx(10 / 1.0), 10)
    load.pass_until(3)
    load.summary()


def test_progress_of_a_target_that_hangs(start: Start) -> None:
    """Ten in flight, waiting since they were due; the others are never sent."""
    load = start(lambda _: NEVER, plan={"timeout_s": 60.0}, duration_s=3, max_concurrency=10)
    progress = ProgressReport(load.drive, load.log)
    load.pass_until(0.5)
    report = progress.make()
    assert (report["due"], report["sent"], report["in_flight"]) == (5, 5, 5)
    assert report["waits"] == counts_of(0.45, 0.35, 0.25, 0.15, 0.05)  # due at 0.05 s, 0.15 s, …
    load.pass_until(3.0)
    report = progress.make()
    assert (report["due"], report["sent"], report["in_flight"]) == (30, 10, 10)
    assert report["waits"] == counts_of(*(2.95 - number / 10 for number in range(10)))
    assert report["latencies"] == {}
    load.drive.stop("enough")
    load.summary()
    report = progress.make()
    assert (report["due"], report["sent"], report["in_flight"], report["waits"]) == (30, 10, 0, {})


def test_progress_before_the_start(start: Start, time: VirtualTime) -> None:
    """Users wait for the full second of the start: nothing was due, and there is no division by zero."""
    load = start(lambda _: 0.02)
    time.now -= 0.4
    report = ProgressReport(load.drive, load.log).make()
    assert (report["elapsed_s"], report["due"], report["rate_rps"]) == (pytest.approx(-0.4), 0, 0.0)
    assert (report["latencies"], report["lags"], report["in_flight"]) == ({}, {}, 0)
