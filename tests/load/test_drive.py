"""The open-model driver against real servers: every arrival has its row, and the row is correct.

Runs on plain gevent in this process: the drive itself needs no Locust, and Locust would patch everything.
"""

import errno
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gevent
import gevent.monkey
import pytest

from include.load.answer import Answer
from include.load.connection import Connection
from include.load.drive import Drive
from include.load.schedule import schedule
from tests.load.driven_loads import FEED, Run, plan_of
from tests.socket_servers import Serve, Talk, always, answer, free_port


def test_the_standard_library_is_not_patched_here() -> None:
    """Importing Locust would patch it for all tests of the run."""
    assert "locust" not in sys.modules
    assert not gevent.monkey.is_module_patched("socket")


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
def test_every_arrival_is_sent_once_and_has_its_row(serve: Serve, tmp_path: Path, arrivals: str) -> None:
    """100/s × (0.5 + 1) s = 150 requests: due on schedule, to the scheduled endpoints, 50 of them warm-up."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request.split(b" ")[1])
            talk.send(answer(b"0123456789"))

    plan = plan_of(tmp_path, serve(script).url, warmup_s=0.5, arrivals=arrivals, max_concurrency=50)
    driven = Run(plan).run()
    rows = driven.rows
    assert (len(rows), len(seen), driven.summary.arrivals) == (150, 150, 150)
    assert Counter(rows["phase"]) == {"warmup": 50, "measured": 100}
    assert Counter(rows["endpoint"]) == {"orders": 90, "positions": 60}  # 3 : 2
    assert (set(rows["status"]), set(rows["bytes"]), driven.kinds) == ({200}, {10}, {"": 150})
    asked = list(schedule(plan.load, [3, 2]))
    assert sorted(driven.due_s) == pytest.approx([due.due_s for due in asked], abs=1e-5)
    names = [FEED.endpoints[due.endpoint].name for due in asked]
    assert [name for _, name in sorted(zip(driven.due_s, rows["endpoint"], strict=True))] == names
    # 90 arrivals over 3 rows, 60 over 2: every request of the feed 30 times
    assert set(Counter(seen).values()) == {30}
    assert driven.summary.ended == "completed"
    assert driven.summary.measured_to - driven.summary.measured_from == pytest.approx(1.0)
    assert driven.summary.measured_from - driven.summary.started_at == pytest.approx(0.5)


def test_latency_counts_from_the_due_time(serve: Serve, tmp_path: Path) -> None:
    """Latency is start lag plus service time in every row."""
    driven = Run(plan_of(tmp_path, serve(always(answer())).url, max_concurrency=20)).run()
    rows = driven.rows
    assert rows["latency_s"].tolist() == pytest.approx(
        (rows["start_lag_s"] + rows["service_time_s"]).tolist(), abs=2e-6
    )
    assert (rows["start_lag_s"] >= 0).all()
    assert (rows["service_time_s"] > 0).all()


def test_a_stuck_server_delays_every_request_that_was_due_meanwhile(serve: Serve, tmp_path: Path) -> None:
    """Four connections, all busy for 0.5 s: the other arrivals wait, timed from their due time, and none is lost."""
    opened: list[float] = []
    lock = threading.Lock()

    def script(talk: Talk) -> None:
        while talk.read_request() is not None:
            with lock:
                if not opened:
                    talk.closing.wait(0.5)
                    opened.append(time.perf_counter())
            talk.send(answer())

    driven = Run(plan_of(tmp_path, serve(script).url, max_concurrency=4)).run()
    assert driven.kinds == {"": 100}
    assert driven.summary.concurrency_peak == 4
    waited = driven.rows[driven.start + driven.due_s < opened[0]]
    # 100/s × 0.5 s = 50 arrivals were due before the server moved on
    assert len(waited) >= 50
    assert driven.summary.capped >= len(waited) - 4
    assert (driven.start + driven.due_s[waited.index] + waited["latency_s"] >= opened[0]).all()


def test_the_schedule_does_not_wait_for_a_slow_server(serve: Serve, tmp_path: Path) -> None:
    """Users that wait for answers would send 2 / 0.2 s = 10 per second; the schedule keeps 100."""

    def script(talk: Talk) -> None:
        while talk.read_request() is not None:
            talk.closing.wait(0.2)
            talk.send(answer())

    driven = Run(plan_of(tmp_path, serve(script).url, max_concurrency=2, drain_s=0.5)).run()
    assert driven.summary.arrivals == len(driven.rows) == 100
    # 2 connections × (1 + 0.5) s / 0.2 s = 15 at most, and one more each that was just begun
    assert 2 <= driven.kinds[""] <= 17
    assert driven.kinds["unfinished"] == 100 - driven.kinds[""]
    never_sent = driven.rows[driven.rows["service_time_s"] == 0]
    assert len(never_sent) == 100 - driven.kinds[""] - 2
    # What was never sent has waited from its due time to the end of the load.
    end_s = driven.due_s.max() + 0.5
    assert (never_sent["latency_s"] >= end_s - driven.due_s[never_sent.index] - 0.01).all()


def test_requests_without_an_answer_time_out(serve: Serve, tmp_path: Path) -> None:
    """They end with a timeout after 0.3 s, or unfinished when the load ends first."""

    def script(talk: Talk) -> None:
        talk.closing.wait()

    plan = plan_of(tmp_path, serve(script).url, rate_rps=50, max_concurrency=50, drain_s=2.0)
    driven = Run(replace(plan, timeout_s=0.3)).run()
    assert driven.kinds == {"timeout": 50}
    assert driven.rows["service_time_s"].between(0.3, 5).all()
    assert driven.rows["status"].tolist() == [0] * 50
    assert driven.summary.error_examples["orders timeout"] == "no complete answer within 0.3 s"


def test_requests_in_flight_at_the_end_are_unfinished(serve: Serve, tmp_path: Path) -> None:
    """There is a row for every arrival even without any answer; its latency is the wait until the end."""

    def script(talk: Talk) -> None:
        talk.closing.wait()

    plan = plan_of(tmp_path, serve(script).url, rate_rps=50, max_concurrency=60, drain_s=0.2)
    driven = Run(replace(plan, timeout_s=60.0)).run()
    assert driven.kinds == {"unfinished": 50}
    # The last is due at 49.5 / 50 = 0.99 s; the load ends 0.2 s later.
    assert (driven.due_s + driven.rows["latency_s"]).min() >= 1.18
    assert driven.ended - driven.start < 10


def _cut(talk: Talk) -> None:
    talk.read_request()
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


def _reset(talk: Talk) -> None:
    talk.read_request()
    talk.reset()


def _hang_up(talk: Talk) -> None:
    talk.read_request()


def _limits(status: str) -> Callable[[Talk], None]:
    return always(answer(b"wait", status=status, headers="Retry-After: 120\r\n"))


TRIES = 5
FAILURES = [
    (_cut, "broken answer", 0, "the server closed the connection before the answer was complete"),
    (_hang_up, "broken answer", 0, "the server closed the connection before the answer was complete"),
    (always(b"SSH-2.0-OpenSSH\r\n"), "broken answer", 0, "the answer is not HTTP/1.1 or HTTP/1.0"),
    (_reset, "connection reset", 0, "Connection reset by peer"),
    (always(answer(b"gone", status="302 Found", headers="Location: http://127.0.0.1:9/\r\n")), "HTTP 302", 302, "gone"),
    (always(answer(b'{"detail":"no"}', status="422 Unprocessable")), "HTTP 422", 422, '{"detail":"no"}'),
    (always(answer(b"\xff!", status="500 Oops")), "HTTP 500", 500, "\ufffd!"),
    (_limits("429 Slow"), "HTTP 429 (Retry-After)", 429, "wait"),
    (_limits("503 Full"), "HTTP 503 (Retry-After)", 503, "wait"),
    (_limits("500 Oops"), "HTTP 500", 500, "wait"),
]


@pytest.mark.parametrize(
    ("script", "kind", "status", "example"),
    FAILURES,
    ids=["cut", "hang up", "garbage", "reset", "302", "422", "500", "429", "503", "500 with Retry-After"],
)
def test_every_failure_is_counted_by_its_kind(
    serve: Serve, tmp_path: Path, script: Callable[[Talk], None], kind: str, status: int, example: str
) -> None:
    """All 50 requests fail and have a row, and one example says why."""
    server = serve(script)
    driven = Run(plan_of(tmp_path, server.url, rate_rps=50, max_concurrency=10)).run()
    assert driven.kinds == {kind: 50}
    assert set(driven.rows["status"]) == {status}
    assert driven.summary.error_examples == {f"orders {kind}": example, f"positions {kind}": example}
    assert driven.summary.ended == "completed"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(serve: Serve, tmp_path: Path, status: str) -> None:
    """It is an answer, and a wrong one; its target gets no connection."""
    elsewhere = serve(always(answer()))
    server = serve(always(answer(b"", status=status, headers=f"Location: {elsewhere.url}/\r\n")))
    driven = Run(plan_of(tmp_path, server.url, max_concurrency=10)).run()
    assert driven.kinds == {f"HTTP {status[:3]}": 100}
    assert elsewhere.accepted == 0


def test_a_server_that_is_down_refuses_every_request(tmp_path: Path) -> None:
    """The load continues: the server may come back."""
    driven = Run(plan_of(tmp_path, f"http://127.0.0.1:{free_port()}", max_concurrency=10)).run()
    assert driven.kinds == {"connection refused": 100}


def test_connections_closed_while_idle_fail_no_request(serve: Serve, tmp_path: Path) -> None:
    """The server closes the connection after its answer without announcing it."""

    def script(talk: Talk) -> None:
        if talk.read_request() is not None:
            talk.send_and_close(answer())
            talk.closing.wait()

    server = serve(script)
    driven = Run(plan_of(tmp_path, server.url, max_concurrency=10)).run()
    assert driven.kinds == {"": 100}
    assert server.accepted == 100


def test_a_late_generator_reports_its_lag(serve: Serve, tmp_path: Path) -> None:
    """The process is blocked for 0.4 s: all arrivals are sent late, and the lag shows it."""

    def hold_up(drive: Drive) -> None:
        while drive.released < 30:
            gevent.sleep(0.001)
        time.sleep(0.4)

    driven = Run(plan_of(tmp_path, serve(always(answer())).url, max_concurrency=60)).run(hold_up)
    assert driven.kinds == {"": 100}
    assert driven.schedule_lag_s(0.99) > 0.3
    # 40 arrivals were due meanwhile; half of them waited for 0.2 s or more
    assert (driven.rows["latency_s"] > 0.19).sum() >= 15
    assert driven.rows["start_lag_s"].max() > 0.3


def test_the_summary_does_not_include_the_warm_up(serve: Serve, tmp_path: Path) -> None:
    """Lag, peak and capped arrivals are those of the measured window; rows are those of both parts."""

    def script(talk: Talk) -> None:
        while talk.read_request() is not None:
            talk.send(answer())

    def hold_up(drive: Drive) -> None:
        while drive.released < 10:
            gevent.sleep(0.001)
        time.sleep(0.8)

    driven = Run(plan_of(tmp_path, serve(script).url, warmup_s=2, max_concurrency=4)).run(hold_up)
    warmup = driven.rows["phase"] == "warmup"
    assert (warmup.sum(), (~warmup).sum()) == (200, 100)
    assert driven.rows[warmup]["start_lag_s"].max() > 0.7
    assert driven.schedule_lag_s(0.99) < 0.5


def test_a_stopped_load_ends_at_once_with_all_its_rows(serve: Serve, tmp_path: Path) -> None:
    """There is a row for every released arrival; the window ends with the load."""

    def stop(drive: Drive) -> None:
        while drive.released < 40:
            gevent.sleep(0.001)
        drive.stop("stopped by SIGTERM")
        drive.stop("stopped again")

    plan = plan_of(tmp_path, serve(lambda talk: _never(talk)).url, duration_s=60, max_concurrency=200)
    driven = Run(plan).run(stop)
    assert driven.summary.ended == "stopped by SIGTERM"
    assert driven.ended - driven.start < 20
    assert driven.summary.arrivals == len(driven.rows) >= 40
    assert driven.kinds == {"unfinished": len(driven.rows)}
    length_s = driven.summary.measured_to - driven.summary.measured_from
    assert driven.due_s.max() <= length_s + 1e-5 < 20


def test_a_stopped_load_reads_the_answers_that_have_arrived(serve: Serve, tmp_path: Path) -> None:
    """They arrived before the stop, and only had to be collected: at 1,000/s no answer wakes the process."""

    answered: list[int] = []

    def script(talk: Talk) -> None:
        while talk.read_request() is not None:
            talk.send(answer())
            answered.append(talk.number)

    def are_all_answered(drive: Drive) -> bool:
        """Block this process, but not the server's threads, until all sent requests are answered."""
        patience = time.monotonic() + 1
        while len(answered) < drive.sent and time.monotonic() < patience:
            time.sleep(0.01)
        return len(answered) == drive.sent

    def stop(drive: Drive) -> None:
        for _ in range(TRIES):
            while drive.released < 300 or not drive.in_flight:
                gevent.sleep(0)
            if are_all_answered(drive):
                break
        drive.stop("stopped by SIGTERM")

    plan = plan_of(tmp_path, serve(script).url, rate_rps=1_000, duration_s=60, max_concurrency=50)
    with gevent.Timeout(20):
        driven = Run(plan).run(stop)
    assert driven.summary.ended == "stopped by SIGTERM"
    assert driven.kinds == {"": driven.summary.arrivals}


def _never(talk: Talk) -> None:
    talk.closing.wait()


def test_a_load_stopped_in_its_warm_up_has_an_empty_window(serve: Serve, tmp_path: Path) -> None:
    """Nothing was measured."""

    def stop(drive: Drive) -> None:
        while drive.released < 5:
            gevent.sleep(0.001)
        drive.stop("stopped by SIGTERM")

    driven = Run(plan_of(tmp_path, serve(always(answer())).url, warmup_s=60, max_concurrency=4)).run(stop)
    assert set(driven.rows["phase"]) == {"warmup"}
    assert driven.summary.measured_from == driven.summary.measured_to


class _Exhausted(Connection):
    """A connection on a machine that has run out of a resource."""

    number = errno.EMFILE

    def send(self, wire: bytes, *, method: str) -> Answer:
        raise OSError(self.number, "Too many open files")


def test_a_generator_without_resources_ends_the_load(tmp_path: Path) -> None:
    """That is no failure of the service, so the run must not count."""
    plan = plan_of(tmp_path, "http://127.0.0.1:9", duration_s=60, max_concurrency=4)
    driven = Run(plan, connection=_Exhausted).run()
    assert driven.summary.ended == (
        "the load generator ran out of file descriptors (Too many open files); raise its limits"
    )
    assert driven.summary.arrivals == len(driven.rows) < 100
