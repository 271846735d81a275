"""Pollers: whoever waits for a socket is told, and while one rests everything waits to be collected."""

import socket
import sys
from collections.abc import Callable, Iterator

import gevent
import pytest

from include.load.poller import EpollPoller, LoopPoller, Poller, make_poller

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")


class Line:
    """A connection of which one end is watched; says how often it was told of."""

    def __init__(self, poller: Poller) -> None:
        self.here, self.there = socket.socketpair()
        self.here.setblocking(False)
        self.told = 0
        self.then: Callable[[], None] = self.read
        poller.add(self.here.fileno(), self._on_readable)

    def _on_readable(self) -> None:
        self.told += 1
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
    """Open lines that are closed with the test."""
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
    """The other one is for systems without epoll."""
    assert isinstance(make_poller(), EpollPoller)


def test_it_tells_who_has_something_to_read(poller: Poller, line: Lines) -> None:
    """And nobody else; again when there is more."""
    first, second = line(), line()
    first.there.send(b"x")
    wait_for(lambda: first.told == 1)
    first.there.send(b"y")
    wait_for(lambda: first.told == 2)
    assert second.told == 0


def test_the_end_of_a_connection_is_something_to_read(poller: Poller, line: Lines) -> None:
    """A server may close it at any time."""
    one = line()
    one.then = lambda: poller.remove(one.here.fileno())
    one.there.close()
    wait_for(lambda: one.told == 1)


def test_who_was_removed_is_told_of_no_more(poller: Poller, line: Lines) -> None:
    """Removing twice does no harm: both ends of a request may close a connection."""
    removed, other = line(), line()
    poller.remove(removed.here.fileno())
    poller.remove(removed.here.fileno())
    removed.there.send(b"x")
    other.there.send(b"x")
    wait_for(lambda: other.told == 1)
    assert removed.told == 0


def test_one_may_remove_another_of_the_same_round(poller: Poller, line: Lines) -> None:
    """Both have something to read; the one that is told of first closes the other, which must not be told of then."""
    lines = [line(), line()]

    def remove_the_other() -> None:
        for one in lines:
            if one.told == 0:
                poller.remove(one.here.fileno())

    for one in lines:
        one.then = remove_the_other
        one.there.send(b"x")
    wait_for(lambda: sum(one.told for one in lines) > 0)
    assert sorted(one.told > 0 for one in lines) == [False, True]


@ON_LINUX
def test_while_it_rests_all_waits_to_be_collected(line: Lines, poller: Poller) -> None:
    """Nobody is woken; whoever collects gets everything, once."""
    if not isinstance(poller, EpollPoller):
        pytest.skip("this one never rests")
    lines = [line() for _ in range(5)]
    poller.rest()
    for one in lines:
        one.there.send(b"x")
    gevent.sleep(0.02)
    assert [one.told for one in lines] == [0] * 5
    poller.collect()
    assert [one.told for one in lines] == [1] * 5
    poller.collect()
    assert [one.told for one in lines] == [1] * 5


def test_awake_again_it_tells_what_came_meanwhile(poller: Poller, line: Lines) -> None:
    """Nothing is forgotten, however often it was told to rest and to wake."""
    one = line()
    for _ in range(3):
        poller.rest()
        poller.rest()
    one.there.send(b"x")
    poller.wake()
    poller.wake()
    wait_for(lambda: one.told == 1)
