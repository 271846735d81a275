"""An object that machines share, changed by compare-and-swap: who was slower starts again from what is there."""

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
LONGEST_PAUSE_S = 2.0

T = TypeVar("T")


class SharedObject:
    """The bytes of an object.

    Args:
        path: of the object.
        wait: sleeps for so many seconds.
        chance: returns a number from 0 to 1, so that those who met once do not meet again.
    """

    def __init__(
        self,
        objects: Objects,
        path: str,
        *,
        wait: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._objects = objects
        self._path = path
        self._wait = wait
        self._chance = chance
        self._are_conditions_kept = False

    @property
    def where(self) -> str:
        """Its address."""
        return self._objects.place.uri_of(self._path)

    def read(self) -> bytes | None:
        """Return what is in it, ``None`` when it is not there yet."""
        return self._objects.read(self._path)

    def stamp(self) -> str | None:
        """Return its ETag; ``None`` when it is not there yet."""
        return self._objects.etag(self._path)

    def update(self, change: Callable[[bytes | None], Changed[T]]) -> T:
        """Change what is in it; see `include.perf.adapters.files.locked_file.SharedContent`.

        Raises:
            StoreError: it cannot be read or written, the server does not keep conditions, or others were faster again
                and again.
        """
        if not self._are_conditions_kept:
            self._objects.check_conditions()
            self._are_conditions_kept = True
        for attempt in range(ATTEMPTS):
            found = self._objects.version(self._path)
            changed = change(None if found is None else found.content)
            if found is not None and changed.content == found.content:
                return changed.result
            if self._objects.swap(self._path, changed.content, expected=found.etag if found else None):
                return changed.result
            log.debug("%s was changed by somebody else meanwhile", self.where)
            self._wait(self._chance() * min(LONGEST_PAUSE_S, PAUSE_S * 2**attempt))
        raise StoreError(f"cannot change {self.where}: others were faster {ATTEMPTS} times; try again later")
