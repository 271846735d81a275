"""Releases each arrival when it is due, and lets answers be read in between."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from gevent.event import Event

from include.load.alarm import make_alarm
from include.load.poller import Poller
from include.load.schedule import Due

MOST_AT_ONCE = 20
"""A schedule that runs behind lets answers in after so many releases."""

GRAIN_S = 0.00035
"""Arrivals that are closer together are released together, when the last of them is due: to wake up for each
costs more than to send it. It is part of their start lag, and concerns only rates beyond 2,800/s or so."""

LOOK_AHEAD = 64
"""So many arrivals of the schedule are worked out at once."""

EARLY_S = 0.0001
"""To wake up takes that long, so the alarm rings so much before an arrival is due, and the rest is waited awake."""

SPARSE_S = 0.0006
"""Only where arrivals are further apart: at higher rates waiting awake would cost more than all the rest."""

NEAR_S = 0.0025
"""With the next arrival so near, answers are collected when it is due; the kernel keeps the time of each."""


class Pacer:
    """Goes through a schedule in real time; everything happens in gevent's hub.

    Args:
        release: takes an arrival and by how many seconds it is late.
        on_fault: hears of an error in a release, which must end the load and not leave it waiting for ever.

    Attributes:
        all_released: set once the schedule is at its end.
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
        """Begin; ``start`` is when the schedule does, on the clock of ``time.perf_counter``."""
        self._start = start
        self._near = self._next_near()
        self._await_next()

    def close(self) -> None:
        """Release nothing more, and have answers read as they come."""
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
        while self._near and released < MOST_AT_ONCE:
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
        """Return the next arrival, and those that are due so soon after it that they are released together."""
        near: list[Due] = []
        while self._ahead or self._look_ahead():
            if near and self._ahead[0].due_s - near[0].due_s > GRAIN_S:
                break
            near.append(self._ahead.popleft())
        return near

    def _look_ahead(self) -> bool:
        """Work out more of the schedule; whether there is more."""
        self._ahead.extend(islice(self._schedule, LOOK_AHEAD))
        return bool(self._ahead)


def await_moment(when: float) -> None:
    """Wait awake, for a tenth of a millisecond at most."""
    while time.perf_counter() < when:
        pass
