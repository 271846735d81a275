"""The baselines, in a file that processes share, or in an object that machines do.

The baselines for those who only look, again and again: they are read anew only when they have changed.
"""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

from include.perf.adapters.files.locked_file import Changed, LockedFile, SharedContent
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.file_format import format_baselines, parse_baselines
from include.perf.model.errors import BaselineError

SETTING = "BELLWETHER_BASELINES"

T = TypeVar("T")


class SharedBaselines:
    """Reads ``baselines.json`` and changes it so that two promotions at once lose nothing.

    Attributes:
        content: where it is.
    """

    def __init__(self, content: SharedContent) -> None:
        self.content = content

    def read(self) -> Baselines:
        """Return all baselines; where nothing is kept yet there are none.

        Raises:
            BaselineError: they are broken or cannot be read; they are left as they are.
            StoreError: the object store does not give them.
        """
        return self._parsed(self.content.read())

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
    """The baselines in a file; they are changed under a lock.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(LockedFile(path, error=BaselineError, setting=SETTING))
        self.path = path


class CachedBaselines:
    """Keeps what was read as long as it is the same; a change always starts from what is kept outside."""

    def __init__(self, shared: SharedBaselines) -> None:
        self._shared = shared
        self._kept: tuple[Hashable, Baselines] | None = None

    def read(self) -> Baselines:
        """Return all baselines; they are shared, so that nobody may change them.

        Raises:
            BaselineError, StoreError: as `SharedBaselines.read`.
        """
        stamp, kept = self._shared.content.stamp(), self._kept
        if stamp is None:
            return self._shared.read()
        if kept is None or kept[0] != stamp:
            kept = self._kept = (stamp, self._shared.read())
        return kept[1]

    def update(self, change: Callable[[Any], T]) -> T:
        """Change the baselines, as `SharedBaselines.update`."""
        return self._shared.update(change)
