"""The baselines in a file that processes share, or in an object that machines share."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from include.perf.adapters.files.locked_file import Changed, LockedFile, SharedContent
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.file_format import format_baselines, parse_baselines
from include.perf.model.errors import StoreError
from include.perf.model.patience import ONCE, Patience
from include.perf.runs.results_store import log_left_out

SETTING = "BELLWETHER_BASELINES"

T = TypeVar("T")


class SharedBaselines:
    """Reads and changes ``baselines.json``; concurrent changes do not overwrite each other.

    Attributes:
        content: the file or object.

    Args:
        patience: repeats reads while the file or object cannot be read.
    """

    def __init__(self, content: SharedContent, *, patience: Patience = ONCE) -> None:
        self.content = content
        self._patience = patience

    def read(self) -> Baselines:
        """Return all baselines; none if the file does not exist yet. What cannot be used is logged once.

        Raises:
            BaselineError: the content is invalid as a whole.
            StoreError: the file or object cannot be read now, so it is not known which baselines there are.
        """
        baselines = self._parsed(self._patience(self.content.read))
        for problem in baselines.odd.problems().values():
            log_left_out(self.content.where, problem)
        return baselines

    def update(self, change: Callable[[Any], T]) -> T:
        """Change the baselines; see `include.perf.baselines.baselines.BaselineStore`."""

        def changed(content: bytes | None) -> Changed[T]:
            baselines = self._parsed(content)
            result = change(baselines)
            return Changed(content=format_baselines(baselines), result=result)

        return self.content.update(changed)

    def _parsed(self, content: bytes | None) -> Baselines:
        return Baselines() if content is None else parse_baselines(content, where=self.content.where)


class BaselineFile(SharedBaselines):
    """The baselines in a file, changed under a lock.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path, *, patience: Patience = ONCE) -> None:
        super().__init__(LockedFile(path, error=StoreError, setting=SETTING), patience=patience)
        self.path = path


class CachedBaselines:
    """Caches the baselines for readers until the content changes; a change always starts from the stored content."""

    def __init__(self, shared: SharedBaselines) -> None:
        self._shared = shared
        self._cached: tuple[Hashable, Baselines] | None = None

    def read(self) -> Baselines:
        """Return all baselines. Callers share the object and must not change it.

        Raises:
            BaselineError, StoreError: as `SharedBaselines.read`.
        """
        stamp, cached = self._shared.content.stamp(), self._cached
        if stamp is None:
            return self._shared.read()
        if cached is None or cached[0] != stamp:
            cached = self._cached = (stamp, self._shared.read())
        return cached[1]

    def update(self, change: Callable[[Any], T]) -> T:
        """Change the baselines, as `SharedBaselines.update`."""
        return self._shared.update(change)
