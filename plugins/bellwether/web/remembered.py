"""What is dear to find out and seldom changes."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Asks no more than once in so many seconds, and repeats the answer meanwhile.

    Args:
        ask: returns what is to be known; an error is passed on and not remembered.
        clock: seconds that never go back.
    """

    def __init__(self, ask: Callable[[], T], *, for_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._for_s = for_s
        self._clock = clock
        self._kept: tuple[float, T] | None = None

    def __call__(self) -> T:
        """Return what was found out last, if that is not too long ago."""
        now, kept = self._clock(), self._kept
        if kept is None or now - kept[0] >= self._for_s:
            kept = self._kept = (now, self._ask())
        return kept[1]
