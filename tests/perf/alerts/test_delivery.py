"""Delivery of the outbox: each message once and in order, whatever fails on the way."""

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
    title="gateway is slower",
    opened_at=START,
    last_seen_at=START,
    severity=Severity.WARNING,
)


def delivery(event: Event, **changes: object) -> Delivery:
    """Return a pending message about the problem."""
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
    """Keeps the book in memory; a failed change has no effect."""

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
    """Accepts messages, or fails as configured.

    Attributes:
        faults: raised by the next posts, one each; ``None`` for a successful post.
        arrives: whether a message arrives although its post fails.
        refusal: raised for charts and marks.
        search_failure: raised by look-ups.
    """

    def __init__(self, *faults: BaseException | None, arrives: bool = False, has_threads: bool = True) -> None:
        self.faults = list(faults)
        self.arrives = arrives
        self.has_threads = has_threads
        self.search_failure: DeliveryError | None = None
        self.refusal: DeliveryError | None = None
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
        if self.search_failure is not None:
            raise self.search_failure
        return Posted("C1", f"ts-{delivery.id}") if delivery.id in self.messages else None

    def replace(self, posted: Posted, message: Message) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.replaced.append((posted, message.text))

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.attached.append((posted, [chart.name for chart in charts]))


def with_charts() -> MemoryStore:
    """Return a store with a run that has one chart."""
    store = MemoryStore()
    store.runs_by_uri["file:///run"] = {"charts/latency.png": b"png"}
    return store


def deliver(store: MemoryBook, slack: FakeSlack, **changes: object) -> list[str]:
    """Deliver all pending messages."""
    parts = {"store": store, "messenger": slack, "runs": MemoryStore(), "clock": store.clock}
    return OutboxSender(**(parts | changes)).deliver()  # type: ignore[arg-type]


FIRST = Posted("C1", "ts-id-opened")
UNREACHABLE = DeliveryError("Slack is not reachable")
TIMED_OUT = DeliveryUnknown("Slack did not answer in time")


def test_a_problem_and_its_thread() -> None:
    """The first message starts the thread, the others reply, and the worse one is also shown in the channel."""
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


def test_the_first_message_is_marked_when_the_problem_ends() -> None:
    """It is replaced by the mark."""
    store = MemoryBook(delivery(Event.RECOVERED, mark=message("recovered: gateway is slower")), posted=FIRST)
    slack = FakeSlack()
    assert deliver(store, slack) == []
    assert slack.replaced == [(FIRST, "recovered: gateway is slower")]


def test_undelivered_messages_are_kept_in_order() -> None:
    """Replies wait for the first message of their thread; the next run sends each message once."""
    store = MemoryBook(delivery(Event.OPENED), delivery(Event.WORSENED), delivery(Event.DIGEST, problem_id=None))
    slack = FakeSlack(UNREACHABLE)
    assert deliver(store, slack) == [
        "Slack is not reachable",
        "a reply waits for the message that starts its thread: worsened",
    ]
    assert [(entry.event, entry.attempts, entry.is_unconfirmed) for entry in store.book.outbox] == [
        (Event.OPENED, 1, False),
        (Event.WORSENED, 0, False),
    ]
    assert deliver(store, slack) == []
    assert [text for text, _, _ in slack.messages.values()] == ["digest", "opened", "worsened"]


def test_what_another_process_delivered_is_not_sent_again() -> None:
    """This process was suspended for so long that another one emptied the outbox."""
    store = MemoryBook(delivery(Event.DIGEST, problem_id=None), delivery(Event.OPENED), delivery(Event.WORSENED))
    slack = FakeSlack()
    others: list[list[str]] = []

    def suspend(_: Delivery) -> None:
        if not others:
            others.append([])
            others[0] += deliver(store, slack)

    assert deliver(store, slack, forward=suspend) == []
    assert others == [[]]
    assert list(slack.messages) == ["id-digest", "id-opened", "id-worsened"]
    assert store.book.outbox == []


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("fault", [TIMED_OUT, Crash()])
def test_an_unconfirmed_message_is_looked_up(fault: BaseException, arrives: bool) -> None:
    """After a timeout, or a crash between sending and storing: a message that arrived is not sent again."""
    store, slack = MemoryBook(delivery(Event.OPENED)), FakeSlack(fault, arrives=arrives)
    with suppress(Crash):
        assert deliver(store, slack) == ["Slack did not answer in time"]
    assert [entry.is_unconfirmed for entry in store.book.outbox] == [True]
    assert deliver(store, slack) == []
    assert len(slack.messages) == 1
    assert store.book.problems[0].posted == FIRST
    assert store.book.outbox == []


def test_an_unconfirmed_message_is_dropped_where_search_is_impossible() -> None:
    """A duplicate would be worse; later messages have no thread."""
    store, slack = MemoryBook(delivery(Event.OPENED), delivery(Event.WORSENED)), FakeSlack(TIMED_OUT)
    deliver(store, slack)
    slack.search_failure = DeliveryError("missing_scope")
    assert deliver(store, slack) == ["the message may have arrived, and is not sent again (missing_scope): opened"]
    assert list(slack.messages.values()) == [("worsened", None, True)]
    assert store.book.outbox == []


def test_an_unconfirmed_message_waits_while_search_fails() -> None:
    """Slack is still down, or the message may still arrive: it is neither dropped nor sent again."""
    store, slack = MemoryBook(delivery(Event.OPENED)), FakeSlack(TIMED_OUT)
    deliver(store, slack)
    slack.search_failure = DeliveryUnknown("Slack is not reachable")
    assert deliver(store, slack) == ["Slack is not reachable"]
    slack.search_failure = None
    (waiting,) = store.book.outbox
    assert waiting.sent_at is not None
    early = {"clock": lambda: waiting.sent_at + SETTLES - timedelta(seconds=1)}
    assert deliver(store, slack, **early) == [
        "the message was sent less than a minute ago and may still arrive: opened"
    ]
    assert slack.messages == {}
    assert deliver(store, slack) == []
    assert list(slack.messages) == ["id-opened"]


def test_without_threads_nothing_is_repeated() -> None:
    """A webhook gets the start, changes for the worse and the end of a problem."""
    events = (Event.OPENED, Event.CONTINUES, Event.WORSENED, Event.CONTINUES, Event.RECOVERED)
    outbox = [delivery(event, id=str(number)) for number, event in enumerate(events)]
    store, slack = MemoryBook(*outbox), FakeSlack(has_threads=False)
    assert deliver(store, slack) == []
    assert [text for text, _, _ in slack.messages.values()] == ["opened", "worsened", "recovered"]
    assert {thread for _, thread, _ in slack.messages.values()} == {None}
    assert (slack.replaced, slack.attached) == ([], [])


def test_charts_go_into_the_thread(tmp_path: Path) -> None:
    """A chart that could not be drawn is skipped."""
    charts = (Chart("file:///run", "comparison.png"), Chart("file:///run", "latency.png"))
    store, slack = MemoryBook(delivery(Event.OPENED, charts=charts)), FakeSlack()
    assert deliver(store, slack, runs=with_charts()) == []
    assert slack.attached == [(FIRST, ["latency.png"])]


def test_undelivered_charts_and_marks_are_retried(tmp_path: Path) -> None:
    """The message itself is not sent again, and is forwarded once."""
    forwarded: list[Event] = []
    parts = {"runs": with_charts(), "forward": lambda entry: forwarded.append(entry.event)}
    charts = (Chart("file:///run", "latency.png"),)
    store = MemoryBook(delivery(Event.OPENED, charts=charts), delivery(Event.RECOVERED, mark=message("over")))
    slack = FakeSlack()
    slack.refusal = DeliveryError("Slack is not reachable")
    assert deliver(store, slack, **parts) == ["Slack is not reachable"] * 2
    slack.refusal = None
    assert deliver(store, slack, **parts) == []
    assert (slack.attached, slack.replaced) == ([(FIRST, ["latency.png"])], [(FIRST, "over")])
    assert list(slack.messages) == ["id-opened", "id-recovered"]
    assert forwarded == [Event.OPENED, Event.RECOVERED]
    assert store.book.outbox == []


def test_unconfirmed_charts_are_not_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """Duplicates would be worse."""
    store, slack = MemoryBook(delivery(Event.OPENED, charts=(Chart("file:///run", "x.png"),))), FakeSlack()
    slack.refusal = TIMED_OUT
    assert deliver(store, slack, runs=with_charts()) == []
    assert "its charts may be missing: Slack did not answer in time" in caplog.text
    assert store.book.outbox == []


def test_lost_charts_are_only_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The message itself was delivered."""
    store, slack = MemoryBook(delivery(Event.OPENED, charts=(Chart("file:///gone", "x.png"),))), FakeSlack()
    assert deliver(store, slack) == []
    assert "the message was delivered, but its charts may be missing: there is no run file:///gone" in caplog.text


def test_delivered_messages_are_forwarded(caplog: pytest.LogCaptureFixture) -> None:
    """A failure to forward holds nothing back."""
    forwarded: list[Event] = []

    def forward(delivery: Delivery) -> None:
        forwarded.append(delivery.event)
        raise DeliveryError("mailto refused it")

    store, slack = MemoryBook(delivery(Event.OPENED), delivery(Event.WORSENED)), FakeSlack(UNREACHABLE)
    deliver(store, slack, forward=forward)
    assert forwarded == []
    assert deliver(store, slack, forward=forward) == []
    assert forwarded == [Event.OPENED, Event.WORSENED]
    assert "the message was not forwarded to other channels: mailto refused it" in caplog.text
