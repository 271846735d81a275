"""The baselines file, shared by processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.perf.adapters.locked_file import LockedFile
from include.perf.baseline import Baselines
from include.perf.baseline_format import format_baselines, parse_baselines
from include.perf.errors import BaselineError


class BaselineFile:
    """Reads ``baselines.json`` and changes it under a lock, so that two promotions at once lose nothing."""

    def __init__(self, path: Path) -> None:
        self._file = LockedFile(path, error=BaselineError, setting="BELLWETHER_BASELINES")

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._file.path

    def read(self) -> Baselines:
        """Return all baselines; a file that is not there yet holds none.

        Raises:
            BaselineError: the file is broken or cannot be read; it is left as it is.
        """
        content = self._file.read()
        return Baselines() if content is None else parse_baselines(content, where=str(self.path))

    @contextmanager
    def change(self) -> Iterator[Baselines]:
        """Lend the baselines for a change that is written when the block ends without an error."""
        with self._file.locked():
            baselines = self.read()
            yield baselines
            self._file.write(format_baselines(baselines))
