"""What the core needs of the outside world; `include.perf.adapters` provides it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from include.perf.run import RunRecord
from include.perf.scenario import LoadProfile
from include.perf.service import Service

Clock = Callable[[], datetime]
"""Says what time it is, with a time zone."""

Credentials = Callable[[Service], Mapping[str, str]]
"""Returns the secret headers of a service, none for one without a ``connection``.

They go nowhere but into requests: to no file, log, message or command line.

Raises:
    ConfigurationError: the connection is missing, or there are no usable credentials in it.
"""

FEED_FILE = "feed.jsonl"
REQUESTS_FILE = "requests.csv.gz"
TIMESERIES_FILE = "timeseries.csv"
GENERATOR_FILE = "generator.json"
REPORT_FILE = "report.md"
RECORD_FILE = "run.json"
CHARTS_FOLDER = "charts"


class ResultsStore(Protocol):
    """Where runs are kept, one folder each; addressed by URI so that tasks may run on different machines."""

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Make the folder of a run and return its URI."""

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run: all of it or nothing."""

    def read(self, uri: str, name: str) -> bytes | None:
        """Return a file of a run, or ``None`` when there is none."""

    def folder(self, uri: str) -> AbstractContextManager[Path]:
        """Lend the run's folder as a local path; what is written there is kept."""

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run, if it is there."""

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Return the URIs of the finished runs, oldest first."""

    def latest(self, *, service: str, scenario: str) -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first; those that are not finished among them."""


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


ProgressListener = Callable[[Progress], None]


class LoadGenerator(Protocol):
    """Drives a load; returns only when nothing of it runs any more."""

    def run(self, *, service: Service, load: LoadProfile, folder: Path, on_progress: ProgressListener) -> None:
        """Send the feed in ``folder`` at the arrival schedule and leave the raw record there.

        Raises:
            LoadError: it could not be started, or left no record.
        """


class Target(Protocol):
    """The service under test, looked at before load is sent."""

    def check(self, service: Service) -> None:
        """Make sure that the service is there and healthy.

        Raises:
            TargetError: it is not; says what was asked and what came back.
        """

    def json(self, service: Service, path: str) -> Any:
        """Return the JSON that the service answers at a path.

        Raises:
            TargetError: it answers no JSON.
        """


class MetricsSource(Protocol):
    """Prometheus, asked for one number at a time."""

    def value(self, query: str, *, at: datetime) -> float:
        """Return the single value of an instant query.

        Raises:
            PrometheusUnavailable: worth a retry.
            QueryRejected: the query is wrong.
            NoData: empty, NaN, or not exactly one series.
        """

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """Return a label of the single series of an instant query.

        Raises:
            PrometheusError: as `value`; ``NoData`` also where the series has no such label.
        """


class ChartRenderer(Protocol):
    """Draws the charts of a run."""

    def render(self, record: RunRecord, folder: Path) -> Mapping[str, str]:
        """Write PNG files below ``folder`` and return their paths relative to it by chart name."""


class BaselineStore(Protocol):
    """The baselines file; see `include.perf.baseline` for what is in it."""

    def read(self) -> Any:
        """Return all baselines."""

    def change(self) -> AbstractContextManager[Any]:
        """Lend the baselines for a change that is written when the block ends without an error."""
