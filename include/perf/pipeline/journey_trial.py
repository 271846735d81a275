"""One journey of a smoke run: its steps in order, with what they capture, and its clean-up."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from include.perf.catalogue.expectation import Expectation
from include.perf.catalogue.journey import Journey
from include.perf.catalogue.own_values import CapturedVariable
from include.perf.catalogue.service import Service
from include.perf.catalogue.step import Step
from include.perf.load.captures import AnswerParts, Captured, StepCaptures, forms_of
from include.perf.load.examples import example_requests
from include.perf.load.feed import Feed, Request
from include.perf.load.wire import Answered, Target
from include.perf.model.errors import TargetError


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTrial:
    """How a step was answered.

    Attributes:
        request: the last one.
        answer: the last one; ``None`` without any.
        problem: what was wrong with it; ``None`` if nothing was.
    """

    step: Step
    request: Request
    sent: int
    answer: Answered | None
    problem: str | None


class JourneyTrial:
    """Takes a journey once.

    Args:
        first: the index of its first step in the feed.
        sleep: waits for so many seconds before a step is tried again.
    """

    def __init__(
        self,
        service: Service,
        journey: Journey,
        feed: Feed,
        first: int,
        *,
        target: Target,
        addresses: Sequence[str],
        sleep: Callable[[float], None],
    ) -> None:
        self._service = service
        self._journey = journey
        self._feed = feed
        self._first = first
        self._send = partial(target.send, service)
        self._addresses = addresses
        self._sleep = sleep
        self._captured: Captured = {}
        self._cookies: dict[str, str] = {}
        steps = range(first, first + len(journey.requests))
        self._needs = [
            [(slot.name, slot.form) for slot in feed.endpoints[index].slots if isinstance(slot.value, CapturedVariable)]
            for index in steps
        ]
        self._forms = forms_of([need for needs in self._needs for need in needs])

    def results(self) -> Iterator[StepTrial]:
        """Yield how each step was answered; steps after a failure are not sent, except those of ``finally``."""
        is_abandoned = False
        for index, step in enumerate(self._journey.requests):
            is_clean_up = index >= len(self._journey.steps)
            if not is_clean_up and is_abandoned:
                continue
            if all(need in self._captured for need in self._needs[index]):
                trial = self._take(index, step)
                yield trial
                is_abandoned |= trial.problem is not None and step.on_failure == "abort"

    def _take(self, index: int, step: Step) -> StepTrial:
        check = (step.expect or Expectation()).compiled()
        until = step.repeat.until.compiled() if step.repeat else None
        sent = 0
        while True:
            request = self._request(index)
            sent += 1
            try:
                answer = self._send(step.method, request, self._addresses)
            except TargetError as err:
                return StepTrial(step=step, request=request, sent=sent, answer=None, problem=str(err))
            problem = check(answer.status, answer.body)
            is_wanted = until is None or until(answer.status, answer.body) is None
            if problem or is_wanted or step.repeat is None or sent == step.repeat.at_most:
                break
            self._sleep(step.repeat.every_s)
        if problem is None:
            problem = self._taken_from(answer, step) if is_wanted else f"not reached in {sent} tries"
        return StepTrial(step=step, request=request, sent=sent, answer=answer, problem=problem)

    def _request(self, index: int) -> Request:
        (request,) = example_requests(self._feed, self._first + index, [0], captured=self._captured)
        if not self._cookies:
            return request
        headers = {name: value for name, value in request.headers.items() if name.lower() != "cookie"}
        own = [value for name, value in request.headers.items() if name.lower() == "cookie"]
        cookies = "; ".join([*(f"{name}={value}" for name, value in self._cookies.items()), *own])
        return replace(request, headers={**headers, "Cookie": cookies})

    def _taken_from(self, answer: Answered, step: Step) -> str | None:
        """Capture from a good answer; return what is missing."""
        if self._service.cookies:
            pairs = (field.decode("latin-1").partition(";")[0].partition("=") for field in answer.cookies)
            self._cookies |= {name.strip(): value.strip() for name, _, value in pairs}
        parts = AnswerParts(answer.body, answer.head, answer.cookies)
        problem = StepCaptures(step, self._forms, secret=self._journey.secret_variables).take(parts, self._captured)
        return None if problem is None else f"{problem.kind} ({problem.detail})"
