"""Baselines in memory."""

import copy
from collections.abc import Callable
from typing import TypeVar

from include.perf.baselines.baselines import Baselines
from include.perf.model.errors import ConfigurationError

T = TypeVar("T")


class MemoryBaselines:
    """Baselines in memory; ``problem`` makes them unreadable."""

    def __init__(self) -> None:
        self.baselines = Baselines()
        self.problem: ConfigurationError | None = None

    def read(self) -> Baselines:
        """Return all baselines."""
        if self.problem is not None:
            raise self.problem
        return copy.deepcopy(self.baselines)

    def update(self, change: Callable[[Baselines], T]) -> T:
        """Change the baselines, all or nothing."""
        changed = copy.deepcopy(self.read())
        result = change(changed)
        self.baselines = changed
        return result
