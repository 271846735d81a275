"""The alert book in a file that processes share, or in an object that machines share."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TypeVar

from include.perf.adapters.files.locked_file import Changed, LockedFile, SharedContent
from include.perf.alerts.alert_store import Lost
from include.perf.alerts.book import AlertBook
from include.perf.alerts.book_format import format_book, parse_book
from include.perf.model.errors import DeliveryError, StoreError

SETTING = "BELLWETHER_ALERTS"
MAX_WAIT_S = 180.0
"""Longer than a delivery that waits for a message in doubt to settle."""
POLL_S = 0.1

T = TypeVar("T")

Attempt = Callable[[], AbstractContextManager[Lost | None]]
"""Tries to take the lock for deliveries until the block ends; yields whether it is lost, or ``None`` if not taken."""


class SharedAlerts:
    """Reads the alert book and changes it atomically.

    There are two locks: a short one for changes, and one for deliveries, which wait for Slack. Neither is reentrant.

    Attributes:
        content: the file or object.

    Args:
        attempt: tries to take the lock for deliveries.
        wait: sleeps for a number of seconds while another process delivers.
    """

    def __init__(
        self,
        content: SharedContent,
        attempt: Attempt,
        *,
        wait_s: float = MAX_WAIT_S,
        poll_s: float = POLL_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.content = content
        self._attempt = attempt
        self._wait_s = wait_s
        self._poll_s = poll_s
        self._wait = wait

    def read(self) -> AlertBook:
        """Return the book; an empty one if it does not exist yet.

        Raises:
            StoreError: the content is invalid or cannot be read.
        """
        return self._parsed(self.content.read())

    def update(self, change: Callable[[AlertBook], T]) -> T:
        """Change the book; see `include.perf.alerts.alert_store.AlertStore`.

        Raises:
            StoreError: the content is invalid, or cannot be locked, read or written; nothing changes.
        """

        def changed(content: bytes | None) -> Changed[T]:
            book = self._parsed(content)
            result = change(book)
            return Changed(content=format_book(book), result=result)

        return self.content.update(changed)

    @contextmanager
    def delivering(self) -> Iterator[Lost]:
        """Hold the lock for deliveries; wait up to ``wait_s`` for it. Yields whether it is lost.

        Raises:
            DeliveryError: another process still delivers.
            StoreError: the lock cannot be used.
        """
        waited_s = 0.0
        while True:
            with self._attempt() as lost:
                if lost is not None:
                    yield lost
                    return
            if waited_s >= self._wait_s:
                raise DeliveryError(
                    f"another task has been delivering for more than {self._wait_s:g} s; the next task delivers the "
                    "messages that are pending here"
                )
            self._wait(self._poll_s)
            waited_s += self._poll_s

    def _parsed(self, content: bytes | None) -> AlertBook:
        return AlertBook() if content is None else parse_book(content, where=self.content.where)


class AlertFile(SharedAlerts):
    """The alert book in a file, with its lock files next to it.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, *, wait_s: float = MAX_WAIT_S, wait: Callable[[float], None] = time.sleep) -> None:
        file = LockedFile(path, error=StoreError, setting=SETTING)
        super().__init__(file, lambda: _attempt(file), wait_s=wait_s, wait=wait)
        self.path = path


@contextmanager
def _attempt(file: LockedFile) -> Iterator[Lost | None]:
    with file.lock_file("delivering") as lock:
        path = Path(lock.name)
        yield (lambda: _why_lost(lock, path)) if _try_lock(lock) else None


def _why_lost(lock: IO[bytes], path: Path) -> str | None:
    """Return why a lock does not keep other processes out: its file was removed or replaced."""
    try:
        is_same = os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except OSError:
        is_same = False
    return None if is_same else f"the lock file {path} was removed or replaced"


def _try_lock(lock: IO[bytes]) -> bool:
    """Take a lock if it is free. It is released when its file is closed or the process exits."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
