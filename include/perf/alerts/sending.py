"""Send one outbox entry: store that it is being sent, send it, and store the result."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Concatenate, NoReturn, ParamSpec, TypeVar

from include.perf.alerts import outbox
from include.perf.alerts.alert_store import AlertStore, Lost
from include.perf.alerts.book import AlertBook, Delivery, DeliveryPart, Event, Posted
from include.perf.alerts.channels import Messenger, OtherChannels
from include.perf.alerts.slack_blocks import titled
from include.perf.model.errors import DeliveryError, DeliveryRefused, DeliveryUnknown, StoreError, ThreadGone
from include.perf.model.file_reader import open_item
from include.perf.runs.results_store import CHARTS_FOLDER, ResultsStore, max_bytes, usable

log = logging.getLogger(__name__)

T = TypeVar("T")
P = ParamSpec("P")

SETTLES_S = 60.0
"""How long a message that was sent may still arrive."""


class LockLost(DeliveryError):
    """Another process may deliver now, so this one stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySender:
    """Sends single entries while the lock for deliveries is held.

    Attributes:
        lost: of the lock for deliveries.
        name: names this process as the sender of an entry.
        started_at: when the lock was taken, by ``timer``. Whatever another process sent, it sent before.
        timer: a monotonic clock in seconds.
        wait: sleeps for a number of seconds.
    """

    store: AlertStore
    messenger: Messenger
    others: OtherChannels
    runs: ResultsStore
    lost: Lost
    name: str
    started_at: float
    timer: Callable[[], float]
    wait: Callable[[float], None]

    def deliver(self, entry: Delivery) -> None:
        """Deliver an entry.

        Raises:
            LockLost: the lock for deliveries is not held any more; nothing was sent.
            DeliveryError: the entry did not arrive, or may not have arrived.
        """
        match entry.part:
            case DeliveryPart.MESSAGE:
                self._deliver_message(entry)
            case DeliveryPart.CHARTS:
                self._deliver_charts(entry)
            case DeliveryPart.MARK:
                self._deliver_mark(entry)
            case DeliveryPart.OTHERS:
                self._change(outbox.split, entry, self.others.names())
            case DeliveryPart.FORWARD:
                self._forward(entry)

    def _deliver_message(self, entry: Delivery) -> None:
        if entry.is_in_doubt and self._has_arrived(entry):
            return
        book = self.store.read()
        thread = outbox.thread_of(entry, book) if self.messenger.has_threads else None
        if thread is None and self._is_only_for_threads(entry):
            self._change(outbox.remove, entry)
            return
        worded = entry if thread is not None else _outside_thread(entry, book)
        post = partial(self.messenger.post, worded, thread=thread, broadcast=entry.event.is_for_channel)
        try:
            self._send(entry, post, thread=thread, since=self.messenger.moment())
        except ThreadGone as err:
            if thread is None:
                raise
            log.warning("a new thread begins: %s", err)
            self.store.update(lambda changed: outbox.forget_thread(changed, entry.problem_id, thread))
            self._deliver_message(replace(entry, state=outbox.PENDING))

    def _is_only_for_threads(self, entry: Delivery) -> bool:
        """Whether a message is left out because it has no thread.

        In a channel with threads, news of a problem that nobody was alerted about begins a new thread.
        """
        if self.messenger.has_threads:
            return entry.event is Event.ACKNOWLEDGED
        return entry.event in outbox.ONLY_IN_THREADS

    def _deliver_charts(self, entry: Delivery) -> None:
        """Upload the charts into the thread. Charts that are lost or in doubt are logged and not sent again."""
        thread = outbox.thread_of(entry, self.store.read())
        if thread is None or not self.messenger.has_threads:
            self._change(outbox.remove, entry)
            return
        with ExitStack() as stack:
            try:
                if entry.is_in_doubt:
                    raise DeliveryUnknown("the process ended while they were uploaded")
                charts = self._charts_of(entry, stack)
                attach = partial(self.messenger.attach, thread, charts, alt=entry.message.image_alt)
                self._send(entry, attach, thread=thread)
            except (DeliveryUnknown, ThreadGone) as err:
                log.warning("the message was delivered, but its charts may be missing: %s", err)
                self._change(outbox.remove, entry)

    def _charts_of(self, entry: Delivery, stack: ExitStack) -> list[Path]:
        """Return the charts that exist, as files that are there until the stack ends.

        Raises:
            DeliveryUnknown: they cannot be read.
        """
        names = [f"{CHARTS_FOLDER}/{chart.name}" for chart in entry.charts]
        try:
            folder = stack.enter_context(self.runs.folder(entry.charts[0].uri, needed=names))
        except StoreError as err:
            raise DeliveryUnknown(str(err)) from err
        return [path for name in names if (path := _usable_chart(folder / name)) is not None]

    def _deliver_mark(self, entry: Delivery) -> None:
        """Mark the first message of the thread; a mark in doubt is made again, which changes nothing."""
        thread = outbox.thread_of(entry, self.store.read())
        if thread is None or not self.messenger.has_threads:
            self._change(outbox.remove, entry)
            return
        self._make_pending(entry)
        try:
            self._send(entry, partial(self.messenger.replace, thread, entry.message), thread=thread)
        except ThreadGone as err:
            log.info("there is no message to mark: %s", err)
            self._change(outbox.remove, entry)

    def _forward(self, entry: Delivery) -> None:
        """Send to another channel. A message in doubt is sent again only where that changes nothing."""
        if entry.is_in_doubt and not self.others.is_repeatable(entry.address):
            self._set_aside(entry, f"it may have arrived at {entry.address}: the process ended while it was sent")
        self._make_pending(entry)
        worded = _outside_thread(entry, self.store.read())
        try:
            self._send(entry, partial(self.others.send, entry.address, worded))
        except DeliveryUnknown as err:
            self._set_aside(entry, str(err))

    def _make_pending(self, entry: Delivery) -> None:
        """Make an entry in doubt pending again."""
        if entry.is_in_doubt:
            self._change(outbox.take_over, entry, sender=self.name)
            self._change(outbox.pending_again, entry, sender=self.name, reason=entry.reason)

    def _send(
        self,
        entry: Delivery,
        send: Callable[[], Posted | None],
        *,
        thread: Posted | None = None,
        since: str | None = None,
    ) -> None:
        """Store that an entry is being sent, send it, and store the result.

        Raises:
            LockLost: the lock for deliveries is not held any more; nothing was sent.
            DeliveryError: it did not arrive, or may not have arrived.
        """
        if not self._change(outbox.begin, entry, sender=self.name, thread=thread, since=since):
            return
        if (why := self.lost()) is not None:
            self._change(outbox.pending_again, entry, sender=self.name, reason=why)
            raise LockLost(f"this delivery was stopped: {why}; the next one goes on")
        try:
            posted = send()
        except DeliveryUnknown as err:
            self._change(outbox.in_doubt, entry, sender=self.name, reason=str(err))
            raise
        except DeliveryRefused as err:
            if self._change(outbox.refused, entry, sender=self.name, reason=str(err)):
                _raise_set_aside(entry, str(err))
            raise
        except DeliveryError as err:
            self._change(outbox.pending_again, entry, sender=self.name, reason=str(err))
            raise
        self._change(outbox.arrived, entry, sender=self.name, posted=posted)

    def _has_arrived(self, entry: Delivery) -> bool:
        """Whether a message in doubt is in the channel; if not, it is pending again.

        Raises:
            DeliveryRefused: it cannot be found out; the message is set aside.
            DeliveryError: it is not known yet; the message stays in doubt.
        """
        self._change(outbox.take_over, entry, sender=self.name)
        try:
            posted = self._found(entry)
        except DeliveryRefused as err:
            self._set_aside(entry, str(err))
        if posted is not None:
            self._change(outbox.arrived, entry, sender=self.name, posted=posted)
            return True
        reason = "Slack does not confirm it, and it does not arrive"
        if self._change(outbox.refused, entry, sender=self.name, reason=reason):
            _raise_set_aside(entry, reason)
        return False

    def _found(self, entry: Delivery) -> Posted | None:
        """Look up a message in doubt, a second time after what was sent has settled."""
        try:
            posted = self.messenger.find(entry, thread=entry.thread)
            remaining_s = self.started_at + SETTLES_S - self.timer()
            if posted is None and remaining_s > 0:
                self.wait(remaining_s)
                posted = self.messenger.find(entry, thread=entry.thread)
        except ThreadGone:
            return None
        return posted

    def _set_aside(self, entry: Delivery, reason: str) -> NoReturn:
        self._change(outbox.set_aside, entry, reason=reason)
        _raise_set_aside(entry, reason)

    def _change(
        self, change: Callable[Concatenate[AlertBook, str, P], T], entry: Delivery, *given: P.args, **named: P.kwargs
    ) -> T:
        return self.store.update(lambda book: change(book, entry.id, *given, **named))


def _raise_set_aside(entry: Delivery, reason: str) -> NoReturn:
    log.error("delivery %s is set aside and not sent again: %s", entry.id, reason)
    raise DeliveryRefused(f"delivery {entry.id} is set aside: {reason}")


def _outside_thread(entry: Delivery, book: AlertBook) -> Delivery:
    """Return a reply with the title of its problem, which people do not see otherwise."""
    problem = book.problem(entry.problem_id)
    if problem is None or entry.event in (Event.OPENED, Event.WORSENED):
        return entry
    return replace(entry, message=titled(entry.message, problem.title))


def _usable_chart(path: Path) -> Path | None:
    """Return a chart that can be uploaded; ``None`` if it does not exist, or is left out, which is logged."""
    opened = usable(lambda: open_item(path, what=str(path), limit=max_bytes(path.name)), where=str(path))
    if opened is None:
        return None
    opened.close()
    return path
