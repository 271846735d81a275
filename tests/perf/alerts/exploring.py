"""Explores every interleaving of a delivery with faults: a model of the outside world, in which each step may go wrong.

A history is a list of choices: what goes wrong at the first step, at the second, and so on; empty where all goes well.
`histories` runs a scenario once for each history with a bounded number of faults, without repetition: from the history
of a run it derives those that differ at a later step.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from include.perf.alerts import outbox
from include.perf.alerts.alert_store import Lost
from include.perf.alerts.book import AlertBook, Delivery, DeliveryPart, Event, Message, Posted, UnreadableEntry
from include.perf.alerts.delivery import OutboxSender
from include.perf.model.errors import DeliveryError, DeliveryRefused, DeliveryUnknown, StoreError, ThreadGone
from tests.fakes.clock import START
from tests.fakes.messengers import Crash
from tests.perf.alert_words import message

T = TypeVar("T")

FAULTY_ROUNDS = 2
QUIET_ROUNDS = 4
"""Deliveries in which nothing goes wrong any more; the last one must have nothing to do."""


class Script:
    """Chooses what happens at each step; beyond the given choices, all goes well."""

    def __init__(self, choices: Sequence[str]) -> None:
        self._choices = choices
        self.taken: list[str] = []
        self.options: list[tuple[str, ...]] = []
        self.is_quiet = False

    def choose(self, *faults: str) -> str:
        """Return a fault, or an empty text if all goes well."""
        if self.is_quiet:
            return ""
        step = len(self.taken)
        chosen = self._choices[step] if step < len(self._choices) else ""
        self.taken.append(chosen)
        self.options.append(faults)
        return chosen


@dataclass
class World:
    """The alert book, Slack and another channel; two workers deliver.

    Attributes:
        can_search: whether Slack is used by a bot; otherwise by a webhook.
        holder: the number of the worker that holds the lock.
        on_their_way: messages that Slack accepted and that arrive later.
        deleted: first messages that people deleted.
    """

    script: Script
    book: AlertBook
    can_search: bool
    holder: int = 0
    now_s: float = 0.0
    posts: list[tuple[str, str | None]] = field(default_factory=list)
    on_their_way: list[tuple[str, str | None]] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    charts: int = 0
    marks: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    reports: dict[str, str] = field(default_factory=dict)
    results: list[list[str]] = field(default_factory=list)

    def deliver(self) -> list[str]:
        """Let a worker deliver, which takes the lock."""
        self.holder += 1
        worker = self.holder
        sender = OutboxSender(
            store=_Store(self, worker),
            messenger=_Slack(self),
            others=_Others(self),
            runs=_Runs(),  # type: ignore[arg-type]  # nothing but folders of charts
            report=_report,
            ops_channel="#ops",
            clock=self.clock,
            timer=lambda: self.now_s,
            wait=self.wait,
        )
        return sender.deliver()

    def clock(self) -> datetime:
        """Return a time that jumps by days."""
        return START + timedelta(days=(-1) ** len(self.script.taken) * 3)

    def wait(self, duration_s: float) -> None:
        """Let time pass: what was on its way arrives within a minute."""
        self.now_s += duration_s
        if duration_s >= 59:
            self.arrive()

    def arrive(self) -> None:
        """Let arrive what was on its way."""
        self.posts += self.on_their_way
        self.on_their_way = []

    def take_over(self) -> None:
        """Another worker finds the lock free, because this one was suspended for too long, and delivers."""
        with suppress(StoreError, DeliveryError, Crash):
            self.deliver()


class _Store:
    def __init__(self, world: World, worker: int) -> None:
        self._world = world
        self._worker = worker

    def read(self) -> AlertBook:
        if self._world.script.choose("error"):
            raise StoreError("the book cannot be read")
        return _copy(self._world.book)

    def update(self, change: Callable[[AlertBook], T]) -> T:
        fault = self._world.script.choose(
            "error", "crash", "lost answer", "crash after", "take over", "take over after"
        )
        if fault == "take over":
            self._world.take_over()
        _fail_if(fault, error=StoreError("the book cannot be written"))
        changed = _copy(self._world.book)
        result = change(changed)
        self._world.book = changed
        if fault == "take over after":
            self._world.take_over()
        if fault == "lost answer":
            raise StoreError("the answer was lost")
        if fault == "crash after":
            raise Crash
        return result

    @contextmanager
    def delivering(self) -> Iterator[Lost]:
        yield lambda: None if self._world.holder == self._worker else "the lease was taken over"


def _copy(book: AlertBook) -> AlertBook:
    """Return a copy; the entries are never changed."""
    return replace(book, problems=list(book.problems), outbox=list(book.outbox))


def _fail_if(fault: str, *, error: Exception) -> None:
    if fault == "error":
        raise error
    if fault == "crash":
        raise Crash


class _Slack:
    def __init__(self, world: World) -> None:
        self._world = world
        self.has_threads = world.can_search

    def moment(self) -> str | None:
        if self._world.script.choose("error"):
            raise DeliveryError("Slack is down")
        return None

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        world = self._world
        if thread is not None and thread.ts in world.deleted:
            raise ThreadGone("thread_not_found")
        replies = ("deleted",) if thread is not None else ()
        fault = world.script.choose(
            "error", "refused", "crash", "unknown", "lost answer", "crash after", "late", *replies
        )
        if fault == "deleted" and thread is not None:
            world.deleted.add(thread.ts)
            raise ThreadGone("thread_not_found")
        _fail_if(fault, error=DeliveryError("Slack is down"))
        if fault == "refused":
            raise DeliveryRefused("invalid_blocks")
        if delivery.event is Event.UNDELIVERABLE:
            world.reports[delivery.id] = delivery.message.text
        sent = (delivery.id, thread.ts if thread else None)
        if fault == "late":
            world.on_their_way.append(sent)
        elif fault != "unknown":
            world.posts.append(sent)
        if fault == "crash after":
            raise Crash
        if fault in ("unknown", "lost answer", "late"):
            raise DeliveryUnknown("no answer in time")
        return Posted("C1", delivery.id) if self.has_threads else None

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        if not self.has_threads:
            raise DeliveryRefused("a webhook cannot search")
        if self._world.script.choose("error"):
            raise DeliveryUnknown("Slack is down")
        is_there = (delivery.id, thread.ts if thread else None) in self._world.posts
        return Posted("C1", delivery.id) if is_there else None

    def replace(self, posted: Posted, message: Message) -> None:
        fault = self._world.script.choose("error", "refused", "crash", "crash after")
        _fail_if(fault, error=DeliveryError("Slack is down"))
        if fault == "refused":
            raise DeliveryRefused("cant_update_message")
        if posted.ts in self._world.deleted:
            raise ThreadGone("message_not_found")
        self._world.marks.append(posted.ts)
        if fault == "crash after":
            raise Crash

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        fault = self._world.script.choose("error", "crash", "unknown", "lost answer", "crash after")
        _fail_if(fault, error=DeliveryError("Slack is down"))
        self._world.charts += fault != "unknown"
        if fault == "crash after":
            raise Crash
        if fault:
            raise DeliveryUnknown("no answer in time")


class _Runs:
    @contextmanager
    def folder(self, uri: str, *, needed: Sequence[str]) -> Iterator[Path]:
        yield Path("no charts were drawn")


class _Others:
    def __init__(self, world: World) -> None:
        self._world = world

    def names(self) -> Sequence[str]:
        if self._world.script.choose("error"):
            raise DeliveryError("the connection has no address")
        return ("mailto://",)

    def is_repeatable(self, name: str) -> bool:
        return False

    def send(self, name: str, delivery: Delivery) -> None:
        fault = self._world.script.choose("refused", "crash", "crash after")
        if fault == "refused":
            raise DeliveryRefused("mailto:// did not accept it")
        _fail_if(fault, error=DeliveryError(""))
        self._world.received.append(delivery.id)
        if fault == "crash after":
            raise Crash


def _report(entries: Sequence[Delivery], unreadable: Sequence[UnreadableEntry]) -> Message:
    return message(" ".join(entry.id for entry in entries))


def histories(book: AlertBook, *, can_search: bool, most_faults: int) -> Iterator[World]:
    """Run a book through every history with at most so many faults; yield the world after each."""
    stack: list[list[str]] = [[]]
    while stack:
        choices = stack.pop()
        script = Script(choices)
        world = World(script=script, book=_copy(book), can_search=can_search)
        for _ in range(FAULTY_ROUNDS):
            with suppress(StoreError, DeliveryError, Crash):
                world.deliver()
        script.is_quiet = True
        world.now_s += 60.0
        for _ in range(QUIET_ROUNDS):
            world.results.append(world.deliver())
        world.arrive()
        yield world
        if sum(bool(choice) for choice in choices) < most_faults:
            for step in range(len(choices), len(script.taken)):
                stack += [[*script.taken[:step], fault] for fault in script.options[step]]


def wrong_with(world: World, book: AlertBook) -> str | None:
    """Return which promise of docs/alerts.md a history broke; ``None`` if it broke none."""
    if world.results[-1] or not outbox.is_idle(world.book):
        return f"it never ends: {world.results[-1]} {world.book.outbox}"
    aside = {entry.id: entry for entry in world.book.outbox if entry.is_set_aside}
    if world.can_search and any(entry.part.is_for_slack for entry in aside.values()):
        return f"given up: {list(aside)}"
    if lost := [entry.id for entry in book.outbox if _is_lost(entry, world, set(aside))]:
        return f"lost: {lost}"
    return _repeated(world) or _unreported(world, aside) or _wrong_order(world)


def _is_lost(entry: Delivery, world: World, aside: set[str]) -> bool:
    match entry.part:
        case DeliveryPart.MESSAGE:
            is_left_out = entry.event in outbox.ONLY_IN_THREADS and not world.can_search
            has_arrived = any(entry.id == delivery_id for delivery_id, _ in world.posts)
            return not (has_arrived or is_left_out or entry.id in aside)
        case DeliveryPart.OTHERS:
            return f"{entry.id}-1" not in {*world.received, *aside}
        case DeliveryPart.MARK:
            return world.can_search and not (world.marks or world.deleted)
    return False


def _repeated(world: World) -> str | None:
    counts = Counter([*(delivery_id for delivery_id, _ in world.posts), *world.received])
    if twice := [delivery_id for delivery_id, count in counts.items() if count > 1]:
        return f"sent twice: {twice}"
    return "the charts were sent twice" if world.charts > 1 else None


def _unreported(world: World, aside: Mapping[str, Delivery]) -> str | None:
    posted = [world.reports[delivery_id] for delivery_id, _ in world.posts if delivery_id in world.reports]
    reported = [name for text in posted for name in text.split()]
    if len(reported) != len(set(reported)):
        return f"reported twice: {reported}"
    is_report_in_doubt = any(entry.event is Event.UNDELIVERABLE for entry in aside.values())
    if not is_report_in_doubt and not set(aside) <= set(reported):
        return f"reported {reported}, but set aside: {list(aside)}"
    return None


def _wrong_order(world: World) -> str | None:
    """Return which reply came before the message that it replies to."""
    seen: set[str] = set()
    for delivery_id, thread in world.posts:
        if thread is not None and thread not in seen:
            return f"{delivery_id} replies to {thread}, which was not there"
        seen.add(delivery_id)
    return None
