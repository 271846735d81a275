"""A dry run: what requests would send where, when and for how long. Nothing is sent; only names are resolved."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from include.perf.guards.guard import Guard
from include.perf.load.examples import example_requests
from include.perf.load.staging import build_feed, requests_by_endpoint
from include.perf.model.errors import BellwetherError, collected
from include.perf.model.text import one_line, utc_time
from include.perf.pipeline.outside import Outside
from include.perf.pipeline.planning.fingerprint import describe_load
from include.perf.pipeline.planning.request import RunRequest, specs_for
from include.perf.pipeline.planning.time_plan import RERUN_OVERHEAD_S, run_length, starts_of
from include.perf.runs.planned_run import PlannedRun, planned_run

MAX_BODY = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEndpoint:
    """The requests that one endpoint would get.

    Attributes:
        requests: in the warm-up and the measured part together; further tries of a repeated step are not counted.
        rows: the number of different requests among them.
        example: path and query, then the body, of the first request.
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
        addresses: the addresses of ``base_url`` now; empty if load must not go there.
        starts_at: the earliest start, if every load before it takes as long as it may.
        ends_at: the latest time at which its last answer arrives or times out.
        load: rate, duration and warm-up in words.
        refused: the reasons why it would not be sent; empty if it would.
        locustfile: the path of the service's locustfile, whose tasks are the load; ``None`` without one.
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
    locustfile: str | None = None

    @property
    def requests(self) -> int:
        """The number of all requests together."""
        return sum(endpoint.requests for endpoint in self.endpoints)


def preview(requests: Sequence[RunRequest], outside: Outside) -> list[PlannedLoad]:
    """Return the loads of requests that are executed one after another; nothing is sent or stored.

    Raises:
        ConfigurationError: with everything that is wrong with a request.
    """
    catalogue = outside.stores.catalogue
    begins_at = outside.stores.clock()
    loads: list[PlannedLoad] = []
    for request in requests:
        runs = [planned_run(spec, catalogue) for spec in specs_for(request, catalogue, now=begins_at)]
        loads += _preview_scenario(runs, outside.guard, begins_at=begins_at)
        begins_at = max(load.ends_at for load in loads) + timedelta(seconds=RERUN_OVERHEAD_S)
    return loads


def _preview_scenario(runs: Sequence[PlannedRun], guard: Guard, *, begins_at: datetime) -> Iterator[PlannedLoad]:
    """Yield the loads of the runs of one scenario, in order, if the first one starts at ``begins_at``."""
    lengths = [run_length(run.spec.load, run.service) for run in runs]
    starts = starts_of(lengths, places=runs[0].scenario.parallel)
    for run, start in zip(runs, starts, strict=True):
        yield _planned(run, guard, starts_at=begins_at + start)


def _planned(run: PlannedRun, guard: Guard, *, starts_at: datetime) -> PlannedLoad:
    refused: list[str] = []
    addresses: tuple[str, ...] = ()
    endpoints: tuple[PlannedEndpoint, ...] = ()
    with _noted(refused):
        guard.check_time(run, at=starts_at)
    with _noted(refused):
        addresses = guard.with_addresses(run).addresses
    with _noted(refused):
        endpoints = tuple(_endpoints(run)) if run.service.locustfile is None else ()
    return PlannedLoad(
        service=run.service.name,
        scenario=run.scenario.name,
        environment=run.service.environment,
        base_url=run.service.base_url,
        addresses=addresses,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(seconds=run.longest_s),
        load=describe_load(run.spec.load),
        endpoints=endpoints,
        locustfile=None if run.service.locustfile is None else str(run.service.locustfile.file),
        refused=tuple(refused),
    )


@contextmanager
def _noted(reasons: list[str]) -> Iterator[None]:
    """Add the reason why the block failed, and continue after it."""
    try:
        with collected(reasons):
            yield
    except BellwetherError as err:
        reasons.append(str(err))


def _endpoints(run: PlannedRun) -> Iterator[PlannedEndpoint]:
    """Stage the scenario's data in memory and count the requests of each endpoint."""
    load = run.spec.load
    feed = build_feed(run.data, run.service, load)
    arrivals = requests_by_endpoint(run.service, load)
    counts = [
        count for entry, count in zip(run.service.endpoints, arrivals, strict=True) for _ in range(len(entry.requests))
    ]
    for index, (endpoint, count) in enumerate(zip(feed.endpoints, counts, strict=True)):
        (first,) = example_requests(feed, index, [0])
        yield PlannedEndpoint(
            name=endpoint.name,
            method=endpoint.method,
            requests=count,
            rows=count if endpoint.slots else min(endpoint.rows, count),
            example=(first.target, None if first.body is None else first.body.decode()),
        )


def loads_in_words(loads: Iterable[PlannedLoad]) -> str:
    """Return a few lines for each load: whether it would be sent, where, when and how much."""
    return "\n\n".join("\n".join(_lines(load)) for load in loads)


def _lines(load: PlannedLoad) -> Iterator[str]:
    verdict = "would be sent" if not load.refused else "would NOT be sent"
    yield f"{load.scenario} · {load.service} ({load.environment}): {verdict}"
    yield from (f"  refused: {reason}" for reason in load.refused)
    leads = f" ({', '.join(load.addresses)})" if load.addresses else ""
    yield f"  to       {load.base_url}{leads}"
    yield f"  when     {utc_time(load.starts_at)} at the earliest, over by {utc_time(load.ends_at)}"
    if load.locustfile is not None:
        yield f"  load     {load.load}: iterations of the tasks in {load.locustfile}"
        return
    yield f"  load     {load.load}: {load.requests:,} requests"
    for endpoint in load.endpoints:
        yield f"  {endpoint.requests:>9,}  {endpoint.method} {endpoint.example[0]}{_body(endpoint)}"


def _body(endpoint: PlannedEndpoint) -> str:
    body = endpoint.example[1]
    if body is None:
        return ""
    text = one_line(body)
    return "  " + (text if len(text) <= MAX_BODY else text[: MAX_BODY - 1] + "…")
