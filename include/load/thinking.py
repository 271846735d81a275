"""Users of journeys that think, or wait for their next try."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from gevent import get_hub, getcurrent, sleep

from include.load.alarm import Alarm

ITS_TIME, THE_END = object(), object()
"""Why a user is woken."""


class ThinkingUsers:
    """Wakes each user when it has thought; one alarm serves them all.

    Args:
        make_alarm: returns the alarm, given what it calls.
        clock: the present, on the clock of the alarm.
    """

    def __init__(self, make_alarm: Callable[[Callable[[], None]], Alarm], clock: Callable[[], float]) -> None:
        self._alarm = make_alarm(self._ring)
        self._clock = clock
        self._users: list[tuple[float, int, Any]] = []
        self._numbers = count()

    @property
    def count(self) -> int:
        """How many users think."""
        return len(self._users)

    def wait_until(self, when_s: float) -> bool:
        """Make the calling user wait; return whether its time has come, not the end of the load."""
        entry = (when_s, next(self._numbers), getcurrent())
        heapq.heappush(self._users, entry)
        if self._users[0] is entry:
            self._alarm.set(when_s)
        try:
            return get_hub().switch() is ITS_TIME
        except BaseException:
            if entry in self._users:
                self._users.remove(entry)
                heapq.heapify(self._users)
            raise

    def _ring(self) -> None:
        while self._users and self._users[0][0] <= self._clock():
            heapq.heappop(self._users)[2].switch(ITS_TIME)
        if self._users:
            self._alarm.set(self._users[0][0])

    def end(self) -> None:
        """Wake all users, because the load is over; in the hub, to which they switch back."""
        self._alarm.close()
        get_hub().loop.run_callback(self._wake_all)
        sleep(0)

    def _wake_all(self) -> None:
        users, self._users = self._users, []
        for _, _, user in users:
            user.switch(THE_END)
