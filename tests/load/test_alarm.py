"""Alarms: never early, as accurate as the system allows, and silent when nothing is due."""

import math
import sys
import time
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent import get_hub
from gevent.event import Event

from include.load.alarm import Alarm, KernelAlarm, LoopAlarm, make_alarm

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")
KINDS = [pytest.param(KernelAlarm, marks=ON_LINUX), LoopAlarm]

Kind = Callable[[Callable[[], None]], Alarm]


class Bell:
    """An alarm that records when it rang; ``then`` is called at every ring."""

    def __init__(self, kind: Kind) -> None:
        self.alarm = kind(self._ring)
        self.rings: list[float] = []
        self.then: Callable[[], None] = lambda: None
        self._rang = Event()

    def _ring(self) -> None:
        self.rings.append(time.perf_counter())
        self._rang.set()
        self.then()

    def wait(self) -> float:
        """Wait for the next ring and return its time."""
        assert self._rang.wait(10)
        self._rang.clear()
        return self.rings[-1]


@pytest.fixture(params=KINDS)
def bell(request: pytest.FixtureRequest) -> Iterator[Bell]:
    """Return an alarm of each kind."""
    made = Bell(request.param)
    yield made
    made.alarm.close()


def test_linux_has_the_accurate_one() -> None:
    """The other kind is for systems without timerfd."""
    alarm = make_alarm(lambda: None)
    assert isinstance(alarm, KernelAlarm if sys.platform == "linux" else LoopAlarm)
    alarm.close()


@pytest.mark.parametrize("delay_s", [0.0, 0.000_05, 0.000_9, 0.001, 0.012_3])
def test_it_never_rings_early(bell: Bell, delay_s: float) -> None:
    """A request must not be sent before it is due."""
    for _ in range(20):
        when_s = time.perf_counter() + delay_s
        bell.alarm.set(when_s)
        assert bell.wait() >= when_s
    assert len(bell.rings) == 20


@ON_LINUX
def test_it_is_not_bound_to_whole_milliseconds() -> None:
    """Set to 0.2 ms, an epoll timer rings at least 0.8 ms late; this one is late only by the time that a process takes.

    One ring that is in time proves it, so that whatever else runs here does not count.
    """
    bell = Bell(KernelAlarm)
    late_s = [math.inf]
    give_up_s = time.perf_counter() + 20
    while min(late_s) >= 0.000_3 and time.perf_counter() < give_up_s:
        when_s = time.perf_counter() + 0.000_2
        bell.alarm.set(when_s)
        late_s.append(bell.wait() - when_s)
    bell.alarm.close()
    assert min(late_s) < 0.000_3


@pytest.mark.parametrize("when_s", [-1.0, 0.0, 1e-9])
def test_a_time_that_is_past_rings_at_once(bell: Bell, when_s: float) -> None:
    """A late schedule catches up; a time of 0 would disarm the timerfd."""
    bell.alarm.set(when_s)
    bell.wait()
    bell.alarm.set(time.perf_counter() - 1)
    bell.wait()
    assert len(bell.rings) == 2


def test_a_new_time_replaces_the_old_one(bell: Bell) -> None:
    """Whether earlier or later; it rings once."""
    bell.alarm.set(time.perf_counter() + 60)
    bell.alarm.set(time.perf_counter() + 0.001)
    bell.wait()
    bell.alarm.set(time.perf_counter() + 0.001)
    later_s = time.perf_counter() + 0.05
    bell.alarm.set(later_s)
    assert bell.wait() >= later_s
    assert len(bell.rings) == 2


def test_a_new_time_replaces_an_expired_one(bell: Bell) -> None:
    """The old time passed while the process was busy, and the new one is set before the loop runs."""
    bell.alarm.set(time.perf_counter())
    time.sleep(0.005)
    later_s = time.perf_counter() + 0.05
    bell.alarm.set(later_s)
    assert bell.wait() >= later_s
    assert len(bell.rings) == 1


def test_the_next_time_may_be_set_while_it_rings(bell: Bell) -> None:
    """As the schedule does; when it is not set again, it is silent."""
    times_s = [time.perf_counter() + number / 1_000 for number in range(1, 6)]

    def set_next() -> None:
        if len(bell.rings) < 5:
            bell.alarm.set(times_s[len(bell.rings)])

    bell.then = set_next
    bell.alarm.set(times_s[0])
    while len(bell.rings) < 5:
        bell.wait()
    assert all(rang >= asked for rang, asked in zip(bell.rings, times_s, strict=True))
    assert _rounds_of_the_loop(0.05) < 20
    assert len(bell.rings) == 5


def _rounds_of_the_loop(seconds: float) -> int:
    """Run gevent's loop for a while, and return how often it iterated."""
    rounds = [0]

    def count() -> None:
        rounds[0] += 1

    watcher = get_hub().loop.prepare()
    watcher.start(count)
    gevent.sleep(seconds)
    watcher.stop()
    watcher.close()
    return rounds[0]


def test_it_rings_once_and_lets_the_loop_sleep(bell: Bell) -> None:
    """A timer that stays readable would use a full core."""
    bell.alarm.set(time.perf_counter())
    bell.wait()
    assert _rounds_of_the_loop(0.05) < 20
    assert len(bell.rings) == 1


def test_an_error_while_it_rings_is_printed_once(bell: Bell, capfd: pytest.CaptureFixture[str]) -> None:
    """The loop prints it and continues; a timer that stays readable would print it forever."""

    def fail() -> None:
        raise ZeroDivisionError("on purpose")

    bell.then = fail
    bell.alarm.set(time.perf_counter())
    bell.wait()
    assert _rounds_of_the_loop(0.05) < 20
    assert capfd.readouterr().err.count("ZeroDivisionError: on purpose") == len(bell.rings) == 1


def test_it_is_silent_once_it_is_closed(bell: Bell) -> None:
    """Also when its time has passed, when it is set again, and when it is closed again."""
    bell.alarm.set(time.perf_counter())
    bell.alarm.close()
    gevent.sleep(0.02)
    bell.alarm.set(time.perf_counter())
    gevent.sleep(0.02)
    bell.alarm.close()
    assert bell.rings == []


def test_it_may_be_closed_while_it_rings(bell: Bell) -> None:
    """A load may end in the middle of its schedule."""
    bell.then = bell.alarm.close
    bell.alarm.set(time.perf_counter())
    bell.wait()
    gevent.sleep(0.02)
    assert len(bell.rings) == 1


def test_several_alarms_are_independent() -> None:
    """The schedule has one, and the deadline of requests another."""
    bells = [Bell(make_alarm) for _ in range(3)]
    times_s = [time.perf_counter() + delay_s for delay_s in (0.03, 0.01, 0.02)]
    for bell, when_s in zip(bells, times_s, strict=True):
        bell.alarm.set(when_s)
    for bell, when_s in zip(bells, times_s, strict=True):
        assert bell.wait() >= when_s
        bell.alarm.close()
    assert [len(bell.rings) for bell in bells] == [1, 1, 1]
