"""Where the alert book is stored, and the lock for deliveries."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from include.perf.alerts.book import AlertBook

T = TypeVar("T")

Lost = Callable[[], str | None]
"""Returns why a lock is or may be lost; ``None`` while it is held."""


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

    def delivering(self) -> AbstractContextManager[Lost]:
        """Hold the lock for deliveries, which only one process holds at a time."""
