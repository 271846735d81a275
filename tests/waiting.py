"""Polling for conditions outside this process."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], *, within_s: float, what: str, every_s: float = 0.2) -> T:
    """Poll until a condition holds, and return its value.

    Raises:
        TimeoutError: the condition does not hold in time.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(every_s)
    raise TimeoutError(f"{what}: not within {within_s:g} s")
