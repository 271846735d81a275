"""The results store: its files, its interface, and the names of its folders."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import IO, Protocol, TypeVar
from urllib.parse import quote

from include.perf.model.cell import CellName
from include.perf.model.errors import ItemError

log = logging.getLogger(__name__)

T = TypeVar("T")

FEED_FILE = "feed.jsonl"
LOCUSTFILE_FILE = "locustfile.json"
"""The locustfile of the run with everything in its folder; it stays with the record."""
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

STORE_MARKER = ".bellwether-store"
"""At the root of a store: the id that distinguishes it from an empty place."""

ABORTED = "aborted-"
"""Prefix of the files with the raw requests of an attempt that was killed."""

MAX_RECORD_BYTES = 16 * 1024**2
MAX_FILE_BYTES = 256 * 1024**2
MAX_RAW_BYTES = 4 * 1024**3
"""For raw requests: they are read in pieces, and an hour at 24,000/s has about 2 GiB."""

LeftOut = Callable[[str, str], None]
"""Receives the URI or path of an item that is left out, and the reason in a sentence that names it."""


def max_bytes(name: str) -> int:
    """Return the maximum size of a file that is read into memory."""
    return MAX_RECORD_BYTES if name == RECORD_FILE else MAX_FILE_BYTES


def is_raw(name: str) -> bool:
    """Whether a file of a run holds raw requests, of the load or of an attempt that was killed."""
    return name == REQUESTS_FILE or name.startswith(ABORTED)


def max_local_bytes(name: str) -> int:
    """Return the maximum size of a file that a local folder may have; only raw requests are not read as a whole."""
    return MAX_RAW_BYTES if is_raw(name) else max_bytes(name)


def log_left_out(_: str, problem: str) -> None:
    """Log an item that is left out, once in each process, whoever leaves it out."""
    _log_once(problem)


@lru_cache(maxsize=1_000)
def _log_once(problem: str) -> None:
    log.warning("left out: %s", problem)


class ResultsStore(Protocol):
    """Stores each run in a folder, addressed by a URI so that tasks can run on different machines.

    An item that cannot be used never affects the others: reading it raises `ItemError`, and lists leave it out. Any
    other `StoreError` means that the store as a whole cannot be used.
    """

    @property
    def root_uri(self) -> str:
        """The URI of the store."""

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Create the folder of a run and return its URI."""

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run, which need not exist."""

    def create_summary(self, *, dag_id: str, dag_run_id: str) -> str:
        """Create the folder for the summary of a DAG run, if it does not exist, and return its URI."""

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run or summary atomically."""

    def read(self, uri: str, name: str) -> bytes | None:
        """Return the content of a file of a run, or ``None`` if it does not exist.

        Raises:
            ItemError: it cannot be read, is no regular file, or is larger than `max_bytes`.
            StoreError: the store cannot be read.
        """

    def names(self, uri: str) -> frozenset[str]:
        """Return the paths of all files in the folder of a run; none if the run does not exist."""

    def opened(self, uri: str, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file of a run for reading.

        Raises:
            StoreError: the file does not exist.
        """

    def folder(
        self, uri: str, *, needed: Collection[str] | None = None, left_out: LeftOut = log_left_out
    ) -> AbstractContextManager[Path]:
        """Provide the folder of a run as a local path; files written there are stored, even if the block fails.

        Args:
            needed: names of the required files, by default all; a remote store may leave out others.
            left_out: receives the files that a remote store cannot provide; in a local folder they are found by who
                reads them with `include.perf.model.file_reader`.

        Raises:
            StoreError: the run does not exist, or the files cannot be stored.
        """

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run, if it exists."""

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Return the URIs of the finished runs, oldest first."""

    def latest(
        self, *, service: str, scenario: str, since: str = "", left_out: LeftOut = log_left_out
    ) -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first, including unfinished ones.

        Args:
            since: leave out runs whose ids sort before this.
            left_out: receives the items that cannot be runs because of their names.

        Raises:
            ItemError: the cell cannot be listed.
            StoreError: the store cannot be read.
        """

    def cells(self, *, left_out: LeftOut = log_left_out) -> Iterator[CellName]:
        """Return every cell that ever had a run, in alphabetical order.

        Args:
            left_out: receives the folders that cannot be listed, or cannot be cells because of their names.

        Raises:
            StoreError: the store cannot be read.
        """


def usable(read: Callable[[], T], *, where: str, left_out: LeftOut = log_left_out) -> T | None:
    """Return what is read of an item; ``None`` if it cannot be used.

    Args:
        where: the URI of the item.

    Raises:
        StoreError: the store cannot be read.
    """
    try:
        return read()
    except ItemError as err:
        left_out(where, str(err))
        return None


def latest_or_none(store: ResultsStore, cell: CellName) -> Iterator[str]:
    """Yield the URIs of a cell's runs, latest first; none, with a log entry, if the cell cannot be listed.

    Raises:
        StoreError: the store cannot be read.
    """
    try:
        yield from store.latest(service=cell.service, scenario=cell.scenario)
    except ItemError as err:
        log_left_out(folder_uri(store.root_uri, cell.service, cell.scenario), str(err))


def safe_name(text: str) -> str:
    """Return a safe folder name: unusual characters and a leading dot are percent-encoded."""
    name = quote(text, safe=":+~")
    return f"%2E{name[1:]}" if name.startswith(".") else name


def cell_names(folders: Callable[[str], Iterable[str]], *, root: str, left_out: LeftOut) -> Iterator[CellName]:
    """Return every cell that has a folder, in alphabetical order.

    Args:
        folders: returns the names of the folders at a path in the store.
        root: the URI of the store.
    """
    for service in sorted(set(usable_names(folders(""), below=root, left_out=left_out)) - {SUMMARIES_FOLDER}):
        below = folder_uri(root, service)
        try:
            scenarios = sorted(usable_names(folders(service), below=below, left_out=left_out))
        except ItemError as err:
            left_out(below, str(err))
            continue
        for scenario in scenarios:
            yield CellName(service, scenario)


def usable_names(names: Iterable[str], *, below: str, left_out: LeftOut) -> Iterator[str]:
    """Yield the names that services, scenarios and runs may have.

    Names that begin with a dot (locks, for example) do not belong to the results.

    Args:
        below: the URI of the folder that has these names.
    """
    for name in names:
        if name.startswith("."):
            continue
        if name and name.isprintable():
            yield name
        else:
            where = folder_uri(below, name)
            left_out(where, f"{where} has {'characters that cannot be shown' if name else 'an empty name'}")


def folder_uri(*parts: str) -> str:
    """Return the URI of a folder, with a final slash.

    Args:
        parts: the URI of a folder, and the names of folders below it.
    """
    first, *names = parts
    return "/".join((first.rstrip("/"), *(quote(name, errors="surrogateescape") for name in names), ""))
