"""The latest load of each cell, as files in a folder: what others are told of loads that run, or ran last.

Whether a load still runs is known only as long as somebody keeps saying so, and who was killed says nothing. So what
is kept is when it has to be over at the latest; where the loads' locks can be seen, they tell sooner.
"""

from collections.abc import Set
from pathlib import Path
from urllib.parse import quote

from include.perf.load.announcing import SentLoad
from include.perf.load.reservations import Reservations
from include.perf.model.errors import StoreError
from include.perf.model.json_files import from_json, to_json, write_atomically


class LoadLog:
    """Keeps ``<service>,<scenario>.json`` for each cell; an observer of loads."""

    def __init__(self, folder: Path, *, locks: Reservations) -> None:
        self.folder = folder
        self._locks = locks

    def load_began(self, load: SentLoad) -> None:
        """Keep it as the latest of its cell.

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
        """Keep when it was over.

        Raises:
            StoreError: the folder cannot be written.
        """
        self.load_began(load)

    def latest(self) -> tuple[SentLoad, ...]:
        """Return the latest load of each cell that had one.

        Raises:
            StoreError: a file is broken or cannot be read.
        """
        try:
            paths = sorted(self.folder.glob("*.json"))
            return tuple(from_json(SentLoad, path.read_bytes(), where=str(path)) for path in paths)
        except OSError as err:
            raise StoreError(f"cannot read {err.filename or self.folder}: {err.strerror}") from err

    def held(self) -> Set[str] | None:
        """Return the runs that hold a lock for their load; ``None`` where nobody can tell."""
        return self._locks.held()
