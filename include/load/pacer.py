"""Release each arrival when it is due, and read answers in between."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, Protocol, TypeVar

from gevent.event import Event

from include.load.alarm import make_alarm
from include.load.poller import Poller

log = logging.getLogger(__name__)

MAX_RELEASES_AT_ONCE = 20
"""A schedule that runs late reads answers after this many releases."""

EXACT_UP_TO_RPS = 2500
"""Up to this peak rate of a worker, every arrival is released when it is due."""

GRAIN_S = 0.00035
"""At higher rates, arrivals that are closer together are released together, when the last of them is due: waking up for
an arrival costs more than sending it. The delay is part of their start lag."""

LOOK_AHEAD = 32
"""Arrivals that are prepared at once: one by one costs three times as much, because the code has left the processor's
cache by the next arrival."""

FREE_S = 0.0003
"""How long nothing must be due for arrivals to be prepared before they are needed."""

MAX_EARLY_S = 0.0001
EARLY_STEP_S = 0.000001
"""How much earlier the alarm rings than an arrival is due, at most, and by how much that changes at once."""

NEAR_S = 0.0025
"""When the next arrival is due within this time, answers are read when it is due; the kernel has timestamped them."""


class Timed(Protocol):
    """Something with a due time, in seconds after the start of the schedule."""

    @property
    def due_s(self) -> float:
        """When it is due."""


TimedT = TypeVar("TimedT", bound=Timed)


class Pacer(Generic[TimedT]):
    """Plays a schedule in real time; everything runs in gevent's hub.

    Args:
        schedule: the arrivals in the order in which they are due; it may prepare each when it is asked for it.
        release: takes an arrival and its lateness in seconds.
        on_fault: takes an error raised by a release; it must end the load, which would otherwise wait forever.
        grain_s: arrivals that are closer together are released together; see `grain_of`.
        reads_at_once: whether answers are read as they arrive, because the next request of a journey waits for them.

    Attributes:
        all_released: set at the end of the schedule.
    """

    def __init__(
        self,
        schedule: Iterator[TimedT],
        poller: Poller,
        *,
        release: Callable[[TimedT, float], None],
        on_fault: Callable[[Exception], None],
        grain_s: float = 0.0,
        reads_at_once: bool = False,
    ) -> None:
        self._schedule = schedule
        self._poller = poller
        self._release = release
        self._on_fault = on_fault
        self._grain_s = grain_s
        self._near_s = -1.0 if reads_at_once else NEAR_S
        self._ahead: deque[TimedT] = deque()
        self._near: list[TimedT] = []
        self._alarm = make_alarm(self._ring)
        self._start = 0.0
        self._rings_at = 0.0
        self._early_s = 0.0
        self._is_closed = False
        self.all_released = Event()

    def start(self, start: float) -> None:
        """Begin; ``start`` is the start of the schedule, on the clock of ``time.perf_counter``."""
        self._start = start
        try:
            self._near = self._next_near()
            self._await_next()
        except Exception as err:
            log.exception("the first arrivals cannot be prepared")
            self._on_fault(err)

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
        woke = time.perf_counter()
        released = 0
        while self._near and released < MAX_RELEASES_AT_ONCE:
            due_s = self._near[-1].due_s
            now_s = time.perf_counter() - self._start
            if due_s - now_s > self._early_s:
                break
            if now_s < due_s:
                await_moment(self._start + due_s)
                now_s = time.perf_counter() - self._start
            for arrival in self._near:
                self._release(arrival, now_s - arrival.due_s)
            released += len(self._near)
            self._near = self._next_near()
        self._poller.collect()
        if not self._grain_s:
            self._adapt_to(woke - self._rings_at)
        self._await_next()

    def _adapt_to(self, wake_s: float) -> None:
        """Follow the median of the time that waking up takes: the alarm rings that much early.

        The rest is a busy wait, which is as short as the spread of that time. Equal steps up and down balance at the
        median (Robbins & Monro, doi:10.1214/aoms/1177729586).
        """
        step_s = EARLY_STEP_S if wake_s > self._early_s else -EARLY_STEP_S
        self._early_s = min(max(0.0, self._early_s + step_s), MAX_EARLY_S)

    def _await_next(self) -> None:
        if not self._near:
            self._poller.wake()
            self.all_released.set()
            return
        when = self._start + self._near[-1].due_s
        now = time.perf_counter()
        if when - now > FREE_S and len(self._ahead) < LOOK_AHEAD // 2:
            self._look_ahead()
            now = time.perf_counter()
        if when - now > self._near_s:
            self._poller.wake()
        else:
            self._poller.rest()
        self._rings_at = max(now, when - self._early_s)
        self._alarm.set(self._rings_at)

    def _next_near(self) -> list[TimedT]:
        """Return the next arrival and those that are released together with it."""
        near: list[TimedT] = []
        while self._ahead or self._look_ahead():
            if near and self._ahead[0].due_s - near[0].due_s >= self._grain_s:
                break
            near.append(self._ahead.popleft())
        return near

    def _look_ahead(self) -> bool:
        """Prepare more arrivals; return whether there are more."""
        self._ahead.extend(islice(self._schedule, LOOK_AHEAD))
        return bool(self._ahead)


def grain_of(peak_rate_rps: float) -> float:
    """Return which arrivals of a worker are released together, given its highest rate."""
    return GRAIN_S if peak_rate_rps > EXACT_UP_TO_RPS else 0.0


def await_moment(when: float) -> None:
    """Busy-wait, for a tenth of a millisecond at most."""
    while time.perf_counter() < when:
        pass
