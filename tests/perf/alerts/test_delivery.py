"""Delivering what has to be told: once, in order, whatever fails on the way."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from include.perf.alerts.book import AlertBook, Chart, Delivery, Event, Message, Posted, Problem, ProblemKind
from include.perf.alerts.delivery import SETTLES, OutboxSender
from include.perf.model.cell import CellName
from include.perf.model.errors import DeliveryError, DeliveryUnknown
from include.perf.runs.record import Severity
from tests.fakes.clock import START
from tests.fakes.results_store import MemoryStore
from tests.perf.alert_words import message

T = TypeVar("T")

PROBLEM = Problem(
    id="run-1",
    kind=ProblemKind.REGRESSION,
    channel="#trading",
    cells=(CellName("gateway", "market_open"),),
    title="it is slower",
    opened_at=START,
    last_seen_at=START,
    severity=Severity.WARNING,
)


def delivery(event: Event, **changes: object) -> Delivery:
    """Return something to be said of the problem."""
    made = Delivery(
        id=f"id-{event}",
        event=event,
        channel="#trading",
        message=message(event.value),
        created_at=START,
        problem_id=PROBLEM.id,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


class Crash(BaseException):
    """The process is killed."""


class MemoryBook:
    """Keeps the book; a block that is left by an error changes nothing."""

    def __init__(self, *outbox: Delivery, posted: Posted | None = None) -> None:
        self.book = AlertBook(problems=[replace(PROBLEM, posted=posted)], outbox=list(outbox))
        self.now = START

    def clock(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def read(self) -> AlertBook:
        return copy.deepcopy(self.book)

    def update(self, change: Callable[[AlertBook], T]) -> T:
        changed = self.read()
        result = change(changed)
        self.book = changed
        return result

    @contextmanager
    def delivering(self) -> Iterator[None]:
        yield


class FakeSlack:
    """Takes messages, or fails as a test says.

    Attributes:
        faults: raised by the posts to come, one after another; ``None`` for none.
        arrives: whether a post that fails arrived all the same.
        no_more: why neither charts nor a mark are taken.
        cannot_look: why nobody can tell what is there.
    """

    def __init__(self, *faults: BaseException | None, arrives: bool = False, has_threads: bool = True) -> None:
        self.faults = list(faults)
        self.arrives = arrives
        self.has_threads = has_threads
        self.cannot_look: DeliveryError | None = None
        self.no_more: DeliveryError | None = None
        self.messages: dict[str, tuple[str, str | None, bool]] = {}
        self.replaced: list[tuple[Posted, str]] = []
        self.attached: list[tuple[Posted, list[str]]] = []

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        fault = self.faults.pop(0) if self.faults else None
        if fault is None or self.arrives:
            assert delivery.id not in self.messages, "it was sent twice"
            self.messages[delivery.id] = (delivery.message.text, thread.ts if thread else None, broadcast)
        if fault is not None:
            raise fault
        return Posted("C1", f"ts-{delivery.id}") if self.has_threads else None

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        if self.cannot_look is not None:
            raise self.cannot_look
        return Posted("C1", f"ts-{delivery.id}") if delivery.id in self.messages else None

    def replace(self, posted: Posted, message: Message) -> None:
        if self.no_more is not None:
            raise self.no_more
        self.replaced.append((posted, message.text))

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        if self.no_more is not None:
            raise self.no_more
        self.attached.append((posted, [chart.name for chart in charts]))


def with_charts() -> MemoryStore:
    """Return a store with a run that has one chart."""
    store = MemoryStore()
    store.runs_by_uri["file:///run"] = {"charts/latency.png": b"png"}
    return store


def deliver(store: MemoryBook, slack: FakeSlack, **changes: object) -> list[str]:
    """Deliver all that waits."""
    parts = {"store": store, "messenger": slack, "runs": MemoryStore(), "clock": store.clock}
    return OutboxSender(**(parts | changes)).deliver()  # type: ignore[arg-type]


FIRST = Posted("C1", "ts-id-opened")
UNREACHABLE = DeliveryError("Slack is not reachable")
TIMED_OUT = DeliveryUnknown("Slack did not answer in time")


def test_a_problem_and_its_thread() -> None:
    """The first message begins the thread, the others answer it, and the worse one is shown in the channel too."""
    store = MemoryBook(*(delivery(event) for event in (Event.OPENED, Event.CONTINUES, Event.WORSENED)))
    slack = FakeSlack()
    assert deliver(store, slack) == []
    assert list(slack.messages.values()) == [
        ("opened", None, False),
        ("continues", "ts-id-opened", False),
        ("worsened", "ts-id-opened", True),
    ]
    assert store.book.outbox == []
    assert store.book.problems[0].posted == FIRST


def test_the_end_is_marked_on_the_first_message() -> None:
    """It says there that it is over."""
    store = MemoryBook(delivery(Event.RECOVERED, mark=message("recovered: it is slower")), posted=FIRST)
    slack = FakeSlack()
    assert deliver(store, slack) == []
    assert slack.replaced == [(FIRST, "recovered: it is slower")]


def test_what_did_not_arrive_is_kept_in_order() -> None:
    """The answers wait for the message that they answer; the next run sends all, each once."""
    store = MemoryBook(delivery(Event.OPENED), delivery(Event.WORSENED), delivery(Event.DIGEST, problem_id=None))
    slack = FakeSlack(UNREACHABLE)
    assert deliver(store, slack) == [
        "Slack is not reachable",
        "it waits for the message that it answers: worsened",
    ]
    assert [(each.event, each.attempts, each.is_unsure) for each in store.book.outbox] == [
        (Event.OPENED, 1, False),
        (Event.WORSENED, 0, False),
    ]
    assert deliver(store, slack) == []
    assert [text for text, _, _ in slack.messages.values()] == ["digest", "opened", "worsened"]


def test_what_another_one_delivered_meanwhile_is_not_sent_again() -> None:
    """This process stood still for so long that another one took its place, and emptied the outbox."""
    store = MemoryBook(delivery(Event.DIGEST, problem_id=None), delivery(Event.OPENED), delivery(Event.WORSENED))
    slack = FakeSlack()
    others: list[list[str]] = []

    def stand_still(_: Delivery) -> None:
        if not others:
            others.append([])
            others[0] += deliver(store, slack)

    assert deliver(store, slack, also=stand_still) == []
    assert others == [[]]
    assert list(slack.messages) == ["id-digest", "id-opened", "id-worsened"]
    assert store.book.outbox == []


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("fault", [TIMED_OUT, Crash()])
def test_a_doubt_is_settled_by_looking(fault: BaseException, arrives: bool) -> None:
    """A time-out, or a crash between sending and remembering: what arrived is not sent again; its thread is known."""
    store, slack = MemoryBook(delivery(Event.OPENED)), FakeSlack(fault, arrives=arrives)
    with suppress(Crash):
        assert deliver(store, slack) == ["Slack did not answer in time"]
    assert [each.is_unsure for each in store.book.outbox] == [True]
    assert deliver(store, slack) == []
    assert len(slack.messages) == 1
    assert store.book.problems[0].posted == FIRST
    assert store.book.outbox == []


def test_a_doubt_that_nobody_can_settle_is_told_and_given_up() -> None:
    """Twice would be worse; what comes after it stands by itself."""
    store, slack = MemoryBook(delivery(Event.OPENED), delivery(Event.WORSENED)), FakeSlack(TIMED_OUT)
    deliver(store, slack)
    slack.cannot_look = DeliveryError("missing_scope")
    assert deliver(store, slack) == ["it may have arrived or not, and is not sent again (missing_scope): opened"]
    assert list(slack.messages.values()) == [("worsened", None, True)]
    assert store.book.outbox == []


def test_a_doubt_waits_while_nobody_can_look() -> None:
    """Slack is still down, or the message may be under way: it is neither given up nor sent again."""
    store, slack = MemoryBook(delivery(Event.OPENED)), FakeSlack(TIMED_OUT)
    deliver(store, slack)
    slack.cannot_look = DeliveryUnknown("Slack is not reachable")
    assert deliver(store, slack) == ["Slack is not reachable"]
    slack.cannot_look = None
    (waiting,) = store.book.outbox
    assert waiting.sent_at is not None
    early = {"clock": lambda: waiting.sent_at + SETTLES - timedelta(seconds=1)}
    assert deliver(store, slack, **early) == ["it was sent a moment ago, and may arrive yet: opened"]
    assert slack.messages == {}
    assert deliver(store, slack) == []
    assert list(slack.messages) == ["id-opened"]


def test_without_threads_the_same_is_not_told_again() -> None:
    """A webhook: what begins, gets worse and ends is told, and nothing else."""
    events = (Event.OPENED, Event.CONTINUES, Event.WORSENED, Event.CONTINUES, Event.RECOVERED)
    outbox = [delivery(event, id=str(number)) for number, event in enumerate(events)]
    store, slack = MemoryBook(*outbox), FakeSlack(has_threads=False)
    assert deliver(store, slack) == []
    assert [text for text, _, _ in slack.messages.values()] == ["opened", "worsened", "recovered"]
    assert {thread for _, thread, _ in slack.messages.values()} == {None}
    assert (slack.replaced, slack.attached) == ([], [])


def test_charts_go_into_the_thread(tmp_path: Path) -> None:
    """Those that are there; a chart that could not be drawn is left out."""
    charts = (Chart("file:///run", "comparison.png"), Chart("file:///run", "latency.png"))
    store, slack = MemoryBook(delivery(Event.OPENED, charts=charts)), FakeSlack()
    assert deliver(store, slack, runs=with_charts()) == []
    assert slack.attached == [(FIRST, ["latency.png"])]


def test_charts_and_marks_that_did_not_arrive_come_later(tmp_path: Path) -> None:
    """The message is not sent again for them, and others are told of it once."""
    told: list[Event] = []
    parts = {"runs": with_charts(), "also": lambda each: told.append(each.event)}
    charts = (Chart("file:///run", "latency.png"),)
    store = MemoryBook(delivery(Event.OPENED, charts=charts), delivery(Event.RECOVERED, mark=message("over")))
    slack = FakeSlack()
    slack.no_more = DeliveryError("Slack is not reachable")
    assert deliver(store, slack, **parts) == ["Slack is not reachable"] * 2
    slack.no_more = None
    assert deliver(store, slack, **parts) == []
    assert (slack.attached, slack.replaced) == ([(FIRST, ["latency.png"])], [(FIRST, "over")])
    assert list(slack.messages) == ["id-opened", "id-recovered"]
    assert told == [Event.OPENED, Event.RECOVERED]
    assert store.book.outbox == []


def test_charts_of_which_nobody_knows_are_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """Two of each would be worse."""
    store, slack = MemoryBook(delivery(Event.OPENED, charts=(Chart("file:///run", "x.png"),))), FakeSlack()
    slack.no_more = TIMED_OUT
    assert deliver(store, slack, runs=with_charts()) == []
    assert "perhaps not its charts: Slack did not answer in time" in caplog.text
    assert store.book.outbox == []


def test_lost_charts_are_only_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The message counts."""
    store, slack = MemoryBook(delivery(Event.OPENED, charts=(Chart("file:///gone", "x.png"),))), FakeSlack()
    assert deliver(store, slack) == []
    assert "the message is there, but perhaps not its charts: there is no run file:///gone" in caplog.text


def test_other_channels_are_told_of_what_was_delivered(caplog: pytest.LogCaptureFixture) -> None:
    """And keep nothing back when they fail."""
    told: list[Event] = []

    def also(delivery: Delivery) -> None:
        told.append(delivery.event)
        raise DeliveryError("mailto did not take it")

    store, slack = MemoryBook(delivery(Event.OPENED), delivery(Event.WORSENED)), FakeSlack(UNREACHABLE)
    deliver(store, slack, also=also)
    assert told == []
    assert deliver(store, slack, also=also) == []
    assert told == [Event.OPENED, Event.WORSENED]
    assert "other channels were not told: mailto did not take it" in caplog.text
