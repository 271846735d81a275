"""The latest load of every cell, as files in a folder, for metrics and dashboards.

A killed task cannot record that its load ended. So every file has the time by which the load must end; where the locks
of loads are visible, they show the end sooner.
"""

from collections.abc import Set
from pathlib import Path
from urllib.parse import quote

from include.perf.load.announcing import SentLoad
from include.perf.load.reservations import Reservations
from include.perf.model.errors import ItemError, StoreError
from include.perf.model.file_reader import regular_file
from include.perf.model.file_writer import write_atomically
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.results_store import log_left_out

MAX_BYTES = 1024**2


class LoadLog:
    """Observes loads and writes ``<service>,<scenario>.json`` for every cell."""

    def __init__(self, folder: Path, *, locks: Reservations) -> None:
        self.folder = folder
        self._locks = locks

    def load_began(self, load: SentLoad) -> None:
        """Record a load as the latest of its cell.

        Raises:
            StoreError: the folder cannot be written.
        """
        path = self.folder / f"{quote(load.service, safe='')},{quote(load.scenario, safe='')}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, to_json(load))
        except OSError as err:
            raise StoreError(f"cannot write {path}: {err.strerror}; check BELLWETHER_RESULTS_URI") from err

    def load_ended(self, load: SentLoad) -> None:
        """Record when a load ended.

        Raises:
            StoreError: the folder cannot be written.
        """
        self.load_began(load)

    def latest(self) -> tuple[SentLoad, ...]:
        """Return the latest load of every cell that had one, without files that cannot be read.

        Raises:
            StoreError: the folder cannot be read.
        """
        try:
            paths = sorted(self.folder.iterdir())
        except FileNotFoundError:
            return ()
        except OSError as err:
            raise StoreError(f"cannot read {self.folder}: {err.strerror}") from err
        return tuple(load for path in paths if path.suffix == ".json" and (load := _read(path)) is not None)

    def held(self) -> Set[str] | None:
        """Return the runs whose loads run; ``None`` where that is unknown."""
        return self._locks.held()


def _read(path: Path) -> SentLoad | None:
    """Return a load; ``None``, with a log entry, if its file cannot be read."""
    try:
        with regular_file(path, what=str(path)) as file:
            return from_json(SentLoad, file.read(MAX_BYTES), where=str(path))
    except ItemError as err:
        log_left_out(str(path), str(err))
    except OSError as err:
        log_left_out(str(path), f"cannot read {path}: {err.strerror}")
    return None
