"""Delivery of the outbox: each part by itself, once and in order, whatever fails on the way."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from include.perf.alerts.book import (
    AlertBook,
    Chart,
    Delivery,
    DeliveryPart,
    DeliveryState,
    Event,
    Message,
    Posted,
    Problem,
    ProblemKind,
    UnreadableEntry,
)
from include.perf.alerts.delivery import LONGEST_ROUND_S, OutboxSender
from include.perf.alerts.outbox import OTHER_REFUSALS, REFUSALS, SET_ASIDE_KEPT, drop, is_idle, parts_of, retry
from include.perf.model.cell import CellName
from include.perf.model.errors import ConfigurationError, DeliveryError, DeliveryRefused, DeliveryUnknown
from include.perf.runs.record import Severity
from tests.fakes.clock import START
from tests.fakes.messengers import Crash, FakeOthers, FakeSlack, MemoryBook
from tests.fakes.results_store import MemoryStore
from tests.perf.alert_words import message

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
FIRST = Posted("C1", "ts-id-opened")
CHARTS = (Chart("file:///run", "comparison.png"), Chart("file:///run", "latency.png"))
UNREACHABLE = DeliveryError("Slack is not reachable")
TIMED_OUT = DeliveryUnknown("Slack did not answer in time")
REFUSED = DeliveryRefused("Slack did not accept the message (error invalid_blocks)")
PAGER = "pagerduty://"


def entries(event: Event, *, charts: tuple[Chart, ...] = (), mark: str = "", problem: bool = True) -> list[Delivery]:
    """Return the outbox entries of a message about the problem."""
    return parts_of(
        f"id-{event}",
        event,
        message(event.value),
        channel="#trading",
        now=START,
        problem_id=PROBLEM.id if problem else None,
        charts=charts,
        mark=message(mark) if mark else None,
    )


def worded(deliveries: Sequence[Delivery], unreadable: Sequence[UnreadableEntry]) -> Message:
    """Return the message about what was set aside."""
    return message(f"set aside: {[entry.id for entry in deliveries]} {[entry.reason for entry in unreadable]}")


@dataclass
class Place:
    """An outbox, and everything that it is delivered to.

    Attributes:
        waits: the pauses until a message in doubt has settled.
    """

    store: MemoryBook
    slack: FakeSlack = field(default_factory=FakeSlack)
    others: FakeOthers = field(default_factory=FakeOthers)
    runs: MemoryStore = field(default_factory=MemoryStore)
    waits: list[float] = field(default_factory=list)

    def deliver(self) -> list[str]:
        """Deliver all that is pending."""
        return OutboxSender(
            store=self.store,
            messenger=self.slack,
            others=self.others,
            runs=self.runs,
            report=worded,
            ops_channel="#ops",
            clock=lambda: START,
            timer=lambda: 1000.0 + sum(self.waits),
            wait=self.waits.append,
        ).deliver()

    @property
    def outbox(self) -> list[Delivery]:
        """What is left."""
        return self.store.book.outbox

    @property
    def states(self) -> list[tuple[str, DeliveryState]]:
        """The id and state of what is left."""
        return [(entry.id, entry.state) for entry in self.outbox]

    @property
    def texts(self) -> list[str]:
        """What Slack has, in order."""
        return [text for text, _, _ in self.slack.messages.values()]

    @property
    def posted(self) -> Posted | None:
        """The first message of the problem."""
        return self.store.book.problems[0].posted


def place(*outbox: list[Delivery], posted: Posted | None = None, slack: FakeSlack | None = None) -> Place:
    """Return a place with these messages about the problem."""
    flat = [entry for made in outbox for entry in made]
    found = Place(MemoryBook(AlertBook(problems=[replace(PROBLEM, posted=posted)], outbox=flat)), slack or FakeSlack())
    found.runs.runs_by_uri["file:///run"] = {"charts/latency.png": b"png"}
    return found


# Threads


def test_a_problem_and_its_thread() -> None:
    """The first message starts the thread, the others reply, and the worse one is also shown in the channel."""
    there = place(*map(entries, (Event.OPENED, Event.CONTINUES, Event.WORSENED)))
    assert there.deliver() == []
    assert list(there.slack.messages.values()) == [
        ("opened", None, False),
        ("continues", "ts-id-opened", False),
        ("worsened", "ts-id-opened", True),
    ]
    assert (there.outbox, there.posted, there.waits) == ([], FIRST, [])


def test_the_first_message_is_marked_when_the_problem_ends() -> None:
    """It is replaced by the mark."""
    there = place(entries(Event.RECOVERED, mark="recovered: gateway is slower"), posted=FIRST)
    assert there.deliver() == []
    assert there.slack.replaced == [(FIRST, "recovered: gateway is slower")]


def test_undelivered_messages_are_kept_in_order() -> None:
    """Replies wait for the first message of their thread; the next run sends each message once."""
    there = place(entries(Event.OPENED), entries(Event.WORSENED), entries(Event.DIGEST, problem=False))
    there.slack.faults = [UNREACHABLE]
    assert there.deliver() == ["Slack is not reachable"]
    assert [(entry.event, entry.state, entry.attempts, entry.reason) for entry in there.outbox] == [
        (Event.OPENED, DeliveryState.PENDING, 1, "Slack is not reachable"),
        (Event.WORSENED, DeliveryState.PENDING, 0, ""),
    ]
    assert there.deliver() == []
    assert there.texts == ["digest", "opened", "worsened"]


def test_a_thread_that_was_deleted_begins_again() -> None:
    """The reply starts a new thread with the title of the problem; later replies and the mark go there."""
    there = place(entries(Event.CONTINUES), entries(Event.RECOVERED, mark="over"), posted=Posted("C1", "old"))
    there.slack.gone = {"old"}
    assert there.deliver() == []
    assert list(there.slack.messages.values()) == [
        ("continues (gateway is slower)", None, False),
        ("recovered", "ts-id-continues", False),
    ]
    assert there.slack.replaced == [(Posted("C1", "ts-id-continues"), "over")]
    assert there.outbox == []


def test_a_mark_on_a_deleted_message_is_dropped() -> None:
    """There is nothing to mark, and the news is in the channel."""
    there = place(entries(Event.RECOVERED, mark="over"), posted=Posted("C1", "old"))
    there.slack.gone = {"old"}
    assert there.deliver() == []
    assert (there.texts, there.slack.replaced, there.outbox) == (["recovered (gateway is slower)"], [], [])


def test_without_threads_nothing_is_repeated() -> None:
    """A webhook gets the start, changes for the worse and the end of a problem; no charts, no mark."""
    there = place(
        entries(Event.OPENED, charts=CHARTS),
        entries(Event.CONTINUES),
        entries(Event.WORSENED, charts=CHARTS),
        entries(Event.ACKNOWLEDGED),
        entries(Event.RECOVERED, mark="over"),
        slack=FakeSlack(has_threads=False),
    )
    assert there.deliver() == []
    assert there.texts == ["opened", "worsened", "recovered (gateway is slower)"]
    assert {thread for _, thread, _ in there.slack.messages.values()} == {None}
    assert (there.slack.replaced, there.slack.attached, there.outbox) == ([], [], [])


# Messages in doubt


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("fault", [TIMED_OUT, Crash()])
def test_a_message_in_doubt_is_looked_up(fault: BaseException, arrives: bool) -> None:
    """After a timeout, or a crash between sending and storing: a message that arrived is not sent again."""
    there = place(entries(Event.OPENED), slack=FakeSlack(fault, arrives=arrives))
    with suppress(Crash):
        assert there.deliver() == ["Slack did not answer in time"]
    (state,) = [entry.state for entry in there.outbox if entry.part is DeliveryPart.MESSAGE]
    assert state is (DeliveryState.SENDING if isinstance(fault, Crash) else DeliveryState.UNKNOWN)
    assert there.deliver() == []
    assert len(there.slack.messages) == 1
    assert there.waits == ([] if arrives else [60.0])  # it might still have been on its way
    assert (there.posted, there.outbox) == (FIRST, [])


@pytest.mark.parametrize("fault", [TIMED_OUT, Crash()])
def test_a_message_in_doubt_is_set_aside_where_search_is_impossible(fault: BaseException) -> None:
    """A duplicate would be worse. It is reported once, and later news begins the thread."""
    there = place(entries(Event.OPENED), entries(Event.WORSENED), slack=FakeSlack(fault))
    with suppress(Crash):
        there.deliver()
    there.slack.search_failure = DeliveryRefused("it cannot be searched for")
    assert there.deliver() == ["delivery id-opened is set aside: it cannot be searched for"]
    assert there.texts == ["worsened", "set aside: ['id-opened'] []"]
    assert there.states == [("id-opened", DeliveryState.SET_ASIDE)]
    assert there.posted == Posted("C1", "ts-id-worsened")
    assert there.deliver() == []
    assert is_idle(there.store.book)


@pytest.mark.parametrize("arrives", [True, False])
def test_a_process_that_dies_after_a_post_through_a_webhook_does_not_post_again(arrives: bool) -> None:
    """It has no place and no search; the charts cost no second message."""
    there = place(entries(Event.OPENED, charts=CHARTS), slack=FakeSlack(Crash(), arrives=arrives, has_threads=False))
    with suppress(Crash):
        there.deliver()
    there.deliver()
    assert there.texts.count("opened") == int(arrives)
    assert there.states == [("id-opened", DeliveryState.SET_ASIDE)]
    assert there.deliver() == []


def test_a_message_in_doubt_waits_while_search_fails() -> None:
    """Slack is still down: it is neither set aside nor sent again."""
    there = place(entries(Event.OPENED), slack=FakeSlack(TIMED_OUT))
    there.deliver()
    there.slack.search_failure = DeliveryUnknown("Slack is not reachable")
    for _ in range(2 * REFUSALS):
        assert there.deliver() == ["Slack is not reachable"]
    assert there.states == [("id-opened", DeliveryState.UNKNOWN)]
    there.slack.search_failure = None
    assert there.deliver() == []
    assert there.texts == ["opened"]


def test_a_message_that_slack_never_confirms_and_never_has_is_set_aside() -> None:
    """It makes Slack fail each time; others are not kept waiting."""
    there = place(entries(Event.DIGEST, problem=False), slack=FakeSlack(*[TIMED_OUT] * 20))
    for _ in range(REFUSALS):
        assert there.deliver() == ["Slack did not answer in time"]
    assert there.deliver()[0].startswith("delivery id-digest is set aside: Slack does not confirm it")
    assert there.states[0] == ("id-digest", DeliveryState.SET_ASIDE)


def test_few_messages_get_into_doubt_while_slack_is_down() -> None:
    """After two failures in a row the others stay pending; other channels get theirs."""
    many = [parts_of(str(number), Event.DIGEST, message(str(number)), channel="#x", now=START) for number in range(12)]
    there = place(*many, slack=FakeSlack(*[TIMED_OUT] * 20, has_threads=False))
    there.others = FakeOthers(PAGER)
    assert there.deliver() == ["Slack did not answer in time"]
    assert [state for _, state in there.states].count(DeliveryState.UNKNOWN) == 2
    assert len(there.others.received[PAGER]) == 12


# Charts and marks


def test_charts_go_into_the_thread() -> None:
    """A chart that could not be drawn is skipped."""
    there = place(entries(Event.OPENED, charts=CHARTS))
    assert there.deliver() == []
    assert there.slack.attached == [(FIRST, ["latency.png"])]


def test_undelivered_charts_and_marks_are_retried() -> None:
    """The messages are not sent again, and other channels get them once."""
    there = place(entries(Event.OPENED, charts=CHARTS), entries(Event.RECOVERED, mark="over"))
    there.others = FakeOthers(PAGER)
    there.slack.refusal = DeliveryError("Slack is not reachable")
    assert there.deliver() == ["Slack is not reachable"]
    assert [entry.part for entry in there.outbox] == [DeliveryPart.CHARTS, DeliveryPart.MARK]
    there.slack.refusal = None
    assert there.deliver() == []
    assert (there.slack.attached, there.slack.replaced) == ([(FIRST, ["latency.png"])], [(FIRST, "over")])
    assert there.texts == ["opened", "recovered"]
    assert there.others.received == {PAGER: ["opened", "recovered (gateway is slower)"]}


@pytest.mark.parametrize("fault", [TIMED_OUT, Crash()])
def test_charts_in_doubt_are_not_sent_again(caplog: pytest.LogCaptureFixture, fault: BaseException) -> None:
    """Duplicates would be worse, and the report has them."""
    there = place(entries(Event.WORSENED, charts=CHARTS), posted=FIRST)
    there.slack.refusal = fault  # type: ignore[assignment]  # a crash is no DeliveryError
    with suppress(Crash):
        there.deliver()
    there.slack.refusal = None
    assert there.deliver() == []
    assert "its charts may be missing: " in caplog.text
    assert (there.slack.attached, there.outbox) == ([], [])


def test_lost_charts_are_only_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The message itself was delivered."""
    there = place(entries(Event.OPENED, charts=(Chart("file:///gone", "x.png"),)))
    assert there.deliver() == []
    assert "the message was delivered, but its charts may be missing: there is no run file:///gone" in caplog.text


def test_a_mark_in_doubt_is_made_again() -> None:
    """Doing so twice has no further effect."""
    there = place(entries(Event.RECOVERED, mark="over"), posted=FIRST)
    there.slack.refusal = Crash()  # type: ignore[assignment]  # a crash is no DeliveryError
    with suppress(Crash):
        there.deliver()
    there.slack.refusal = None
    assert there.deliver() == []
    assert (there.slack.replaced, there.outbox) == ([(FIRST, "over")], [])


# Other channels


def test_other_channels_do_not_wait_for_slack() -> None:
    """Slack is down: they get the message now, and Slack gets it later; nobody gets it twice."""
    there = place(entries(Event.OPENED), slack=FakeSlack(UNREACHABLE))
    there.others = FakeOthers(PAGER, "mailto://")
    assert there.deliver() == ["Slack is not reachable"]
    assert there.others.received == {PAGER: ["opened"], "mailto://": ["opened"]}
    assert there.deliver() == []
    assert there.others.received == {PAGER: ["opened"], "mailto://": ["opened"]}
    assert there.texts == ["opened"]


def test_another_channel_that_is_down_gets_the_message_later() -> None:
    """Neither Slack nor a third channel gets it twice; the end of the problem waits for its beginning."""
    there = place(entries(Event.OPENED), entries(Event.RECOVERED))
    there.others = FakeOthers(PAGER, "mailto://")
    there.others.faults[PAGER] = [DeliveryRefused("pagerduty:// did not accept the message")]
    assert there.deliver() == ["pagerduty:// did not accept the message"]
    assert there.others.received == {PAGER: [], "mailto://": ["opened", "recovered (gateway is slower)"]}
    assert there.deliver() == []
    assert there.others.received[PAGER] == ["opened", "recovered (gateway is slower)"]
    assert there.texts == ["opened", "recovered"]


def test_other_channels_get_no_replies_for_a_thread() -> None:
    """They have no threads, so these would only repeat the alert."""
    there = place(entries(Event.CONTINUES), entries(Event.ACKNOWLEDGED), posted=FIRST)
    there.others = FakeOthers(PAGER)
    assert there.deliver() == []
    assert there.others.received == {PAGER: []}


def test_other_channels_that_cannot_be_read_are_tried_again() -> None:
    """The connection is wrong: Slack gets the message now, and the others once it is right."""
    there = place(entries(Event.OPENED))
    there.others = FakeOthers(PAGER)
    there.others.failure = DeliveryError("the connection bellwether_apprise has no address")
    assert there.deliver() == ["the connection bellwether_apprise has no address"]
    assert there.texts == ["opened"]
    there.others.failure = None
    assert there.deliver() == []
    assert there.others.received == {PAGER: ["opened"]}


def test_a_crash_while_sending_to_another_channel_is_reported() -> None:
    """It may have arrived, and cannot be looked up."""
    there = place(entries(Event.OPENED))
    there.others = FakeOthers(PAGER)
    there.others.faults[PAGER] = [Crash()]
    with suppress(Crash):
        there.deliver()
    assert there.deliver() == [
        "delivery id-opened-others-1 is set aside: it may have arrived at pagerduty://: the process ended while it "
        "was sent"
    ]
    assert there.others.received == {PAGER: ["set aside: ['id-opened-others-1'] []"]}


def test_another_channel_hears_of_a_problem_in_order() -> None:
    """A worse state that arrives after the end would be a new alert, which nothing ends."""
    there = place(entries(Event.WORSENED), entries(Event.RECOVERED), posted=FIRST)
    there.others = FakeOthers(PAGER)
    there.others.faults[PAGER] = [DeliveryRefused("pagerduty:// did not accept the message")]
    assert there.deliver() == ["pagerduty:// did not accept the message"]
    assert there.others.received[PAGER] == []
    assert there.deliver() == []
    assert there.others.received[PAGER] == ["worsened", "recovered (gateway is slower)"]


@pytest.mark.parametrize("fault", [Crash(), DeliveryUnknown("pagerduty:// did not confirm the message")])
def test_a_message_in_doubt_is_sent_again_where_that_changes_nothing(fault: BaseException) -> None:
    """An incident service takes it for the same incident; elsewhere it is set aside at once."""
    for repeatable in ([PAGER], []):
        there = place(entries(Event.OPENED))
        there.others = FakeOthers(PAGER, repeatable=repeatable)
        there.others.faults[PAGER] = [Crash()] if isinstance(fault, Crash) else [fault]
        with suppress(Crash):
            there.deliver()
        there.deliver()
        was_sent_again = isinstance(fault, Crash) and bool(repeatable)
        assert ("opened" in there.others.received[PAGER]) is was_sent_again
        assert any(entry.is_set_aside for entry in there.outbox) is not was_sent_again


def test_a_delivery_ends_when_it_takes_too_long() -> None:
    """Others wait for its lock; the rest is delivered by the next one."""
    there = place(entries(Event.DIGEST, problem=False), entries(Event.OPENED))
    slow = there.slack.post

    def post(*given: Any, **named: Any) -> Posted | None:
        there.waits.append(LONGEST_ROUND_S + 1)
        return slow(*given, **named)

    there.slack.post = post  # type: ignore[method-assign]
    assert there.deliver() == ["after 120 s the rest waits for the next delivery"]
    assert there.texts == ["digest"]
    assert there.deliver() == []
    assert there.texts == ["digest", "opened"]


def test_a_full_book_is_delivered_in_bounded_time() -> None:
    """Thousands of pending messages are read once while Slack is down, not once for each of them."""
    there = place()
    first = entries(Event.OPENED)[:1]
    there.store.book.outbox = [
        replace(first[0], id=f"d{number}", event=Event.CONTINUES, problem_id=f"p{number % 100}")
        for number in range(5_000)
    ]
    there.slack.faults = [UNREACHABLE, UNREACHABLE]
    reads: list[int] = []
    read = there.store.read
    there.store.read = lambda: (reads.append(1), read())[1]  # type: ignore[method-assign]
    assert there.deliver() == ["Slack is not reachable"]
    assert len(reads) < 20


def test_two_first_messages_do_not_wait_for_each_other() -> None:
    """Such a book was edited by hand; both are delivered, in order."""
    there = place(entries(Event.OPENED)[:1])
    there.store.book.outbox.append(replace(there.outbox[0], id="other", message=message("again")))
    assert there.deliver() == []
    assert there.texts == ["opened", "again"]


# What cannot be delivered


def test_a_message_that_is_refused_is_set_aside_and_reported_once() -> None:
    """The deliveries after it are fine, and its reply begins a thread of its own."""
    there = place(entries(Event.OPENED, charts=CHARTS), entries(Event.CONTINUES), entries(Event.DIGEST, problem=False))
    there.slack.refused = {Event.OPENED: REFUSED}
    for _ in range(REFUSALS - 1):
        assert there.deliver() == [str(REFUSED)]
    assert there.texts == ["digest"]
    assert there.deliver() == [f"delivery id-opened is set aside: {REFUSED}"]
    assert there.texts == ["digest", "continues (gateway is slower)", "set aside: ['id-opened'] []"]
    for _ in range(3):
        assert there.deliver() == []
    assert len(there.slack.messages) == 3
    (aside,) = there.outbox
    assert (aside.state, aside.attempts, aside.reason) == (DeliveryState.SET_ASIDE, REFUSALS, str(REFUSED))


def test_a_report_that_cannot_be_delivered_is_not_reported() -> None:
    """The channel of the operators does not exist either: the list shows both, and later runs are fine."""
    there = place(entries(Event.DIGEST, problem=False))
    there.slack.refused = {Event.DIGEST: REFUSED, Event.UNDELIVERABLE: REFUSED}
    for _ in range(2 * REFUSALS):
        there.deliver()
    assert there.deliver() == []
    assert [entry.event for entry in there.outbox] == [Event.DIGEST, Event.UNDELIVERABLE]
    assert is_idle(there.store.book)


def test_another_channel_has_more_time() -> None:
    """Apprise does not report whether an address is down or wrong: a day of hourly deliveries."""
    there = place(entries(Event.OPENED))
    there.others = FakeOthers(PAGER)
    there.others.faults[PAGER] = [DeliveryRefused("pagerduty:// did not accept the message")] * OTHER_REFUSALS
    for _ in range(OTHER_REFUSALS - 1):
        assert there.deliver() == ["pagerduty:// did not accept the message"]
    assert there.deliver()[0].startswith("delivery id-opened-others-1 is set aside: ")
    assert there.deliver() == []


def test_a_delivery_that_was_set_aside_can_be_retried_or_dropped() -> None:
    """After somebody mended the channel."""
    there = place(entries(Event.OPENED))
    there.slack.refused = {Event.OPENED: REFUSED}
    for _ in range(REFUSALS):
        there.deliver()
    with pytest.raises(ConfigurationError, match=r"^no delivery 'x' is set aside; set aside: id-opened$"):
        there.store.update(lambda book: retry(book, "x"))
    there.store.update(lambda book: retry(book, "id-opened"))
    there.slack.refused = {}
    assert there.deliver() == []
    assert there.texts == ["set aside: ['id-opened'] []", "opened"]
    with pytest.raises(ConfigurationError, match=r"^no delivery 'all' is set aside; set aside: none$"):
        there.store.update(lambda book: drop(book, "all"))


def test_a_bounded_number_is_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    """The oldest are dropped, and logged."""
    many = [
        replace(parts_of(str(number), Event.DIGEST, message("x"), channel="#x", now=START)[0], refusals=REFUSALS)
        for number in range(SET_ASIDE_KEPT + 2)
    ]
    there = place(many)
    there.slack.refused = {Event.DIGEST: REFUSED}
    there.deliver()
    assert len(there.outbox) == SET_ASIDE_KEPT
    assert "more than 200 deliveries are set aside; 0 is dropped" in caplog.text


def test_unreadable_entries_are_reported_once() -> None:
    """A new one is reported again."""
    there = place()
    for number, reports in ((1, 1), (1, 1), (2, 2), (0, 2)):
        odd = [UnreadableEntry(section="outbox", content=index, reason=f"odd {index}") for index in range(number)]
        there.store.book.unreadable = odd
        assert there.deliver() == []
        assert len(there.texts) == reports
        assert is_idle(there.store.book)
    assert there.texts == ["set aside: [] ['odd 0']", "set aside: [] ['odd 0', 'odd 1']"]


# The lock


def test_nothing_is_sent_when_the_lock_was_lost() -> None:
    """Another process may deliver: what was begun is pending again."""
    there = place(entries(Event.OPENED))
    there.store.lost = "the lease was taken over"
    assert there.deliver() == ["this delivery was stopped: the lease was taken over; the next one goes on"]
    assert there.slack.messages == {}
    there.store.lost = None
    assert there.deliver() == []
    assert there.texts == ["opened"]


def test_a_process_that_lost_its_lock_stores_nothing_about_the_attempt_of_another() -> None:
    """It was suspended before it sent; meanwhile another process sent the message, and got no answer."""
    there = place(entries(Event.OPENED), slack=FakeSlack(TIMED_OUT, arrives=True))
    began: list[str] = []

    def lost() -> str | None:
        if not began:
            began.append("first")
            there.deliver()
            return "the lease was taken over"
        return None

    there.store.lost_by = lost
    assert there.deliver() == ["this delivery was stopped: the lease was taken over; the next one goes on"]
    (entry,) = there.outbox
    assert entry.state is DeliveryState.UNKNOWN
    assert there.deliver() == []
    assert there.texts == ["opened"]
