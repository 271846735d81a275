"""The alert book in a file that processes share, or in an object that machines share."""

import fcntl
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import TypeAdapter

from include.perf.adapters.files.locked_file import Changed, LockedFile, SharedContent
from include.perf.alerts.book import SCHEMA_VERSION, AlertBook
from include.perf.model.errors import DeliveryError, StoreError
from include.perf.model.json_files import from_json

SETTING = "BELLWETHER_ALERTS"
MAX_WAIT_S = 60.0
POLL_S = 0.1

T = TypeVar("T")

Attempt = Callable[[], AbstractContextManager[bool]]
"""Tries to take the lock for deliveries until the block ends; yields whether it was taken."""

_REMEDY = "repair it, or move it away: open problems are then alerted again, and silences are lost"


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
        """Change the book; see `include.perf.alerts.delivery.AlertStore`.

        Raises:
            StoreError: the content is invalid, or cannot be locked, read or written; nothing changes.
        """

        def changed(content: bytes | None) -> Changed[T]:
            book = self._parsed(content)
            result = change(book)
            return Changed(content=_formatted(book), result=result)

        return self.content.update(changed)

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """Hold the lock for deliveries; wait up to ``wait_s`` for it.

        Raises:
            DeliveryError: another process still delivers.
            StoreError: the lock cannot be used.
        """
        waited_s = 0.0
        while True:
            with self._attempt() as is_taken:
                if is_taken:
                    yield
                    return
            if waited_s >= self._wait_s:
                raise DeliveryError(
                    f"another task has been delivering for more than {self._wait_s:g} s; the next task delivers the "
                    "messages that are pending here"
                )
            self._wait(self._poll_s)
            waited_s += self._poll_s

    def _parsed(self, content: bytes | None) -> AlertBook:
        return AlertBook() if content is None else _parsed(content, where=self.content.where)


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
def _attempt(file: LockedFile) -> Iterator[bool]:
    with file.lock_file("delivering") as lock:
        yield _try_lock(lock)


def _try_lock(lock: IO[bytes]) -> bool:
    """Take a lock if it is free. It is released when its file is closed or the process exits."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _formatted(book: AlertBook) -> bytes:
    # Not to_json: it writes infinity as null, because JSON has no number for it.
    plain = _with_infinity_as_text(TypeAdapter(AlertBook).dump_python(book, mode="json", by_alias=True))
    return json.dumps(plain, indent=2, allow_nan=False).encode() + b"\n"


def _with_infinity_as_text(value: Any) -> Any:
    """Replace infinite numbers by a text that is parsed as infinity."""
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _with_infinity_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_infinity_as_text(item) for item in value]
    return value


def _parsed(content: bytes, *, where: str) -> AlertBook:
    try:
        version = json.loads(content)["schema_version"]
    except (ValueError, RecursionError, TypeError, KeyError, IndexError) as err:
        raise StoreError(f"{where} is not an alert book; {_REMEDY}") from err
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{where}: schema_version must be {SCHEMA_VERSION}, but is {version!r}; upgrade Bellwether, or {_REMEDY}"
        )
    try:
        return from_json(AlertBook, content, where=where)
    except StoreError as err:
        raise StoreError(f"{err}; {_REMEDY}") from err
