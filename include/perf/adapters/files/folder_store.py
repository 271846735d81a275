"""The results store in a folder: ``<root>/<service>/<scenario>/<run_id>/``."""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import ConfigurationError, ItemError, NoRecord, StoreError
from include.perf.model.file_reader import regular_file
from include.perf.model.file_writer import DISK_FULL, write_atomically
from include.perf.runs.results_store import (
    RECORD_FILE,
    STORE_MARKER,
    SUMMARIES_FOLDER,
    LeftOut,
    cell_names,
    folder_uri,
    log_left_out,
    max_bytes,
    safe_name,
    usable_names,
)
from include.perf.runs.retention import Holding

DEFAULT_RESULTS = "results"

OF_THIS_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, *DISK_FULL)
"""Error numbers that say nothing about a file or folder."""


class FolderStore:
    """Stores runs in a local or shared folder; the URI of a run is the ``file://`` URI of its folder.

    Attributes:
        root: the folder.
        root_uri: its URI.
    """

    def __init__(self, uri: str) -> None:
        self.root = _path_of(uri).absolute()
        self.root_uri = self.root.as_uri()  # as_uri is slow, and lists have thousands of runs
        try:
            self._was_there = self.root.is_dir()
        except OSError:  # such as a stale network folder: it is there, but cannot be read now
            self._was_there = True

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Create the folder of a run and return its URI.

        Raises:
            ItemError: a run with this id exists already.
            StoreError: the folder cannot be created.
        """
        folder = self.root / service / scenario / run_id
        try:
            folder.mkdir(parents=True)
        except FileExistsError as err:
            raise ItemError(f"the run {folder} exists already; run ids must be unique") from err
        except OSError as err:
            raise StoreError(f"cannot create {folder}: {err.strerror}; check BELLWETHER_RESULTS_URI") from err
        self._was_there = True
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
        return RunAddress(service=service, scenario=scenario, run_id=run_id).uri_below(self.root_uri)

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run atomically and durably; a link in its place is replaced, wherever it leads."""
        try:
            write_atomically(self._inside(uri) / name, content, follow_link=False)
        except OSError as err:
            raise StoreError(f"cannot write {name} of {uri}: {err.strerror}") from err

    def read(self, uri: str, name: str) -> bytes | None:
        """Return a file of a run; ``None`` if it does not exist."""
        limit = max_bytes(name)
        try:
            with regular_file(self._inside(uri) / name, what=f"{name} of {uri}") as file:
                content = file.read(limit + 1)
        except FileNotFoundError:
            self._check_mounted()
            return None
        except OSError as err:
            raise self._problem(err, f"cannot read {name} of {uri}") from err
        if len(content) > limit:
            raise ItemError(f"cannot read {name} of {uri}: it is larger than {limit // 1024**2} MiB")
        return content

    def names(self, uri: str) -> frozenset[str]:
        """Return the names of a run's files, including those in subfolders, but no links: they may lead anywhere."""
        run = self._inside(uri)

        def failed(err: OSError) -> None:
            if not isinstance(err, FileNotFoundError):
                raise self._problem(err, f"cannot read {uri}") from err
            self._check_mounted()

        return frozenset(path.relative_to(run).as_posix() for path in _all_in(run, failed=failed) if _is_regular(path))

    @contextmanager
    def opened(self, uri: str, name: str) -> Iterator[IO[bytes]]:
        """Open a file of a run for reading in chunks."""
        try:
            file = regular_file(self._inside(uri) / name, what=f"{name} of {uri}")
        except OSError as err:
            raise self._problem(err, f"cannot read {name} of {uri}") from err
        with file:
            yield file

    @contextmanager
    def folder(
        self, uri: str, *, needed: Collection[str] | None = None, left_out: LeftOut = log_left_out
    ) -> Iterator[Path]:
        """Yield the run's folder itself, with all its files, odd ones too.

        Raises:
            NoRecord: the run does not exist.
            StoreError: the store cannot be used, or the disk is full.
        """
        folder = self._inside(uri)
        if not folder.is_dir():
            self._check_mounted()
            raise NoRecord(f"there is no run {uri}")
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
            for path in (run, *_all_in(run, failed=_raise)):
                status = path.lstat()
                changed_at = max(changed_at, status.st_mtime)
                if not stat.S_ISDIR(status.st_mode):
                    sizes[str(path.relative_to(run))] = status.st_size
        except OSError as err:
            raise self._problem(err, f"cannot read {uri}") from err
        return Holding(sizes=sizes, changed_at=datetime.fromtimestamp(changed_at, UTC))

    def discard(self, uri: str) -> None:
        """Remove the folder of a run. Links in it are removed, their targets are not.

        Raises:
            StoreError: the folder cannot be removed, or is not the folder of a run.
        """
        run = self._inside(uri)
        if len(run.relative_to(self.root.resolve()).parts) != 3:  # service, scenario, run
            raise ItemError(f"{uri} is not the folder of a run; nothing was removed")
        try:
            shutil.rmtree(run)
        except OSError as err:
            raise StoreError(f"cannot remove {uri}: {err.strerror}") from err

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Yield the URIs of finished runs, oldest first."""
        self._check_presence()
        pattern = f"{service or '*'}/{scenario or '*'}/*/{RECORD_FILE}"
        for record in sorted(self.root.glob(pattern), key=lambda path: path.parent.name):
            if _is_regular(record):
                yield record.parent.as_uri()

    def latest(
        self, *, service: str, scenario: str, since: str = "", left_out: LeftOut = log_left_out
    ) -> Iterator[str]:
        """Yield the URIs of a cell's runs, including unfinished ones, latest first."""
        found = (name for name in self._folders_in(f"{service}/{scenario}") if name >= since)
        names = usable_names(found, below=folder_uri(self.root_uri, service, scenario), left_out=left_out)
        for name in sorted(names, reverse=True):
            yield self.uri_of(service=service, scenario=scenario, run_id=name)

    def cells(self, *, left_out: LeftOut = log_left_out) -> Iterator[CellName]:
        """Yield every cell that has a run, in alphabetical order."""
        return cell_names(self._folders_in, root=self.root_uri, left_out=left_out)

    def marker(self) -> bytes | None:
        """Return the marker at the root; ``None`` if there is none, or no root."""
        path = self.root / STORE_MARKER
        try:
            with regular_file(path, what=str(path)) as file:
                return file.read(max_bytes(RECORD_FILE))
        except FileNotFoundError:
            return None
        except (OSError, ItemError) as err:
            reason = err.strerror if isinstance(err, OSError) else "it is no regular file"
            raise StoreError(f"cannot read {path}: {reason}") from err

    def mark(self, content: bytes) -> None:
        """Write the marker at the root."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomically(self.root / STORE_MARKER, content, follow_link=False)
        except OSError as err:
            raise StoreError(f"cannot write into {self.root}: {err.strerror}; check BELLWETHER_RESULTS_URI") from err

    def _folders_in(self, path: str) -> list[str]:
        """Return the names of the folders in a folder, without links; none if the folder does not exist.

        Raises:
            ItemError: the folder cannot be read.
            StoreError: the root of the store cannot be read, or disappeared.
        """
        folder = self.root / path
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except (FileNotFoundError, NotADirectoryError):
            self._check_presence()
            return []
        except OSError as err:
            raise self._problem(err, f"cannot read {folder}") from err
        self._was_there = True
        return names

    def _check_presence(self) -> None:
        """Distinguish a store that disappeared from one without any run yet.

        Raises:
            StoreError: the root of the store is gone.
        """
        if self._was_there:
            self._check_mounted()

    def _check_mounted(self) -> None:
        """Check that the root of the store is there. Whoever has the URI of a run knows that it once was.

        Raises:
            StoreError: it is not.
        """
        try:
            is_there = self.root.is_dir()
        except OSError as err:
            raise StoreError(f"cannot read the results store {self.root}: {err.strerror}") from err
        if not is_there:
            raise StoreError(f"the results store {self.root} is gone; is its file system mounted?")

    def _problem(self, err: OSError, action: str) -> StoreError:
        """Return an error of the item, or of the store if its root cannot be listed either.

        So EIO or ESTALE for one file leaves out that file, and a stale mount is an error of the store.
        """
        is_of_item = err.errno not in OF_THIS_PROCESS and self._can_be_listed()
        return (ItemError if is_of_item else StoreError)(f"{action}: {err.strerror}")

    def _can_be_listed(self) -> bool:
        try:
            with os.scandir(self.root) as entries:
                next(entries, None)
        except OSError:
            return False
        return True

    def _inside(self, uri: str) -> Path:
        """Return the folder of a run.

        Raises:
            ItemError: the URI is outside the store.
        """
        with suppress(ConfigurationError, RuntimeError, ValueError):  # a loop of links, a null character
            path = _path_of(uri).resolve()
            if path.is_relative_to(self.root.resolve()):
                return path
        raise ItemError(f"{uri} is not in the results store {self.root}")


def _is_regular(path: Path) -> bool:
    """Return whether a path is a regular file, and no link to one."""
    with suppress(OSError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def _all_in(folder: Path, *, failed: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """Yield everything below a folder without following links. ``Path.rglob`` takes twice as long.

    Args:
        failed: receives the error of a folder that cannot be listed; it is otherwise left out.
    """
    for parent, folders, names in os.walk(folder, onerror=failed):
        yield from (Path(parent, name) for name in (*folders, *names))


def _raise(err: OSError) -> None:
    raise err


def _path_of(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if "://" in uri:
        raise ConfigurationError(
            f"BELLWETHER_RESULTS_URI must be a folder, a file:// URI or s3://bucket/prefix, but is {uri!r}"
        )
    return Path(uri)
