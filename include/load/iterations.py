"""The open-model driver for users that have code of their own: one arrival is one iteration of an idle user.

A user of a locustfile calls `IterationDrive.await_iteration` where Locust would pause. Its iteration ends there, and it
gets the next one when that is due. Every request that it reports in between is a row of the record. The latency of the
first one counts from the moment the iteration was due; that of a later one, which only the code decides on, from its
own start.
"""

import math
import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import gevent
from gevent import get_hub, getcurrent

from include.load.arrival import EndpointRequests
from include.load.drive import GIVE_UP_BATCH, Drive
from include.load.iteration import (
    Iteration,
    IterationCounts,
    IterationTimeout,
    ReportedRequest,
    Seat,
    UserShare,
)
from include.load.outcome import EXAMPLE_BYTES
from include.load.poller import Poller
from include.load.record import RequestLog, RequestRow
from include.load.request_names import ErrorKinds, RequestNames, clean
from include.load.reuse import ConnectionUse
from include.load.schedule import Due
from include.perf.catalogue.expectation import Expectation
from include.perf.load.load_plan import TIMED_OUT, UNFINISHED, GeneratorLog, LoadPlan

SAME_MOMENT_S = 0.005
"""How far a start that a client reports on the wall clock may lie outside its iteration."""

MAX_SPAWNED = 20
"""How many greenlets may lie between a user and a request that one of its greenlets sends."""

STRAY_S = 2.0
"""How long code may go on after its iteration was ended; then the load ends, because it sends what is not planned."""


class IterationDrive(Drive):
    """One load of iterations, from the first arrival to the last answer."""

    _in_flight: dict[int, Iteration]  # type: ignore[assignment]  # only iterations are put there

    def __init__(
        self, plan: LoadPlan, shares: Sequence[UserShare], log: RequestLog, poller: Poller, worker: int = 0
    ) -> None:
        check = Expectation().compiled()
        kinds = [
            EndpointRequests(name=at.name, method="", weight=at.weight, wires=(b"",), check=check) for at in shares
        ]
        super().__init__(plan, kinds, log, poller, worker)
        self._idle_seats: list[list[Seat]] = [[] for _ in shares]
        self._waiting: list[deque[Iteration]] = [deque() for _ in shares]
        self._seats: weakref.WeakKeyDictionary[Any, Seat] = weakref.WeakKeyDictionary()
        self._names = RequestNames()
        self._errors = ErrorKinds()
        self.counts = IterationCounts()

    def take_seat(self, kind: int) -> Seat:
        """Give the current greenlet a place as a user of a class."""
        seat = Seat(kind, getcurrent())
        self._seats[seat.greenlet] = seat
        return seat

    def await_iteration(self, seat: Seat) -> None:
        """End the iteration of a user, and wait until its next one is due."""
        if seat.iteration is not None:
            self._end(seat.iteration)
        seat.is_stray = False
        waiting = self._waiting[seat.kind]
        iteration = waiting.popleft() if waiting and not self._over.is_set() else self._await_due(seat)
        self._begin(iteration, seat)

    def _await_due(self, seat: Seat) -> Iteration:
        """Wait for an iteration; the user that became idle last gets the next one."""
        idle = self._idle_seats[seat.kind]
        idle.append(seat)
        try:
            iteration: Iteration = get_hub().switch()
        except BaseException:
            if seat in idle:
                idle.remove(seat)
            raise
        return iteration

    @property
    def is_complete(self) -> bool:
        """Whether the load was not stopped."""
        return self._stopped_s is None

    def leave(self, seat: Seat) -> None:
        """End the iteration of a user that ends itself."""
        if seat.iteration is not None:
            self._end(seat.iteration)

    def _begin(self, iteration: Iteration, seat: Seat) -> None:
        seat.iteration, iteration.seat = iteration, seat
        iteration.started_s = self.elapsed_s
        self._in_flight[id(iteration)] = iteration
        self._peak = max(self._peak, len(self._in_flight))
        if not self._is_deadline_set:
            self._watch_deadline_of(iteration)

    def _end(self, iteration: Iteration) -> None:
        """Count an iteration that came to its end, unless it was ended before."""
        if iteration.seat is not None:
            iteration.seat.iteration = None
        if self._in_flight.pop(id(iteration), None) is None:
            return
        if not iteration.reported and not iteration.has_failed:
            self.counts.without_request += 1
        if self._is_idle:
            self._drained.set()

    def _prepared(self, due: Due) -> Iteration:
        return Iteration(due.due_s, self._endpoints[due.endpoint], b"", due.is_measured, due=due, kind=due.endpoint)

    def _hand_over(self, iteration: Iteration) -> None:  # type: ignore[override]  # see _prepared
        idle = self._idle_seats[iteration.kind]
        if idle:
            idle.pop().greenlet.switch(iteration)
        else:
            self._capped += 1
            self._waiting[iteration.kind].append(iteration)

    def fail(self, greenlet: Any, err: BaseException) -> None:
        """Take in an exception that ended the iteration of a user; it counts as one failed request."""
        seat = self._seats.get(greenlet)
        iteration = None if seat is None else seat.iteration
        if iteration is None or isinstance(err, IterationTimeout):
            return
        iteration.has_failed = True
        self.counts.failed += 1
        kind = self._errors.of(err, status=0)
        self._record_iteration(iteration, kind, f"{type(err).__name__}: {err}")

    def take_in(self, request: ReportedRequest) -> None:
        """Take in a request that the current greenlet reports."""
        if not self._start:
            self.counts.before += 1
            return
        if self._over.is_set():
            return
        iteration = self._current_iteration()
        started_s, ended_s = self._times_of(request, earliest_s=iteration.started_s if iteration else 0.0)
        if iteration is None:
            if started_s < 0:
                self.counts.before += 1
                return
            self.counts.outside += 1
        is_first = iteration is not None and not iteration.reported
        if iteration is not None:
            iteration.reported += 1
            iteration.last_s = ended_s
        error, example = "", ""
        if request.error is not None:
            error = self._errors.of(request.error, status=request.status)
            example = str(request.error)[:EXAMPLE_BYTES]
        is_measured = iteration.is_measured if iteration else started_s >= self._plan.load.warmup_s
        due_s, released_s = (
            (iteration.due_s, iteration.released_s) if iteration and is_first else (started_s, started_s)
        )
        self._log.add(
            RequestRow(
                due_s,
                "measured" if is_measured else "warmup",
                self._names.of(request.method, request.name),
                request.status,
                released_s,
                max(released_s, started_s),
                max(released_s, ended_s),
                request.size,
                error,
                example,
            )
        )

    def _times_of(self, request: ReportedRequest, *, earliest_s: float) -> tuple[float, float]:
        """Return when a request started and ended: as it says if that is possible, else it ended just now."""
        now_s = self.elapsed_s
        took_s = request.took_s if math.isfinite(request.took_s) else 0.0
        took_s = max(0.0, took_s)
        if request.started_at is not None:
            started_s = request.started_at - self._log.started_at
            if earliest_s - SAME_MOMENT_S <= started_s and started_s + took_s <= now_s + SAME_MOMENT_S:
                return started_s, started_s + took_s
        return max(earliest_s, now_s - took_s) if earliest_s else now_s - took_s, now_s

    def _current_iteration(self) -> Iteration | None:
        """Return the iteration of the current greenlet, or of the one that spawned it."""
        greenlet: Any = getcurrent()
        for _ in range(MAX_SPAWNED):
            seat = self._seats.get(greenlet)
            if seat is not None:
                return seat.iteration
            spawned_by = getattr(greenlet, "spawning_greenlet", None)
            greenlet = spawned_by() if spawned_by is not None else None
            if greenlet is None:
                return None
        return None

    def _time_out(self, iteration: Iteration) -> None:  # type: ignore[override]  # see _prepared
        del self._in_flight[id(iteration)]
        self.counts.timed_out += 1
        self._record_iteration(iteration, TIMED_OUT, f"the iteration took longer than {self._plan.timeout_s:g} s")
        seat = iteration.seat
        if seat is not None:
            seat.iteration, seat.is_stray = None, True
            seat.greenlet.kill(IterationTimeout(f"it took longer than {self._plan.timeout_s:g} s"), block=False)
            gevent.spawn_later(STRAY_S, self._stop_if_stray, seat)

    def _stop_if_stray(self, seat: Seat) -> None:
        if seat.is_stray:
            self.stop(
                f"stopped: a task of the locustfile took longer than timeout_s, {self._plan.timeout_s:g} s, was ended, "
                f"and went on for {STRAY_S:g} s; let it end, and let no except catch every exception"
            )

    def _give_up_all(self) -> None:
        begun, self._in_flight = list(self._in_flight.values()), {}
        never_begun = list(chain.from_iterable(self._waiting))
        self._never_sent, self._waiting = len(never_begun), [deque() for _ in self._waiting]
        for number, iteration in enumerate(chain(begun, never_begun), start=1):
            reason = "no end of the iteration when the load ended"
            if iteration.started_s < 0:
                reason = "never begun: all users of its class were busy"
            self._record_iteration(iteration, UNFINISHED, reason)
            if number % GIVE_UP_BATCH == 0:
                gevent.sleep(0)

    def _record_iteration(self, iteration: Iteration, error: str, example: str) -> None:
        """Write a row about an iteration itself, for what has no request of its own."""
        ended_s = self.elapsed_s
        begins_s = iteration.begins_s
        released_s = begins_s if iteration.reported else iteration.released_s
        started_s = ended_s if iteration.started_s < 0 else max(begins_s, iteration.started_s)
        self._log.add(
            RequestRow(
                begins_s,
                "measured" if iteration.is_measured else "warmup",
                clean(f"task {'.'.join(filter(None, (iteration.requests.name, iteration.task)))}"),
                0,
                released_s,
                started_s,
                ended_s,
                0,
                error,
                example[:EXAMPLE_BYTES],
            )
        )

    @property
    def _waiting_count(self) -> int:
        return sum(map(len, self._waiting))

    def summary(self, *, version: str, connections: ConnectionUse | None = None) -> GeneratorLog:
        """Return the generator's own summary, once the load is over."""
        return replace(
            super().summary(version=version, connections=connections),
            feed_rows={},
            rows=self._log.rows,
            measured_arrivals=self._measured_released,
            notes=self.counts.notes(limit_s=self._plan.timeout_s, grouped=self._names.grouped),
        )
