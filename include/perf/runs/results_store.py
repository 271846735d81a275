"""What every results store makes of names: those of services and scenarios found in it, and those that it gives."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote

from include.perf.model.cell import CellName

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


def safe_name(text: str) -> str:
    """Return a name for a folder: what no run id of Airflow's has is encoded, and none leads up or hides."""
    name = quote(text, safe=":+~")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def cell_names(folders: Callable[[str], Iterable[str]]) -> Iterator[CellName]:
    """Return every service and scenario that there is a folder of, in alphabetical order.

    What begins with a dot is not of the store: locks lie there, and more. Names that are no text are none of ours.

    Args:
        folders: returns the names of the folders in a folder, which is named by its path in the store.
    """
    for service in sorted(set(_visible(folders(""))) - {SUMMARIES_FOLDER}):
        for scenario in sorted(_visible(folders(service))):
            yield CellName(service, scenario)


def _visible(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.isprintable() and not name.startswith(".")]


ABORTED = "aborted-"
"""What the names of files begin with that hold the rows of a try that was killed."""
