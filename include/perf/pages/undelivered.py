"""Alerts that were not delivered and will not be sent again, and what cannot be read of the alert book."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from include.perf.alerts.book import AlertBook, Delivery
from include.perf.model.text import one_line
from include.perf.pages.marks import minute

LONGEST = 300
"""The longest text of an entry, in characters; `alerts list` has all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAsideMessage:
    """An outbox entry that was set aside.

    Attributes:
        id: for the commands ``alerts retry`` and ``alerts drop``.
        what: the part and its place, such as ``message to #trading``.
    """

    id: str
    what: str
    text: str
    since: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """What people were not alerted about, or may not have been.

    Attributes:
        messages: oldest first.
        unreadable: why parts of the alert book cannot be used, in sentences that name them.
    """

    messages: tuple[SetAsideMessage, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """The number of all of it."""
        return len(self.messages) + len(self.unreadable)


ALL_DELIVERED = Undelivered()


def undelivered_of(book: AlertBook, scenarios: Collection[str], *, may_read: Callable[[str], bool]) -> Undelivered:
    """Return what was not delivered, for a viewer who may see every scenario: messages may name any cell.

    Args:
        scenarios: all that there are.
    """
    if not scenarios or not all(map(may_read, scenarios)):
        return ALL_DELIVERED
    return Undelivered(
        messages=tuple(_message(entry) for entry in book.outbox if entry.is_set_aside),
        unreadable=tuple(f"{entry.section}: {_short(entry.reason)}" for entry in book.unreadable),
    )


def _message(entry: Delivery) -> SetAsideMessage:
    return SetAsideMessage(
        id=entry.id,
        what=f"{entry.part} to {entry.address or entry.channel}",
        text=_short(entry.message.text),
        since=minute(entry.created_at),
        reason=_short(entry.short_reason),
    )


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
