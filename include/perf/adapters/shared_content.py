"""Bytes that several processes share: read at any time, changed by one after another, whole or not at all."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Generic[T]):
    """What a change makes of the bytes.

    Attributes:
        content: takes the place of what was there.
        result: is handed to whoever wanted the change.
    """

    content: bytes
    result: T


class SharedContent(Protocol):
    """A file under a lock, or an object that is changed by compare-and-swap."""

    @property
    def where(self) -> str:
        """Where it is, for people."""

    def read(self) -> bytes | None:
        """Return what is in it, ``None`` when it is not there yet."""

    def stamp(self) -> Hashable | None:
        """Return what is another one after each change; ``None`` when it is not there yet."""

    def update(self, change: Callable[[bytes | None], Changed[T]]) -> T:
        """Change what is in it.

        Args:
            change: called again with what is there by then where somebody else was faster; what it raises leaves all
                as it was.
        """
