"""Tells connections that there is something to read, many at a time.

To wake a sleeping process costs tens of microseconds of processor time, on a virtual machine more than
everything else that a request costs in Python. Where the kernel says when an answer came (see
`include.load.connection`), it need not be read at once: while the next arrival is near, the answers are
collected when the process is awake for that.
"""

from collections.abc import Callable
from typing import Any, Protocol

import gevent.monkey
from gevent import get_hub

READ = 1

OnReadable = Callable[[], None]


class Poller(Protocol):
    """Calls back, in gevent's hub, for each socket that has something to read."""

    def add(self, descriptor: int, on_readable: OnReadable) -> None:
        """Watch a socket until it is removed."""

    def remove(self, descriptor: int) -> None:
        """Watch a socket no longer; it may have been removed before."""

    def collect(self) -> None:
        """Call back for everything that can be read now."""

    def rest(self) -> None:
        """Wake nobody until `wake` is called: somebody else will collect soon."""

    def wake(self) -> None:
        """Call back by itself, as soon as there is something to read."""


def make_poller() -> Poller:
    """Return the best poller of this system."""
    try:
        epoll = gevent.monkey.get_original("select", "epoll")
    except AttributeError:
        return LoopPoller()
    return EpollPoller(epoll())


class EpollPoller:
    """An epoll of its own, which gevent's loop watches as a whole (epoll(7))."""

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
        """Watch a socket no longer; it may have been removed before."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def collect(self) -> None:
        """Call back for everything that can be read now."""
        for descriptor, _ in self._epoll.poll(0):
            on_readable = self._callbacks.get(descriptor)
            if on_readable is not None:
                on_readable()

    def rest(self) -> None:
        """Wake nobody until `wake` is called: somebody else will collect soon."""
        if self._is_awake:
            self._is_awake = False
            self._watcher.stop()

    def wake(self) -> None:
        """Call back by itself, as soon as there is something to read."""
        if not self._is_awake:
            self._is_awake = True
            self._watcher.start(self.collect)


class LoopPoller:
    """A watcher of gevent's loop for each socket, for systems without epoll; it never rests."""

    def __init__(self) -> None:
        self._watchers: dict[int, Any] = {}

    def add(self, descriptor: int, on_readable: OnReadable) -> None:
        """Watch a socket until it is removed."""
        watcher = get_hub().loop.io(descriptor, READ)
        watcher.start(on_readable)
        self._watchers[descriptor] = watcher

    def remove(self, descriptor: int) -> None:
        """Watch a socket no longer; it may have been removed before."""
        watcher = self._watchers.pop(descriptor, None)
        if watcher is not None:
            watcher.stop()
            watcher.close()

    def collect(self) -> None:
        """Do nothing: the loop has called back already."""

    def rest(self) -> None:
        """Do nothing: without the kernel's word on when an answer came it has to be read at once."""

    def wake(self) -> None:
        """Do nothing: it is awake."""
