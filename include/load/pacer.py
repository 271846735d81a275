"""Release each arrival when it is due, and read answers in between."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from gevent.event import Event

from include.load.alarm import make_alarm
from include.load.poller import Poller
from include.load.schedule import Due

MAX_RELEASES_AT_ONCE = 20
"""A schedule that runs late reads answers after this many releases."""

GRAIN_S = 0.00035
"""Arrivals that are closer together are released together, when the last of them is due: waking up for an arrival costs
more than sending it. The delay is part of their start lag, and affects only rates above about 2,800/s."""

LOOK_AHEAD = 64
"""Arrivals of the schedule that are computed at once."""

EARLY_S = 0.0001
"""How long waking up takes: the alarm rings this long before an arrival is due, and the rest is a busy wait."""

SPARSE_S = 0.0006
"""The busy wait is used only where arrivals are further apart than this; at higher rates it would cost more than all
the rest."""

NEAR_S = 0.0025
"""When the next arrival is due within this time, answers are read when it is due; the kernel has timestamped them."""


class Pacer:
    """Plays a schedule in real time; everything runs in gevent's hub.

    Args:
        release: takes an arrival and its lateness in seconds.
        on_fault: takes an error raised by a release; it must end the load, which would otherwise wait forever.

    Attributes:
        all_released: set at the end of the schedule.
    """

    def __init__(
        self,
        schedule: Iterator[Due],
        poller: Poller,
        *,
        release: Callable[[Due, float], None],
        on_fault: Callable[[Exception], None],
    ) -> None:
        self._schedule = schedule
        self._poller = poller
        self._release = release
        self._on_fault = on_fault
        self._ahead: deque[Due] = deque()
        self._near: list[Due] = []
        self._alarm = make_alarm(self._ring)
        self._start = 0.0
        self._is_early = False
        self._is_closed = False
        self.all_released = Event()

    def start(self, start: float) -> None:
        """Begin; ``start`` is the start of the schedule, on the clock of ``time.perf_counter``."""
        self._start = start
        self._near = self._next_near()
        self._await_next()

    def close(self) -> None:
        """Release no more arrivals, and read answers as they arrive."""
        self._is_closed = True
        self._alarm.close()
        self._poller.wake()

    def _ring(self) -> None:
        if self._is_closed:
            return
        try:
            self._release_due()
        except Exception as err:
            self._on_fault(err)
            raise

    def _release_due(self) -> None:
        if self._is_early:
            self._poller.collect()
            await_moment(self._start + self._near[-1].due_s)
        released = 0
        while self._near and released < MAX_RELEASES_AT_ONCE:
            now_s = time.perf_counter() - self._start
            if now_s < self._near[-1].due_s:
                break
            for due in self._near:
                self._release(due, now_s - due.due_s)
            released += len(self._near)
            self._near = self._next_near()
        self._poller.collect()
        self._await_next()

    def _await_next(self) -> None:
        if not self._near:
            self._poller.wake()
            self.all_released.set()
            return
        when = self._start + self._near[-1].due_s
        if when - time.perf_counter() > NEAR_S:
            self._poller.wake()
        else:
            self._poller.rest()
        self._is_early = when - time.perf_counter() > SPARSE_S
        self._alarm.set(when - EARLY_S if self._is_early else when)

    def _next_near(self) -> list[Due]:
        """Return the next arrival and those due within `GRAIN_S` after it; they are released together."""
        near: list[Due] = []
        while self._ahead or self._look_ahead():
            if near and self._ahead[0].due_s - near[0].due_s > GRAIN_S:
                break
            near.append(self._ahead.popleft())
        return near

    def _look_ahead(self) -> bool:
        """Compute more of the schedule; return whether there is more."""
        self._ahead.extend(islice(self._schedule, LOOK_AHEAD))
        return bool(self._ahead)


def await_moment(when: float) -> None:
    """Busy-wait, for a tenth of a millisecond at most."""
    while time.perf_counter() < when:
        pass
