"""The latency distribution of a run: ``distribution.csv``, one row per step of latency that occurred.

It covers the requests of the measured window that count towards latency. The steps are those of
`include.perf.model.histogram`, 1 % wide: the distributions of all runs have the same edges, and a quantile is accurate
to half a percent.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

from include.perf.measure.number_table import TableProblem, integer, number, read_rows
from include.perf.model.errors import ItemError
from include.perf.model.histogram import lower_bound_s

COLUMNS = ("lower_s", "upper_s", "count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Number of requests per step of latency; steps ascend, all counts are positive, and there is at least one step.

    Attributes:
        lower_s, upper_s: the bounds of each step.
        counts: requests in each step.
    """

    lower_s: tuple[float, ...]
    upper_s: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many requests there are."""
        return sum(self.counts)

    def quantiles(self, shares: Iterable[float]) -> tuple[float, ...]:
        """Return the quantiles of the latency in seconds, linearly interpolated within their steps."""
        cumulated = (0, *accumulate(self.counts))
        return tuple(self._at(share * cumulated[-1], cumulated) for share in shares)

    def _at(self, rank: float, cumulated: tuple[int, ...]) -> float:
        step = min(max(bisect_left(cumulated, rank) - 1, 0), len(self.counts) - 1)
        inside = (rank - cumulated[step]) / self.counts[step]
        return self.lower_s[step] + inside * (self.upper_s[step] - self.lower_s[step])


def distribution_csv(counts: Mapping[int, int]) -> bytes:
    """Return the file for the counts of a `Histogram`."""
    lines = [",".join(COLUMNS)]
    lines += [f"{lower_bound_s(step):.9g},{lower_bound_s(step + 1):.9g},{counts[step]}" for step in sorted(counts)]
    return ("\n".join(lines) + "\n").encode()


def read_distribution(content: bytes, *, where: str) -> Distribution | None:
    """Read the file; ``None`` when it has no requests.

    Args:
        where: what messages call the file.

    Raises:
        ItemError: the content is not a distribution.
    """
    try:
        rows = read_rows(content, COLUMNS)
        if not rows:
            return None
        lower_s, upper_s, counts = zip(*rows, strict=True)
        distribution = Distribution(
            lower_s=tuple(map(number, lower_s)), upper_s=tuple(map(number, upper_s)), counts=tuple(map(integer, counts))
        )
        _check(distribution)
    except TableProblem as err:
        raise ItemError(f"{where} is not a latency distribution: {err}") from err
    return distribution


def _check(distribution: Distribution) -> None:
    bounds = [0.0, *chain.from_iterable(zip(distribution.lower_s, distribution.upper_s, strict=True))]
    if not all(before <= after < math.inf for before, after in pairwise(bounds)) or bounds[-1] <= 0:
        raise TableProblem("bounds must ascend")
    if min(distribution.counts) < 1:
        raise TableProblem(f"counts must be positive, but one is {min(distribution.counts)}")
