"""An object that machines share, changed by compare-and-swap; after a conflict the change is repeated."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from include.perf.adapters.files.locked_file import Changed
from include.perf.adapters.s3.objects import Objects
from include.perf.model.errors import StoreError

log = logging.getLogger(__name__)

ATTEMPTS = 30
PAUSE_S = 0.05
MAX_PAUSE_S = 2.0

T = TypeVar("T")


class SharedObject:
    """The content of an object.

    Args:
        path: of the object.
        wait: sleeps for a number of seconds.
        random_ratio: returns a random number from 0 to 1, which spreads the pauses of conflicting writers.
    """

    def __init__(
        self,
        objects: Objects,
        path: str,
        *,
        wait: Callable[[float], None] = time.sleep,
        random_ratio: Callable[[], float] = random.random,
    ) -> None:
        self._objects = objects
        self._path = path
        self._wait = wait
        self._random_ratio = random_ratio
        self._are_conditions_checked = False

    @property
    def where(self) -> str:
        """The URI of the object."""
        return self._objects.place.uri_of(self._path)

    def read(self) -> bytes | None:
        """Return the content; ``None`` if the object does not exist yet."""
        return self._objects.read(self._path)

    def stamp(self) -> str | None:
        """Return its ETag; ``None`` if the object does not exist yet."""
        return self._objects.etag(self._path)

    def update(self, change: Callable[[bytes | None], Changed[T]]) -> T:
        """Change the content; see `include.perf.adapters.files.locked_file.SharedContent`.

        Raises:
            StoreError: the object cannot be read or written, the server ignores conditions, or every attempt conflicted
                with another writer.
        """
        if not self._are_conditions_checked:
            self._objects.check_conditions()
            self._are_conditions_checked = True
        for attempt in range(ATTEMPTS):
            found = self._objects.version(self._path)
            changed = change(None if found is None else found.content)
            if found is not None and changed.content == found.content:
                return changed.result
            if self._objects.swap(self._path, changed.content, expected=found.etag if found else None):
                return changed.result
            log.debug("%s was changed by another writer in the meantime", self.where)
            self._wait(self._random_ratio() * min(MAX_PAUSE_S, PAUSE_S * 2**attempt))
        raise StoreError(
            f"cannot change {self.where}: {ATTEMPTS} attempts conflicted with other writers; try again later"
        )
