"""The results store in an object store: ``<prefix>/<service>/<scenario>/<run_id>/``."""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from include.perf.adapters.s3.objects import ListedObject, Objects
from include.perf.adapters.s3.place import is_plain
from include.perf.adapters.s3.scratch_folder import ScratchFolder
from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import ItemError, NoRecord
from include.perf.model.file_reader import too_large
from include.perf.runs.results_store import (
    RECORD_FILE,
    STORE_MARKER,
    SUMMARIES_FOLDER,
    LeftOut,
    cell_names,
    folder_uri,
    log_left_out,
    max_bytes,
    max_local_bytes,
    safe_name,
    usable_names,
)
from include.perf.runs.retention import Holding

log = logging.getLogger(__name__)

MARKER = ".created"
"""The object that marks the folder of a run or summary as created; it is not one of their files."""


class S3Store:
    """Stores runs as objects; the URI of a run is ``s3://bucket/prefix/service/scenario/run_id``.

    Args:
        wait: sleeps for a number of seconds.
    """

    def __init__(self, objects: Objects, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._objects = objects
        self._wait = wait

    @property
    def root_uri(self) -> str:
        """The URI of the store."""
        return self._objects.place.uri

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Create the folder of a run and return its URI.

        Raises:
            ItemError: a run with this id exists already.
            StoreError: the folder cannot be created.
        """
        path = RunAddress(service=service, scenario=scenario, run_id=run_id).path
        uri = self._objects.place.uri_of(path)
        if not self._exists(path) and self._objects.swap(f"{path}/{MARKER}", uuid.uuid4().bytes, expected=None):
            return uri
        raise ItemError(f"the run {uri} exists already; run ids must be unique")

    def create_summary(self, *, dag_id: str, dag_run_id: str) -> str:
        """Create the folder ``summaries/<dag_id>/<dag_run_id>`` unless it exists, and return its URI."""
        path = f"{SUMMARIES_FOLDER}/{safe_name(dag_id)}/{safe_name(dag_run_id)}"
        self._objects.write(f"{path}/{MARKER}", b"")
        return self._objects.place.uri_of(path)

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run, which need not exist."""
        return self._objects.place.uri_of(RunAddress(service=service, scenario=scenario, run_id=run_id).path)

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run atomically and durably."""
        self._objects.write(self._path(uri, name), content)

    def read(self, uri: str, name: str) -> bytes | None:
        """Return a file of a run; ``None`` if it does not exist."""
        return self._objects.read(self._path(uri, name), limit=max_bytes(name))

    def names(self, uri: str) -> frozenset[str]:
        """Return the names of a run's files, including those in subfolders; none if the run does not exist."""
        return frozenset(self._sizes(self._listed(uri)))

    def opened(self, uri: str, name: str) -> AbstractContextManager[IO[bytes]]:
        """Open a file of a run for reading in chunks."""
        return self._objects.opened(self._path(uri, name))

    @contextmanager
    def folder(
        self, uri: str, *, needed: Collection[str] | None = None, left_out: LeftOut = log_left_out
    ) -> Iterator[Path]:
        """Yield a local folder with the run's files, and upload what changes.

        Args:
            needed: the names of the files to download; by default all.
            left_out: receives the objects that are too large, or of which only this one cannot be read.

        Raises:
            NoRecord: the run does not exist.
            StoreError: a download or upload fails.
        """
        sizes = self._sizes(self._found(uri))
        names = []
        for name in sizes if needed is None else sizes.keys() & needed:
            if sizes[name] <= max_local_bytes(name):
                names.append(name)
            else:
                left_out(f"{uri}/{name}", too_large(f"{name} of {uri}", limit=max_local_bytes(name)))
        scratch = ScratchFolder(objects=self._objects, path=self._path(uri), wait=self._wait, left_out=left_out)
        with scratch.opened(names) as folder:
            yield folder

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run if it exists."""
        self._objects.remove(self._path(uri, name))

    def holding(self, uri: str) -> Holding:
        """Return the sizes of a run's files.

        Raises:
            NoRecord: the run does not exist.
            StoreError: the run cannot be read.
        """
        found = self._found(uri)
        return Holding(sizes=self._sizes(found), changed_at=max(item.changed_at for item in found))

    def discard(self, uri: str) -> None:
        """Remove all objects of a run, its marker last.

        Raises:
            ItemError: the URI is not that of a run.
            StoreError: an object cannot be removed.
        """
        path = self._path(uri)
        if len(path.split("/")) != 3:  # service, scenario, run
            raise ItemError(f"{uri} is not the folder of a run; nothing was removed")
        for found in sorted(self._found(uri), key=lambda item: item.path.endswith(f"/{MARKER}")):
            self._objects.remove(found.path)

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Yield the URIs of finished runs, oldest first."""
        cells = [cell for cell in self.cells() if service in (None, cell.service) and scenario in (None, cell.scenario)]
        records = [
            found.path.removesuffix(f"/{RECORD_FILE}")
            for cell in cells
            for found in self._objects.listed(f"{cell.service}/{cell.scenario}")
            if found.path.count("/") == 3 and found.path.endswith(f"/{RECORD_FILE}") and is_plain(found.path)
        ]
        for path in sorted(records, key=lambda path: path.rpartition("/")[2]):
            yield self._objects.place.uri_of(path)

    def latest(
        self, *, service: str, scenario: str, since: str = "", left_out: LeftOut = log_left_out
    ) -> Iterator[str]:
        """Yield the URIs of a cell's runs, including unfinished ones, latest first."""
        found = self._objects.folders(f"{service}/{scenario}", since=since)
        names = usable_names(found, below=folder_uri(self.root_uri, service, scenario), left_out=left_out)
        for name in sorted(names, reverse=True):
            yield self.uri_of(service=service, scenario=scenario, run_id=name)

    def cells(self, *, left_out: LeftOut = log_left_out) -> Iterator[CellName]:
        """Yield every cell that has a run, in alphabetical order."""
        return cell_names(self._objects.folders, root=self.root_uri, left_out=left_out)

    def marker(self) -> bytes | None:
        """Return the marker; ``None`` if there is none."""
        return self._objects.read(STORE_MARKER)

    def mark(self, content: bytes) -> None:
        """Write the marker."""
        self._objects.write(STORE_MARKER, content)

    def _exists(self, path: str) -> bool:
        return any(islice(self._objects.listed(path), 1))

    def _listed(self, uri: str) -> list[ListedObject]:
        return list(self._objects.listed(self._path(uri)))

    def _found(self, uri: str) -> list[ListedObject]:
        """Return the objects of a run.

        Raises:
            NoRecord: the run does not exist.
        """
        if found := self._listed(uri):
            return found
        raise NoRecord(f"there is no run {uri}")

    def _sizes(self, found: Collection[ListedObject]) -> dict[str, int]:
        """Return the sizes of files by name, without the marker and without names that lead out of a folder."""
        sizes = {}
        for item in found:
            name = "/".join(item.path.split("/")[3:])
            if not is_plain(name):
                log.warning("%s is not a valid file name and is left out", self._objects.place.uri_of(item.path))
            elif name != MARKER:
                sizes[name] = item.size
        return sizes

    def _path(self, uri: str, name: str | None = None) -> str:
        path = self._objects.place.path_of(uri)
        return path if name is None else f"{path}/{name}"
