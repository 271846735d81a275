"""What people were told, in a file that processes share, or in an object that machines do."""

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
LONGEST_WAIT_S = 60.0
POLL_S = 0.1

T = TypeVar("T")

Attempt = Callable[[], AbstractContextManager[bool]]
"""Tries to become the only one that delivers, for as long as the block lasts; lends whether that is so."""


class SharedAlerts:
    """Reads the book of alerts and changes it, whole or not at all.

    It has two locks: one for a change, which is short, and one for delivering, which waits for Slack. Neither may be
    taken twice at once by the same process.

    Attributes:
        content: where the book is.

    Args:
        attempt: tries to take the lock for delivering.
        wait: how long to wait for another one that is delivering.
    """

    def __init__(
        self,
        content: SharedContent,
        attempt: Attempt,
        *,
        wait_s: float = LONGEST_WAIT_S,
        poll_s: float = POLL_S,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.content = content
        self._attempt = attempt
        self._wait_s = wait_s
        self._poll_s = poll_s
        self._wait = wait

    def read(self) -> AlertBook:
        """Return all of it; where nothing is kept yet it is empty.

        Raises:
            StoreError: it is broken or cannot be read; it is left as it is.
        """
        return self._parsed(self.content.read())

    def update(self, change: Callable[[AlertBook], T]) -> T:
        """Change it; see `include.perf.alerts.delivery.AlertStore`.

        Raises:
            StoreError: it is broken, or cannot be locked, read or written; it is left as it is.
        """

        def changed(content: bytes | None) -> Changed[T]:
            book = self._parsed(content)
            result = change(book)
            return Changed(content=_formatted(book), result=result)

        return self.content.update(changed)

    @contextmanager
    def delivering(self) -> Iterator[None]:
        """Let only one at a time deliver; the next waits for at most a minute.

        Raises:
            DeliveryError: another one still delivers.
            StoreError: it cannot be locked.
        """
        waited_s = 0.0
        while True:
            with self._attempt() as is_alone:
                if is_alone:
                    yield
                    return
            if waited_s >= self._wait_s:
                raise DeliveryError(
                    f"another task is delivering, for more than {self._wait_s:g} s; what is left here is "
                    "delivered by the next one"
                )
            self._wait(self._poll_s)
            waited_s += self._poll_s

    def _parsed(self, content: bytes | None) -> AlertBook:
        return AlertBook() if content is None else _parsed(content, where=self.content.where)


class AlertFile(SharedAlerts):
    """The book of alerts in a file, with locks beside it.

    Attributes:
        path: of the file.
    """

    def __init__(
        self, path: Path, *, wait_s: float = LONGEST_WAIT_S, wait: Callable[[float], None] = time.sleep
    ) -> None:
        file = LockedFile(path, error=StoreError, setting=SETTING)
        super().__init__(file, lambda: _locked(file), wait_s=wait_s, wait=wait)
        self.path = path


@contextmanager
def _locked(file: LockedFile) -> Iterator[bool]:
    with file.lock_file("delivering") as lock:
        yield _is_taken(lock)


def _is_taken(lock: IO[bytes]) -> bool:
    """Take a lock if it is free; it is given back when its file is closed, or the process is gone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _formatted(book: AlertBook) -> bytes:
    # Not to_json: it writes an infinite number, for which JSON has no word, as null.
    plain = _with_words(TypeAdapter(AlertBook).dump_python(book, mode="json", by_alias=True))
    return json.dumps(plain, indent=2, allow_nan=False).encode() + b"\n"


def _with_words(value: Any) -> Any:
    """Write an infinite number as the text that is read back as one."""
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _with_words(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_words(each) for each in value]
    return value


def _parsed(content: bytes, *, where: str) -> AlertBook:
    try:
        version = json.loads(content)["schema_version"]
    except (ValueError, RecursionError, TypeError, KeyError, IndexError) as err:
        raise StoreError(f"{where} is no book of alerts; {_REMEDY}") from err
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{where}: schema_version must be {SCHEMA_VERSION}, but is {version!r}; upgrade Bellwether, or {_REMEDY}"
        )
    try:
        return from_json(AlertBook, content, where=where)
    except StoreError as err:
        raise StoreError(f"{err}; {_REMEDY}") from err


_REMEDY = "repair it, or move it away: then what is open is told again, and silences are lost"
