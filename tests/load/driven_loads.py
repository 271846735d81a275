"""Short loads, driven in this process on plain gevent like the load process drives longer ones."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent
import pandas as pd

from include.load.arrival import EndpointRequests
from include.load.connection import Connection, ConnectionSettings
from include.load.drive import Drive
from include.load.host import Host
from include.load.poller import make_poller
from include.load.record import RequestLog
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.load_plan import GeneratorLog, LoadPlan
from include.perf.load.wire import tls_context, wire_format
from include.perf.measure.request_rows import read_requests
from include.perf.model.histogram import Histogram

FEED = Feed(
    endpoints=(
        FeedEndpoint(name="orders", method="POST", weight=3, rows=3),
        FeedEndpoint(name="positions", method="GET", weight=2, rows=2),
    ),
    requests=(
        tuple(Request(f"/orders/{row}", b'{"row":%d}' % row) for row in range(3)),
        tuple(Request(f"/positions/{row}", None) for row in range(2)),
    ),
)


def way_to(
    url: str, *, host: Host | None = None, verify: bool = True, ca_file: Path | None = None, **changes: Any
) -> ConnectionSettings:
    """Return the settings of connections to a URL."""
    tls = tls_context(url, verify=verify, ca_file=ca_file)
    return ConnectionSettings(host=host or Host(url, ["127.0.0.1"]), poller=make_poller(), tls=tls, **changes)


def plan_of(folder: Path, url: str, **load: object) -> LoadPlan:
    """Return a plan for a load of about a second: shorter than the catalogue allows."""
    fields = LoadProfile(rate_rps=100, duration_s=10, warmup_s=0).model_dump() | {"duration_s": 1} | load
    return LoadPlan(
        base_url=url,
        addresses=("127.0.0.1",),
        verify_tls=True,
        ca_file=None,
        keep_alive=True,
        timeout_s=10.0,
        connect_timeout_s=None,
        headers={},
        expectations={},
        load=LoadProfile.model_construct(**fields),
        workers=int(fields.get("workers") or 1),
        folder=folder,
    )


def requests_of(plan: LoadPlan) -> Sequence[EndpointRequests]:
    """Return the requests of `FEED` as bytes."""
    return [
        EndpointRequests(
            name=endpoint.name,
            method=endpoint.method,
            weight=endpoint.weight,
            wires=[
                wire_format(endpoint.method, request, base_url=plan.base_url, headers={}) for request in of_endpoint
            ],
            check=plan.check_of(endpoint.name),
        )
        for endpoint, of_endpoint in zip(FEED.endpoints, FEED.requests, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """The results of a load; ``start`` is when its schedule began, on the clock of ``time.perf_counter``."""

    rows: pd.DataFrame
    summary: GeneratorLog
    start: float
    ended: float

    @property
    def due_s(self) -> "pd.Series[float]":
        """Due times in seconds after the schedule began."""
        return self.rows["due_at"] - self.summary.started_at

    @property
    def kinds(self) -> Counter[str]:
        """How the requests ended."""
        return Counter(self.rows["error"])

    def schedule_lag_s(self, share: float) -> float:
        """How late arrivals of the measured part were released, from its summary."""
        lag_s = Histogram(self.summary.schedule_lags).quantile(share)
        assert lag_s is not None
        return lag_s


class Run:
    """A driver with its users, set up like in the load process."""

    def __init__(self, plan: LoadPlan, connection: Callable[[ConnectionSettings], Connection] = Connection) -> None:
        self._plan = plan
        self._path = plan.folder / "requests.csv.gz"
        self._log = RequestLog(self._path.open("wb"))
        self._way = way_to(plan.base_url)
        self._connect = connection
        self.drive = Drive(plan, requests_of(plan), self._log, self._way.poller)

    def _serve(self) -> None:
        connection = self._connect(self._way)
        try:
            self.drive.serve(connection)
        finally:
            connection.close()

    def run(self, *others: Callable[[Drive], None]) -> Driven:
        """Drive the load to its end, while other greenlets run."""
        greenlets = [gevent.spawn(self._serve) for _ in range(self._plan.load.max_concurrency)]
        gevent.sleep(0)
        greenlets += [gevent.spawn(other, self.drive) for other in others]
        start = time.perf_counter() + 0.05
        try:
            self.drive.run(start=start, started_at=time.time() + 0.05)
        finally:
            ended = time.perf_counter()
            gevent.killall(greenlets)
            self._log.close()
        summary = self.drive.summary(version="test")
        return Driven(rows=read_requests(self._path), summary=summary, start=start, ended=ended)
