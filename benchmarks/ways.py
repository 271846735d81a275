"""The section `ways` of `benchmarks.load`: what a request costs one worker, by the way in which a service is called.

The target is nginx (`web_server`). Each way is sent at one rate, the ways one after another, several times. What a
worker holds follows from the median cost: the rate at which it would use `USABLE_CORES` of a core. A request costs less
at higher rates, so a worker holds at least that.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import bellwether
from benchmarks.bench import QUICK_RATE_RPS, Bench, log_progress
from benchmarks.tables import Row, Table
from benchmarks.watch import Watch
from benchmarks.web_server import LONG_BYTES, WebServer, is_installed, web_server
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.catalogue.locustfile import Locustfile
from include.perf.catalogue.service import Service
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.generator import LoadOrder
from include.perf.load.locustfile_bundle import bundle_of
from include.perf.measure.measurement import measure
from include.perf.runs.results_store import FEED_FILE, LOCUSTFILE_FILE

ROUNDS = 3
LOCUSTFILES = Path(__file__).with_name("locustfiles")

USABLE_CORES = 0.65
"""A worker that uses more has an inflated p99, long before it is late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How requests are sent, and the rate at which their cost is measured.

    Attributes:
        locustfile: the name of the one in `LOCUSTFILES` whose iterations, of one request each, are sent instead.
    """

    name: str
    rate_rps: float
    is_tls: bool = False
    keep_alive: bool = True
    feed: Callable[[], Feed] = bellwether.feed
    locustfile: str | None = None

    def service(self, server: WebServer) -> Service:
        """Return the catalogue's entry of the server, called in this way."""
        service = bellwether.service(server.tls_url if self.is_tls else server.plain_url)
        ca_file = server.ca_file if self.is_tls else None
        if self.locustfile is not None:
            file = Locustfile(file=LOCUSTFILES / self.locustfile)
            return service.model_copy(update={"endpoints": (), "locustfile": file})
        return service.model_copy(update={"keep_alive": self.keep_alive, "ca_file": ca_file})


def long_feed() -> Feed:
    """Return one request whose answer is long."""
    endpoint = FeedEndpoint(name="long", method="GET", weight=1, rows=1)
    return Feed(endpoints=(endpoint,), requests=((Request("/long", None),),))


WAYS = (
    Way(name="HTTP, keep-alive", rate_rps=4000),
    Way(name="HTTP, keep-alive, three own values", rate_rps=4000, feed=bellwether.feed_with_slots),
    Way(name="HTTP, locustfile with FastHttpUser", rate_rps=500, locustfile="fast_http_user.py"),
    Way(name="HTTP, locustfile with HttpUser", rate_rps=300, locustfile="http_user.py"),
    Way(name="HTTPS, keep-alive", rate_rps=2000, is_tls=True),
    Way(name="HTTP, a connection per request", rate_rps=1000, keep_alive=False),
    Way(name="HTTPS, a connection per request", rate_rps=160, is_tls=True, keep_alive=False),
    Way(name=f"HTTP, keep-alive, answers of {LONG_BYTES / 1e6:g} MB", rate_rps=200, feed=long_feed),
    Way(name=f"HTTPS, keep-alive, answers of {LONG_BYTES / 1e6:g} MB", rate_rps=100, is_tls=True, feed=long_feed),
)


def ways(bench: Bench) -> Table:
    """Measure what a request costs, and what one worker holds."""
    title = "ways: what one worker holds"
    if not is_installed():
        return Table(title=title, rows=[], notes=["Not in PATH, and not measured: nginx."])
    measured, rounds = (WAYS[:1], 1) if bench.is_quick else (WAYS, ROUNDS)
    costs: dict[str, list[Cost]] = {way.name: [] for way in measured}
    with web_server() as server:
        for _ in range(rounds):
            for way in measured:
                costs[way.name].append(_cost(bench, way, server))
    rows = [_row(way, costs[way.name]) for way in measured]
    return Table(title=title, rows=rows, notes=[f"Medians of {rounds} runs."])


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One load: the CPU seconds of 1,000 requests, and the generator's own figures."""

    cpu_per_1000_s: float
    wanted_cores: float
    lag_p99_s: float
    failed: int


def _row(way: Way, costs: Sequence[Cost]) -> Row:
    cpu_s = median(cost.cpu_per_1000_s for cost in costs)
    return {
        "way": way.name,
        "sent /s": way.rate_rps,
        "CPU s per 1,000": cpu_s,
        "wanted cores": median(cost.wanted_cores for cost in costs),
        "schedule lag p99 ms": median(1000 * cost.lag_p99_s for cost in costs),
        "failed": sum(cost.failed for cost in costs),
        f"at {USABLE_CORES:g} cores /s": 1000 * USABLE_CORES / cpu_s if cpu_s else None,
    }


def _cost(bench: Bench, way: Way, server: WebServer) -> Cost:
    """Send one load with one worker."""
    rate_rps = QUICK_RATE_RPS if bench.is_quick else way.rate_rps
    log_progress(f"{way.name}: {rate_rps:g}/s for {bench.run_s} s")
    load = bellwether.load_profile(rate_rps=rate_rps, duration_s=bench.run_s, workers=1)
    with (
        tempfile.TemporaryDirectory(prefix="bellwether-way-") as name,
        Watch(others=(server.pid,)) as watch,
    ):
        folder = Path(name)
        service = way.service(server)
        way.feed().write(folder / FEED_FILE)
        if service.locustfile is not None:
            bundle_of(service.locustfile).write(folder / LOCUSTFILE_FILE)
        order = LoadOrder(service=service, load=load, folder=folder, addresses=("127.0.0.1",))
        LocustGenerator().run(order, watch=bellwether.Unwatched())
        figures = measure(folder)
    used = watch.cpu_between(figures.window.start.timestamp(), figures.window.end.timestamp())
    return Cost(
        cpu_per_1000_s=np.nan if used is None else 1000 * used[0] / (rate_rps * (used[2] - used[1])),
        wanted_cores=figures.generator.wanted_cores or np.nan,
        lag_p99_s=figures.generator.schedule_lag_p99_s,
        failed=figures.failed,
    )
