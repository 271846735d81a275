"""The results store in a folder: ``<root>/<service>/<scenario>/<run_id>/``."""

import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import ConfigurationError, StoreError
from include.perf.model.json_files import DISK_FULL, write_atomically
from include.perf.runs.results_store import RECORD_FILE, SUMMARIES_FOLDER, cell_names, safe_name
from include.perf.runs.retention import Holding

DEFAULT_RESULTS = "results"


class FolderStore:
    """Stores runs in a local or shared folder; the URI of a run is the ``file://`` URI of its folder.

    Attributes:
        root: the folder.
    """

    def __init__(self, uri: str) -> None:
        self.root = _path_of(uri).absolute()
        self._root_uri = self.root.as_uri()  # as_uri is slow, and lists have thousands of runs

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Create the folder of a run and return its URI.

        Raises:
            StoreError: the folder cannot be created, or a run with this id exists already.
        """
        folder = self.root / service / scenario / run_id
        try:
            folder.mkdir(parents=True)
        except FileExistsError as err:
            raise StoreError(f"the run {folder} exists already; run ids must be unique") from err
        except OSError as err:
            raise StoreError(f"cannot create {folder}: {err.strerror}; check BELLWETHER_RESULTS_URI") from err
        return folder.as_uri()

    def create_summary(self, *, dag_id: str, dag_run_id: str) -> str:
        """Create the folder ``summaries/<dag_id>/<dag_run_id>`` unless it exists, and return its URI.

        Raises:
            StoreError: the folder cannot be created.
        """
        folder = self.root / SUMMARIES_FOLDER / safe_name(dag_id) / safe_name(dag_run_id)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise StoreError(f"cannot create {folder}: {err.strerror}; check BELLWETHER_RESULTS_URI") from err
        return folder.as_uri()

    def uri_of(self, *, service: str, scenario: str, run_id: str) -> str:
        """Return the URI of a run, which need not exist."""
        return RunAddress(service=service, scenario=scenario, run_id=run_id).uri_below(self._root_uri)

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run atomically and durably."""
        try:
            write_atomically(self._inside(uri) / name, content)
        except OSError as err:
            raise StoreError(f"cannot write {name} of {uri}: {err.strerror}") from err

    def read(self, uri: str, name: str) -> bytes | None:
        """Return a file of a run; ``None`` if it does not exist."""
        try:
            return (self._inside(uri) / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StoreError(f"cannot read {name} of {uri}: {err.strerror}") from err

    def names(self, uri: str) -> frozenset[str]:
        """Return the names of a run's files, including those in subfolders, but no links: they may lead anywhere."""
        run = self._inside(uri)
        return frozenset(
            path.relative_to(run).as_posix() for path in _all_in(run) if path.is_file() and not path.is_symlink()
        )

    @contextmanager
    def opened(self, uri: str, name: str) -> Iterator[IO[bytes]]:
        """Open a file of a run for reading in chunks."""
        try:
            file = (self._inside(uri) / name).open("rb")
        except OSError as err:
            raise StoreError(f"cannot read {name} of {uri}: {err.strerror}") from err
        with file:
            yield file

    @contextmanager
    def folder(self, uri: str, *, needed: Collection[str] | None = None) -> Iterator[Path]:
        """Yield the run's folder itself, with all its files.

        Raises:
            StoreError: the run does not exist, or the disk is full.
        """
        folder = self._inside(uri)
        if not folder.is_dir():
            raise StoreError(f"there is no run {uri}")
        try:
            yield folder
        except OSError as err:
            if err.errno not in DISK_FULL:
                raise
            raise StoreError(f"cannot write into {uri}: {err.strerror}; free disk space, then try again") from err

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run if it exists."""
        try:
            (self._inside(uri) / name).unlink(missing_ok=True)
        except OSError as err:
            raise StoreError(f"cannot remove {name} of {uri}: {err.strerror}") from err

    def holding(self, uri: str) -> Holding:
        """Return the sizes of a run's files, including those in subfolders; links are not followed.

        Raises:
            StoreError: the run cannot be read or does not exist.
        """
        run = self._inside(uri)
        sizes, changed_at = {}, 0.0
        try:
            for path in (run, *_all_in(run)):
                status = path.lstat()
                changed_at = max(changed_at, status.st_mtime)
                if not stat.S_ISDIR(status.st_mode):
                    sizes[str(path.relative_to(run))] = status.st_size
        except OSError as err:
            raise StoreError(f"cannot read {uri}: {err.strerror}") from err
        return Holding(sizes=sizes, changed_at=datetime.fromtimestamp(changed_at, UTC))

    def discard(self, uri: str) -> None:
        """Remove the folder of a run. Links in it are removed, their targets are not.

        Raises:
            StoreError: the folder cannot be removed, or is not the folder of a run.
        """
        run = self._inside(uri)
        if len(run.relative_to(self.root.resolve()).parts) != 3:  # service, scenario, run
            raise StoreError(f"{uri} is not the folder of a run; nothing was removed")
        try:
            shutil.rmtree(run)
        except OSError as err:
            raise StoreError(f"cannot remove {uri}: {err.strerror}") from err

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Yield the URIs of finished runs, oldest first."""
        pattern = f"{service or '*'}/{scenario or '*'}/*/{RECORD_FILE}"
        for record in sorted(self.root.glob(pattern), key=lambda path: path.parent.name):
            yield record.parent.as_uri()

    def latest(self, *, service: str, scenario: str, since: str = "") -> Iterator[str]:
        """Yield the URIs of a cell's runs, including unfinished ones, latest first."""
        names = (name for name in _folders_in(self.root / service / scenario) if name >= since)
        for name in sorted(names, reverse=True):
            yield self.uri_of(service=service, scenario=scenario, run_id=name)

    def cells(self) -> Iterator[CellName]:
        """Yield every cell that has a run, in alphabetical order."""
        return cell_names(lambda folder: _folders_in(self.root / folder))

    def _inside(self, uri: str) -> Path:
        """Return the folder of a run.

        Raises:
            StoreError: the URI is outside the store.
        """
        with suppress(ConfigurationError):
            path = _path_of(uri).resolve()
            if path.is_relative_to(self.root.resolve()):
                return path
        raise StoreError(f"{uri} is not in the results store {self.root}")


def _folders_in(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, without links; none if the folder does not exist.

    Raises:
        StoreError: the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as err:
        raise StoreError(f"cannot read {folder}: {err.strerror}") from err


def _all_in(folder: Path) -> Iterator[Path]:
    """Yield everything below a folder without following links. ``Path.rglob`` takes twice as long."""
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *names))


def _path_of(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if "://" in uri:
        raise ConfigurationError(
            f"BELLWETHER_RESULTS_URI must be a folder, a file:// URI or s3://bucket/prefix, but is {uri!r}"
        )
    return Path(uri)
