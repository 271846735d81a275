"""The halt of all load, stored as a file."""

from pathlib import Path

from include.perf.guards.halt import Halt, halt_of
from include.perf.model.errors import ConfigurationError, ItemError, StoreError
from include.perf.model.file_reader import read_item
from include.perf.model.file_writer import write_atomically

MAX_BYTES = 1024**2


class HaltFile:
    """While the file exists, no load starts and running loads are stopped."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Halt | None:
        """Return the halt, or ``None`` if load is not halted; an empty file halts, too.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            content = read_item(self.path, what=str(self.path), limit=MAX_BYTES)
        except ItemError as err:
            raise StoreError(f"{err}; it is unknown whether load is halted") from err
        if content is None:
            return None
        text = content.decode("utf-8", errors="replace")
        return halt_of(text) or Halt(by=None, reason="the file is empty")

    def reason(self) -> str | None:
        """Return why load is halted, or ``None``."""
        halt = self.read()
        return halt.describe(f"remove the file {self.path}") if halt else None

    def set(self, halt: Halt) -> None:
        """Halt all load."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, halt.to_text().encode())
        except OSError as err:
            raise ConfigurationError(f"cannot write {self.path}: {err.strerror}; check BELLWETHER_HALT_FILE") from err

    def clear(self) -> None:
        """Resume load."""
        try:
            self.path.unlink(missing_ok=True)
        except OSError as err:
            raise ConfigurationError(f"cannot remove {self.path}: {err.strerror}; check BELLWETHER_HALT_FILE") from err
