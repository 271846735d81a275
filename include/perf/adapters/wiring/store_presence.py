"""Distinguishes a results store that is gone from one without any run, also in a process that never saw it.

The first run leaves a marker with a random id at the root of the store, and every machine remembers the id outside of
the store. A root without the marker on a machine that remembers one is that of another file system: the store is not
mounted, or the bucket was emptied. Stores of earlier versions get the marker once they are seen with a run.
"""

import logging
import math
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from include.perf.model.errors import ItemError, StoreError
from include.perf.model.file_reader import read_item
from include.perf.model.file_writer import write_atomically
from include.perf.runs.retention import Archive

log = logging.getLogger(__name__)

MAX_ID_BYTES = 1_000


class MarkedStore(Archive, Protocol):
    """A results store with a place for a marker at its root."""

    def marker(self) -> bytes | None:
        """Return the marker; ``None`` if there is none.

        Raises:
            StoreError: the store cannot be read.
        """

    def mark(self, content: bytes) -> None:
        """Write the marker, and the root of the store if it does not exist.

        Raises:
            StoreError: it cannot be written.
        """


@dataclass(slots=True)
class StorePresence:
    """Checks that a store is the one that this machine knows.

    Attributes:
        memory: the file that remembers the id of the store; ``None`` if this machine has no place for it.
        fresh_for_s: how long a marker that was found counts; 0 to look again each time.
    """

    store: MarkedStore
    memory: Path | None
    fresh_for_s: float = 0.0
    _found_at: float = -math.inf

    def check(self) -> bool:
        """Return whether the store has a marker.

        Raises:
            StoreError: it has none although this machine knows it, so it is gone; or it cannot be read.
        """
        if time.monotonic() - self._found_at < self.fresh_for_s:
            return True
        found, known = self.store.marker(), self._remembered()
        if found is None and known is not None:
            raise StoreError(
                f"the results store {self.store.root_uri} is gone: what is there now has no runs and no marker; is its "
                f"file system mounted? If it was emptied on purpose, remove {self.memory} on this machine"
            )
        if found is not None and found != known:
            if known is not None:
                log.warning("%s is another results store than before", self.store.root_uri)
            self._remember(found)
        if found is not None:
            self._found_at = time.monotonic()
        return found is not None

    def establish(self) -> None:
        """Write the marker if there is none.

        Raises:
            StoreError: the store is gone, or cannot be written.
        """
        if not self.check():
            self.store.mark(f"{uuid.uuid4()}\n".encode())
            self.check()

    def adopt(self) -> None:
        """Write the marker of a store that has runs of an earlier version; a failure is only logged."""
        try:
            self.establish()
        except StoreError as err:
            log.info("the results store gets no marker: %s", err)

    def _remembered(self) -> bytes | None:
        if self.memory is None:
            return None
        try:
            return read_item(self.memory, what=str(self.memory), limit=MAX_ID_BYTES)
        except ItemError as err:
            log.info("it is unknown whether the results store was seen before: %s", err)
            return None

    def _remember(self, found: bytes) -> None:
        if self.memory is None:
            return
        try:
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.memory, found)
        except OSError as err:
            log.info("the results store is not remembered in %s: %s", self.memory, err.strerror)
