"""Deliver the outbox: each message once and in order; what did not arrive is sent with the next run.

A message is marked as unconfirmed before it is sent, so that a crash leaves a known state. An unconfirmed message is
looked up in the channel before it is sent again. Where the channel cannot be searched, it is not sent again.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from include.perf.alerts.book import AlertBook, Delivery, Event, Message, Posted
from include.perf.model.errors import DeliveryError, DeliveryUnknown, StoreError
from include.perf.model.text import Clock
from include.perf.runs.results_store import CHARTS_FOLDER, ResultsStore

log = logging.getLogger(__name__)

T = TypeVar("T")

ONLY_IN_THREADS = (Event.CONTINUES, Event.ACKNOWLEDGED)
"""Events that are dropped where there is no thread: in the channel they would only repeat the alert."""

SETTLES = timedelta(minutes=1)
"""How long after the last attempt an unconfirmed message may still arrive."""


class Messenger(Protocol):
    """Sends messages to people.

    Attributes:
        has_threads: whether a message can be answered, edited and looked up.
    """

    has_threads: bool

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Send a message, as a reply where a thread is given; return its place, where that is known.

        Args:
            broadcast: also show a reply in the channel.

        Raises:
            DeliveryError: the message did not arrive.
            DeliveryUnknown: the message may have arrived.
        """

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Look up a message that was sent before; return ``None`` when it is not there.

        Raises:
            DeliveryUnknown: the channel cannot be searched at the moment.
            DeliveryError: the channel cannot be searched at all.
        """

    def replace(self, posted: Posted, message: Message) -> None:
        """Replace the content of a message.

        Raises:
            DeliveryError: the message is unchanged.
        """

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Upload charts into the thread of a message.

        Raises:
            DeliveryError: the charts were not uploaded.
            DeliveryUnknown: some or all of the charts may have been uploaded.
        """


class AlertStore(Protocol):
    """Stores the alert book."""

    def read(self) -> AlertBook:
        """Return the book."""

    def update(self, change: Callable[[AlertBook], T]) -> T:
        """Change the book atomically, and return what ``change`` returns.

        Args:
            change: changes the book it is given and has no other effect: after a conflict with another writer it is
                called again, with the newer book. If it raises, the stored book is unchanged.
        """

    def delivering(self) -> AbstractContextManager[None]:
        """Hold the lock for deliveries, which only one process holds at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSender:
    """Delivers the messages in the outbox.

    Attributes:
        runs: the results store, which has the charts.
        forward: passes a delivered message on to other channels.
    """

    store: AlertStore
    messenger: Messenger
    runs: ResultsStore
    clock: Clock
    forward: Callable[[Delivery], None] = lambda _: None

    def deliver(self) -> list[str]:
        """Deliver all pending messages; return the reason for each one that did not arrive."""
        problems = []
        with self.store.delivering():
            for delivery in self.store.read().outbox:
                try:
                    self._deliver(delivery.id)
                except DeliveryError as err:
                    problems.append(str(err))
        return problems

    def _deliver(self, delivery_id: str) -> None:
        book = self.store.read()
        delivery = next((entry for entry in book.outbox if entry.id == delivery_id), None)
        if delivery is None:
            return  # another process delivered it while this one was suspended
        thread = self._thread_of(delivery, book)
        if delivery.event in ONLY_IN_THREADS and thread is None:
            self._remove(delivery)
            return
        if delivery.posted is None:
            posted = self._look_up(delivery, thread) if delivery.is_unconfirmed else None
            if posted is None:
                posted = self._post(delivery, thread)
            delivery = replace(delivery, posted=posted, is_unconfirmed=False)
            self._record_arrival(delivery)
            self._forward(delivery)
        self._attach(delivery, thread)
        self._mark(delivery, thread)
        self._remove(delivery)

    def _thread_of(self, delivery: Delivery, book: AlertBook) -> Posted | None:
        """Return the message to reply to; ``None`` for a message without a thread.

        Raises:
            DeliveryError: the message to reply to is still pending.
        """
        problem = book.problem(delivery.problem_id)
        if problem is None or delivery.event is Event.OPENED:
            return None
        if problem.posted is None and any(
            entry.problem_id == problem.id and entry.event is Event.OPENED for entry in book.outbox
        ):
            raise DeliveryError(f"a reply waits for the message that starts its thread: {delivery.message.text}")
        return problem.posted if self.messenger.has_threads else None

    def _look_up(self, delivery: Delivery, thread: Posted | None) -> Posted | None:
        """Return the place of an unconfirmed message, ``None`` if it did not arrive.

        Raises:
            DeliveryUnknown: it is not known yet; the message stays pending.
            DeliveryError: it cannot be found out; the message is dropped, because a duplicate would be worse.
        """
        if delivery.sent_at is not None and self.clock() - delivery.sent_at < SETTLES:
            raise DeliveryUnknown(
                f"the message was sent less than a minute ago and may still arrive: {delivery.message.text}"
            )
        try:
            return self.messenger.find(delivery, thread=thread)
        except DeliveryUnknown:
            raise
        except DeliveryError as err:
            self._remove(delivery)
            raise DeliveryError(
                f"the message may have arrived, and is not sent again ({err}): {delivery.message.text}"
            ) from err

    def _post(self, delivery: Delivery, thread: Posted | None) -> Posted | None:
        self._update(replace(delivery, is_unconfirmed=True, sent_at=self.clock(), attempts=delivery.attempts + 1))
        try:
            return self.messenger.post(delivery, thread=thread, broadcast=delivery.event is Event.WORSENED)
        except DeliveryUnknown:
            raise
        except DeliveryError:
            self._update(replace(delivery, is_unconfirmed=False, attempts=delivery.attempts + 1))
            raise

    def _update(self, delivery: Delivery) -> None:
        self.store.update(lambda book: book.renew(delivery))

    def _record_arrival(self, delivery: Delivery) -> None:
        """Store the place of a message; the first message of a problem starts its thread."""

        def change(book: AlertBook) -> None:
            book.renew(delivery)
            problem = book.problem(delivery.problem_id)
            if problem is not None and problem.posted is None and delivery.event is Event.OPENED:
                book.put(replace(problem, posted=delivery.posted))

        self.store.update(change)

    def _remove(self, delivery: Delivery) -> None:
        """Take a message out of the outbox."""

        def change(book: AlertBook) -> None:
            book.outbox = [entry for entry in book.outbox if entry.id != delivery.id]

        self.store.update(change)

    def _attach(self, delivery: Delivery, thread: Posted | None) -> None:
        """Upload the charts into the thread. Charts that are lost or unconfirmed are logged and not sent again.

        Raises:
            DeliveryError: the charts were not uploaded; the next delivery tries again.
        """
        where = thread or delivery.posted
        if where is None or not delivery.charts:
            return
        try:
            names = [f"{CHARTS_FOLDER}/{chart.name}" for chart in delivery.charts]
            with self.runs.folder(delivery.charts[0].uri, needed=names) as folder:
                charts = [path for name in names if (path := folder / name).is_file()]
                self.messenger.attach(where, charts, alt=delivery.message.image_alt)
        except (DeliveryUnknown, StoreError) as err:
            log.warning("the message was delivered, but its charts may be missing: %s", err)
        self._update(replace(delivery, charts=()))

    def _mark(self, delivery: Delivery, thread: Posted | None) -> None:
        """Mark the first message of the thread as resolved; doing so twice has no further effect.

        Raises:
            DeliveryError: the message is not marked yet; the next delivery tries again.
        """
        if thread is not None and delivery.mark is not None:
            self.messenger.replace(thread, delivery.mark)

    def _forward(self, delivery: Delivery) -> None:
        try:
            self.forward(delivery)
        except DeliveryError as err:
            log.warning("the message was not forwarded to other channels: %s", err)
