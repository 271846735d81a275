"""Journeys: one user takes the steps of one arrival, one after another.

**Timing.** The first step is due when the journey is. Each later one is due when the answer before it had arrived and
its user had thought, to the millisecond; so is each further try of a repeated step. The latency of a step counts from
when it was due, and that of the journey from its due time to the end of its last step.

**Failure.** A step whose answer is wrong, or lacks what must be captured, ends the journey, unless it has
``on_failure: continue``. The journey then counts as failed. Its ``finally`` steps follow in any case; a failure of
theirs counts for themselves only.

**End of the load.** A journey that has not ended counts as unfinished. The answer that it waits for is still read, so
that its clean-up knows what there is to clean up; all clean-ups together end `CLEAN_UP_S` after the load.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.load.arrival import Arrival, EndpointRequests
from include.load.connection import Connection
from include.load.drive import Drive
from include.load.outcome import Outcome, example_of
from include.perf.catalogue.expectation import Check
from include.perf.catalogue.journey import Journey
from include.perf.catalogue.own_values import CapturedVariable
from include.perf.catalogue.step import Step
from include.perf.load.answer_reader import Answer
from include.perf.load.captures import AnswerParts, Captured, StepCaptures, forms_of, texts_of
from include.perf.load.load_plan import STEP, TIMED_OUT
from include.perf.load.slots import Slot, SlotForm

PAUSE_GRAIN_S = 0.001
"""Pauses end on full milliseconds of the schedule: waking up for each user alone costs as much as sending a request."""


@dataclass(slots=True)
class StepMoment:
    """What the contents of the requests of one journey depend on; ``due_s`` is that of the current step."""

    number: int
    ordinal: int
    due_s: float
    captured: Captured


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyStep:
    """A step with its prepared requests.

    Attributes:
        needs: the variables that its requests name, with their places.
        until: the check of the wanted answer; ``None`` if any good one is.
    """

    step: Step
    requests: EndpointRequests
    needs: Sequence[tuple[str, SlotForm]]
    captures: StepCaptures | None
    until: Check | None

    def wire(self, moment: StepMoment) -> bytes:
        """Return the bytes of the request."""
        wire, tokens = self.requests.wire(moment), self.requests.tokens
        return wire if tokens is None else tokens.put_into(wire, moment.number)

    def can_be_sent(self, captured: Captured) -> bool:
        """Whether all variables that it names were captured."""
        return all(need in captured for need in self.needs)


class JourneyRequests:
    """A journey with its prepared requests.

    Args:
        steps: the requests of each step, those of ``finally`` last, with their slots.
        think: draws the think times.
    """

    def __init__(
        self, journey: Journey, steps: Sequence[tuple[EndpointRequests, Sequence[Slot]]], think: random.Random
    ) -> None:
        self.name = journey.name
        self.weight = journey.weight
        self.first = steps[0][0]
        named = [[(slot.name, slot.form) for slot in slots if _is_captured(slot)] for _, slots in steps]
        forms = forms_of([need for needs in named for need in needs])
        parts = [
            JourneyStep(
                step=step,
                requests=requests,
                needs=needs,
                captures=StepCaptures(step, forms, secret=journey.secret_variables) if step.capture else None,
                until=step.repeat.until.compiled() if step.repeat else None,
            )
            for step, (requests, _), needs in zip(journey.requests, steps, named, strict=True)
        ]
        self.steps, self.finally_steps = parts[: len(journey.steps)], parts[len(journey.steps) :]
        self.secret = journey.secret_variables
        self.cleans_up = bool(self.finally_steps)
        self.think = think

    @property
    def feed_rows(self) -> Mapping[str, int]:
        """The number of different requests of each step."""
        return {step.requests.name: len(step.requests.wires) for step in (*self.steps, *self.finally_steps)}

    def start(self, started_at: float) -> None:
        """Set when the schedule starts, in Unix seconds."""
        for step in (*self.steps, *self.finally_steps):
            step.requests.start(started_at)

    def carry(self, drive: Drive, connection: Connection, arrival: Arrival) -> None:
        """Carry a journey to its end, in the greenlet of its user; one that is released too late never begins."""
        if drive.is_over:
            return
        running = RunningJourney(self, drive, connection, arrival)
        ending = running.take_steps()
        if ending is not None:
            drive.end_journey(arrival, ending)
        if self.finally_steps:
            running.clean_up()


class RunningJourney:
    """One journey in progress."""

    def __init__(self, journey: JourneyRequests, drive: Drive, connection: Connection, arrival: Arrival) -> None:
        due = arrival.due
        if due is None:
            raise ValueError("the arrival of a journey must have its place in the schedule")
        self._journey = journey
        self._drive = drive
        self._connection = connection
        self._arrival = arrival
        self._captured: Captured = {}
        self._moment = StepMoment(due.number, due.ordinal, due.due_s, self._captured)
        self._step = journey.steps[0]
        self._tries = 0
        self._is_again = False

    def take_steps(self) -> str | None:
        """Take the steps.

        Returns:
            The kind of error, empty for none; ``None`` if the load has ended before the journey.
        """
        due_s, released_s = self._arrival.due_s, self._arrival.released_s
        for step in self._journey.steps:
            if step.step.think_s is not None:
                due_s = after_pause(due_s, step.step.think_s.draw(self._journey.think))
            outcome = self._take(step, due_s, released_s)
            if outcome is None:
                return None
            if outcome.error and step.step.on_failure == "abort":
                return TIMED_OUT if outcome.error == TIMED_OUT else f"abandoned at {step.requests.name}"
            due_s, released_s = self._arrival.ended_s, -1.0
        return ""

    def _take(self, step: JourneyStep, due_s: float, released_s: float) -> Outcome | None:
        """Take one step, again and again if it is repeated; return ``None`` if the load has ended before."""
        self._step, self._tries = step, 0
        while True:
            if released_s < 0:
                now_s = self._drive.elapsed_s
                if due_s > now_s:
                    if not self._drive.wait_until(due_s):
                        return None
                    now_s = self._drive.elapsed_s
                elif self._drive.is_over:
                    return None
                released_s = now_s
                self._drive.begin_step(released_s - due_s)
            outcome = self._send(step, due_s, released_s)
            if outcome is None or outcome.error or not self._is_again or step.step.repeat is None:
                return outcome
            due_s, released_s = after_pause(self._arrival.ended_s, step.step.repeat.every_s), -1.0

    def _send(self, step: JourneyStep, due_s: float, released_s: float) -> Outcome | None:
        self._tries += 1
        self._moment.due_s = due_s
        whole = self._arrival
        wire = step.wire(self._moment)
        request = Arrival(due_s, step.requests, wire, whole.is_measured, released_s)
        request.user, request.number, request.part = whole.user, whole.number, STEP
        request.judge, request.secrets = self._judge, texts_of(self._captured, self._journey.secret)
        outcome = self._drive.request(self._connection, request, step.requests)
        whole.ended_s = request.ended_s
        if outcome is not None:
            whole.status, whole.size = outcome.status, whole.size + outcome.size
        return outcome

    def _judge(self, answer: Answer) -> tuple[str, str] | None:
        """Take the variables from a good answer, and see whether it is the wanted one."""
        step = self._step
        self._is_again = False
        if step.until is not None and step.until(answer.status, answer.body) is not None:
            tries = step.step.most_tries
            self._is_again = self._tries < tries
            return None if self._is_again else (f"not reached in {tries} tries", example_of(answer.body))
        if step.captures is None:
            return None
        problem = step.captures.take(AnswerParts(answer.body, answer.head, answer.cookies), self._captured)
        return None if problem is None else (problem.kind, problem.detail)

    def clean_up(self) -> None:
        """Send the ``finally`` steps whose variables were captured."""
        for step in self._journey.finally_steps:
            if not self._drive.may_clean_up:
                return
            if step.can_be_sent(self._captured):
                now_s = self._drive.elapsed_s
                self._drive.begin_step(0.0)
                self._step, self._tries = step, 0
                self._send(step, now_s, now_s)


def after_pause(ended_s: float, pause_s: float) -> float:
    """Return when a pause is over, to the nearest millisecond of the schedule."""
    return max(ended_s, round((ended_s + pause_s) / PAUSE_GRAIN_S) * PAUSE_GRAIN_S)


def _is_captured(slot: Slot) -> bool:
    return isinstance(slot.value, CapturedVariable)
