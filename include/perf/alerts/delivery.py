"""Deliver the outbox: each entry by itself, at most once where that can be known, and none is lost.

`include.perf.alerts.outbox` has the states. An entry that was being sent when a process ended is looked up in the
channel before it is sent again; where nothing can be looked up, it is set aside and reported. No decision depends on a
clock that people can set.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.perf.alerts import outbox
from include.perf.alerts.alert_store import AlertStore, Lost
from include.perf.alerts.book import AlertBook, Delivery, Event, Message, UnreadableEntry
from include.perf.alerts.channels import Messenger, OtherChannels
from include.perf.alerts.sending import EntrySender, LockLost
from include.perf.model.errors import DeliveryError, DeliveryRefused
from include.perf.model.text import Clock
from include.perf.runs.results_store import ResultsStore

FAILURES_IN_A_ROW = 2
"""After so many, Slack counts as unavailable and its other entries stay pending, so that few of them get into doubt."""

LONGEST_ROUND_S = 120.0
"""A delivery begins no attempt after this time, so that those who wait for its lock have their turn."""

Report = Callable[[Sequence[Delivery], Sequence[UnreadableEntry]], Message]
"""Returns the message about entries that were set aside, and about others that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSender:
    """Delivers the outbox.

    Attributes:
        runs: the results store, which has the charts.
        report: writes the message about entries that were set aside.
        ops_channel: where that message goes.
        clock: dates that message; nothing else depends on it.
        timer: a monotonic clock in seconds.
        wait: sleeps for a number of seconds.
    """

    store: AlertStore
    messenger: Messenger
    others: OtherChannels
    runs: ResultsStore
    report: Report
    ops_channel: str
    clock: Clock
    timer: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def deliver(self) -> list[str]:
        """Attempt each entry once, also those that are added meanwhile; return why some did not arrive.

        Raises:
            DeliveryError: another process delivers.
            StoreError: the alert book cannot be read or changed; what was begun is in doubt.
        """
        with self.store.delivering() as lost:
            return _DeliveryRound(self, lost).run()


class _DeliveryRound:
    """One attempt for each entry, while the lock for deliveries is held."""

    def __init__(self, parts: OutboxSender, lost: Lost) -> None:
        self._parts = parts
        self._store = parts.store
        self._started_at = parts.timer()
        self._sender = EntrySender(
            store=parts.store,
            messenger=parts.messenger,
            others=parts.others,
            runs=parts.runs,
            lost=lost,
            name=secrets.token_hex(8),
            started_at=self._started_at,
            timer=parts.timer,
            wait=parts.wait,
        )
        self._tried: set[str] = set()
        self._has_reported = False
        self._failures = 0
        self._problems: list[str] = []

    def run(self) -> list[str]:
        """Return why some entries did not arrive, each reason once."""
        try:
            while self._attempt_next() or self._report():
                pass
        except LockLost as err:
            self._problems.append(str(err))
        return list(dict.fromkeys(self._problems))

    def _attempt_next(self) -> bool:
        """Attempt the most urgent entry; return whether there was one."""
        book = self._store.read()
        waiting = outbox.waiting(book)
        ready = [entry for entry in book.outbox if entry.id not in waiting and self._is_untried(entry)]
        if not ready:
            return False
        if self._parts.timer() - self._started_at > LONGEST_ROUND_S:
            self._problems.append(f"after {LONGEST_ROUND_S:g} s the rest waits for the next delivery")
            return False
        entry = min(ready, key=_place_in_order)
        self._tried.add(entry.id)
        self._attempt(entry)
        return True

    def _is_untried(self, entry: Delivery) -> bool:
        is_slack_down = entry.part.is_for_slack and self._failures >= FAILURES_IN_A_ROW
        return not (is_slack_down or entry.is_set_aside or entry.id in self._tried)

    def _attempt(self, entry: Delivery) -> None:
        is_slack_failing = False
        try:
            self._sender.deliver(entry)
        except LockLost:
            raise
        except DeliveryError as err:
            is_slack_failing = not isinstance(err, DeliveryRefused)
            self._problems.append(str(err))
        if entry.part.is_for_slack:
            self._failures = self._failures + 1 if is_slack_failing else 0

    def _report(self) -> bool:
        """Put a message about what people must know of into the outbox; return whether there is one.

        At most one in a round: what changes meanwhile is in that of the next.
        """
        if self._has_reported or not outbox.has_news(self._store.read()):
            return False
        self._has_reported = True
        return self._store.update(self._write_report)

    def _write_report(self, book: AlertBook) -> bool:
        entries = [entry for entry in outbox.unreported(book) if entry.event is not Event.UNDELIVERABLE]
        is_needed = bool(entries) or (bool(book.unreadable) and outbox.has_new_unreadable(book))
        if is_needed:
            book.outbox += outbox.parts_of(
                secrets.token_hex(8),
                Event.UNDELIVERABLE,
                self._parts.report(entries, book.unreadable),
                channel=self._parts.ops_channel,
                now=self._parts.clock(),
            )
        outbox.mark_reported(book)
        return is_needed


def _place_in_order(entry: Delivery) -> int:
    """Return a number to sort by: other channels, then Slack, then what takes a look-up."""
    return 2 if entry.is_in_doubt else int(entry.part.is_for_slack)
