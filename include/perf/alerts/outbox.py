"""The outbox as a state machine: each function is one atomic change of the alert book, and sends nothing.

::

    pending → sending → delivered (removed)
                      → pending     it did not arrive
                      → unknown     it may have arrived → delivered or pending, once it was looked up
                      → set aside   it was refused too often, or may have arrived where nothing can be looked up

``sending`` is stored before anything is sent. A result is stored only by the process that is named as the sender.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from include.perf.alerts.book import AlertBook, Chart, Delivery, DeliveryPart, DeliveryState, Event, Message, Posted
from include.perf.model.errors import ConfigurationError

log = logging.getLogger(__name__)

PENDING = DeliveryState.PENDING

ONLY_IN_THREADS = (Event.CONTINUES, Event.ACKNOWLEDGED)
"""Events that are not sent where there is no thread: they would only repeat the alert."""

REFUSALS = 5
"""How often Slack may refuse an entry before it is set aside."""

OTHER_REFUSALS = 24
"""The same for other channels, which do not report whether they are down for a moment or refuse the message."""

SLACK = "Slack"
"""The place of what goes to Slack; other channels have addresses."""

SET_ASIDE_KEPT = 200
"""How many entries that were set aside are kept."""


def parts_of(
    delivery_id: str,
    event: Event,
    message: Message,
    *,
    channel: str,
    now: datetime,
    problem_id: str | None = None,
    charts: tuple[Chart, ...] = (),
    mark: Message | None = None,
) -> list[Delivery]:
    """Return the outbox entries of a message, one for each place, in the order of delivery.

    Args:
        charts: for the thread.
        mark: replaces the first message of the thread.
    """
    first = Delivery(
        id=delivery_id, event=event, channel=channel, message=message, created_at=now, problem_id=problem_id
    )
    entries = [first]
    if charts:
        entries.append(replace(first, id=f"{delivery_id}-charts", part=DeliveryPart.CHARTS, charts=charts))
    if mark is not None:
        entries.append(replace(first, id=f"{delivery_id}-mark", part=DeliveryPart.MARK, message=mark))
    if event not in ONLY_IN_THREADS:
        entries.append(replace(first, id=f"{delivery_id}-others", part=DeliveryPart.OTHERS))
    return entries


def waiting(book: AlertBook) -> frozenset[str]:
    """Return the ids of the entries that wait for an earlier one of the same problem at the same place.

    In Slack, replies, charts and marks need the place of the first message. Another channel hears of everything in
    order, because an alert that arrives after the end of its problem would seem to be a new one.
    """
    posted = {problem.id for problem in book.problems if problem.posted is not None}
    found: set[str] = set()
    earlier: set[tuple[str, str]] = set()
    for entry in book.outbox:
        if entry.problem_id is None or entry.is_set_aside:
            continue
        place = (entry.problem_id, SLACK if entry.part.is_for_slack else entry.address)
        split = (entry.problem_id, "")
        if place in earlier or (split in earlier and not entry.part.is_for_slack):
            found.add(entry.id)
        starts_thread = entry.part is DeliveryPart.MESSAGE and entry.event is Event.OPENED
        if not entry.part.is_for_slack or (starts_thread and entry.problem_id not in posted):
            earlier.add(place)
    return frozenset(found)


def thread_of(entry: Delivery, book: AlertBook) -> Posted | None:
    """Return the first message of the problem; ``None`` if the entry starts a thread or has none."""
    problem = book.problem(entry.problem_id)
    is_start = entry.part is DeliveryPart.MESSAGE and entry.event is Event.OPENED
    return None if problem is None or is_start else problem.posted


def split(book: AlertBook, delivery_id: str, names: Sequence[str]) -> None:
    """Replace an entry for all other channels by one entry for each of them."""
    outbox = []
    for entry in book.outbox:
        if entry.id == delivery_id and entry.part is DeliveryPart.OTHERS:
            outbox += [
                replace(entry, id=f"{entry.id}-{number}", part=DeliveryPart.FORWARD, address=name)
                for number, name in enumerate(names, start=1)
            ]
        else:
            outbox.append(entry)
    book.outbox = outbox


def begin(book: AlertBook, delivery_id: str, *, sender: str, thread: Posted | None, since: str | None) -> bool:
    """Mark an entry as being sent; return whether it was pending, so that this process may send it.

    Args:
        thread: the message that it replies to.
        since: Slack's own time.
    """
    entry = book.delivery(delivery_id)
    if entry is None or entry.state is not PENDING:
        return False
    begun = replace(
        entry,
        state=DeliveryState.SENDING,
        sender=sender,
        thread=thread,
        since=entry.since or since,
        attempts=entry.attempts + 1,
    )
    book.renew(begun)
    return True


def arrived(book: AlertBook, delivery_id: str, *, sender: str, posted: Posted | None) -> None:
    """Remove an entry that arrived. The first message of a problem starts its thread, and so does a reply without one.

    Args:
        posted: its place in Slack, where that is known.
    """
    entry = book.delivery(delivery_id)
    if entry is None or (entry.state is DeliveryState.SENDING and entry.sender != sender):
        return
    remove(book, delivery_id)
    problem = book.problem(entry.problem_id)
    is_start = entry.part is DeliveryPart.MESSAGE and entry.thread is None and not entry.event.is_end
    if problem is not None and problem.posted is None and is_start:
        book.put(replace(problem, posted=posted))


def pending_again(book: AlertBook, delivery_id: str, *, sender: str, reason: str) -> None:
    """Return an entry that did not arrive to the outbox."""
    entry = book.delivery(delivery_id)
    if entry is not None and _is_own(entry, sender):
        book.renew(replace(entry, state=PENDING, sender="", thread=None, reason=reason))


def in_doubt(book: AlertBook, delivery_id: str, *, sender: str, reason: str) -> None:
    """Mark an entry as sent without a known result."""
    entry = book.delivery(delivery_id)
    if entry is not None and _is_own(entry, sender):
        book.renew(replace(entry, state=DeliveryState.UNKNOWN, reason=reason))


def take_over(book: AlertBook, delivery_id: str, *, sender: str) -> None:
    """Make this process the one that finds out whether an entry in doubt arrived."""
    entry = book.delivery(delivery_id)
    if entry is not None and entry.is_in_doubt:
        book.renew(replace(entry, state=DeliveryState.UNKNOWN, sender=sender))


def refused(book: AlertBook, delivery_id: str, *, sender: str, reason: str) -> bool:
    """Count a refusal; return whether the entry was set aside because there were too many."""
    entry = book.delivery(delivery_id)
    if entry is None or not _is_own(entry, sender):
        return False
    refusals = entry.refusals + 1
    limit = OTHER_REFUSALS if entry.part is DeliveryPart.FORWARD else REFUSALS
    if refusals >= limit:
        book.renew(replace(entry, refusals=refusals))
        set_aside(book, delivery_id, reason=reason)
        return True
    pending = replace(entry, state=PENDING, sender="", thread=None, refusals=refusals, reason=reason)
    book.renew(pending)
    return False


def set_aside(book: AlertBook, delivery_id: str, *, reason: str) -> None:
    """Set an entry aside that was sent; it is not sent again unless a person asks for it."""
    entry = book.delivery(delivery_id)
    if entry is None or not entry.is_in_doubt:
        return
    book.renew(replace(entry, state=DeliveryState.SET_ASIDE, sender="", thread=None, reason=reason))
    aside = [entry.id for entry in book.outbox if entry.is_set_aside]
    for oldest in aside[:-SET_ASIDE_KEPT]:
        log.warning("more than %d deliveries are set aside; %s is dropped", SET_ASIDE_KEPT, oldest)
        remove(book, oldest)


def remove(book: AlertBook, delivery_id: str) -> None:
    """Take an entry out of the outbox."""
    book.outbox = [entry for entry in book.outbox if entry.id != delivery_id]


def forget_thread(book: AlertBook, problem_id: str | None, thread: Posted) -> None:
    """Forget the first message of a problem, which does not exist any more; the next message starts a new thread."""
    problem = book.problem(problem_id)
    if problem is not None and problem.posted == thread:
        book.put(replace(problem, posted=None))


def _is_own(entry: Delivery, sender: str) -> bool:
    """Whether a process may store a result: a process that took over has results of its own."""
    return entry.is_in_doubt and entry.sender == sender


# Entries that people must know of


def has_news(book: AlertBook) -> bool:
    """Whether there is anything that people do not know of yet."""
    return bool(unreported(book)) or has_new_unreadable(book)


def unreported(book: AlertBook) -> list[Delivery]:
    """Return the entries that were set aside and not reported yet."""
    return [entry for entry in book.outbox if entry.is_set_aside and not entry.is_reported]


def has_new_unreadable(book: AlertBook) -> bool:
    """Whether the unreadable entries are others than those that were reported last."""
    return _digest_of_unreadable(book) != book.unreadable_reported


def mark_reported(book: AlertBook) -> None:
    """Remember that people know of every entry that was set aside or is unreadable."""
    book.outbox = [replace(entry, is_reported=True) if entry.is_set_aside else entry for entry in book.outbox]
    book.unreadable_reported = _digest_of_unreadable(book)


def _digest_of_unreadable(book: AlertBook) -> str:
    contents = sorted(json.dumps(entry.content, sort_keys=True) for entry in book.unreadable)
    return sha256("\n".join(contents).encode()).hexdigest() if contents else ""


def is_idle(book: AlertBook) -> bool:
    """Whether there is nothing to deliver and nothing to report."""
    return all(entry.is_set_aside for entry in book.outbox) and not has_news(book)


# What a person asks for


def retry(book: AlertBook, delivery_id: str) -> list[Delivery]:
    """Make an entry that was set aside pending again, or all of them; return them.

    Args:
        delivery_id: ``all`` for all of them.

    Raises:
        ConfigurationError: no such entry was set aside.
    """
    chosen = _chosen(book, delivery_id)
    for entry in chosen:
        book.renew(replace(entry, state=PENDING, refusals=0, reason="", is_reported=False))
    return chosen


def drop(book: AlertBook, delivery_id: str) -> list[Delivery]:
    """Remove an entry that was set aside, or all of them; return them.

    Args:
        delivery_id: ``all`` for all of them.

    Raises:
        ConfigurationError: no such entry was set aside.
    """
    chosen = _chosen(book, delivery_id)
    for entry in chosen:
        remove(book, entry.id)
    return chosen


def _chosen(book: AlertBook, delivery_id: str) -> list[Delivery]:
    aside = [entry for entry in book.outbox if entry.is_set_aside]
    chosen = [entry for entry in aside if delivery_id in ("all", entry.id)]
    if not chosen:
        known = ", ".join(entry.id for entry in aside) or "none"
        raise ConfigurationError(f"no delivery {delivery_id!r} is set aside; set aside: {known}")
    return chosen
