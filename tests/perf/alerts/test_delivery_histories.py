"""Every interleaving of a delivery with crashes, store errors, lost answers and a second worker keeps the promises.

The promises are those of docs/alerts.md: nothing is lost; at most once where the channel permits; where it cannot be
known, the message is set aside and reported once. Bugs that are put in on purpose are found.
"""

from typing import Any

import pytest

from include.perf.alerts import outbox, sending
from include.perf.alerts.book import AlertBook, Chart, Delivery, DeliveryPart, Event
from include.perf.alerts.outbox import parts_of
from include.perf.alerts.sending import EntrySender
from tests.fakes.clock import START
from tests.perf.alert_words import message
from tests.perf.alerts.exploring import World, histories, wrong_with
from tests.perf.alerts.test_delivery import PROBLEM


def entries(event: Event, **given: Any) -> list[Delivery]:
    """Return the outbox entries of a message about the problem."""
    return parts_of(event, event, message(event), channel="#x", now=START, problem_id=PROBLEM.id, **given)


def book(*outboxes: list[Delivery], without_others: bool = False) -> AlertBook:
    """Return a book with these messages."""
    flat = [entry for made in outboxes for entry in made]
    kept = [entry for entry in flat if not (without_others and entry.part is DeliveryPart.OTHERS)]
    return AlertBook(problems=[PROBLEM], outbox=kept)


CHARTS = (Chart("file:///run", "latency.png"),)
WHOLE = book(
    entries(Event.OPENED, charts=CHARTS), entries(Event.CONTINUES), entries(Event.RECOVERED, mark=message("over"))
)
THREAD = book(entries(Event.OPENED), entries(Event.RECOVERED, mark=message("over")), without_others=True)
FIRST = book(entries(Event.OPENED, charts=CHARTS), without_others=True)
ELSEWHERE = book(entries(Event.OPENED), entries(Event.RECOVERED))


def first_wrong(given: AlertBook, *, can_search: bool, most_faults: int) -> tuple[int, str | None]:
    """Return how many histories there are, and what is wrong with the first that breaks a promise."""
    count = 0
    for world in histories(given, can_search=can_search, most_faults=most_faults):
        count += 1
        if wrong := wrong_with(world, given):
            return count, f"{wrong} after {_faults(world)}"
    return count, None


def _faults(world: World) -> list[str]:
    return [f"{step}: {choice}" for step, choice in enumerate(world.script.taken) if choice]


@pytest.mark.parametrize("can_search", [True, False], ids=["bot", "webhook"])
@pytest.mark.parametrize(
    ("given", "most_faults", "at_least"),
    [(WHOLE, 1, 120), (THREAD, 2, 2_500), (FIRST, 2, 1_200), (ELSEWHERE, 1, 90)],
    ids=["whole", "thread", "first", "elsewhere"],
)
def test_no_history_breaks_a_promise(given: AlertBook, most_faults: int, at_least: int, can_search: bool) -> None:
    """A thread with charts, a mark and another channel, through a bot and through a webhook."""
    count, wrong = first_wrong(given, can_search=can_search, most_faults=most_faults)
    assert wrong is None
    assert count >= at_least


def _begin_without_a_trace(book: AlertBook, delivery_id: str, **_: object) -> bool:
    """Send before the state is stored."""
    return book.delivery(delivery_id) is not None


def _remove_first(book: AlertBook, delivery_id: str, **_: object) -> bool:
    """Forget an entry before it is sent."""
    outbox.remove(book, delivery_id)
    return True


def _send_again(sender: EntrySender, entry: Delivery) -> bool:
    """Take a message in doubt for one that did not arrive."""
    sender.store.update(lambda book: outbox.take_over(book, entry.id, sender=sender.name))
    sender.store.update(lambda book: outbox.pending_again(book, entry.id, sender=sender.name, reason=""))
    return False


def _take_for_arrived(sender: EntrySender, entry: Delivery) -> bool:
    """Take a message in doubt for one that arrived."""
    sender.store.update(lambda book: outbox.remove(book, entry.id))
    return True


def _without_the_lock(sender: EntrySender, entry: Delivery) -> None:
    """Send although another process delivers."""
    object.__setattr__(sender, "lost", lambda: None)
    DELIVER(sender, entry)


DELIVER = EntrySender.deliver

MUTANTS: dict[str, tuple[object, str, object, AlertBook, bool]] = {
    "no state is stored before sending": (outbox, "begin", _begin_without_a_trace, FIRST, True),
    "the entry is removed before sending": (outbox, "begin", _remove_first, FIRST, True),
    "a message in doubt is sent again": (EntrySender, "_has_arrived", _send_again, FIRST, True),
    "a message in doubt is taken for delivered": (EntrySender, "_has_arrived", _take_for_arrived, FIRST, True),
    "the lock is not checked": (EntrySender, "deliver", _without_the_lock, FIRST, True),
    "nothing has time to settle": (sending, "SETTLES_S", 0.0, FIRST, True),
    "replies do not wait": (outbox, "waiting", lambda _: frozenset(), THREAD, True),
    "nothing is reported": (outbox, "has_news", lambda _: False, FIRST, False),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_bugs_that_are_put_in_on_purpose_are_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by a history with a single fault."""
    where, what, mutant, given, can_search = MUTANTS[name]
    monkeypatch.setattr(where, what, mutant)
    _, wrong = first_wrong(given, can_search=can_search, most_faults=1)
    assert wrong is not None
