"""The baselines file, shared by processes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.perf.atomic import write_atomically
from include.perf.baseline import Baselines
from include.perf.baseline_format import format_baselines, parse_baselines
from include.perf.errors import BaselineError


class BaselineFile:
    """Reads ``baselines.json`` and changes it under a lock, whole or not at all.

    The lock is a file of its own beside it (``flock``), so that two promotions at once, in any processes of
    this machine, lose nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Baselines:
        """Return all baselines; a file that is not there yet holds none.

        Raises:
            BaselineError: the file is broken or cannot be read; it is left as it is.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return Baselines()
        except OSError as err:
            raise BaselineError(f"cannot read {self._path}: {err.strerror}") from err
        return parse_baselines(content, where=str(self._path))

    @contextmanager
    def change(self) -> Iterator[Baselines]:
        """Lend the baselines for a change that is written when the block ends without an error."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_name(f".{self._path.name}.lock").open("w")
        except OSError as err:
            raise BaselineError(f"cannot lock {self._path}: {err.strerror}") from err
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            baselines = self.read()
            yield baselines
            try:
                write_atomically(self._path, format_baselines(baselines))
            except OSError as err:
                raise BaselineError(f"cannot write {self._path}: {err.strerror}") from err
