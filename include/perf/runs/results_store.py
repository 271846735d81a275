"""The results store: its files, its interface, and the names of its folders."""

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

ABORTED = "aborted-"
"""Prefix of the files with the raw requests of an attempt that was killed."""


class ResultsStore(Protocol):
    """Stores each run in a folder, addressed by a URI so that tasks can run on different machines."""

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Create the folder of a run and return its URI."""

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run, which need not exist."""

    def create_summary(self, *, dag_id: str, dag_run_id: str) -> str:
        """Create the folder for the summary of a DAG run, if it does not exist, and return its URI."""

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run or summary atomically."""

    def read(self, uri: str, name: str) -> bytes | None:
        """Return the content of a file of a run, or ``None`` if it does not exist."""

    def names(self, uri: str) -> frozenset[str]:
        """Return the paths of all files in the folder of a run; none if the run does not exist."""

    def opened(self, uri: str, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file of a run for reading.

        Raises:
            StoreError: the file does not exist.
        """

    def folder(self, uri: str, *, needed: Collection[str] | None = None) -> AbstractContextManager[Path]:
        """Provide the folder of a run as a local path; files written there are stored, even if the block fails.

        Args:
            needed: names of the required files, by default all; a remote store may leave out others.

        Raises:
            StoreError: the run does not exist, or the files cannot be stored.
        """

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run, if it exists."""

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Return the URIs of the finished runs, oldest first."""

    def latest(self, *, service: str, scenario: str, since: str = "") -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first, including unfinished ones.

        Args:
            since: leave out runs whose ids sort before this.
        """

    def cells(self) -> Iterator[CellName]:
        """Return every cell that ever had a run, in alphabetical order."""


def safe_name(text: str) -> str:
    """Return a safe folder name: unusual characters and a leading dot are percent-encoded."""
    name = quote(text, safe=":+~")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def cell_names(folders: Callable[[str], Iterable[str]]) -> Iterator[CellName]:
    """Return every cell that has a folder, in alphabetical order.

    Names that begin with a dot (locks, for example) or are not printable do not belong to the store.

    Args:
        folders: returns the names of the folders at a path in the store.
    """
    for service in sorted(set(_visible(folders(""))) - {SUMMARIES_FOLDER}):
        for scenario in sorted(_visible(folders(service))):
            yield CellName(service, scenario)


def _visible(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.isprintable() and not name.startswith(".")]
