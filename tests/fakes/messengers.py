"""The places that messages go to, and the alert book in memory."""

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from include.perf.alerts.alert_store import Lost
from include.perf.alerts.book import AlertBook, Delivery, DeliveryPart, Message, Posted
from include.perf.model.errors import DeliveryError, DeliveryRefused, ThreadGone

T = TypeVar("T")


class Crash(BaseException):
    """The process is killed."""


class MemoryBook:
    """Keeps the book in memory; a failed change has no effect."""

    def __init__(self, book: AlertBook) -> None:
        self.book = book
        self.lost: str | None = None
        self.lost_by: Lost = lambda: self.lost

    def read(self) -> AlertBook:
        """Return a copy."""
        return copy.deepcopy(self.book)

    def update(self, change: Callable[[AlertBook], T]) -> T:
        """Change a copy, and keep it."""
        changed = self.read()
        result = change(changed)
        self.book = changed
        return result

    @contextmanager
    def delivering(self) -> Iterator[Lost]:
        """Hold the lock, which is lost as the test sets it up."""
        yield self.lost_by


class FakeSlack:
    """Accepts messages, or fails as configured.

    Attributes:
        faults: raised by the next posts, one each; ``None`` for a successful post.
        refused: by event, raised by each post.
        arrives: whether a message arrives although its post fails.
        refusal: raised for charts and marks.
        search_failure: raised by look-ups.
        gone: first messages that were deleted.
        messages: text, thread and whether the channel shows it, by id.
    """

    def __init__(self, *faults: BaseException | None, arrives: bool = False, has_threads: bool = True) -> None:
        self.faults = list(faults)
        self.refused: dict[str, DeliveryError] = {}
        self.arrives = arrives
        self.has_threads = has_threads
        self.search_failure: DeliveryError | None = None
        self.refusal: DeliveryError | None = None
        self.gone: set[str] = set()
        self.messages: dict[str, tuple[str, str | None, bool]] = {}
        self.replaced: list[tuple[Posted, str]] = []
        self.attached: list[tuple[Posted, list[str]]] = []
        self.searches = 0

    def moment(self) -> str | None:
        """Return a time of Slack's own clock."""
        return "100.000000"

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Accept a message, or fail."""
        if refusal := self.refused.get(delivery.event):
            raise refusal
        if thread is not None and thread.ts in self.gone:
            raise ThreadGone("thread_not_found")
        fault = self.faults.pop(0) if self.faults else None
        if fault is None or self.arrives:
            assert delivery.id not in self.messages, "it was sent twice"
            self.messages[delivery.id] = (delivery.message.text, thread.ts if thread else None, broadcast)
        if fault is not None:
            raise fault
        return Posted("C1", f"ts-{delivery.id}") if self.has_threads else None

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Look up a message; a webhook cannot."""
        self.searches += 1
        if not self.has_threads:
            raise DeliveryRefused("a webhook cannot search")
        if self.search_failure is not None:
            raise self.search_failure
        return Posted("C1", f"ts-{delivery.id}") if delivery.id in self.messages else None

    def replace(self, posted: Posted, message: Message) -> None:
        """Replace a message, or refuse."""
        if self.refusal is not None:
            raise self.refusal
        if posted.ts in self.gone:
            raise ThreadGone("message_not_found")
        self.replaced.append((posted, message.text))

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Take charts, or refuse them."""
        if self.refusal is not None:
            raise self.refusal
        self.attached.append((posted, [chart.name for chart in charts]))


class FakeOthers:
    """Other channels that take messages.

    Attributes:
        faults: raised by the next messages to an address, one each.
        received: the texts by address.
        repeatable: the addresses where a repeated message changes nothing.
    """

    def __init__(self, *names: str, repeatable: Sequence[str] = ()) -> None:
        self.repeatable = repeatable
        self.addresses = list(names)
        self.failure: DeliveryError | None = None
        self.faults: dict[str, list[BaseException]] = defaultdict(list)
        self.received: dict[str, list[str]] = {name: [] for name in names}

    def names(self) -> Sequence[str]:
        """Return the addresses."""
        if self.failure is not None:
            raise self.failure
        return self.addresses

    def is_repeatable(self, name: str) -> bool:
        """Whether a repeated message changes nothing."""
        return name in self.repeatable

    def send(self, name: str, delivery: Delivery) -> None:
        """Take a message, or fail."""
        if self.faults[name]:
            raise self.faults[name].pop(0)
        assert delivery.part is DeliveryPart.FORWARD
        self.received[name].append(delivery.message.text)
