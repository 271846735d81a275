"""The open-model driver: it releases each arrival when it is due, whatever the target does.

An alarm rings when the next arrival is due, and hands it to an idle Locust user; one arrival is one request of one
user, or several, as `include.load.journey` describes. When no user is idle, the arrival waits, and its latency still
counts from its due time. So a slow target can neither slow the schedule down nor hide its own slowness (coordinated
omission).
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from gevent import get_hub, getcurrent, sleep, wait
from gevent.event import Event

from include.load.alarm import make_alarm
from include.load.arrival import Arrival, EndpointRequests, JourneyCarrier
from include.load.connection import Connection
from include.load.outcome import FAILURES, Outcome, RequestTimeout, example_of, failure, is_own_fault, own_fault
from include.load.pacer import Pacer, grain_of
from include.load.poller import Poller
from include.load.processor import ProcessorClock, ProcessorUse
from include.load.record import RequestLog, RequestRow
from include.load.reuse import ConnectionUse
from include.load.schedule import Due, schedule
from include.load.thinking import ThinkingUsers
from include.perf.catalogue.journey import CLEAN_UP_S
from include.perf.load.load_plan import JOURNEY, STEP, UNFINISHED, GeneratorLog, LoadPlan
from include.perf.model.histogram import Histogram
from include.perf.runs.figures import COMPLETED

GIVE_UP_BATCH = 100
"""Rows of unanswered requests that are written before other greenlets may run: a worker that sends nothing for too long
counts as lost. gevent checks its timers only every 50 such switches, some 50 ms."""


ASKS_TO_WAIT = (429, 503)
"""Statuses whose ``Retry-After`` makes them a kind of their own: the service limits its load on purpose."""


class Drive:
    """One load, from the first arrival to the last answer; with several workers, the share of this one.

    Args:
        worker: number of this worker, from 0.
    """

    def __init__(
        self,
        plan: LoadPlan,
        endpoints: Sequence[EndpointRequests | JourneyCarrier],
        log: RequestLog,
        poller: Poller,
        worker: int = 0,
    ) -> None:
        self._plan = plan
        self._endpoints = endpoints
        self._log = log
        log.on_behind = self._stop_at_fault
        self._poller = poller
        weights = [endpoint.weight for endpoint in endpoints]
        carriers = [entry for entry in endpoints if not isinstance(entry, EndpointRequests)]
        self._has_journeys = bool(carriers)
        self._cleans_up = any(carrier.cleans_up for carrier in carriers)
        self._pacer = Pacer(
            map(self._prepared, schedule(plan.load, weights, worker=worker, workers=plan.workers)),
            poller,
            release=self._release,
            on_fault=self._stop_at_fault,
            grain_s=grain_of(plan.load.peak_rate_rps / plan.workers),
            reads_at_once=self._has_journeys,
        )
        self._deadline = make_alarm(self._on_deadline)
        self._is_deadline_set = False
        self._idle: list[Any] = []
        self._backlog: deque[Arrival] = deque()
        self._in_flight: dict[int, Arrival] = {}
        self._journeys: dict[int, Arrival] = {}
        self._to_clean = 0
        self._thinking = ThinkingUsers(make_alarm, lambda: time.perf_counter())
        self._drained, self._over, self._quiet = Event(), Event(), Event()
        self._lags, self._recent_lags = Histogram(), Histogram()
        self.released = 0
        self._measured_released = 0
        self._further = 0
        self.is_measuring = False
        self._last_due_s = 0.0
        self._capped = 0
        self._never_sent = 0
        self._peak = 0
        self._processor = ProcessorClock()
        self._use: ProcessorUse | None = None
        self._ended = COMPLETED
        self._stopped_s: float | None = None
        self._start = 0.0

    @property
    def in_flight(self) -> int:
        """Requests that were sent and have not ended yet."""
        return len(self._in_flight)

    @property
    def due(self) -> int:
        """Requests that were due: one of each released arrival, and the further ones of journeys."""
        return self.released + self._further

    @property
    def sent(self) -> int:
        """Requests that were sent; the others wait for a free connection."""
        return self.due - self._waiting_count - self._never_sent

    @property
    def _waiting_count(self) -> int:
        """Arrivals that are due and wait for an idle user."""
        return len(self._backlog)

    @property
    def _is_idle(self) -> bool:
        """Whether everything that was due has ended."""
        return not self._in_flight and not self._waiting_count and not self._journeys

    @property
    def is_over(self) -> bool:
        """Whether the load is over."""
        return self._over.is_set()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the schedule started; negative before."""
        return time.perf_counter() - self._start

    def run(self, *, start: float, started_at: float) -> None:
        """Drive the load; return when every arrival has its row.

        Args:
            start: when the schedule starts, on the clock of ``time.perf_counter``; all workers use the same start.
            started_at: the same moment in Unix seconds.
        """
        self._start = start
        self._log.started_at = started_at
        for endpoint in self._endpoints:
            endpoint.start(started_at)
        self._pacer.start(start)
        wait([self._pacer.all_released, self._over], count=1)
        self._over.wait(timeout=max(0.0, self._plan.total_s - self.elapsed_s))
        self._use = self._processor.since_start()
        if not self._over.is_set():
            self._await_answers()
        self._finish()

    def await_end(self) -> None:
        """Wait until no more requests are sent; the record may be incomplete at that moment."""
        self._over.wait()
        if self._cleans_up:
            self._quiet.wait()

    def stop(self, reason: str) -> None:
        """End the load now; requests in flight count as unfinished."""
        if not self._over.is_set():
            self._ended = reason
            self._stopped_s = max(0.0, self.elapsed_s)
            self._over.set()

    def _stop_at_fault(self, err: Exception) -> None:
        self.stop(own_fault(err))

    def mark_failed(self, reason: str) -> None:
        """Mark a completed load as one whose figures cannot be trusted."""
        if self._ended == COMPLETED:
            self._ended = reason

    def serve(self, connection: Connection) -> None:
        """Serve one arrival after another, forever; a user does nothing else."""
        user = getcurrent()
        while True:
            can_go_on = self._backlog and not self._over.is_set()
            arrival = self._backlog.popleft() if can_go_on else self._await_arrival(user)
            arrival.user = user
            if isinstance(arrival.requests, EndpointRequests):
                self.request(connection, arrival, arrival.requests)
            else:
                self._carry(connection, arrival, arrival.requests)
            if self._is_idle:
                self._drained.set()

    def request(self, connection: Connection, arrival: Arrival, requests: EndpointRequests) -> Outcome | None:
        """Send a request and record it; return ``None`` if the load ended before, and recorded it as unfinished."""
        arrival.started_s = time.perf_counter() - self._start
        key = id(arrival)
        self._in_flight[key] = arrival
        busy = len(self._in_flight) + self._thinking.count
        if busy > self._peak:
            self._peak = busy
        if not self._is_deadline_set:
            self._watch_deadline_of(arrival)
        outcome = self._send(connection, arrival, requests)
        if self._in_flight.pop(key, None) is None:
            return None
        self._record(arrival, outcome)
        return outcome

    def _carry(self, connection: Connection, arrival: Arrival, carrier: JourneyCarrier) -> None:
        self._journeys[id(arrival)] = arrival
        self._to_clean += carrier.cleans_up
        arrival.started_s = time.perf_counter() - self._start
        try:
            carrier.carry(self, connection, arrival)
        except Exception as err:
            self._stop_at_fault(err)
            raise
        finally:
            self._to_clean -= carrier.cleans_up
            if not self._to_clean and self.is_over:
                self._quiet.set()

    def end_journey(self, arrival: Arrival, error: str) -> None:
        """Record a journey that has ended; one that the end of the load has ended is recorded already."""
        if self._journeys.pop(id(arrival), None) is not None:
            self._record(arrival, Outcome(arrival.status, arrival.size, error))

    def wait_until(self, due_s: float) -> bool:
        """Let a user think, or wait for its next try; return whether the load goes on."""
        return not self.is_over and self._thinking.wait_until(self._start + due_s)

    def begin_step(self, lag_s: float) -> None:
        """Count a further request of a journey, and how late it is released."""
        self._further += 1
        self._recent_lags.add(lag_s)

    def _await_arrival(self, user: Any) -> Arrival:
        """Wait for an arrival; the user that became idle last gets the next one."""
        self._idle.append(user)
        try:
            arrival: Arrival = get_hub().switch()
        except BaseException:
            if user in self._idle:
                self._idle.remove(user)
            raise
        return arrival

    def _send(self, connection: Connection, arrival: Arrival, requests: EndpointRequests) -> Outcome:
        try:
            answer = connection.send(arrival.wire, method=requests.method)
        except FAILURES as err:
            arrival.ended_s = self.elapsed_s
            if is_own_fault(err):
                self._stop_at_fault(err)
            return failure(err, timeout_s=self._plan.timeout_s)
        except Exception as err:
            self._stop_at_fault(err)
            raise
        arrival.ended_s = max(arrival.started_s, answer.received - self._start)
        error = requests.check(answer.status, answer.body)
        if error is None:
            wrong = None if arrival.judge is None else arrival.judge(answer)
            return Outcome(answer.status, len(answer.body), *(wrong or ()))
        if answer.has_retry_after and answer.status in ASKS_TO_WAIT:
            error += " (Retry-After)"
        return Outcome(answer.status, len(answer.body), error, example_of(answer.body))

    def _prepared(self, due: Due) -> Arrival:
        """Prepare an arrival; the pacer asks for some at a time, shortly before they are due."""
        requests = self._endpoints[due.endpoint]
        if isinstance(requests, EndpointRequests):
            return Arrival(due.due_s, requests, requests.wire(due), due.is_measured, due=due)
        return Arrival(due.due_s, requests, b"", due.is_measured, due=due, number=due.number, part=JOURNEY)

    def _release(self, arrival: Arrival, lag_s: float) -> None:
        if arrival.is_measured and not self.is_measuring:
            self._begin_measuring()
        self._recent_lags.add(lag_s)
        self.released += 1
        self._measured_released += arrival.is_measured
        self._last_due_s = arrival.due_s
        arrival.released_s = arrival.due_s + lag_s
        self._hand_over(arrival)

    def _hand_over(self, arrival: Arrival) -> None:
        """Give an arrival that is due to an idle user; without one, it waits."""
        requests = arrival.requests
        if isinstance(requests, EndpointRequests) and requests.tokens is not None and arrival.due is not None:
            arrival.wire = requests.tokens.put_into(arrival.wire, arrival.due.number)
        if self._idle:
            self._idle.pop().switch(arrival)
        else:
            self._capped += 1
            self._backlog.append(arrival)

    def _begin_measuring(self) -> None:
        self.is_measuring = True
        self._lags, self._recent_lags = Histogram(), Histogram()
        self._capped = 0
        self._peak = len(self._in_flight) + self._thinking.count
        self._processor = ProcessorClock()

    def _watch_deadline_of(self, arrival: Arrival) -> None:
        self._is_deadline_set = True
        self._deadline.set(self._start + arrival.started_s + self._plan.timeout_s)

    def _on_deadline(self) -> None:
        """Give up every request that has timed out; requests are kept in the order in which they were sent."""
        self._is_deadline_set = False
        self._poller.collect()
        latest_s = self.elapsed_s - self._plan.timeout_s
        expired = []
        for arrival in self._in_flight.values():
            if arrival.started_s > latest_s:
                self._watch_deadline_of(arrival)
                break
            expired.append(arrival)
        for arrival in expired:
            self._time_out(arrival)

    def _time_out(self, arrival: Arrival) -> None:
        arrival.user.throw(RequestTimeout)

    def _await_answers(self) -> None:
        """Wait for the answers to requests in flight, at most as long as the plan allows."""
        if not self._is_idle:
            self._drained.clear()
            left_s = max(0.0, self._last_due_s + self._plan.drain_s - self.elapsed_s)
            wait([self._drained, self._over], timeout=left_s, count=1)

    def _finish(self) -> None:
        """Record every request that has no answer, and let journeys clean up."""
        self._over.set()
        self._pacer.close()
        self._read_arrived_answers()
        self._deadline.close()
        self._give_up_all()
        self._thinking.end()
        if self._to_clean:
            self._quiet.wait(timeout=CLEAN_UP_S)
            self._give_up_all()
        self._quiet.set()

    @property
    def may_clean_up(self) -> bool:
        """Whether a journey may still send the requests of its clean-up."""
        return not self._quiet.is_set()

    def _read_arrived_answers(self) -> None:
        """Read the answers that have already arrived; in the hub, because users switch back to it when they finish."""
        get_hub().loop.run_callback(self._poller.collect)
        sleep(0)

    def _give_up_all(self) -> None:
        """Give up every request that is in flight or waits; an answer that arrives later is ignored."""
        self._never_sent += len(self._backlog)
        ended_s = self.elapsed_s
        in_flight, self._in_flight = self._in_flight, {}
        journeys, self._journeys = self._journeys, {}
        backlog, self._backlog = self._backlog, deque()
        for number, arrival in enumerate(chain(in_flight.values(), journeys.values(), backlog), start=1):
            arrival.ended_s = ended_s
            reason = "no answer when the load ended"
            if arrival.started_s < 0:
                arrival.started_s, reason = ended_s, "never sent: all connections were busy"
                if not isinstance(arrival.requests, EndpointRequests):
                    first = replace(arrival, requests=arrival.requests.first, part=STEP)
                    self._record(first, Outcome(error=UNFINISHED, example=reason))
            self._record(arrival, Outcome(error=UNFINISHED, example=reason))
            if number % GIVE_UP_BATCH == 0:
                sleep(0)

    def _record(self, arrival: Arrival, outcome: Outcome) -> None:
        row = RequestRow(
            arrival.due_s,
            "measured" if arrival.is_measured else "warmup",
            arrival.requests.name,
            outcome.status,
            arrival.released_s,
            arrival.started_s,
            arrival.ended_s,
            outcome.size,
            outcome.error,
            outcome.example,
            arrival.number,
            arrival.part,
            arrival.secrets,
        )
        self._log.add(row)

    def take_lags(self) -> dict[int, int]:
        """Return how late arrivals were released since the previous call, as counts of a `Histogram`."""
        recent = self._recent_lags.take()
        self._lags.merge(recent)
        return recent

    def waits(self) -> dict[int, int]:
        """Return how long ago the requests in flight were due, as counts of a `Histogram`."""
        now_s, waits = self.elapsed_s, Histogram()
        for arrival in self._in_flight.values():
            waits.add(now_s - arrival.due_s)
        return waits.counts

    def summary(self, *, version: str, connections: ConnectionUse | None = None) -> GeneratorLog:
        """Return the generator's own summary, once the load is over.

        Args:
            connections: what the connections of this process did.
        """
        connections = connections or ConnectionUse()
        self.take_lags()
        use = self._use or self._processor.since_start()
        started_at = self._log.started_at
        planned_end_s = self._plan.total_s
        end_s = planned_end_s if self._stopped_s is None else min(planned_end_s, self._stopped_s)
        begin_s = min(float(self._plan.load.warmup_s), end_s)
        return GeneratorLog(
            ended=self._ended,
            version=version,
            started_at=started_at,
            measured_from=started_at + begin_s,
            measured_to=started_at + end_s,
            arrivals=self.released,
            schedule_lags=self._lags.counts,
            cpu_cores=use.cores,
            wanted_cores=use.wanted_cores,
            wait_ratio=use.wait_ratio,
            steal_ratio=use.steal_ratio,
            concurrency_peak=self._peak,
            capped=self._capped,
            clock_step_s=(time.time() - started_at) - self.elapsed_s,
            error_examples=self._log.examples,
            feed_rows={name: rows for entry in self._endpoints for name, rows in entry.feed_rows.items()},
            resent=connections.resent,
            requests_by_address=dict(connections.requests),
            rows=self._log.rows if self._has_journeys else None,
            measured_arrivals=self._measured_released if self._has_journeys else None,
        )
