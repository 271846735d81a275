"""What the core needs of the outside world; `include.perf.adapters` provides it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from include.perf.alert import AlertBook, CellName, Delivery, Message, Posted
from include.perf.distribution import Distribution
from include.perf.feed import Request
from include.perf.load_profile import LoadProfile
from include.perf.run import RunRecord
from include.perf.service import Service

T = TypeVar("T")

Clock = Callable[[], datetime]
"""Says what time it is, with a time zone."""

Credentials = Callable[[Service], Mapping[str, str]]
"""Returns the secret headers of a service, none for one without a ``connection``.

They go nowhere but into requests: to no file, log, message or command line.

Raises:
    ConfigurationError: the connection is missing, or there are no usable credentials in it.
"""

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host for a port as text, in the order in which they are to be tried.

Raises:
    OSError: they could not be had; a ``socket.gaierror`` with its reason where the resolver gave one.
"""

FEED_FILE = "feed.jsonl"
REQUESTS_FILE = "requests.csv.gz"
TIMESERIES_FILE = "timeseries.csv"
DISTRIBUTION_FILE = "distribution.csv"
SERVER_SERIES_FILE = "server.csv"
PRODUCTION_FILE = "production.json"
GENERATOR_FILE = "generator.json"
REPORT_FILE = "report.md"
REPORT_HTML_FILE = "report.html"
JUNIT_FILE = "junit.xml"
RECORD_FILE = "run.json"
CHARTS_FOLDER = "charts"
SUMMARIES_FOLDER = "summaries"
SUMMARY_FILE = "summary.md"
SUMMARY_HTML_FILE = "summary.html"


class ResultsStore(Protocol):
    """Where runs are kept, one folder each; addressed by URI so that tasks may run on different machines."""

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Make the folder of a run and return its URI."""

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run, whether or not it is there."""

    def create_summary(self, *, dag_id: str, dag_run_id: str) -> str:
        """Make the folder of a DAG run's summary, if it is not there, and return its URI."""

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run, or of a summary: all of it or nothing."""

    def read(self, uri: str, name: str) -> bytes | None:
        """Return a file of a run, or ``None`` when there is none."""

    def names(self, uri: str) -> frozenset[str]:
        """Return the names of a run's files, those in folders of its own among them; none where there is no run."""

    def opened(self, uri: str, name: str) -> AbstractContextManager[IO[bytes]]:
        """Lend a file of a run to be read part by part.

        Raises:
            StoreError: there is none of that name.
        """

    def folder(self, uri: str, *, needed: Collection[str] | None = None) -> AbstractContextManager[Path]:
        """Lend the run's folder as a local path; what is written there is kept, also when the block fails.

        Args:
            needed: names of the files without which nothing can be done; others may be missing in it, where bringing
                them takes time. By default all are there.

        Raises:
            StoreError: there is no such run, or what was written cannot be kept.
        """

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run, if it is there."""

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Return the URIs of the finished runs, oldest first."""

    def latest(self, *, service: str, scenario: str, since: str = "") -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first; those that are not finished among them.

        Args:
            since: leaves out the runs whose ids sort before.
        """

    def cells(self) -> Iterator[CellName]:
        """Return every service and scenario that ever had a run, in alphabetical order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What happened since the progress was told before, in all workers together.

    Delays are the counts of a `include.perf.histogram.Histogram`.

    Attributes:
        due: arrivals that were released.
        sent: requests that went out; an arrival that finds no free connection waits.
        latencies: of the requests that ended, those left out that failed without having waited for an answer.
        lags: how late arrivals were released.
        waits: how long the requests that are in flight now have been waiting, each since it was due.
        wanted_cores: of each worker, had it never waited for a processor; ``None`` where the kernel does not tell.
    """

    due: int
    sent: int
    finished: int
    failed: int
    latencies: Mapping[int, int]
    lags: Mapping[int, int]
    waits: Mapping[int, int]
    wanted_cores: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How a load is going, about once a second.

    Attributes:
        elapsed_s: since the schedule started; negative before.
        total_s: warm-up and measured part together.
        rate_rps: sent in the last second.
        latency_p50_s, latency_p95_s, latency_p99_s: of all answers so far, once it measures without those of the
            warm-up; ``None`` without any.
        lag_p99_s: how late arrivals of the last second were released.
        recent: what the last second was like, for those who follow it.
    """

    elapsed_s: float
    total_s: float
    rate_rps: float
    due: int
    finished: int
    failed: int
    in_flight: int
    latency_p50_s: float | None
    latency_p95_s: float | None
    latency_p99_s: float | None
    lag_p99_s: float | None
    recent: Recent


ProgressListener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a load takes while it runs.

    Attributes:
        targets: where it goes, ``address:port`` each.
        rate_rps: its peak, out of what the generators can send together.
        since: when it was granted.
    """

    run_id: str
    service: str
    scenario: str
    targets: tuple[str, ...]
    rate_rps: float
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A claim that was granted.

    Attributes:
        beside: the other loads that ran when it was granted.
        hold: a descriptor; the claim stands until every process that has it open is gone. ``None`` where it stands
            only as long as it is renewed.
        lost: says why the claim does not stand any more, or ``None``; then its load must end.
    """

    beside: tuple[Claim, ...]
    hold: int | None = None
    lost: Callable[[], str | None] = lambda: None


class Reservations(Protocol):
    """Keeps loads from overlapping, over all tasks and command lines that share it."""

    def reserve(self, claim: Claim, *, capacity_rps: float) -> AbstractContextManager[Reservation]:
        """Take what a load needs for as long as the block lasts.

        Args:
            capacity_rps: what all loads together may send.

        Raises:
            Occupied: another load is on one of the targets, or there is not capacity enough left.
            StoreError: it cannot be told what is taken.
        """

    def held(self) -> Set[str] | None:
        """Return the runs whose loads run now, killed tasks' included; ``None`` where nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOrder:
    """A load that may be sent.

    Attributes:
        folder: holds the feed; the raw record is left there.
        addresses: the only addresses that the load goes to, in the order in which they are tried; the name of the
            host is not resolved again.
        hold: a descriptor that every process of the load keeps open to its end.
    """

    service: Service
    load: LoadProfile
    folder: Path
    addresses: tuple[str, ...]
    hold: int | None = None


class LoadWatch(Protocol):
    """Looks on while a load runs, and may end it."""

    def take_in(self, progress: Progress) -> None:
        """Hear how it is going, about once a second."""

    def reason_to_stop(self) -> str | None:
        """Return why the load must end now, or ``None``; asked twice a second and more, and never waits."""


class LoadGenerator(Protocol):
    """Drives a load; returns only when nothing of it runs any more."""

    def shared(self) -> str | None:
        """Return the workers on other machines that all its loads share; ``None`` where each has its own, on this one.

        Raises:
            ConfigurationError: they are described wrongly.
        """

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Send the feed at the arrival schedule and leave the raw record beside it.

        Raises:
            LoadError: it could not be started, or left no record.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What came back, and how long that took, from the connection to the last byte."""

    status: int
    body: bytes
    took_s: float = 0.0


class Target(Protocol):
    """The service under test, looked at before load is sent."""

    def check(self, service: Service, addresses: Sequence[str]) -> None:
        """Make sure that the service is there and healthy.

        Args:
            addresses: the only ones that are asked, in the order in which they are tried.

        Raises:
            TargetError: it is not; says what was asked and what came back.
        """

    def json(self, service: Service, path: str, addresses: Sequence[str]) -> Any:
        """Return the JSON that the service answers at a path.

        Raises:
            TargetError: it answers no JSON.
        """

    def send(self, service: Service, method: str, request: Request, addresses: Sequence[str]) -> Answered:
        """Send one request, exactly as a load does, and return the answer.

        Raises:
            TargetError: there was no whole answer in time.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The value of a query at a moment."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledValue:
    """The value of one series of several."""

    labels: Mapping[str, str]
    value: float


class MetricsSource(Protocol):
    """Prometheus, asked for one number at a time, for one of each series, or for one over time."""

    def value(self, query: str, *, at: datetime) -> float:
        """Return the single value of an instant query.

        Raises:
            PrometheusUnavailable: worth a retry.
            QueryRejected: the query is wrong.
            PartialAnswer: something is missing in the answer.
            NoData: empty, NaN, or not exactly one series.
        """

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        """Return the value of each series of an instant query; those that are not finite are left out.

        Raises:
            PrometheusError: as `value`; ``NoData`` where not one is left.
        """

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """Return a label of the single series of an instant query.

        Raises:
            PrometheusError: as `value`; ``NoData`` also where the series has no such label.
        """

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return the value of a query at every step from ``start`` to ``end``, in order.

        Steps at which there is none, or none that is finite, are left out.

        Raises:
            PrometheusError: as `value`; ``NoData`` where not one is left.
        """


class Messenger(Protocol):
    """Takes messages to people.

    Attributes:
        has_threads: whether a message can be answered, changed and found again.
    """

    has_threads: bool

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Send a message, into a thread where one is given; returns where it is, if that is known.

        Args:
            broadcast: show an answer in the channel, too.

        Raises:
            DeliveryError: it did not arrive.
            DeliveryUnsure: it may have arrived.
        """

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Look for a message that was sent before; ``None`` when it is not there.

        Raises:
            DeliveryUnsure: nobody can tell now.
            DeliveryError: nobody will be able to tell.
        """

    def replace(self, posted: Posted, message: Message) -> None:
        """Change what a message says.

        Raises:
            DeliveryError: it stays as it was.
        """

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Put charts into a message's thread.

        Raises:
            DeliveryError: they are not there.
            DeliveryUnsure: they may be there, or some of them.
        """


class AlertStore(Protocol):
    """Keeps what people were told."""

    def read(self) -> AlertBook:
        """Return all of it."""

    def update(self, change: Callable[[AlertBook], T]) -> T:
        """Change it, all or nothing, and return what ``change`` returns.

        Args:
            change: called again with the book as it is by then where somebody else was faster, so that it may do
                nothing but change what it is given. What it raises leaves the book as it was.
        """

    def delivering(self) -> AbstractContextManager[None]:
        """Let only one at a time deliver."""


class ChartRenderer(Protocol):
    """Draws the charts of a run."""

    def render(self, record: RunRecord, folder: Path, *, baseline: Sequence[Distribution] = ()) -> Mapping[str, str]:
        """Write the charts below ``folder`` and return the paths of the PNG files relative to it, by chart name.

        Beside each PNG is an SVG of the same name, on a light page, and one ending in ``.dark.svg``, on a dark one.

        Args:
            baseline: the latency distributions of the runs that the record's baseline is made of.
        """


class BaselineStore(Protocol):
    """The baselines file; see `include.perf.baseline` for what is in it."""

    def read(self) -> Any:
        """Return all baselines."""

    def update(self, change: Callable[[Any], T]) -> T:
        """Change the baselines, all or nothing, and return what ``change`` returns.

        Args:
            change: as `AlertStore.update`.
        """
