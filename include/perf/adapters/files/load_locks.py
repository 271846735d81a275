"""Reservations of load as locked files in a folder: one ``<run_id>.json`` per running load.

The kernel releases a lock when the last process that has the file open exits. The processes of a load inherit the open
file, so a load that outlives its task still counts, and a killed load never blocks the next one. The locks are those of
flock(2), which work between machines on NFS too.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from include.perf.load.reservations import Reservation, admit, damaged_reservation, read_reservation
from include.perf.model.errors import ItemError, StoreError
from include.perf.model.file_reader import regular_file
from include.perf.model.json_files import to_json
from include.perf.runs.results_store import log_left_out
from include.perf.runs.spec import ReservationRequest

LOCK_FILE = ".lock"
MAX_BYTES = 1024**2


class LoadLocks:
    """Grants reservations one at a time, under a lock on the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def reserve(self, request: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        """Reserve what a load needs until the block ends.

        Raises:
            Occupied: another load is on one of the targets, or the remaining capacity is too small.
            StoreError: the folder cannot be used.
        """
        try:
            file, others = self._granted(request, capacity_rps)
        except OSError as err:
            raise StoreError(
                f"cannot determine which loads run from {err.filename or self._folder}: {err.strerror}; "
                "check BELLWETHER_LOAD_LOCKS"
            ) from err
        with file:
            try:
                yield Reservation(lock_fd=file.fileno(), concurrent=others)
            finally:
                Path(file.name).unlink(missing_ok=True)

    def held(self) -> frozenset[str] | None:
        """Return the runs whose loads run; ``None`` (unknown) where no load ever took a lock."""
        try:
            with (self._folder / LOCK_FILE).open("rb") as folder_lock:
                fcntl.flock(folder_lock, fcntl.LOCK_SH)
                paths = self._folder.glob("*.json")
                return frozenset(path.name.removesuffix(".json") for path in paths if _is_held(path))
        except OSError:
            return None

    def _granted(
        self, request: ReservationRequest, capacity_rps: float
    ) -> tuple[IO[bytes], tuple[ReservationRequest, ...]]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / LOCK_FILE).open("wb") as folder_lock:
            fcntl.flock(folder_lock, fcntl.LOCK_EX)
            others = tuple(self._running())
            admit(request, others, capacity_rps=capacity_rps)
            return self._locked(request), others

    def _running(self) -> Iterator[ReservationRequest]:
        """Yield the reservations of running loads, and remove the files of loads that have ended."""
        for path in sorted(self._folder.glob("*.json")):
            run_id = path.name.removesuffix(".json")
            try:
                file = regular_file(path, what=str(path))
            except FileNotFoundError:
                continue  # released in the meantime
            except PermissionError as err:
                log_left_out(str(path), f"cannot read {path}: {err.strerror}; its targets stay reserved")
                yield damaged_reservation(run_id)
                continue
            except ItemError as err:  # a FIFO or a device: no load made it
                log_left_out(str(path), str(err))
                continue
            except OSError as err:  # a folder or a loop of links: no load made it
                log_left_out(str(path), f"cannot read {path}: {err.strerror}")
                continue
            with file:
                if _is_locked(file):
                    yield read_reservation(file.read(MAX_BYTES), run_id=run_id, where=str(path))
                else:
                    path.unlink(missing_ok=True)

    def _locked(self, request: ReservationRequest) -> IO[bytes]:
        path = self._folder / f"{request.run_id}.json"
        file = path.open("xb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(to_json(request))
            file.flush()
        except BaseException:
            try:
                path.unlink()
            finally:
                file.close()
            raise
        return file


def _is_held(path: Path) -> bool:
    """Return whether a load runs; a file that cannot be opened is none, or was released in the meantime."""
    try:
        with regular_file(path, what=str(path)) as file:
            return _is_locked(file)
    except PermissionError:
        return True  # of another user, so it must count
    except (ItemError, OSError):
        return False


def _is_locked(file: IO[bytes]) -> bool:
    """Return whether another process has the lock. A shared lock needs no permission to write, not even on NFS."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
