"""A file that processes of a machine share: read at any time, changed by one at a time, whole or not at all.

Bytes that several processes share: read at any time, changed by one after another, whole or not at all.
"""

import fcntl
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

from include.perf.model.errors import BellwetherError
from include.perf.model.json_files import write_atomically

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Generic[T]):
    """What a change makes of the bytes.

    Attributes:
        content: takes the place of what was there.
        result: is handed to whoever wanted the change.
    """

    content: bytes
    result: T


class SharedContent(Protocol):
    """A file under a lock, or an object that is changed by compare-and-swap."""

    @property
    def where(self) -> str:
        """Where it is, for people."""

    def read(self) -> bytes | None:
        """Return what is in it, ``None`` when it is not there yet."""

    def stamp(self) -> Hashable | None:
        """Return what is another one after each change; ``None`` when it is not there yet."""

    def update(self, change: Callable[[bytes | None], Changed[T]]) -> T:
        """Change what is in it.

        Args:
            change: called again with what is there by then where somebody else was faster; what it raises leaves all
                as it was.
        """


class LockedFile:
    """The bytes of a file, and locks in files of their own beside it (``flock``).

    Args:
        error: raised when it cannot be locked, read or written.
        setting: the environment variable that says where it is, for the error.
    """

    def __init__(self, path: Path, *, error: type[BellwetherError], setting: str) -> None:
        self.path = path
        self._error = error
        self._setting = setting

    @property
    def where(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self) -> bytes | None:
        """Return what is in it, ``None`` when it is not there yet."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise self._failed("read", err) from err

    def write(self, content: bytes) -> None:
        """Put this in the place of what is in it."""
        try:
            write_atomically(self.path, content)
        except OSError as err:
            raise self._failed("write", err) from err

    def stamp(self) -> tuple[int, int] | None:
        """Return what is another one after each change, as the file is replaced whole; ``None`` for no file."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def update(self, change: Callable[[bytes | None], Changed[T]]) -> T:
        """Change what is in it under its lock, and return what the change returns."""
        with self.locked():
            changed = change(self.read())
            self.write(changed.content)
        return changed.result

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until nobody else changes it, and keep others from it; not to be taken twice by one process."""
        with self.lock_file("lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def lock_file(self, purpose: str) -> IO[bytes]:
        """Open a file beside it whose lock means what ``purpose`` says."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self.path.with_name(f".{self.path.name.removeprefix('.')}.{purpose}").open("wb")
        except OSError as err:
            raise self._failed("lock", err) from err

    def _failed(self, what: str, err: OSError) -> BellwetherError:
        return self._error(f"cannot {what} {self.path}: {err.strerror}; check {self._setting}")
