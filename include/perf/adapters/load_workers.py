"""The workers of a load, wherever they run: what the one who drives it needs of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a worker reported.

    Attributes:
        worker: its number, from 0.
        reports: in order.
        left: how it went, when it reports no more; see `ENDED`.
    """

    worker: int
    reports: Sequence[Mapping[str, Any]] = ()
    left: str | None = None


ENDED = "ended"
"""How a worker goes whose record is whole."""


class LoadWorkers(Protocol):
    """The workers of one load."""

    @property
    def hosts(self) -> Sequence[str]:
        """Where each of them runs; empty when all run here."""

    def __len__(self) -> int:
        """Return how many there are."""

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send a command to all of them; one that is gone gets none."""

    def hear(self, *, within_s: float) -> Iterable[Heard]:
        """Wait for what they report next, at most so long."""

    def drop(self, worker: int) -> None:
        """Go on without one that does not end."""
