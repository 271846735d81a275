"""A timer that is accurate to about ten microseconds.

gevent's own timers use epoll's timeout, which is in whole milliseconds and rounded up: every request would start half a
millisecond late on average.
"""

import ctypes
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

from gevent import get_hub

NANO = 1_000_000_000
READ = 1

TFD_NONBLOCK = os.O_NONBLOCK
TFD_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
TFD_TIMER_ABSTIME = 1


class Alarm(Protocol):
    """Calls back once, at a time on the clock of ``time.perf_counter``; the callback runs in gevent's hub."""

    def set(self, when_s: float) -> None:
        """Call back at ``when_s``, or at once if that is past; replaces the time set before."""

    def close(self) -> None:
        """Never call back again."""


def make_alarm(callback: Callable[[], None]) -> Alarm:
    """Return the most accurate alarm that this system offers."""
    clock = time.get_clock_info("perf_counter").implementation
    if sys.platform == "linux" and clock == "clock_gettime(CLOCK_MONOTONIC)":
        return KernelAlarm(callback)
    return LoopAlarm(callback)


class KernelAlarm:
    """A Linux timerfd, watched by gevent's loop (timerfd_create(2)).

    Setting the timer also clears an expiry that was not read, so the descriptor is never read.
    """

    def __init__(self, callback: Callable[[], None]) -> None:
        self._libc = _libc()
        self._descriptor = self._libc.timerfd_create(time.CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        # struct itimerspec: interval seconds and nanoseconds, then those of the expiry
        self._setting = (ctypes.c_long * 4)(0, 0, 0, 0)
        self._is_set = False
        self._callback = callback
        self._watcher = get_hub().loop.io(self._descriptor, READ)
        self._watcher.start(self._ring)

    def set(self, when_s: float) -> None:
        """Call back at ``when_s``, or at once if that is past; replaces the time set before."""
        self._is_set = True
        self._set_timer(max(1, int(when_s * NANO)))

    def _ring(self) -> None:
        self._is_set = False
        self._callback()
        if not self._is_set:
            self._set_timer(0)

    def _set_timer(self, when_ns: int) -> None:
        if self._descriptor >= 0:
            self._setting[2], self._setting[3] = divmod(when_ns, NANO)
            self._libc.timerfd_settime(self._descriptor, TFD_TIMER_ABSTIME, self._setting, None)

    def close(self) -> None:
        """Never call back again."""
        if self._descriptor >= 0:
            self._watcher.stop()
            self._watcher.close()
            os.close(self._descriptor)
            self._descriptor = -1


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


class LoopAlarm:
    """A timer of gevent's loop, for systems without timerfd: up to a millisecond late."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._timer: Any = None
        self._is_closed = False

    def set(self, when_s: float) -> None:
        """Call back at ``when_s``, or at once if that is past; replaces the time set before."""
        self._forget()
        if self._is_closed:
            return
        self._timer = get_hub().loop.timer(max(0.0, when_s - time.perf_counter()))
        self._timer.start(self._callback, update=True)

    def close(self) -> None:
        """Never call back again."""
        self._is_closed = True
        self._forget()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
