"""A smoke run: a few requests to every endpoint of a service, one after another, to see whether it answers.

Each journey is taken once, with its clean-up; its user does not think.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.expectation import Expectation
from include.perf.catalogue.journey import Journey
from include.perf.catalogue.service import Service
from include.perf.guards.hosts import allowed_addresses
from include.perf.load.examples import example_requests
from include.perf.load.feed import Feed, Request
from include.perf.load.staging import build_feed
from include.perf.load.wire import Answered, Target
from include.perf.model.errors import TargetError
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import one_line
from include.perf.pipeline.journey_trial import JourneyTrial, StepTrial
from include.perf.pipeline.outside import Outside
from include.perf.reporting.markdown_text import table

MAX_EXAMPLE = 200
MAX_MASKED_BYTES = 16 * 1024
"""How much of an answer is searched for secrets; only its beginning is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeResult:
    """How one endpoint answered.

    Attributes:
        path: method, path and query of the first request that failed, or of the first request.
        sent, failed: the number of requests.
        slowest_s: the time of the slowest answer; ``None`` without any answer.
        problem: what was wrong with the first answer that failed, and the answer.
    """

    service: str
    endpoint: str
    path: str
    sent: int
    failed: int
    slowest_s: float | None
    problem: str | None

    @property
    def is_good(self) -> bool:
        """Whether every answer was as expected."""
        return self.failed == 0


def smoke(name: str, outside: Outside) -> list[SmokeResult]:
    """Send a few requests to every endpoint of a service, and return how each endpoint answered.

    The requests are those of the first scenario that loads the service. The code of a locustfile runs only in a load,
    so its service is only asked whether it is healthy.

    Raises:
        RunSkipped: load is halted, or the service is production and the market is open.
        RunError: load must not go to the service.
        ConfigurationError: no scenario has data for the service, or the data cannot be used.
    """
    catalogue, guard = outside.stores.catalogue, outside.guard
    service = catalogue.service(name)
    scenario = catalogue.scenario_of(service)
    guard.check_halt()
    guard.check_market(service)
    addresses = allowed_addresses(service, never=catalogue.forbidden_for(service), resolve=outside.resolve)
    if service.locustfile is not None:
        return [_try_health(service, outside.target, addresses)]
    feed = build_feed(catalogue.data_path(scenario), service, scenario.load)
    return list(try_endpoints(service, feed, outside.target, addresses))


def try_endpoints(
    service: Service,
    feed: Feed,
    target: Target,
    addresses: Sequence[str],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[SmokeResult]:
    """Send the first, the middle and the last request of each endpoint, and yield how the endpoint answered.

    Args:
        sleep: waits for so many seconds before a step of a journey is tried again.
    """
    index = 0
    for entry in service.endpoints:
        if isinstance(entry, Journey):
            trial = JourneyTrial(service, entry, feed, index, target=target, addresses=addresses, sleep=sleep)
            yield from (_of_step(service, found, target) for found in trial.results())
        else:
            rows = _first_middle_last(len(feed.requests[index]))
            yield _try(service, entry, list(example_requests(feed, index, rows)), target, addresses)
        index += len(entry.requests)


def _try_health(service: Service, target: Target, addresses: Sequence[str]) -> SmokeResult:
    """Ask a service whether it is healthy."""
    problem: str | None = None
    try:
        target.check(service, addresses)
    except TargetError as err:
        problem = str(err)
    return SmokeResult(
        service=service.name,
        endpoint="health (the locustfile runs only in a load)",
        path=f"GET {service.health_path}",
        sent=1,
        failed=0 if problem is None else 1,
        slowest_s=None,
        problem=problem,
    )


def smoke_in_words(results: Sequence[SmokeResult]) -> str:
    """Return a table of how each endpoint answered, followed by a line for each problem."""
    rows = [
        [
            result.service,
            result.endpoint,
            "good" if result.is_good else f"{result.failed} of {result.sent} failed",
            format_value(result.slowest_s, Unit.SECONDS),
        ]
        for result in results
    ]
    problems = [f"{result.path}: {result.problem}" for result in results if result.problem]
    return "\n".join([table(["service", "endpoint", "answers", "slowest"], rows, right=[3]), *problems])


def _first_middle_last(count: int) -> list[int]:
    last = count - 1
    return list(dict.fromkeys((0, last // 2, last)))


def _try(
    service: Service, endpoint: Endpoint, requests: Sequence[Request], target: Target, addresses: Sequence[str]
) -> SmokeResult:
    check = (endpoint.expect or Expectation()).compiled()
    times: list[float] = []
    problems: list[tuple[Request, str]] = []
    for request in requests:
        try:
            answer = target.send(service, endpoint.method, request, addresses)
        except TargetError as err:
            problems.append((request, str(err)))
            continue
        times.append(answer.took_s)
        if (error := check(answer.status, answer.body)) is not None:
            problems.append((request, f"{error}: {_shown(service, answer, target)}"))
    shown = problems[0][0] if problems else requests[0]
    return SmokeResult(
        service=service.name,
        endpoint=endpoint.name,
        path=f"{endpoint.method} {shown.target}",
        sent=len(requests),
        failed=len(problems),
        slowest_s=max(times, default=None),
        problem=problems[0][1] if problems else None,
    )


def _of_step(service: Service, found: StepTrial, target: Target) -> SmokeResult:
    problem = found.problem
    if problem is not None and found.answer is not None:
        problem = f"{problem}: {_shown(service, found.answer, target)}"
    return SmokeResult(
        service=service.name,
        endpoint=found.step.name,
        path=f"{found.step.method} {found.request.target}",
        sent=found.sent,
        failed=int(problem is not None),
        slowest_s=found.answer.took_s if found.answer else None,
        problem=problem,
    )


def _shown(service: Service, answer: Answered, target: Target) -> str:
    beginning = answer.body[:MAX_MASKED_BYTES].decode("utf-8", errors="replace")
    text = one_line(target.masked(service, beginning, is_cut=len(answer.body) > MAX_MASKED_BYTES))
    return (text if len(text) <= MAX_EXAMPLE else text[: MAX_EXAMPLE - 1] + "…") or "an empty answer"
