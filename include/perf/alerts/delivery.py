"""Delivers what has to be told: each message once, in order, and what did not arrive again with the next run.

Before a message is sent it is kept that it is, so that a crash leaves no doubt that is not known of. What may have
arrived is looked for before it is sent again; where nobody can look, it is not sent again.
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

T = TypeVar("T")


class Messenger(Protocol):
    """Takes messages to people.

    Attributes:
        has_threads: whether a message can be answered, changed and found again.
    """

    has_threads: bool

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Send a message, into a thread where one is given; returns where it is, if that is known.

        Args:
            broadcast: show an answer in the channel, too.

        Raises:
            DeliveryError: it did not arrive.
            DeliveryUnknown: it may have arrived.
        """

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Look for a message that was sent before; ``None`` when it is not there.

        Raises:
            DeliveryUnknown: nobody can tell now.
            DeliveryError: nobody will be able to tell.
        """

    def replace(self, posted: Posted, message: Message) -> None:
        """Change what a message says.

        Raises:
            DeliveryError: it stays as it was.
        """

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Put charts into a message's thread.

        Raises:
            DeliveryError: they are not there.
            DeliveryUnknown: they may be there, or some of them.
        """


class AlertStore(Protocol):
    """Keeps what people were told."""

    def read(self) -> AlertBook:
        """Return all of it."""

    def update(self, change: Callable[[AlertBook], T]) -> T:
        """Change it, all or nothing, and return what ``change`` returns.

        Args:
            change: called again with the book as it is by then where somebody else was faster, so that it may do
                nothing but change what it is given. What it raises leaves the book as it was.
        """

    def delivering(self) -> AbstractContextManager[None]:
        """Let only one at a time deliver."""


log = logging.getLogger(__name__)

ONLY_IN_THREADS = (Event.CONTINUES, Event.ACKNOWLEDGED)

SETTLES = timedelta(minutes=1)
"""So long a message that was sent may still be under way, although nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSender:
    """Empties the outbox.

    Attributes:
        runs: has the charts.
        also: tells other channels of what was delivered.
    """

    store: AlertStore
    messenger: Messenger
    runs: ResultsStore
    clock: Clock
    also: Callable[[Delivery], None] = lambda _: None

    def deliver(self) -> list[str]:
        """Deliver all that waits; returns why what is left did not arrive."""
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
        delivery = next((each for each in book.outbox if each.id == delivery_id), None)
        if delivery is None:
            return  # another one delivered it while this process stood still
        thread = self._thread_of(delivery, book)
        if delivery.event in ONLY_IN_THREADS and thread is None:
            self._settle(delivery)  # silence on repetition, where there is no thread to say it in
            return
        if delivery.posted is None:
            posted = self._found(delivery, thread) if delivery.is_unsure else None
            if posted is None:
                posted = self._post(delivery, thread)
            delivery = replace(delivery, posted=posted, is_unsure=False)
            self._arrived(delivery)
            self._tell_others(delivery)
        self._attach(delivery, thread)
        self._mark(delivery, thread)
        self._settle(delivery)

    def _thread_of(self, delivery: Delivery, book: AlertBook) -> Posted | None:
        """Return the message that this one answers, ``None`` where it stands by itself.

        Raises:
            DeliveryError: that one has not arrived yet.
        """
        problem = book.problem(delivery.problem_id)
        if problem is None or delivery.event is Event.OPENED:
            return None
        if problem.posted is None and any(
            each.problem_id == problem.id and each.event is Event.OPENED for each in book.outbox
        ):
            raise DeliveryError(f"it waits for the message that it answers: {delivery.message.text}")
        return problem.posted if self.messenger.has_threads else None

    def _found(self, delivery: Delivery, thread: Posted | None) -> Posted | None:
        """Return the message that was sent before, if it arrived.

        Raises:
            DeliveryUnknown: nobody can tell yet.
            DeliveryError: nobody can tell, nor will; it is given up, because twice would be worse.
        """
        if delivery.sent_at is not None and self.clock() - delivery.sent_at < SETTLES:
            raise DeliveryUnknown(f"it was sent a moment ago, and may arrive yet: {delivery.message.text}")
        try:
            return self.messenger.find(delivery, thread=thread)
        except DeliveryUnknown:
            raise
        except DeliveryError as err:
            self._settle(delivery)
            raise DeliveryError(
                f"it may have arrived or not, and is not sent again ({err}): {delivery.message.text}"
            ) from err

    def _post(self, delivery: Delivery, thread: Posted | None) -> Posted | None:
        self._change(replace(delivery, is_unsure=True, sent_at=self.clock(), attempts=delivery.attempts + 1))
        try:
            return self.messenger.post(delivery, thread=thread, broadcast=delivery.event is Event.WORSENED)
        except DeliveryUnknown:
            raise
        except DeliveryError:
            self._change(replace(delivery, is_unsure=False, attempts=delivery.attempts + 1))
            raise

    def _change(self, delivery: Delivery) -> None:
        self.store.update(lambda book: book.renew(delivery))

    def _arrived(self, delivery: Delivery) -> None:
        """Keep that a message is there; with the first of a problem its thread begins."""

        def change(book: AlertBook) -> None:
            book.renew(delivery)
            problem = book.problem(delivery.problem_id)
            if problem is not None and problem.posted is None and delivery.event is Event.OPENED:
                book.put(replace(problem, posted=delivery.posted))

        self.store.update(change)

    def _settle(self, delivery: Delivery) -> None:
        """Take a message out of the outbox."""

        def change(book: AlertBook) -> None:
            book.outbox = [each for each in book.outbox if each.id != delivery.id]

        self.store.update(change)

    def _attach(self, delivery: Delivery, thread: Posted | None) -> None:
        """Put the charts into the thread.

        Raises:
            DeliveryError: they are not there; they come with the next run.
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
            log.warning("the message is there, but perhaps not its charts: %s", err)
        self._change(replace(delivery, charts=()))

    def _mark(self, delivery: Delivery, thread: Posted | None) -> None:
        """Say on the first message that the problem is over; to say it twice does no harm.

        Raises:
            DeliveryError: it does not say so yet.
        """
        if thread is not None and delivery.mark is not None:
            self.messenger.replace(thread, delivery.mark)

    def _tell_others(self, delivery: Delivery) -> None:
        try:
            self.also(delivery)
        except DeliveryError as err:
            log.warning("other channels were not told: %s", err)
