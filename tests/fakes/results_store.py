"""Runs in memory."""

import io
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from include.perf.model.cell import CellName
from include.perf.model.errors import StoreError
from include.perf.runs.results_store import RECORD_FILE, SUMMARIES_FOLDER, LeftOut, log_left_out


class MemoryStore:
    """Keeps runs in memory.

    Attributes:
        runs_by_uri: the files of each run by name.
        written: the name of every file written through `write`, in order.
    """

    def __init__(self) -> None:
        self.runs_by_uri: dict[str, dict[str, bytes]] = {}
        self.written: list[str] = []

    @property
    def root_uri(self) -> str:
        """The URI of the store."""
        return "memory:/"

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
    def folder(
        self, uri: str, *, needed: Collection[str] | None = None, left_out: LeftOut = log_left_out
    ) -> Iterator[Path]:
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

    def latest(
        self, *, service: str, scenario: str, since: str = "", left_out: LeftOut = log_left_out
    ) -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first."""
        of_cell = (uri for uri in self.runs_by_uri if uri.split("/")[2:4] == [service, scenario])
        yield from sorted((uri for uri in of_cell if uri.rpartition("/")[2] >= since), reverse=True)

    def cells(self, *, left_out: LeftOut = log_left_out) -> Iterator[CellName]:
        """Return every service and scenario that ever had a run, in alphabetical order."""
        names = {tuple(uri.split("/")[2:4]) for uri in self.runs_by_uri}
        yield from (CellName(*parts) for parts in sorted(names) if parts[0] != SUMMARIES_FOLDER)

    def _files(self, uri: str) -> dict[str, bytes]:
        if uri not in self.runs_by_uri:
            raise StoreError(f"there is no run {uri}")
        return self.runs_by_uri[uri]
