"""Bytes that several processes share: anyone may read them, one at a time changes them, and a change is atomic.

`SharedContent` is the protocol, which an object in S3 implements too; `LockedFile` implements it with a file.
"""

import fcntl
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic, Protocol, TypeVar

from include.perf.model.errors import BellwetherError, ItemError
from include.perf.model.file_reader import regular_file
from include.perf.model.file_writer import final_place, write_atomically
from include.perf.runs.results_store import MAX_FILE_BYTES

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed(Generic[T]):
    """The result of a change.

    Attributes:
        content: replaces the previous bytes.
        result: returned to the caller of `SharedContent.update`.
    """

    content: bytes
    result: T


class SharedContent(Protocol):
    """A file under a lock, or an object that is changed by compare-and-swap."""

    @property
    def where(self) -> str:
        """The path or URI, for messages."""

    def read(self) -> bytes | None:
        """Return the content; ``None`` if it does not exist yet."""

    def stamp(self) -> Hashable | None:
        """Return a value that differs after every change; ``None`` if the content does not exist yet."""

    def update(self, change: Callable[[bytes | None], Changed[T]]) -> T:
        """Change the content and return the result of the change.

        Args:
            change: receives the current content. It is called again with newer content after a conflict with another
                writer. If it raises, nothing changes.
        """


class LockedFile:
    """The content of a file, with locks (``flock``) in separate files next to it.

    Args:
        error: raised when the file cannot be locked, read or written.
        setting: the environment variable that sets the path, for messages.
    """

    def __init__(self, path: Path, *, error: type[BellwetherError], setting: str) -> None:
        self.path = path
        self._error = error
        self._setting = setting

    @property
    def where(self) -> str:
        """The path of the file."""
        return str(self.path)

    def read(self) -> bytes | None:
        """Return the content; ``None`` if the file does not exist yet.

        Raises:
            BellwetherError: of the class that was given: it cannot be read, is no regular file, or is too large.
        """
        try:
            with regular_file(self.path, what=str(self.path)) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            return None
        except ItemError as err:
            raise self._error(f"{err}; check {self._setting}") from err
        except OSError as err:
            raise self._failed("read", err) from err
        if len(content) > MAX_FILE_BYTES:
            raise self._error(
                f"cannot read {self.path}: it is larger than {MAX_FILE_BYTES // 1024**2} MiB; check {self._setting}"
            )
        return content

    def write(self, content: bytes) -> None:
        """Replace the content atomically."""
        try:
            write_atomically(self.path, content)
        except OSError as err:
            raise self._failed("write", err) from err

    def stamp(self) -> tuple[int, int] | None:
        """Return inode and modification time, which change with every atomic write; ``None`` without a file."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns

    def update(self, change: Callable[[bytes | None], Changed[T]]) -> T:
        """Change the content under the lock and return the result of the change."""
        with self.locked():
            changed = change(self.read())
            self.write(changed.content)
        return changed.result

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for changes. It is not reentrant."""
        with self.lock_file("lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def lock_file(self, purpose: str) -> IO[bytes]:
        """Open the lock file for a purpose, a hidden file next to the content.

        Where the path is a link, that is next to the file that it leads to, so that all its names share one lock.
        """
        try:
            place = final_place(self.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            return place.with_name(f".{place.name.removeprefix('.')}.{purpose}").open("wb")
        except OSError as err:
            raise self._failed("lock", err) from err

    def _failed(self, action: str, err: OSError) -> BellwetherError:
        return self._error(f"cannot {action} {self.path}: {err.strerror}; check {self._setting}")
