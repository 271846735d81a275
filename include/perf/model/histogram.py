"""A histogram of delays with logarithmic steps: constant memory, and those of several processes add up exactly."""

import math
from collections import Counter
from collections.abc import Mapping

STEP_RATIO = 1.01
"""Upper bound over lower bound of a step: a quantile is exact to half a percent."""

LEAST_S = 1e-6
"""Shorter delays count as this long."""

_STEPS_PER_E = 1 / math.log(STEP_RATIO)
_LOG_LEAST = math.log(LEAST_S)

_BATCH = 64
"""Delays are counted in batches: counting them one by one takes several times as long."""


def lower_bound_s(step: int) -> float:
    """Return the lower bound of a step in seconds; its upper bound is the lower bound of the next."""
    return LEAST_S * STEP_RATIO**step


class Histogram:
    """Delays in seconds, counted by step number."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self._counts: Counter[int] = Counter(counts or {})
        self._pending: list[float] = []

    def add(self, delay_s: float) -> None:
        """Count a delay; a negative one counts as the shortest."""
        self._pending.append(delay_s)
        if len(self._pending) >= _BATCH:
            self._count()

    def _count(self) -> None:
        for delay_s in self._pending:
            step = int((math.log(delay_s) - _LOG_LEAST) * _STEPS_PER_E) if delay_s > LEAST_S else 0
            self._counts[step] += 1
        self._pending.clear()

    @property
    def counts(self) -> dict[int, int]:
        """The number of delays, by step number."""
        self._count()
        return dict(self._counts)

    def merge(self, counts: Mapping[int, int]) -> None:
        """Add the counts of another histogram."""
        self._counts.update(counts)

    def quantile(self, share: float) -> float | None:
        """Return the delay in seconds that ``share`` of all delays do not exceed; ``None`` if there are none."""
        counts = self.counts
        left = share * sum(counts.values())
        for step in sorted(counts):
            left -= counts[step]
            if left <= 0:
                return LEAST_S * math.exp((step + 0.5) / _STEPS_PER_E)
        return None

    def take(self) -> dict[int, int]:
        """Return the counts and reset them."""
        counts = self.counts
        self._counts.clear()
        return counts
