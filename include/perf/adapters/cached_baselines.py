"""The baselines file for those who only look, again and again: it is read anew only when it has changed."""

from contextlib import AbstractContextManager
from typing import Any

from include.perf.adapters.baseline_file import BaselineFile
from include.perf.baseline import Baselines

Stamp = tuple[int, int]


class CachedBaselines:
    """Keeps what was read as long as the file is the same; a change always starts from the file itself.

    The file is replaced whole at every change, so a new one is told by its inode and its time.
    """

    def __init__(self, file: BaselineFile) -> None:
        self._file = file
        self._kept: tuple[Stamp, Baselines] | None = None

    def read(self) -> Baselines:
        """Return all baselines; they are shared, so that nobody may change them.

        Raises:
            BaselineError: as `BaselineFile.read`.
        """
        stamp, kept = self._stamp(), self._kept
        if stamp is None:
            return self._file.read()
        if kept is None or kept[0] != stamp:
            kept = self._kept = (stamp, self._file.read())
        return kept[1]

    def change(self) -> AbstractContextManager[Any]:
        """Lend the baselines for a change, as `BaselineFile.change`."""
        return self._file.change()

    def _stamp(self) -> Stamp | None:
        try:
            found = self._file.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns
