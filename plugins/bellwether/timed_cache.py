"""A cache of one value that is slow to read and seldom changes."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TimedCache(Generic[T]):
    """Calls a function at most once per period and returns the cached result in between.

    Args:
        read: returns the value; an exception is passed on and not cached.
        for_s: the period in seconds.
        clock: a monotonic clock in seconds.
    """

    def __init__(self, read: Callable[[], T], *, for_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._for_s = for_s
        self._clock = clock
        self._cached: tuple[float, T] | None = None

    def __call__(self) -> T:
        """Return the cached value, or read it when the period is over."""
        now, cached = self._clock(), self._cached
        if cached is None or now - cached[0] >= self._for_s:
            cached = self._cached = (now, self._read())
        return cached[1]
