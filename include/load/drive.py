"""The open-model drive: arrivals are released when they are due, whatever the target does.

One scheduler greenlet releases arrival k at its due time. Idle Locust users wait for arrivals; one arrival
is one request of one idle user. With no user idle the arrival waits and is still timed from its due time,
so a slow target can neither slow the schedule down nor hide its own slowness (coordinated omission).
"""

import errno
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gevent
import gevent.socket
from gevent.event import Event
from gevent.hub import Waiter
from geventhttpclient.response import HTTPParseError

from include.load.connection import Connection, UnusableAnswer
from include.load.record import Outcome, ProcessorClock, RequestLog
from include.load.schedule import due_times, endpoint_sequence
from include.perf.feed import Feed
from include.perf.load_plan import TIMED_OUT, UNFINISHED, GeneratorLog, LoadPlan
from include.perf.run import COMPLETED

YIELD_EVERY = 20
"""A scheduler that runs behind lets users send after so many releases."""

ERROR_KINDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ETIMEDOUT: "connection timed out",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "host unreachable",
}

OWN_FAULTS = {
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
    errno.EADDRNOTAVAIL: "local ports",
    errno.ENOBUFS: "socket buffers",
    errno.ENOMEM: "memory",
}
"""What this machine may run out of: no failure of the service, so that such a load ends and counts for nothing."""


@dataclass(slots=True)
class Arrival:
    """One request that is due; times in seconds after the first arrival."""

    due_s: float
    endpoint: int
    wire: bytes
    is_measured: bool
    started_s: float = -1.0


class LagHistogram:
    """Counts delays in steps of 0.1 ms, so that memory stays flat; exact to half a step."""

    STEP_S = 1e-4

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, lag_s: float) -> None:
        """Count one delay."""
        self._counts[int(lag_s / self.STEP_S)] += 1

    def quantile(self, share: float) -> float:
        """Return the delay that ``share`` of all stay below, 0 without any."""
        left = share * self._counts.total()
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                return (step + 0.5) * self.STEP_S
        return 0.0

    def clear(self) -> None:
        """Forget everything."""
        self._counts.clear()


class Drive:
    """One load, from the first arrival to the last answer."""

    def __init__(self, plan: LoadPlan, feed: Feed, wires: Sequence[Sequence[bytes]], log: RequestLog) -> None:
        self._plan = plan
        self._feed = feed
        self._wires = wires
        self._log = log
        self._sequence = endpoint_sequence(
            [endpoint.weight for endpoint in feed.endpoints], arrivals=plan.arrivals, seed=plan.load.seed
        )
        self._idle: list[Waiter[Any]] = []
        self._backlog: deque[Arrival] = deque()
        self._in_flight: dict[int, Arrival] = {}
        self._drained = Event()
        self._over = Event()
        self._scheduler: gevent.Greenlet[..., None] | None = None
        self._lags = LagHistogram()
        self.recent_lags = LagHistogram()
        self.released = 0
        self._last_due_s = 0.0
        self._capped = 0
        self._peak = 0
        self._processor = ProcessorClock()
        self._cores: tuple[float, float | None] | None = None
        self._ended = COMPLETED
        self._stopped_s: float | None = None

    @property
    def in_flight(self) -> int:
        """Requests that are out and not back yet."""
        return len(self._in_flight)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first arrival was due; negative before it."""
        return time.perf_counter() - self._start

    def run(self, *, start: float) -> None:
        """Drive the load; returns when every arrival has its row.

        Args:
            start: when the first arrival is due, on the clock of ``time.perf_counter``.
        """
        self._start = start
        self._wall_start = time.time() - self.elapsed_s
        self._log.first_due_at = self._wall_start
        self._scheduler = gevent.spawn(self._schedule)
        gevent.joinall([self._scheduler])
        if not self._over.is_set():
            self._await_answers()
        self._finish()

    def stop(self, reason: str) -> None:
        """End the load now; what is in flight is counted as unfinished."""
        if not self._over.is_set():
            self._ended = reason
            self._stopped_s = max(0.0, self.elapsed_s)
            self._over.set()
            self._drained.set()
            if self._scheduler is not None:
                self._scheduler.kill(block=False)

    def next_arrival(self) -> Arrival:
        """Block an idle user until there is an arrival for it; the last to become idle is the first to go."""
        if self._backlog:
            return self._backlog.popleft()
        waiter: Waiter[Any] = Waiter()
        self._idle.append(waiter)
        arrival: Arrival = waiter.get()
        return arrival

    def serve(self, connection: Connection, arrival: Arrival) -> None:
        """Send an arrival's request and record how it ended."""
        arrival.started_s = self.elapsed_s
        key = id(arrival)
        self._in_flight[key] = arrival
        self._peak = max(self._peak, len(self._in_flight))
        outcome = self._send(connection, arrival)
        ended_s = self.elapsed_s
        if self._in_flight.pop(key, None) is None:
            return  # the load is over, and this request has its row as unfinished
        self._record(arrival, ended_s=ended_s, outcome=outcome)
        if not self._in_flight and not self._backlog:
            self._drained.set()

    def _send(self, connection: Connection, arrival: Arrival) -> Outcome:
        method = self._feed.endpoints[arrival.endpoint].method
        try:
            answer = connection.send(arrival.wire, method=method, timeout_s=self._plan.timeout_s)
        except gevent.Timeout:
            return Outcome(error=TIMED_OUT, example=f"no whole answer within {self._plan.timeout_s:g} s")
        except (UnusableAnswer, HTTPParseError) as err:
            return Outcome(error="broken answer", example=str(err))
        except gevent.socket.gaierror as err:
            return Outcome(error="host name not resolved", example=str(err))
        except OSError as err:
            if err.errno in OWN_FAULTS:
                self.stop(f"the load generator ran out of {OWN_FAULTS[err.errno]} ({err}); raise its limits")
            return Outcome(error=ERROR_KINDS.get(err.errno or 0, type(err).__name__), example=str(err))
        except Exception as err:
            self.stop(f"the load generator failed ({err!r})")
            raise
        if 200 <= answer.status < 300:
            return Outcome(answer.status, len(answer.body))
        example = answer.body.decode("utf-8", errors="replace")
        return Outcome(answer.status, len(answer.body), f"HTTP {answer.status}", example)

    def _schedule(self) -> None:
        """Release every arrival at its due time."""
        warmup = self._plan.warmup_arrivals
        counters = [0] * len(self._wires)
        for number, due_s in enumerate(due_times(self._plan.load, arrivals=self._plan.arrivals)):
            delay = self._start + due_s - time.perf_counter()
            if delay > 0:
                gevent.sleep(delay)
            elif number % YIELD_EVERY == 0:
                gevent.sleep(0)
            if number == warmup:
                self._begin_measuring()
            endpoint = self._sequence[number]
            wires = self._wires[endpoint]
            wire = wires[counters[endpoint] % len(wires)]
            counters[endpoint] += 1
            self._release(Arrival(due_s, endpoint, wire, is_measured=number >= warmup))
        self._await_end_of_window()

    def _await_end_of_window(self) -> None:
        gevent.sleep(max(0.0, self._plan.total_s - self.elapsed_s))
        self._cores = self._processor.since_start()

    def _begin_measuring(self) -> None:
        self._lags.clear()
        self._capped = 0
        self._peak = len(self._in_flight)
        self._processor = ProcessorClock()

    def _release(self, arrival: Arrival) -> None:
        lag_s = self.elapsed_s - arrival.due_s
        self._lags.add(lag_s)
        self.recent_lags.add(lag_s)
        self.released += 1
        self._last_due_s = arrival.due_s
        if self._idle:
            gevent.get_hub().loop.run_callback(self._idle.pop().switch, arrival)
        else:
            self._capped += 1
            self._backlog.append(arrival)

    def _await_answers(self) -> None:
        """Wait for what is in flight, as long as the plan says."""
        if self._in_flight or self._backlog:
            self._drained.clear()
            self._drained.wait(timeout=max(0.0, self._last_due_s + self._plan.drain_s - self.elapsed_s))

    def _finish(self) -> None:
        """Give everything that never came back its row."""
        self._over.set()
        now_s = self.elapsed_s
        for arrival in self._in_flight.values():
            outcome = Outcome(error=UNFINISHED, example="no answer when the load ended")
            self._record(arrival, ended_s=now_s, outcome=outcome)
        for arrival in self._backlog:
            outcome = Outcome(error=UNFINISHED, example="never sent: every slot was taken")
            self._record(arrival, ended_s=now_s, outcome=outcome)
        self._in_flight.clear()
        self._backlog.clear()

    def _record(self, arrival: Arrival, *, ended_s: float, outcome: Outcome) -> None:
        started_s = arrival.started_s if arrival.started_s >= 0 else ended_s
        self._log.add(
            due_s=arrival.due_s,
            phase="measured" if arrival.is_measured else "warmup",
            endpoint=self._feed.endpoints[arrival.endpoint].name,
            start_lag_s=max(0.0, started_s - arrival.due_s),
            service_time_s=ended_s - started_s,
            outcome=outcome,
        )

    def summary(self, *, version: str) -> GeneratorLog:
        """Return what the generator says of itself, once the load is over."""
        cores, wanted = self._cores or self._processor.since_start()
        first = self._wall_start
        planned_end_s = self._plan.total_s
        end_s = planned_end_s if self._stopped_s is None else min(planned_end_s, self._stopped_s)
        begin_s = min(float(self._plan.load.warmup_s), end_s)
        return GeneratorLog(
            ended=self._ended,
            version=version,
            first_due_at=first,
            measured_from=first + begin_s,
            measured_to=first + end_s,
            arrivals=self.released,
            schedule_lag_p99_s=self._lags.quantile(0.99),
            cpu_cores=cores,
            wanted_cores=wanted,
            concurrency_peak=self._peak,
            capped=self._capped,
            clock_step_s=(time.time() - self._wall_start) - self.elapsed_s,
            error_examples=self._log.examples,
        )
