"""What a request would send where, when and for how long. Nothing is sent to find out; only names are resolved.

What a dry run and a smoke run found, as text for a log or a terminal.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.arrival_rate import shared_out
from include.perf.guards.guard import Guard
from include.perf.load.staging import build_feed
from include.perf.model.errors import BellwetherError, collected
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import one_line, utc_time
from include.perf.pipeline.planning.fingerprint import describe_load
from include.perf.pipeline.planning.time_plan import run_length, starts_of
from include.perf.reporting.markdown_text import table
from include.perf.runs.spec import RunSpec

if TYPE_CHECKING:
    from include.perf.pipeline.smoke import SmokeResult


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEndpoint:
    """What one endpoint would get.

    Attributes:
        requests: in the warm-up and the measured part together.
        rows: different ones among them.
        example: the first, path and query, then its body.
    """

    name: str
    method: str
    requests: int
    rows: int
    example: tuple[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """One load, as it would be sent.

    Attributes:
        base_url: where to.
        addresses: what its name leads to now; empty where it is refused.
        starts_at: at the earliest, if every load before it takes as long as it may.
        ends_at: when its last answer is not waited for any more.
        load: rate, duration and warm-up in words.
        refused: why it would not be sent; empty when it would.
    """

    service: str
    scenario: str
    environment: str
    base_url: str
    addresses: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    load: str
    endpoints: tuple[PlannedEndpoint, ...]
    refused: tuple[str, ...]

    @property
    def requests(self) -> int:
        """All requests together."""
        return sum(endpoint.requests for endpoint in self.endpoints)


def preview(specs: Sequence[RunSpec], catalogue: Catalogue, guard: Guard, *, begins_at: datetime) -> list[PlannedLoad]:
    """Return what each run of a scenario would send, in their order, if the first begins at a moment."""
    if not specs:
        return []
    scenario = catalogue.scenario(specs[0].scenario)
    services = [catalogue.service(spec.service) for spec in specs]
    lengths = [run_length(spec.load, service) for spec, service in zip(specs, services, strict=True)]
    starts = starts_of(lengths, places=scenario.parallel)
    return [
        _planned(spec, catalogue, guard, starts_at=begins_at + start) for spec, start in zip(specs, starts, strict=True)
    ]


def _planned(spec: RunSpec, catalogue: Catalogue, guard: Guard, *, starts_at: datetime) -> PlannedLoad:
    service = catalogue.service(spec.service)
    refused: list[str] = []
    addresses: tuple[str, ...] = ()
    endpoints: tuple[PlannedEndpoint, ...] = ()
    with _noted(refused):
        guard.check_time(spec, at=starts_at)
    with _noted(refused):
        addresses = guard.addresses_of(service)
    with _noted(refused):
        endpoints = tuple(_endpoints(spec, catalogue))
    return PlannedLoad(
        service=service.name,
        scenario=spec.scenario,
        environment=service.environment,
        base_url=service.base_url,
        addresses=addresses,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(seconds=spec.load.longest_s(service.timeout_s)),
        load=describe_load(spec.load),
        endpoints=endpoints,
        refused=tuple(refused),
    )


@contextmanager
def _noted(reasons: list[str]) -> Iterator[None]:
    """Add why the block could not be done, and go on."""
    try:
        with collected(reasons):
            yield
    except BellwetherError as err:
        reasons.append(str(err))


def _endpoints(spec: RunSpec, catalogue: Catalogue) -> Iterator[PlannedEndpoint]:
    """Stage the scenario's data in memory and count what it would come to."""
    scenario, service = catalogue.scenario(spec.scenario), catalogue.service(spec.service)
    feed = build_feed(catalogue.data_path(scenario), service.endpoints, seed=spec.load.seed)
    weights = [endpoint.weight for endpoint in service.endpoints]
    parts = [shared_out(weights, arrivals) for arrivals in (spec.load.warmup_arrivals, spec.load.measured_arrivals)]
    for endpoint, requests, *counts in zip(feed.endpoints, feed.requests, *parts, strict=True):
        first = requests[0]
        yield PlannedEndpoint(
            name=endpoint.name,
            method=endpoint.method,
            requests=sum(counts),
            rows=min(endpoint.rows, sum(counts)),
            example=(first.target, None if first.body is None else first.body.decode()),
        )


MAX_BODY = 160


def loads_in_words(loads: "Iterable[PlannedLoad]") -> str:
    """Return each load in a few lines: where to, when, how much, and whether it would be sent at all."""
    return "\n\n".join("\n".join(_lines(load)) for load in loads)


def _lines(load: "PlannedLoad") -> Iterator[str]:
    verdict = "would be sent" if not load.refused else "would NOT be sent"
    yield f"{load.scenario} · {load.service} ({load.environment}): {verdict}"
    yield from (f"  refused: {reason}" for reason in load.refused)
    leads = f" ({', '.join(load.addresses)})" if load.addresses else ""
    yield f"  to       {load.base_url}{leads}"
    yield f"  when     {utc_time(load.starts_at)} at the earliest, over by {utc_time(load.ends_at)}"
    yield f"  load     {load.load}: {load.requests:,} requests"
    for endpoint in load.endpoints:
        yield f"  {endpoint.requests:>9,}  {endpoint.method} {endpoint.example[0]}{_body(endpoint)}"


def _body(endpoint: "PlannedEndpoint") -> str:
    body = endpoint.example[1]
    if body is None:
        return ""
    text = one_line(body)
    return "  " + (text if len(text) <= MAX_BODY else text[: MAX_BODY - 1] + "…")


def smoke_in_words(results: "Sequence[SmokeResult]") -> str:
    """Return how each endpoint answered, and below the table what was wrong."""
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
