"""Pollers: they call back for readable sockets, and while one rests, all sockets wait for `collect`."""

import socket
import sys
from collections.abc import Callable, Iterator

import gevent
import pytest

from include.load.poller import EpollPoller, LoopPoller, Poller, make_poller

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")


class Line:
    """A connection with one watched end; counts its callbacks."""

    def __init__(self, poller: Poller) -> None:
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.calls = 0
        self.then: Callable[[], None] = self.read
        poller.add(self.here.fileno(), self._on_readable)

    def _on_readable(self) -> None:
        self.calls += 1
        self.then()

    def read(self) -> None:
        self.here.recv(100)

    def close(self) -> None:
        self.here.close()
        self.there.close()


@pytest.fixture(params=[pytest.param(lambda: make_poller(), marks=ON_LINUX), LoopPoller], ids=["epoll", "loop"])
def poller(request: pytest.FixtureRequest) -> Poller:
    made: Poller = request.param()
    return made


@pytest.fixture
def line(poller: Poller) -> Iterator[Callable[[], Line]]:
    """Open connections that are closed after the test."""
    lines: list[Line] = []

    def begin() -> Line:
        lines.append(Line(poller))
        return lines[-1]

    yield begin
    for line in lines:
        poller.remove(line.here.fileno())
        line.close()


Lines = Callable[[], Line]


def wait_for(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(10):
        while not condition():
            gevent.sleep(0.001)


@ON_LINUX
def test_linux_has_the_one_that_rests() -> None:
    """The other kind is for systems without epoll."""
    assert isinstance(make_poller(), EpollPoller)


def test_it_calls_back_for_readable_sockets(poller: Poller, line: Lines) -> None:
    """And for no others; again when there is more."""
    first, second = line(), line()
    first.there.send(b"x")
    wait_for(lambda: first.calls == 1)
    first.there.send(b"y")
    wait_for(lambda: first.calls == 2)
    assert second.calls == 0


def test_the_end_of_a_connection_is_something_to_read(poller: Poller, line: Lines) -> None:
    """A server may close it at any time."""
    one = line()
    one.then = lambda: poller.remove(one.here.fileno())
    one.there.close()
    wait_for(lambda: one.calls == 1)


def test_a_removed_socket_has_no_callbacks(poller: Poller, line: Lines) -> None:
    """Removing twice is harmless: a connection may be closed for two reasons."""
    removed, other = line(), line()
    poller.remove(removed.here.fileno())
    poller.remove(removed.here.fileno())
    removed.there.send(b"x")
    other.there.send(b"x")
    wait_for(lambda: other.calls == 1)
    assert removed.calls == 0


def test_a_callback_may_remove_another_readable_socket(poller: Poller, line: Lines) -> None:
    """Both are readable; the first callback removes the other socket, which must not be called back then."""
    lines = [line(), line()]

    def remove_the_other() -> None:
        for one in lines:
            if one.calls == 0:
                poller.remove(one.here.fileno())

    for one in lines:
        one.then = remove_the_other
        one.there.send(b"x")
    wait_for(lambda: sum(one.calls for one in lines) > 0)
    assert sorted(one.calls > 0 for one in lines) == [False, True]


@ON_LINUX
def test_while_it_rests_sockets_wait_for_collect(line: Lines, poller: Poller) -> None:
    """There are no callbacks until `collect`, which calls back once for every readable socket."""
    if not isinstance(poller, EpollPoller):
        pytest.skip("this one never rests")
    lines = [line() for _ in range(5)]
    poller.rest()
    for one in lines:
        one.there.send(b"x")
    gevent.sleep(0.02)
    assert [one.calls for one in lines] == [0] * 5
    poller.collect()
    assert [one.calls for one in lines] == [1] * 5
    poller.collect()
    assert [one.calls for one in lines] == [1] * 5


def test_after_a_rest_it_calls_back_for_what_arrived_meanwhile(poller: Poller, line: Lines) -> None:
    """Nothing is lost, however often it rests and wakes."""
    one = line()
    for _ in range(3):
        poller.rest()
        poller.rest()
    one.there.send(b"x")
    poller.wake()
    poller.wake()
    wait_for(lambda: one.calls == 1)
