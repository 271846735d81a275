"""The baselines for those who only look, again and again: they are read anew only when they have changed."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from include.perf.adapters.baseline_file import SharedBaselines
from include.perf.baseline import Baselines

T = TypeVar("T")


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
