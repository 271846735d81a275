"""How soon a load ends when the process that ordered it is gone, or hangs: no request may arrive 5 s later.

Every process of a load sends heartbeats down the chain, from the task over the master to the workers, and each
heartbeat of a master says how long ago it heard of its own parent. So whichever process is gone, a load process hears
of the task for the last time at most one heartbeat per link after the end of the task, and stops

    SILENT_S + 2 · LOOK_INTERVAL_S = 3.45 s

after that. A process that stands still for up to SILENT_S − 2 · HEARTBEAT_INTERVAL_S = 2.75 s ends no load. A pipe or
connection that closes ends it at once.
"""

import time
from collections.abc import Callable

import gevent

SILENT_S = 3.25
"""Without a sign of life for this long, the process that ordered the load hangs or cannot be reached."""

LOOK_INTERVAL_S = 0.1


class SignOfLife:
    """The last sign of life of another process, and whether it is too old."""

    def __init__(self, *, limit_s: float = SILENT_S, clock: Callable[[], float] = time.perf_counter) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._given_at = clock()
        self._was_old = False

    @property
    def age_s(self) -> float:
        """How long ago it was given."""
        return self._clock() - self._given_at

    def heard(self, *, age_s: float = 0.0) -> None:
        """Note a sign of life, which was given some time ago; one that is older than the last changes nothing."""
        self._given_at = max(self._given_at, self._clock() - max(0.0, age_s))

    def is_too_old(self) -> bool:
        """Whether it was too old at the previous look, and still is.

        If this process itself stood still, a first look may come before it has read what waited for it.
        """
        is_old = self.age_s > self._limit_s
        was_old, self._was_old = self._was_old, is_old
        return is_old and was_old

    def await_end(self) -> None:
        """Return once it is too old."""
        while not self.is_too_old():
            gevent.sleep(LOOK_INTERVAL_S)
