"""The baselines, in a file that processes share, or in an object that machines do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from include.perf.adapters.locked_file import LockedFile
from include.perf.adapters.shared_content import Changed, SharedContent
from include.perf.baseline import Baselines
from include.perf.baseline_format import format_baselines, parse_baselines
from include.perf.errors import BaselineError

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
        """Change the baselines; see `include.perf.ports.BaselineStore`."""

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
