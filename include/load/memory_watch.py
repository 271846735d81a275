"""Ends a load whose master takes too much memory.

ZeroMQ limits every frame of a message, and how many complete messages wait, but not how many frames one message has: it
collects them before anyone sees the message. So whoever holds the key could fill the memory of the machine.
"""

import logging
import resource
from collections.abc import Callable
from pathlib import Path

import gevent

log = logging.getLogger("include.load.master")

MAX_GROWTH_BYTES = 1024**3
"""By so much the memory of a master may grow, apart from the orders that it sends: complete messages of 64 workers that
wait take less, unless it hangs."""

LOOK_EVERY_S = 0.1

TOO_MUCH = f"the master took {MAX_GROWTH_BYTES // 1024**3} GiB more memory, because a worker sends without end"


def resident_bytes() -> int:
    """Return the memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


class MemoryWatch:
    """Looks at the memory of this process.

    Args:
        end: ends the load with a reason.
        used: returns how much memory is used.
    """

    def __init__(self, end: Callable[[str], None], *, used: Callable[[], int] = resident_bytes) -> None:
        self._end = end
        self._used = used
        self.begin()

    def begin(self) -> None:
        """Count from the present on."""
        self._limit = self._used() + MAX_GROWTH_BYTES

    def watch(self) -> None:
        """Look until it is too much, and end the load."""
        while self._used() <= self._limit:
            gevent.sleep(LOOK_EVERY_S)
        log.error("%s", TOO_MUCH)
        self._end(TOO_MUCH)
