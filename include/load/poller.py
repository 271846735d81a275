"""Notify connections that there is something to read, many at a time.

Waking a sleeping process costs tens of microseconds of processor time, on a virtual machine more than everything else
that a request costs in Python. Where the kernel timestamps answers (see `include.load.connection`), they need not be
read at once: when the next arrival is near, the answers are collected when the process wakes up for it.
"""

from collections.abc import Callable
from typing import Any, Protocol

import gevent.monkey
from gevent import get_hub

READ = 1

OnReadable = Callable[[], None]


class Poller(Protocol):
    """Calls back, in gevent's hub, for every socket that has something to read."""

    def add(self, descriptor: int, on_readable: OnReadable) -> None:
        """Watch a socket until it is removed."""

    def remove(self, descriptor: int) -> None:
        """Stop watching a socket; does nothing when it was removed before."""

    def collect(self) -> None:
        """Call back for everything that can be read now."""

    def rest(self) -> None:
        """Stop calling back until `wake` is called: the caller will `collect` soon."""

    def wake(self) -> None:
        """Call back automatically, as soon as there is something to read."""


def make_poller() -> Poller:
    """Return the best poller that this system offers."""
    try:
        epoll = gevent.monkey.get_original("select", "epoll")
    except AttributeError:
        return LoopPoller()
    return EpollPoller(epoll())


class EpollPoller:
    """A separate epoll instance, whose descriptor gevent's loop watches (epoll(7))."""

    def __init__(self, epoll: Any) -> None:
        self._epoll = epoll
        self._callbacks: dict[int, OnReadable] = {}
        self._watcher = get_hub().loop.io(epoll.fileno(), READ)
        self._watcher.start(self.collect)
        self._is_awake = True

    def add(self, descriptor: int, on_readable: OnReadable) -> None:
        """Watch a socket until it is removed."""
        self._callbacks[descriptor] = on_readable
        self._epoll.register(descriptor, READ)

    def remove(self, descriptor: int) -> None:
        """Stop watching a socket; does nothing when it was removed before."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def collect(self) -> None:
        """Call back for everything that can be read now."""
        for descriptor, _ in self._epoll.poll(0):
            on_readable = self._callbacks.get(descriptor)
            if on_readable is not None:
                on_readable()

    def rest(self) -> None:
        """Stop calling back until `wake` is called: the caller will `collect` soon."""
        if self._is_awake:
            self._is_awake = False
            self._watcher.stop()

    def wake(self) -> None:
        """Call back automatically, as soon as there is something to read."""
        if not self._is_awake:
            self._is_awake = True
            self._watcher.start(self.collect)


class LoopPoller:
    """One watcher of gevent's loop per socket, for systems without epoll; it never rests."""

    def __init__(self) -> None:
        self._watchers: dict[int, Any] = {}

    def add(self, descriptor: int, on_readable: OnReadable) -> None:
        """Watch a socket until it is removed."""
        watcher = get_hub().loop.io(descriptor, READ)
        watcher.start(on_readable)
        self._watchers[descriptor] = watcher

    def remove(self, descriptor: int) -> None:
        """Stop watching a socket; does nothing when it was removed before."""
        watcher = self._watchers.pop(descriptor, None)
        if watcher is not None:
            watcher.stop()
            watcher.close()

    def collect(self) -> None:
        """Do nothing: the loop has already called back."""

    def rest(self) -> None:
        """Do nothing: without kernel timestamps an answer must be read at once."""

    def wake(self) -> None:
        """Do nothing: it never rests."""
