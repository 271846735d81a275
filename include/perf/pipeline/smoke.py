"""A few requests to every endpoint of a service, one after another: does it answer as it should at all?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from include.perf.catalogue.endpoint import Endpoint, Expectation
from include.perf.catalogue.service import Service
from include.perf.load.feed import Feed, Request
from include.perf.load.wire import Answered, Target
from include.perf.model.errors import TargetError
from include.perf.model.text import one_line

REQUESTS = 3
"""To each endpoint: the first of its requests, one of the middle and the last."""

MAX_EXAMPLE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeResult:
    """How one endpoint answered.

    Attributes:
        path: method, path and query of the request that failed, or of the first.
        sent, failed: requests.
        slowest_s: the longest answer; ``None`` when none came.
        problem: what was wrong with the first that failed, with what came back.
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
        """Whether every answer was as it should be."""
        return self.failed == 0


def smoke(service: Service, feed: Feed, target: Target, addresses: Sequence[str]) -> Iterator[SmokeResult]:
    """Send a few requests to each endpoint of a service, and say how each answered."""
    for endpoint, requests in zip(service.endpoints, feed.requests, strict=True):
        yield _tried(service, endpoint, _spread(requests), target, addresses)


def _spread(requests: Sequence[Request]) -> list[Request]:
    last = len(requests) - 1
    return [requests[row] for row in dict.fromkeys((0, last // 2, last))]


def _tried(
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
            problems.append((request, f"{error}: {_shown(answer)}"))
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


def _shown(answer: Answered) -> str:
    text = one_line(answer.body.decode("utf-8", errors="replace"))
    return (text if len(text) <= MAX_EXAMPLE else text[: MAX_EXAMPLE - 1] + "…") or "an empty answer"
