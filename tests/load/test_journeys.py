"""Journeys in virtual time: when steps are due, what they capture, how they end, and what the end of a load leaves."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from include.load.answer import Answer
from include.load.record import RequestLog, RequestRow
from include.perf.catalogue.journey import CLEAN_UP_S
from include.perf.load.load_plan import JOURNEY, STEP
from tests.load.driven_loads import plan_of, requests_of
from tests.load.journeys import PLACE, POLL, QUOTE, order_journey, prepared_journey
from tests.load.virtual_time import NEVER, Reaction, VirtualLoad, VirtualTime

Answers = Callable[[bytes], Answer]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    return VirtualTime(monkeypatch)


@pytest.fixture
def start(time: VirtualTime, tmp_path: Path) -> Callable[..., VirtualLoad]:
    """Start loads of one journey at 0.5 s; each request takes 0.02 s, and times out after 0.3 s."""

    def begin(
        journey: Any = None,
        *,
        answers: Answers | None = None,
        react: Reaction = lambda _: 0.02,
        timeout_s: float = 0.3,
        others: bool = False,
        **load: Any,
    ) -> VirtualLoad:
        asked = plan_of(tmp_path, "http://gateway", **({"rate_rps": 1, "max_concurrency": 5, "drain_s": 5.0} | load))
        asked = replace(asked, timeout_s=timeout_s)
        entries = [prepared_journey(journey or order_journey()), *(requests_of(asked) if others else ())]
        return VirtualLoad(time, asked, entries, react, answers=answers or Gateway())

    return begin


class Gateway:
    """Answers like a gateway whose order is filled at the second look."""

    def __init__(self, filled_after: int = 2, **changes: Answer) -> None:
        self._looks = count(1)
        self._filled_after = filled_after
        self._changes = changes

    def __call__(self, wire: bytes) -> Answer:
        line = wire.split(b"\r\n", 1)[0].decode()
        method, target, _ = line.split(" ")
        if method in self._changes:
            return self._changes[method]
        if target == "/quotes":
            return Answer(200, b'{"price":1.25}')
        if method == "POST":
            return Answer(201, b'{"id":"A 7"}')
        if method == "DELETE":
            return Answer(200, b"{}")
        state = "filled" if next(self._looks) >= self._filled_after else "open"
        return Answer(200, b'{"state":"%b"}' % state.encode())


def exactly(*times_s: float) -> Any:
    """Times to the microsecond by which an alarm may be late, a few of them one after another."""
    return pytest.approx(list(times_s), abs=2e-5)


def steps_of(load: VirtualLoad) -> list[RequestRow]:
    return [row for row in load.rows if row.part == STEP]


def whole(load: VirtualLoad) -> RequestRow:
    (row,) = [row for row in load.rows if row.part == JOURNEY]
    return row


def ending_of(load: VirtualLoad) -> tuple[list[str], str]:
    """Return the names of the steps in order, and the error of the journey."""
    return [row.endpoint.removeprefix("orders/") for row in steps_of(load)], whole(load).error


def test_each_step_is_due_when_the_answer_before_it_came_and_its_user_had_thought(start: Any) -> None:
    """0.5 s; then 0.02 s for an answer, 0.1 s of thought, 0.02 s; a look at once, the next 0.05 s after its answer."""
    load = start()
    load.pass_until(2)
    load.summary()
    assert ending_of(load) == (["quote", "place", "poll", "poll", "cancel"], "")
    assert [row.due_s for row in steps_of(load)] == exactly(0.5, 0.62, 0.64, 0.71, 0.73)
    assert load.sent_s == exactly(0.5, 0.62, 0.64, 0.71, 0.73)
    assert [row.ended_s - row.due_s for row in steps_of(load)] == exactly(*[0.02] * 5)


def test_the_journey_lasts_from_its_due_time_to_its_last_answer_without_the_clean_up(start: Any) -> None:
    """0.73 s - 0.5 s; its row has the last status and all bytes: 14 + 12 + 16 + 18."""
    load = start()
    load.pass_until(2)
    assert load.summary().rows == load.log.rows
    row = whole(load)
    assert [row.due_s, row.started_s, row.ended_s] == exactly(0.5, 0.5, 0.73)
    assert (row.endpoint, row.arrival, row.error, row.status, row.size) == ("orders", 0, "", 200, 60)
    assert {step.arrival for step in steps_of(load)} == {0}


def test_a_captured_value_stands_in_later_requests(start: Any) -> None:
    """A number stays a number in JSON; text is encoded for the path."""
    load = start()
    load.pass_until(2)
    load.summary()
    assert load.target.wires[1].endswith(b'Content-Length: 14\r\n\r\n{"price":1.25}')
    assert [wire.split(b" ")[1] for wire in load.target.wires[2:]] == [b"/orders/A%207"] * 3


def test_a_slow_answer_delays_the_next_step_and_not_the_next_journey(start: Any) -> None:
    """Two journeys, due at 0.25 s and 0.75 s; the first waits 0.28 s for its quote: the latency is the service's."""
    numbers = count()
    load = start(react=lambda _: 0.28 if next(numbers) == 0 else 0.02, rate_rps=2)
    load.pass_until(3)
    load.summary()
    quotes = [row for row in steps_of(load) if row.endpoint == "orders/quote"]
    assert [row.due_s for row in quotes] == exactly(0.25, 0.75)
    assert [row.ended_s - row.due_s for row in quotes] == exactly(0.28, 0.02)
    places = [row for row in steps_of(load) if row.endpoint == "orders/place"]
    assert [row.due_s for row in places] == exactly(0.63, 0.87)


def test_a_failed_step_abandons_the_journey(start: Any) -> None:
    """Nothing was placed, so there is nothing to cancel."""
    load = start(answers=Gateway(POST=Answer(503, b"full")))
    load.pass_until(2)
    load.summary()
    assert ending_of(load) == (["quote", "place"], "abandoned at orders/place")
    assert steps_of(load)[1].error == "HTTP 503"
    assert steps_of(load)[1].example == "full"


def test_a_journey_that_was_abandoned_cleans_up(start: Any) -> None:
    """The order stays open, so the third look is the last; then it is cancelled."""
    load = start(answers=Gateway(filled_after=9))
    load.pass_until(2)
    load.summary()
    assert ending_of(load) == (["quote", "place", "poll", "poll", "poll", "cancel"], "abandoned at orders/poll")
    assert [row.error for row in steps_of(load)] == ["", "", "", "", "not reached in 3 tries", ""]


def test_a_failure_may_be_ignored(start: Any) -> None:
    """The journey as a whole has not failed then."""
    poll = POLL | {"on_failure": "continue"}
    load = start(order_journey(steps=[QUOTE, PLACE, poll]), answers=Gateway(filled_after=9))
    load.pass_until(2)
    load.summary()
    assert whole(load).error == ""
    assert [row.error for row in steps_of(load)][-2:] == ["not reached in 3 tries", ""]


def test_a_failed_clean_up_counts_for_itself(start: Any) -> None:
    """The journey had reached its end."""
    load = start(answers=Gateway(DELETE=Answer(500, b"")))
    load.pass_until(2)
    load.summary()
    assert (whole(load).error, steps_of(load)[-1].error) == ("", "HTTP 500")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{}", "wrong answer: no order_id"),
        (b'{"id":null}', "wrong answer: no order_id"),
        (b'{"id":{"a":1}}', "wrong answer: no order_id"),
        (b"no JSON", "wrong answer: no order_id"),
        (b'{"id":""}', "wrong answer: unusable order_id"),
        (b'{"id":".."}', "wrong answer: unusable order_id"),
        (b'{"id":"../../admin"}', "wrong answer: unusable order_id"),
        (b'{"id":"%2e%2e"}', "wrong answer: unusable order_id"),
        (b'{"id":NaN}', "wrong answer: unusable order_id"),
    ],
)
def test_an_answer_without_a_usable_value_is_wrong(start: Any, body: bytes, error: str) -> None:
    """A hostile answer leads to no other path."""
    load = start(answers=Gateway(POST=Answer(201, body)))
    load.pass_until(2)
    load.summary()
    assert (steps_of(load)[1].error, whole(load).error) == (error, "abandoned at orders/place")
    assert len(load.target.wires) == 2


def test_a_step_that_times_out_ends_the_journey_as_timed_out(start: Any) -> None:
    """Its latency counts, like that of a request: 0.12 s, and 0.3 s until the time-out."""
    load = start(react=lambda wire: NEVER if wire.startswith(b"POST") else 0.02)
    load.pass_until(2)
    load.summary()
    assert ending_of(load) == (["quote", "place"], "timeout")
    assert whole(load).ended_s - whole(load).due_s == pytest.approx(0.42, abs=1e-4)


def test_a_user_who_thinks_is_busy(start: Any) -> None:
    """With one user, the second of two journeys waits for the first; its latency counts from its due time."""
    long = order_journey(steps=[QUOTE, PLACE | {"think_s": 1.0}], **{"finally": []})
    load = start(long, rate_rps=2, max_concurrency=1)
    load.pass_until(4)
    summary = load.summary()
    assert (summary.capped, summary.concurrency_peak) == (1, 1)
    first, second = [row for row in load.rows if row.part == JOURNEY]
    assert [first.due_s, first.ended_s] == exactly(0.25, 1.29)
    assert [second.due_s, second.started_s, second.ended_s] == exactly(0.75, 1.29, 2.33)


def test_journeys_and_requests_share_the_arrivals(start: Any) -> None:
    """12 arrivals of weights 1, 3 and 2; each is one journey, of four requests here, or one request."""
    load = start(others=True, rate_rps=12, answers=Gateway(filled_after=1))
    load.pass_until(3)
    summary = load.summary()
    arrivals = Counter(row.endpoint for row in load.rows if row.part != STEP)
    assert arrivals == {"orders": 8, "positions": 4}
    assert Counter(row.part for row in load.rows) == {JOURNEY: 2, STEP: 8, "": 10}
    assert (summary.arrivals, summary.measured_arrivals) == (12, 12)


def test_a_stop_in_mid_journey_cleans_up_and_leaves_nothing(start: Any) -> None:
    """The order is on its way when the load is stopped: its answer is still read, and the order cancelled."""
    load = start(react=lambda wire: 0.2 if wire.startswith(b"POST") else 0.02)
    load.pass_until(0.65)
    load.drive.stop("halted")
    load.pass_until(4)
    assert load.summary().ended == "halted"
    assert ending_of(load) == (["quote", "place", "cancel"], "unfinished")
    assert [row.error for row in steps_of(load)] == ["", "unfinished", ""]
    assert steps_of(load)[1].ended_s == pytest.approx(0.65, abs=1e-3)
    assert load.target.wires[-1].startswith(b"DELETE /orders/A%207 ")
    assert load.sent_s[-1] == pytest.approx(0.82, abs=1e-3)


def test_a_user_who_thinks_when_the_load_is_stopped_cleans_up_at_once(start: Any) -> None:
    """Its order is 0.64 s old, and would have been looked at again at 0.71 s."""
    load = start()
    load.pass_until(0.68)
    load.drive.stop("halted")
    load.pass_until(4)
    load.summary()
    assert ending_of(load) == (["quote", "place", "poll", "cancel"], "unfinished")
    assert load.sent_s[-1] == pytest.approx(0.68, abs=1e-3)


def test_the_clean_up_is_bounded(start: Any) -> None:
    """The answer to the order comes 3 s after the stop; then nothing more is sent."""
    load = start(react=lambda wire: 3.0 if wire.startswith(b"POST") else 0.02, timeout_s=60.0)
    load.pass_until(0.65)
    load.drive.stop("halted")
    load.pass_until(0.65 + CLEAN_UP_S + 0.01)
    load.summary()
    load.pass_until(9)
    assert ending_of(load) == (["quote", "place"], "unfinished")
    assert len(load.target.wires) == 2


def test_a_load_waits_for_the_ends_of_its_journeys(start: Any) -> None:
    """The last user thinks for 2 s after the last arrival."""
    load = start(order_journey(steps=[QUOTE, PLACE | {"think_s": 2.0}, POLL]))
    load.pass_until(5)
    load.summary()
    assert ending_of(load) == (["quote", "place", "poll", "poll", "cancel"], "")


def test_a_journey_that_found_no_user_is_in_the_record(start: Any) -> None:
    """As a journey, and as its first request: both are unfinished."""
    load = start(rate_rps=2, max_concurrency=1, react=lambda _: NEVER, timeout_s=60.0, drain_s=0.1)
    load.pass_until(9)
    load.summary()
    assert [(row.endpoint, row.part, row.error) for row in load.rows] == [
        ("orders", JOURNEY, "unfinished"),
        ("orders/quote", STEP, "unfinished"),
    ] * 2


def test_steps_are_counted_as_requests_that_were_due(start: Any) -> None:
    """One arrival, five requests."""
    load = start()
    load.pass_until(2)
    load.summary()
    assert (load.drive.released, load.drive.due, load.drive.sent) == (1, 5, 5)


def test_a_header_a_cookie_and_a_regular_expression_are_captured(start: Any) -> None:
    """``Location`` is an absolute address, of which only the ID is used."""
    captures = {
        "order_id": {"header": "location", "regex": r"/orders/(\w+)$"},
        "session": {"cookie": "sid"},
        "token": {"regex": r'token="(\w+)"'},
    }
    look = {"name": "look", "method": "GET", "path": "/look/$token", "headers": {"X-Session": "s $session"}}
    head = b"HTTP/1.1 201 Created\r\nServer: x\r\nLocation: http://other.example/orders/b9\r\n\r\n"
    answer = Answer(201, b'<a token="t1">', cookies=(b"a=b", b"sid=s%201; Path=/"), head=head)
    place = {"name": "place", "method": "POST", "path": "/orders", "capture": captures}
    load = start(order_journey(steps=[place, look]), answers=Gateway(POST=answer))
    load.pass_until(2)
    load.summary()
    assert whole(load).error == ""
    assert load.target.wires[1].startswith(b"GET /look/t1 HTTP/1.1\r\n")
    assert b"\r\nX-Session: s s%201\r\n" in load.target.wires[1]
    assert load.target.wires[2].startswith(b"DELETE /orders/b9 HTTP/1.1\r\n")


def test_a_captured_token_is_sent_and_never_shown(start: Any, tmp_path: Path) -> None:
    """A service that repeats it in an error does not bring it into the examples."""
    login = {"name": "login", "method": "POST", "path": "/login", "capture": {"token": {"json": "id"}}}
    look = {"name": "look", "method": "GET", "path": "/me", "headers": {"Authorization": "Bearer $token"}}
    load = start(order_journey(steps=[login, look], **{"finally": []}), answers=_repeats_its_token)
    load.pass_until(2)
    load.summary()
    assert b"\r\nAuthorization: Bearer s3cr3t-of-this-user\r\n" in load.target.wires[1]
    failed = steps_of(load)[1]
    assert (failed.error, failed.secrets) == ("HTTP 500", ("s3cr3t-of-this-user",))
    log = RequestLog((tmp_path / "rows.gz").open("wb"), has_journeys=True)
    log.add(failed)
    log.close()
    assert list(log.examples) == ["orders/look HTTP 500"]
    assert "s3cr3t" not in str(log.examples)


def _repeats_its_token(wire: bytes) -> Answer:
    if wire.startswith(b"POST"):
        return Answer(200, b'{"id":"s3cr3t-of-this-user"}')
    return Answer(500, b"who is s3cr3t-of-this-user?")
