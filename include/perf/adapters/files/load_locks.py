"""Which loads run, as locked files in a folder: ``<run_id>.json``, one a load.

The kernel takes a lock back when the last process that has the file open is gone. The processes of a load have it open
too, so that a load which outlived the task that started it still counts, and one that was killed never blocks the next.
Locks are those of flock(2), which on NFS works between machines as well.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from include.perf.load.reservations import Reservation, admit
from include.perf.model.errors import StoreError
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.spec import ReservationRequest

LOCK_FILE = ".lock"


class LoadLocks:
    """Grants claims one at a time; whoever looks holds the folder's own lock meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def reserve(self, claim: ReservationRequest, *, capacity_rps: float) -> Iterator[Reservation]:
        """Take what a load needs for as long as the block lasts.

        Raises:
            Occupied: another load is on one of the targets, or there is not capacity enough left.
            StoreError: the folder cannot be used.
        """
        try:
            file, others = self._granted(claim, capacity_rps)
        except OSError as err:
            raise StoreError(
                f"cannot tell which loads run, from {err.filename or self._folder}: {err.strerror}; "
                "check BELLWETHER_LOAD_LOCKS"
            ) from err
        with file:
            try:
                yield Reservation(lock_fd=file.fileno(), concurrent=others)
            finally:
                Path(file.name).unlink(missing_ok=True)

    def held(self) -> frozenset[str] | None:
        """Return the runs whose loads run; ``None`` where nobody can tell, as no load ever took a lock here."""
        try:
            with (self._folder / LOCK_FILE).open("rb") as whole:
                fcntl.flock(whole, fcntl.LOCK_SH)
                paths = self._folder.glob("*.json")
                return frozenset(path.name.removesuffix(".json") for path in paths if _is_held(path))
        except OSError:
            return None

    def _granted(
        self, claim: ReservationRequest, capacity_rps: float
    ) -> tuple[IO[bytes], tuple[ReservationRequest, ...]]:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / LOCK_FILE).open("wb") as whole:
            fcntl.flock(whole, fcntl.LOCK_EX)
            others = tuple(self._running())
            admit(claim, others, capacity_rps=capacity_rps)
            return self._locked(claim), others

    def _running(self) -> Iterator[ReservationRequest]:
        """Return the claims of the loads that run, and remove those of loads that are gone."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                file = path.open("r+b")
            except FileNotFoundError:
                continue  # it was given back meanwhile
            with file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield from_json(ReservationRequest, file.read(), where=str(path))
                else:
                    path.unlink(missing_ok=True)

    def _locked(self, claim: ReservationRequest) -> IO[bytes]:
        path = self._folder / f"{claim.run_id}.json"
        file = path.open("xb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.write(to_json(claim))
            file.flush()
        except BaseException:
            path.unlink()
            file.close()
            raise
        return file


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass  # it was given back meanwhile
    return False
