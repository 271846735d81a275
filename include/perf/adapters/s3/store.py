"""The results store in an object store: ``<prefix>/<service>/<scenario>/<run_id>/``."""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from include.perf.adapters.s3.objects import Listed, Objects
from include.perf.adapters.s3.place import is_plain
from include.perf.adapters.s3.scratch_folder import ScratchFolder
from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import StoreError
from include.perf.runs.results_store import RECORD_FILE, SUMMARIES_FOLDER, cell_names, safe_name
from include.perf.runs.retention import Holding

log = logging.getLogger(__name__)

MARK = ".created"
"""The object that makes a folder of a run or a summary; it is no file of theirs."""


class S3Store:
    """Keeps runs as objects; a run's URI is ``s3://bucket/prefix/service/scenario/run_id``.

    Args:
        wait: sleeps for so many seconds.
    """

    def __init__(self, objects: Objects, *, wait: Callable[[float], None] = time.sleep) -> None:
        self._objects = objects
        self._wait = wait

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Make the folder of a run and return its URI.

        Raises:
            StoreError: it cannot be made, or a run of that name is there already.
        """
        path = RunAddress(service=service, scenario=scenario, run_id=run_id).path
        uri = self._objects.place.uri_of(path)
        if not self._is_there(path) and self._objects.swap(f"{path}/{MARK}", uuid.uuid4().bytes, expected=None):
            return uri
        raise StoreError(f"there is a run {uri} already; run ids must be unique")

    def create_summary(self, *, dag_id: str, dag_run_id: str) -> str:
        """Make the folder ``summaries/<dag_id>/<dag_run_id>``, and return its URI."""
        path = f"{SUMMARIES_FOLDER}/{safe_name(dag_id)}/{safe_name(dag_run_id)}"
        self._objects.write(f"{path}/{MARK}", b"")
        return self._objects.place.uri_of(path)

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run, whether or not it is there."""
        return self._objects.place.uri_of(RunAddress(service=service, scenario=scenario, run_id=run_id).path)

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run: all of it or nothing, and for good when this returns."""
        self._objects.write(self._path(uri, name), content)

    def read(self, uri: str, name: str) -> bytes | None:
        """Return a file of a run, or ``None`` when there is none."""
        return self._objects.read(self._path(uri, name))

    def names(self, uri: str) -> frozenset[str]:
        """Return the names of a run's files, those in folders of its own among them; none where there is no run."""
        return frozenset(self._sizes(self._listed(uri)))

    def opened(self, uri: str, name: str) -> AbstractContextManager[IO[bytes]]:
        """Lend a file of a run to be read part by part."""
        return self._objects.opened(self._path(uri, name))

    @contextmanager
    def folder(self, uri: str, *, needed: Collection[str] | None = None) -> Iterator[Path]:
        """Lend a local folder with those of the run's files that are needed, by default all, and keep what changes.

        Raises:
            StoreError: there is no such run, or what was written cannot be kept.
        """
        found = self._found(uri)
        names = [name for name in self._sizes(found) if needed is None or name in needed]
        scratch = ScratchFolder(objects=self._objects, path=self._path(uri), wait=self._wait)
        with scratch.lent(names) as folder:
            yield folder

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run, if it is there."""
        self._objects.remove(self._path(uri, name))

    def holding(self, uri: str) -> Holding:
        """Return what a run takes.

        Raises:
            StoreError: it cannot be read, or it is gone.
        """
        found = self._found(uri)
        return Holding(sizes=self._sizes(found), changed_at=max(each.changed_at for each in found))

    def discard(self, uri: str) -> None:
        """Remove a run with all that belongs to it; its mark goes last.

        Raises:
            StoreError: it cannot be removed, or is not a run.
        """
        path = self._path(uri)
        if len(path.split("/")) != 3:  # service, scenario, run
            raise StoreError(f"{uri} is not the folder of a run, and is left as it is")
        for found in sorted(self._found(uri), key=lambda each: each.path.endswith(f"/{MARK}")):
            self._objects.remove(found.path)

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Return the URIs of the finished runs, oldest first."""
        cells = [cell for cell in self.cells() if service in (None, cell.service) and scenario in (None, cell.scenario)]
        records = [
            found.path.removesuffix(f"/{RECORD_FILE}")
            for cell in cells
            for found in self._objects.listed(f"{cell.service}/{cell.scenario}")
            if found.path.count("/") == 3 and found.path.endswith(f"/{RECORD_FILE}")
        ]
        for path in sorted(records, key=lambda path: path.rpartition("/")[2]):
            yield self._objects.place.uri_of(path)

    def latest(self, *, service: str, scenario: str, since: str = "") -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first; those that are not finished among them."""
        names = self._objects.folders(f"{service}/{scenario}", since=since)
        for name in sorted(names, reverse=True):
            yield self.uri_of(service=service, scenario=scenario, run_id=name)

    def cells(self) -> Iterator[CellName]:
        """Return every service and scenario that ever had a run, in alphabetical order."""
        return cell_names(self._objects.folders)

    def _is_there(self, path: str) -> bool:
        return any(islice(self._objects.listed(path), 1))

    def _listed(self, uri: str) -> list[Listed]:
        return list(self._objects.listed(self._path(uri)))

    def _found(self, uri: str) -> list[Listed]:
        """Return what belongs to a run.

        Raises:
            StoreError: there is no such run.
        """
        if found := self._listed(uri):
            return found
        raise StoreError(f"there is no run {uri}")

    def _sizes(self, found: Collection[Listed]) -> dict[str, int]:
        """Return the size of each file by its name; a name that leads out of a folder is none of ours."""
        sizes = {}
        for each in found:
            name = "/".join(each.path.split("/")[3:])
            if not is_plain(name):
                log.warning("%s is no name of a file, and is left out", self._objects.place.uri_of(each.path))
            elif name != MARK:
                sizes[name] = each.size
        return sizes

    def _path(self, uri: str, name: str | None = None) -> str:
        path = self._objects.place.path_of(uri)
        return path if name is None else f"{path}/{name}"
