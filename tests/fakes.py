"""The outside world, made up: a store in memory, a generator that only writes its record, a Prometheus of answers.

`Platform` puts them together around one small service, so that a test says only what is different. Nothing here
sleeps: the clock is moved by whoever would have taken the time.
"""

import copy
import gzip
import io
import random
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, TypeVar

from include.load.schedule import schedule
from include.perf.baselines.baselines import Baselines
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.load.announcing import LoadObserver
from include.perf.load.feed import Request
from include.perf.load.generator import LoadOrder, LoadWatch, Progress, Recent
from include.perf.load.load_plan import REQUEST_COLUMNS, GeneratorLog
from include.perf.load.reservations import Reservation
from include.perf.load.wire import Answered
from include.perf.measure.distribution import Distribution
from include.perf.measure.metrics_source import LabelledValue, Sample
from include.perf.model.cell import CellName
from include.perf.model.errors import ConfigurationError, LoadError, NoData, StoreError, TargetError
from include.perf.model.histogram import Histogram
from include.perf.model.json_files import to_json
from include.perf.pipeline.pipeline import Pipeline
from include.perf.pipeline.planning.request import RunRequest
from include.perf.runs.figures import COMPLETED
from include.perf.runs.record import RunRecord
from include.perf.runs.results_store import GENERATOR_FILE, RECORD_FILE, REQUESTS_FILE, SUMMARIES_FOLDER
from include.perf.runs.spec import ReservationRequest

T = TypeVar("T")

START = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)
CSV_HEADER = "timestamp,instrument,open,high,low,close,volume,spread"
SELECTOR = 'service="orders-service"'
GOOD = Answered(status=200, body=b"{}", took_s=0.01)


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self.waits_s: list[float] = []

    def __call__(self) -> datetime:
        """Say what time it is."""
        return self.now

    def move(self, seconds: float) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)

    def wait(self, seconds: float) -> None:
        """Be waited on, without anyone waiting."""
        self.waits_s.append(seconds)
        self.move(seconds)


class MemoryStore:
    """Keeps runs in memory.

    Attributes:
        runs_by_uri: the files of each run by name.
        written: the name of every file written through `write`, in order.
    """

    def __init__(self) -> None:
        self.runs_by_uri: dict[str, dict[str, bytes]] = {}
        self.written: list[str] = []

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Make the folder of a run and return its URI."""
        uri = self.uri_of(service=service, scenario=scenario, run_id=run_id)
        assert uri not in self.runs_by_uri
        self.runs_by_uri[uri] = {}
        return uri

    def create_summary(self, *, dag_id: str, dag_run_id: str) -> str:
        """Make the folder of a DAG run's summary and return its URI."""
        uri = f"memory://{SUMMARIES_FOLDER}/{dag_id}/{dag_run_id}"
        self.runs_by_uri.setdefault(uri, {})
        return uri

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run, whether or not it is there."""
        return f"memory://{service}/{scenario}/{run_id}"

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run."""
        self._files(uri)[name] = content
        self.written.append(name)

    def read(self, uri: str, name: str) -> bytes | None:
        """Return a file of a run, or ``None`` when there is none."""
        return self.runs_by_uri.get(uri, {}).get(name)

    def names(self, uri: str) -> frozenset[str]:
        """Return the names of a run's files."""
        return frozenset(self.runs_by_uri.get(uri, {}))

    @contextmanager
    def opened(self, uri: str, name: str) -> Iterator[IO[bytes]]:
        """Lend a file of a run to be read part by part."""
        yield io.BytesIO(self._files(uri)[name])

    @contextmanager
    def folder(self, uri: str, *, needed: Collection[str] | None = None) -> Iterator[Path]:
        """Lend what is needed of a run as a folder; what is written there is kept, also when the block fails."""
        files = self._files(uri)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for path, content in files.items():
                if needed is not None and path not in needed:
                    continue
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_bytes(content)
            try:
                yield folder
            finally:
                found = [path for path in folder.rglob("*") if path.is_file()]
                files |= {str(path.relative_to(folder)): path.read_bytes() for path in found}

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run, if it is there."""
        self._files(uri).pop(name, None)

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Return the URIs of the finished runs, oldest first."""
        for uri, files in sorted(self.runs_by_uri.items(), key=lambda item: item[0].rpartition("/")[2]):
            of_service, of_scenario = uri.split("/")[2:4]
            if RECORD_FILE in files and service in (None, of_service) and scenario in (None, of_scenario):
                yield uri

    def latest(self, *, service: str, scenario: str, since: str = "") -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first."""
        of_cell = (uri for uri in self.runs_by_uri if uri.split("/")[2:4] == [service, scenario])
        yield from sorted((uri for uri in of_cell if uri.rpartition("/")[2] >= since), reverse=True)

    def cells(self) -> Iterator[CellName]:
        """Return every service and scenario that ever had a run, in alphabetical order."""
        names = {tuple(uri.split("/")[2:4]) for uri in self.runs_by_uri}
        yield from (CellName(*each) for each in sorted(names) if each[0] != SUMMARIES_FOLDER)

    def _files(self, uri: str) -> dict[str, bytes]:
        if uri not in self.runs_by_uri:
            raise StoreError(f"there is no run {uri}")
        return self.runs_by_uri[uri]


class MemoryBaselines:
    """Baselines in memory; ``problem`` makes them unreadable."""

    def __init__(self) -> None:
        self.baselines = Baselines()
        self.problem: ConfigurationError | None = None

    def read(self) -> Baselines:
        """Return all baselines."""
        if self.problem is not None:
            raise self.problem
        return copy.deepcopy(self.baselines)

    def update(self, change: Callable[[Baselines], T]) -> T:
        """Change the baselines, all or nothing."""
        changed = copy.deepcopy(self.read())
        result = change(changed)
        self.baselines = changed
        return result


@dataclass(slots=True, kw_only=True)
class FakeGenerator:
    """Leaves the record of a load that never went anywhere: seeded rows, shaped by what a test sets.

    Attributes:
        latency_s: the median; the others lie around it, log-normal with σ = 0.2.
        failed_every: each so many-th request is answered with HTTP 500; 0 for none.
        log_changes: what the summary says differently.
        is_killed: leaves the requests, but no summary.
        problem: raised instead of leaving anything.
        loads: every load that was asked for.
        orders: the same, with all that was told.
        pool: the workers elsewhere, ``None`` for none.
    """

    clock: FixedClock
    latency_s: float = 0.04
    failed_every: int = 0
    seed: int = 7
    log_changes: dict[str, Any] = field(default_factory=dict)
    is_killed: bool = False
    problem: BaseException | None = None
    loads: list[LoadProfile] = field(default_factory=list)
    orders: list[LoadOrder] = field(default_factory=list)
    pool: str | None = None

    def shared(self) -> str | None:
        """Return what a test says."""
        return self.pool

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Write ``requests.csv.gz`` and ``generator.json`` as the real one does."""
        service, load, folder = order.service, order.load, order.folder
        self.orders.append(order)
        self.loads.append(load)
        if self.problem is not None:
            raise self.problem
        begin = self.clock().timestamp()
        names = [endpoint.name for endpoint in service.endpoints]
        rows = [",".join(REQUEST_COLUMNS), *self._rows(load, names, begin=begin)]
        (folder / REQUESTS_FILE).write_bytes(gzip.compress("\n".join([*rows, ""]).encode(), 1))
        if not self.is_killed:
            (folder / GENERATOR_FILE).write_bytes(to_json(self._log(load, begin=begin, arrivals=len(rows) - 1)))
        self.clock.move(load.warmup_s + load.duration_s)
        watch.take_in(progress(elapsed_s=load.warmup_s + load.duration_s))

    def _rows(self, load: LoadProfile, names: list[str], *, begin: float) -> Iterator[str]:
        source = random.Random(self.seed)
        for number, due in enumerate(schedule(load, [1])):
            phase = "measured" if due.is_measured else "warmup"
            time_s = self.latency_s * source.lognormvariate(0, 0.2)
            is_failed = self.failed_every > 0 and number % self.failed_every == 0
            answer = "500" if is_failed else "200"
            error = "HTTP 500" if is_failed else ""
            name = names[number % len(names)]
            times = f"0.000800,0.001000,{time_s:.6f},{time_s + 0.001:.6f}"
            yield f"{begin + due.due_s:.6f},{phase},{name},{answer},{times},90,{error}"

    def _log(self, load: LoadProfile, *, begin: float, arrivals: int) -> GeneratorLog:
        log = GeneratorLog(
            ended=COMPLETED,
            version="fake 1",
            started_at=begin,
            measured_from=begin + load.warmup_s,
            measured_to=begin + load.warmup_s + load.duration_s,
            arrivals=arrivals,
            schedule_lags=counts_of(0.0008),
            cpu_cores=0.30,
            wanted_cores=0.31,
            wait_ratio=0.01,
            steal_ratio=0.0,
            concurrency_peak=9,
            capped=0,
            clock_step_s=0.0,
            error_examples={},
            feed_rows={"orders": 3, "positions": 2},
        )
        return replace(log, **self.log_changes)


class FakeMetrics:
    """Answers exactly the queries it knows; any other fails the test.

    Attributes:
        answers: a value, or an error to raise, by query.
        asked: every query with its time.
        series_of: the values of a query of several series, or an error; no data of any other.
        over_time: the samples of a query over time, or an error; no data of any other.
        asked_over_time: every such query with its start, end and step.
    """

    def __init__(self, answers: Mapping[str, float | Exception]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, datetime]] = []
        self.series_of: dict[str, tuple[LabelledValue, ...] | Exception] = {}
        self.over_time: dict[str, tuple[Sample, ...] | Exception] = {}
        self.asked_over_time: list[tuple[str, datetime, datetime, float]] = []

    def value(self, query: str, *, at: datetime) -> float:
        """Return the answer to a query."""
        self.asked.append((query, at))
        if query not in self.answers:
            raise AssertionError(f"unexpected query {query!r}; known are {sorted(self.answers)}")
        answer = self.answers[query]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        """Return the answer to a query of several series; no data where none is known."""
        self.asked.append((query, at))
        found = self.series_of.get(query, NoData(f"no data for {query}"))
        if isinstance(found, Exception):
            raise found
        return found

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """No series has labels here."""
        raise NoData(f"no data for {query}")

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return the answer to a query over time; no data where none is known."""
        self.asked_over_time.append((query, start, end, step_s))
        found = self.over_time.get(query, NoData(f"no data for {query}"))
        if isinstance(found, Exception):
            raise found
        return found


class FakeResolver:
    """Knows names as a test says: their addresses, one answer after another, or the error.

    Attributes:
        answers: by name; of several answers in a list the last one is given again and again.
        asked: every name and port.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = dict(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name."""
        self.asked.append((host, port))
        answer = self.answers.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, OSError):
            raise answer
        return tuple(answer)


class FakeReservations:
    """Grants everything.

    Attributes:
        problems: what stands in the way, one after another, before it is granted.
        claims: what was asked for.
        beside: the loads that run as well.
        running: the runs whose loads are said to run, one answer after another; then none does.
    """

    def __init__(self) -> None:
        self.running: list[frozenset[str] | None] = []
        self.problems: list[Exception] = []
        self.claims: list[ReservationRequest] = []
        self.beside: tuple[ReservationRequest, ...] = ()

    @contextmanager
    def reserve(self, claim: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        """Grant a claim, or raise the next problem."""
        self.claims.append(claim)
        if self.problems:
            raise self.problems.pop(0)
        yield Reservation(hold=0, beside=self.beside)

    def held(self) -> frozenset[str] | None:
        """Return the next answer."""
        return self.running.pop(0) if self.running else frozenset()


class FakeTarget:
    """A service that is healthy unless ``problem`` says otherwise.

    Attributes:
        documents: what it answers at a path, one after another, the last one again and again.
        answers: what a request gets by its path; an error is raised, and of a list each in its turn. Any other
            request gets 200 after 10 ms.
        asked: the addresses of every question, requests among them.
        sent: service, method and request of each request, in order.
    """

    def __init__(self) -> None:
        self.problem: str | None = None
        self.documents: list[Any] = []
        self.answers: dict[str, Answered | TargetError | list[Answered | TargetError]] = {}
        self.checks: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        self.sent: list[tuple[str, str, Request]] = []

    def check(self, service: Service, addresses: Sequence[str]) -> None:
        """Note the question; fail if told to."""
        self.asked.append(tuple(addresses))
        self.checks.append(service.name)
        if self.problem is not None:
            raise TargetError(self.problem)

    def json(self, service: Service, path: str, addresses: Sequence[str]) -> Any:
        """Answer with the next document."""
        self.asked.append(tuple(addresses))
        if not self.documents:
            raise TargetError(f"GET {service.base_url}{path} answered 404, 200 is needed")
        return self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]

    def send(self, service: Service, method: str, request: Request, addresses: Sequence[str]) -> Answered:
        """Note the request, and answer it."""
        self.asked.append(tuple(addresses))
        self.sent.append((service.name, method, request))
        answer = self.answers.get(request.target.partition("?")[0], GOOD)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, TargetError):
            raise answer
        return answer


class FakeCharts:
    """Draws one empty chart; ``problem`` is raised instead.

    Attributes:
        baselines: the distributions that each was to be drawn beside.
    """

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.baselines: list[tuple[Distribution, ...]] = []

    def render(self, record: RunRecord, folder: Path, *, baseline: Sequence[Distribution] = ()) -> dict[str, str]:
        """Write a file where a chart would be."""
        self.baselines.append(tuple(baseline))
        if self.problem is not None:
            raise self.problem
        (folder / "charts").mkdir(exist_ok=True)
        (folder / "charts" / "latency.png").write_bytes(record.run_id.encode())
        return {"latency": "charts/latency.png"}


def progress(**changes: Any) -> Progress:
    """Return how a load of 60 s is going after 12 s, at 500/s."""
    made = Progress(
        elapsed_s=12.0,
        total_s=60.0,
        rate_rps=499.6,
        due=6000,
        finished=5950,
        failed=3,
        in_flight=47,
        latency_p50_s=0.0183,
        latency_p95_s=0.0421,
        latency_p99_s=0.0876,
        lag_p99_s=0.0008,
        recent=recent(),
    )
    return replace(made, **changes)


def recent(**changes: Any) -> Recent:
    """Return a second of that load, with every delay as `progress` has it at the median."""
    made = Recent(
        due=500,
        sent=500,
        finished=499,
        failed=1,
        latencies={step: 500 * count for step, count in counts_of(0.0183).items()},
        lags={step: 500 * count for step, count in counts_of(0.0008).items()},
        waits={step: 47 * count for step, count in counts_of(0.009).items()},
        wanted_cores=(0.25,),
    )
    return replace(made, **changes)


def csv_lines(*, count: int = 80, cadence_s: int = 60, instruments: tuple[str, ...] = ("EUR_USD",)) -> list[str]:
    """Return a CSV of market data: closes of 1.1000, 1.1001, … volumes 100, 101, …, a spread of 0.0002."""
    lines = [CSV_HEADER]
    for number in range(count):
        time = START + timedelta(seconds=cadence_s * number)
        close = 1.1 + number / 10_000
        prices = f"{close:.4f},{close + 0.0005:.4f},{close - 0.0005:.4f},{close:.4f}"
        lines += [f"{time:%Y-%m-%dT%H:%M:%SZ},{name},{prices},{100 + number},0.0002" for name in instruments]
    return lines


def write_csv(path: Path, **shape: Any) -> Path:
    """Write `csv_lines` to a file."""
    path.write_text("\n".join([*csv_lines(**shape), ""]), encoding="utf-8")
    return path


def small_service(**changes: Any) -> Service:
    """Return a service with two endpoints, scraped every second."""
    made: dict[str, Any] = {
        "name": "orders-service",
        "base_url": "http://orders-service:8000",
        "allowed_hosts": ["orders-service"],
        "prometheus": {"selector": SELECTOR, "scrape_interval_s": 1},
        "endpoints": [
            {"name": "place", "method": "POST", "path": "/orders", "body": {"price": "$price", "side": "$side"}},
            {"name": "positions", "method": "GET", "path": "/positions", "query": {"instrument": "$instrument"}},
        ],
    }
    return Service.model_validate(made | changes)


def small_scenario(**changes: Any) -> Scenario:
    """Return a scenario of 40/s for 10 s after 5 s of warm-up: 600 arrivals, 400 of them measured."""
    made: dict[str, Any] = {
        "name": "brief",
        "title": "Brief",
        "load": {"rate_rps": 40, "duration_s": 10, "warmup_s": 5},
        "data": "brief.csv",
    }
    return Scenario.model_validate(made | changes)


def small_catalogue(folder: Path) -> Catalogue:
    """Return a catalogue of one service and one scenario, its data in ``folder``."""
    write_csv(folder / "brief.csv")
    service, scenario = small_service(), small_scenario()
    return Catalogue(
        folder=folder,
        services={service.name: service},
        scenarios={scenario.name: scenario},
        market_hours=load_market_hours(OWN_FILE),
    )


IS_SCRAPED = f"count(up{{{SELECTOR}}} == 1)"


def coverage_query(window: str = "10000ms") -> str:
    """Return how the coverage of the small service is asked for."""
    return f"min(sum_over_time(up{{{SELECTOR}}}[{window}]))"


def started_query(window: str = "12000ms") -> str:
    """Return how it is asked whether the small service was started: over two scrapes more than the window."""
    return f"max(max_over_time(process_start_time_seconds{{{SELECTOR}}}[{window}]))"


def healthy_answers(window: str = "10000ms") -> dict[str, float | Exception]:
    """Return what Prometheus says of the small service: ten scrapes in ten seconds, and three figures."""
    target = small_service().prometheus
    return {
        IS_SCRAPED: 1.0,
        coverage_query(window): 10.0,
        coverage_query("2000ms"): 2.0,  # at each end
        started_query(f"{int(window.removesuffix('ms')) + 2000}ms"): (START - timedelta(days=1)).timestamp(),
        target.query("cpu_usage", window=window): 1.5,
        target.query("memory_usage", window=window): 512.0 * 1024**2,
        target.query("disk_usage", window=window): 0.40,
    }


class Platform:
    """A pipeline on fakes only; each part can be set before a stage is done."""

    def __init__(self, folder: Path) -> None:
        self.clock = FixedClock()
        self.catalogue = small_catalogue(folder)
        self.store = MemoryStore()
        self.baselines = MemoryBaselines()
        self.metrics = FakeMetrics(healthy_answers())
        self.generator = FakeGenerator(clock=self.clock)
        self.target = FakeTarget()
        self.resolve = FakeResolver(**{"orders-service": [["10.0.0.7"]]})
        self.reservations = FakeReservations()
        self.charts = FakeCharts()
        self.halt_reason: str | None = None
        self.observers: tuple[LoadObserver, ...] = ()

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline on the parts as they are now."""
        return Pipeline(
            catalogue=self.catalogue,
            store=self.store,
            baselines=self.baselines,
            metrics=self.metrics,
            generator=self.generator,
            target=self.target,
            resolve=self.resolve,
            reservations=self.reservations,
            charts=self.charts,
            clock=self.clock,
            wait=self.clock.wait,
            halted=lambda: self.halt_reason,
            versions={"bellwether": "test"},
            observers=self.observers,
        )

    def plan(self, **request: Any) -> str:
        """Plan one run and return its URI."""
        (uri,) = self.pipeline.plan(RunRequest(scenario="brief", **request))
        return uri

    def loaded(self, **request: Any) -> str:
        """Plan a run and do its stages up to the end of the load; return its URI."""
        uri = self.plan(**request)
        for stage in (self.pipeline.stage_data, self.pipeline.preflight, self.pipeline.run_load):
            stage(uri)
        return uri

    def execute(self, **request: Any) -> RunRecord:
        """Plan one run, do all of it, and return its record."""
        (record,) = self.pipeline.execute([self.plan(**request)])
        return record

    def with_baseline(self) -> "Platform":
        """Record a first baseline, then let a minute go by."""
        uri = self.plan(update_baseline=True, reason="first level")
        self.pipeline.execute([uri])
        self.pipeline.promote(uri)
        self.clock.move(60)
        return self


def counts_of(*delays_s: float) -> dict[int, int]:
    """Return delays as a histogram counts them."""
    histogram = Histogram()
    for delay_s in delays_s:
        histogram.add(delay_s)
    return histogram.counts


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises, whatever it is called with."""

    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


NO_RECORD = LoadError("the load generator left no record; its last words: none")
