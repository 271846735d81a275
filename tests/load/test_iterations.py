"""The driver of iterations: users with code of their own, on plain gevent in this process."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gevent
import pandas as pd
import pytest

from include.load.iteration import IterationTimeout, ReportedRequest, UserShare
from include.load.iterations import IterationDrive
from include.load.poller import make_poller
from include.load.record import RequestLog
from include.perf.load.load_plan import GeneratorLog, LoadPlan
from include.perf.measure.request_rows import read_requests
from tests.load.driven_loads import plan_of

Code = Callable[[IterationDrive], None]
"""What a user does in one iteration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Iterated:
    """The results of a load of iterations."""

    rows: pd.DataFrame
    summary: GeneratorLog
    examples: dict[str, str]


def iterate(plan: LoadPlan, *codes: Code, shares: Sequence[int] = (1,), users: int = 20) -> Iterated:
    """Drive a load of iterations to its end.

    Args:
        codes: for each user class what an iteration does.
        shares: their weights.
        users: how many there are of each class.
    """
    path = plan.folder / "requests.csv.gz"
    log = RequestLog(path.open("wb"))
    named = [UserShare(name=f"User{kind}", weight=weight) for kind, weight in enumerate(shares)]
    drive = IterationDrive(plan, named, log, make_poller())

    def live(kind: int, code: Code) -> None:
        seat = drive.take_seat(kind)
        while True:
            try:
                drive.await_iteration(seat)
                code(drive)
            except IterationTimeout:
                continue
            except ValueError as err:
                drive.fail(seat.greenlet, err)

    greenlets = [gevent.spawn(live, kind, code) for kind, code in enumerate(codes) for _ in range(users)]
    gevent.sleep(0)
    try:
        drive.run(start=time.perf_counter() + 0.05, started_at=time.time() + 0.05)
    finally:
        gevent.killall(greenlets)
        log.close()
    return Iterated(rows=read_requests(path), summary=drive.summary(version="test"), examples=log.examples)


def report(drive: IterationDrive, name: str, took_s: float, *, error: object = None, status: int = 200) -> None:
    """Take some time, and report a request as Locust's clients do."""
    started_at = time.time()
    gevent.sleep(took_s)
    drive.take_in(
        ReportedRequest(
            method="GET", name=name, took_s=took_s, size=7, status=status, started_at=started_at, error=error
        )
    )


def test_the_first_request_counts_from_the_due_time_and_a_later_one_from_its_own_start(tmp_path: Path) -> None:
    """100 iterations of two requests: 20 ms of the code's own work before the first count as its latency."""

    def code(drive: IterationDrive) -> None:
        gevent.sleep(0.02)
        report(drive, "/first", 0.01)
        gevent.sleep(0.02)
        report(drive, "/second", 0.01)

    done = iterate(plan_of(tmp_path, "http://127.0.0.1:1"), code)
    rows = done.rows
    assert Counter(rows["endpoint"]) == {"GET /first": 100, "GET /second": 100}
    first, second = (rows[rows["endpoint"] == f"GET /{name}"] for name in ("first", "second"))
    assert sorted(first["due_at"] - done.summary.started_at) == pytest.approx(
        [(number + 0.5) / 100 for number in range(100)], abs=1e-5
    )
    assert 0.03 <= first["latency_s"].median() < 0.045
    assert 0.02 <= first["start_lag_s"].median() < 0.035
    assert 0.01 <= second["latency_s"].median() < 0.02
    assert set(second["start_lag_s"]) == {0.0}
    assert (done.summary.arrivals, done.summary.measured_arrivals, done.summary.rows) == (100, 100, 200)
    assert done.summary.notes == {}


def test_classes_have_exactly_their_share_of_the_iterations(tmp_path: Path) -> None:
    """100 iterations at 3 : 1."""

    def code_for(name: str) -> Code:
        return lambda drive: report(drive, name, 0.0)

    done = iterate(plan_of(tmp_path, "http://127.0.0.1:1"), code_for("/a"), code_for("/b"), shares=(3, 1))
    assert Counter(done.rows["endpoint"]) == {"GET /a": 75, "GET /b": 25}


def test_an_iteration_waits_for_an_idle_user_and_still_counts_from_its_due_time(tmp_path: Path) -> None:
    """One user, 30 ms each, 100 due in a second: the last of those that begin has waited for most of it."""
    plan = plan_of(tmp_path, "http://127.0.0.1:1", drain_s=0.2)
    done = iterate(plan, lambda drive: report(drive, "/slow", 0.03), users=1)
    assert len(done.rows) == 100
    assert done.summary.capped > 60
    good = done.rows[done.rows["error"] == ""]
    assert 30 <= len(good) <= 41
    assert good["latency_s"].max() > 0.6
    waiting = done.rows[done.rows["error"] == "unfinished"]
    assert set(waiting["endpoint"]) == {"task User0"}
    assert "task User0 unfinished" in done.examples


def test_an_exception_is_one_failed_request_with_its_example(tmp_path: Path) -> None:
    """Each iteration reports a good request, and then fails."""

    def code(drive: IterationDrive) -> None:
        report(drive, "/quote", 0.0)
        raise ValueError("no price in the answer")

    done = iterate(plan_of(tmp_path, "http://127.0.0.1:1"), code)
    assert Counter(done.rows["error"]) == {"": 100, "exception ValueError": 100}
    assert done.examples == {"task User0 exception ValueError": "ValueError: no price in the answer"}
    assert done.summary.notes == {
        "{count} iterations of the locustfile raised an exception; each counts as a failed request": 100
    }


def test_an_iteration_without_a_request_is_counted(tmp_path: Path) -> None:
    """There is no row for it: nothing was asked of the service."""
    done = iterate(plan_of(tmp_path, "http://127.0.0.1:1"), lambda drive: gevent.sleep(0))
    assert len(done.rows) == 0
    assert done.summary.notes == {"{count} iterations of the locustfile reported no request": 100}
    assert (done.summary.rows, done.summary.measured_arrivals) == (0, 100)


def test_an_iteration_that_takes_too_long_is_ended_and_its_user_goes_on(tmp_path: Path) -> None:
    """Of two users, each is freed by the time limit, and takes the next iteration."""
    plan = plan_of(tmp_path, "http://127.0.0.1:1", rate_rps=10)
    object.__setattr__(plan, "timeout_s", 0.2)
    done = iterate(plan, lambda drive: gevent.sleep(60), users=2)
    assert len(done.rows) == 10
    timed_out = done.rows[done.rows["error"] == "timeout"]
    assert len(timed_out) >= 8
    assert timed_out["service_time_s"].min() >= 0.19
    assert done.summary.ended == "completed"


def test_code_that_goes_on_after_it_was_ended_ends_the_load(tmp_path: Path) -> None:
    """Otherwise it would send what is not planned."""

    def code(drive: IterationDrive) -> None:
        while True:
            try:
                report(drive, "/again", 0.02)
            except IterationTimeout:
                continue

    plan = plan_of(tmp_path, "http://127.0.0.1:1", rate_rps=2, duration_s=10)
    object.__setattr__(plan, "timeout_s", 0.2)
    done = iterate(plan, code, users=2)
    assert done.summary.ended.startswith("stopped: a task of the locustfile took longer than timeout_s, 0.2 s")
    assert (done.summary.measured_to - done.summary.started_at) < 5


def test_a_greenlet_that_an_iteration_spawns_belongs_to_it(tmp_path: Path) -> None:
    """Two requests side by side: the one that ends first counts from the due time."""

    def code(drive: IterationDrive) -> None:
        gevent.joinall([gevent.spawn(report, drive, "/a", 0.01), gevent.spawn(report, drive, "/b", 0.03)])

    done = iterate(plan_of(tmp_path, "http://127.0.0.1:1", rate_rps=20), code)
    assert Counter(done.rows["endpoint"]) == {"GET /a": 20, "GET /b": 20}
    assert done.summary.notes == {}


def test_requests_outside_iterations_have_rows_and_are_counted(tmp_path: Path) -> None:
    """A greenlet that reads messages by itself reports them whenever they come."""
    listening: list[gevent.Greenlet] = []

    def listen(drive: IterationDrive) -> None:
        for _ in range(3):
            report(drive, "message", 0.01)

    def code(drive: IterationDrive) -> None:
        if not listening:
            listening.append(gevent.spawn_later(0.1, listen, drive))
        report(drive, "/subscribe", 0.0)

    done = iterate(plan_of(tmp_path, "http://127.0.0.1:1", rate_rps=20), code)
    assert Counter(done.rows["endpoint"])["GET message"] == 3
    (note,) = done.summary.notes
    assert note.startswith("{count} requests belong to no iteration")
    assert done.summary.notes[note] == 3


def test_a_start_that_cannot_be_is_not_believed(tmp_path: Path) -> None:
    """A client with another clock, or without one, ended its request just now."""

    def code(drive: IterationDrive) -> None:
        gevent.sleep(0.03)
        for started_at in (None, 17.0, time.time() + 60):
            drive.take_in(ReportedRequest(method="GET", name="/odd", took_s=0.01, size=0, started_at=started_at))

    rows = iterate(plan_of(tmp_path, "http://127.0.0.1:1", rate_rps=20), code).rows
    assert len(rows) == 60
    assert set(rows["service_time_s"]) == {0.01}
    assert rows["start_lag_s"].max() < 0.06


def test_failures_of_clients_keep_their_status_and_text(tmp_path: Path) -> None:
    """As Locust's clients report them: an exception beside the response."""
    done = iterate(
        plan_of(tmp_path, "http://127.0.0.1:1"),
        lambda drive: report(drive, "/broken", 0.0, error=RuntimeError("500 Server Error"), status=500),
    )
    assert set(done.rows["status"]) == {500}
    assert Counter(done.rows["error"]) == {"HTTP 500": 100}
    assert done.examples == {"GET /broken HTTP 500": "500 Server Error"}
