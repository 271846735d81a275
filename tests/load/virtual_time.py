"""A driver in virtual time: alarms ring and answers arrive when a test advances the clock, so times are exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from gevent import get_hub, getcurrent

from include.load import drive as drive_module
from include.load import pacer as pacer_module
from include.load.answer import Answer
from include.load.arrival import EndpointRequests, JourneyCarrier
from include.load.drive import Drive
from include.load.poller import LoopPoller
from include.load.record import RequestLog, RequestRow
from include.perf.load.load_plan import GeneratorLog, LoadPlan
from include.perf.model.histogram import Histogram

UNIX = 1_767_787_200.0
LATE_S = 1e-6
"""How late a fake alarm rings; real alarms are late too."""


class VirtualTime:
    """A clock that a test advances, and the events on it; ``alarm_late_s`` is how late alarms ring."""

    alarm_late_s = LATE_S

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        self._events: dict[int, tuple[float, Callable[[], object]]] = {}
        self._numbers = count()
        clocks = SimpleNamespace(perf_counter=lambda: self.now, time=lambda: UNIX + self.now - 1_000.0)
        for module in (drive_module, pacer_module):
            monkeypatch.setattr(module, "make_alarm", lambda callback: _VirtualAlarm(self, callback))
            monkeypatch.setattr(module, "time", clocks)
        monkeypatch.setattr(pacer_module, "await_moment", self._pass_awake)

    def _pass_awake(self, until_s: float) -> None:
        """Replace a busy wait, during which nothing else can happen."""
        self.now = max(self.now, until_s + LATE_S)

    def at(self, when_s: float, act: Callable[[], object]) -> int:
        """Schedule an event in gevent's hub; return its number."""
        number = next(self._numbers)
        self._events[number] = (when_s, act)
        return number

    def forget(self, number: int | None) -> None:
        """Cancel an event."""
        if number is not None:
            self._events.pop(number, None)

    def wait(self, seconds: float) -> None:
        """Make the calling greenlet wait; an exception may be thrown into it."""
        number = self.at(self.now + seconds, getcurrent().switch)
        try:
            get_hub().switch()
        finally:
            self.forget(number)

    def pass_until(self, until_s: float) -> None:
        """Advance the clock, event after event."""
        _let_others_run()
        while (following := self._next()) is not None and self._events[following][0] <= until_s:
            when_s, act = self._events.pop(following)
            self.now = max(self.now, when_s)
            get_hub().loop.run_callback(act)
            _let_others_run()
        self.now = max(self.now, until_s)
        _let_others_run()

    def _next(self) -> int | None:
        return min(self._events, key=lambda number: (self._events[number][0], number), default=None)


def _let_others_run() -> None:
    for _ in range(5):
        gevent.sleep(0)


class _VirtualAlarm:
    def __init__(self, time: VirtualTime, callback: Callable[[], None]) -> None:
        self._time = time
        self._callback = callback
        self._number: int | None = None

    def set(self, when_s: float) -> None:
        self._time.forget(self._number)
        self._number = self._time.at(max(when_s, self._time.now) + self._time.alarm_late_s, self._callback)

    def close(self) -> None:
        self._time.forget(self._number)


Reaction = Callable[[bytes], float | Exception]
"""Reaction of a target to a request: it answers after a number of seconds, or the request fails."""

NEVER = 1e9


@dataclass(slots=True, kw_only=True)
class _Target:
    """A connection to a target whose reactions a test defines; ``answers`` are by request, else all are the same."""

    time: VirtualTime
    react: Reaction
    status: int = 200
    body: bytes = b"{}"
    answers: Callable[[bytes], Answer] | None = None
    sent: list[float] = field(default_factory=list)
    wires: list[bytes] = field(default_factory=list)

    def send(self, wire: bytes, *, method: str) -> Answer:
        self.sent.append(self.time.now)
        self.wires.append(wire)
        reaction = self.react(wire)
        if isinstance(reaction, Exception):
            raise reaction
        self.time.wait(reaction)
        answer = self.answers(wire) if self.answers else Answer(self.status, self.body)
        return replace(answer, received=self.time.now)


class _Rows(RequestLog):
    """A record in memory."""

    def __init__(self) -> None:
        self.started_at = 0.0
        self.rows = self.failed = 0
        self.latencies = Histogram()
        self._examples = {}
        self.written: list[RequestRow] = []

    def add(self, row: RequestRow) -> None:
        self.written.append(row)


class VirtualLoad:
    """A driver with its users on a virtual clock; the schedule starts at 0 s."""

    def __init__(
        self,
        time: VirtualTime,
        plan: LoadPlan,
        requests: Sequence[EndpointRequests | JourneyCarrier],
        react: Reaction,
        *,
        worker: int = 0,
        **answer: Any,
    ) -> None:
        self._time = time
        self._start = time.now
        self.log = _Rows()
        self.target = _Target(time=time, react=react, **answer)
        self.drive = Drive(plan, requests, self.log, LoopPoller(), worker=worker)
        self._users = [gevent.spawn(self.drive.serve, self.target) for _ in range(plan.load.max_concurrency)]
        gevent.sleep(0)
        self._run = gevent.spawn(self.drive.run, start=self._start, started_at=UNIX)
        gevent.sleep(0)

    @property
    def rows(self) -> list[RequestRow]:
        """The recorded rows by due time."""
        return sorted(self.log.written)

    @property
    def sent_s(self) -> list[float]:
        """When requests were sent."""
        return [sent - self._start for sent in self.target.sent]

    def pass_until(self, until_s: float) -> None:
        """Advance the clock to a number of seconds after the start."""
        self._time.pass_until(self._start + until_s)

    def hold_up_until(self, until_s: float) -> None:
        """Advance the clock without events, like in a process that gets no processor time."""
        self._time.now = self._start + until_s

    def summary(self) -> GeneratorLog:
        """Wait for the end and return the summary."""
        self._run.get(timeout=10)
        gevent.killall(self._users)
        return self.drive.summary(version="test")
