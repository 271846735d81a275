"""The latency distribution of a run: ``distribution.csv``, a row for each step of latency that occurred.

Of the requests that count towards latency, in the measured window. Steps are those of `include.perf.model.histogram`,
1 %
wide, so that the distributions of different runs have the same edges and a quantile is right to half a percent.
"""

import csv
import io
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

from include.perf.model.errors import StoreError
from include.perf.model.histogram import lower_bound_s

COLUMNS = ("lower_s", "upper_s", "count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How many requests took how long; ascending, every count positive, at least one step.

    Attributes:
        lower_s, upper_s: the bounds of each step.
        counts: requests in it.
    """

    lower_s: tuple[float, ...]
    upper_s: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """How many requests there are."""
        return sum(self.counts)

    def quantiles(self, shares: Iterable[float]) -> tuple[float, ...]:
        """Return the latency in seconds that each share of the requests does not exceed, interpolated in its step."""
        cumulated = (0, *accumulate(self.counts))
        return tuple(self._at(share * cumulated[-1], cumulated) for share in shares)

    def _at(self, rank: float, cumulated: tuple[int, ...]) -> float:
        step = min(max(bisect_left(cumulated, rank) - 1, 0), len(self.counts) - 1)
        inside = (rank - cumulated[step]) / self.counts[step]
        return self.lower_s[step] + inside * (self.upper_s[step] - self.lower_s[step])


def distribution_csv(counts: Mapping[int, int]) -> bytes:
    """Write the counts of a `Histogram` as the file."""
    lines = [",".join(COLUMNS)]
    lines += [f"{lower_bound_s(step):.9g},{lower_bound_s(step + 1):.9g},{counts[step]}" for step in sorted(counts)]
    return ("\n".join(lines) + "\n").encode()


def read_distribution(content: bytes, *, where: str) -> Distribution | None:
    """Read the file; ``None`` when no request counted.

    Raises:
        StoreError: the content is no distribution; ``where`` says which file.
    """
    try:
        header, *rows = list(csv.reader(io.StringIO(content.decode("ascii")))) or [[]]
        if tuple(header) != COLUMNS:
            raise ValueError(f"the columns must be {','.join(COLUMNS)}, but are {','.join(header)}")
        if not rows:
            return None
        lower_s, upper_s, counts = zip(*rows, strict=True)
        found = Distribution(
            lower_s=tuple(map(float, lower_s)), upper_s=tuple(map(float, upper_s)), counts=tuple(map(int, counts))
        )
        _check(found)
    except ValueError as err:
        raise StoreError(f"{where} is not a latency distribution: {err}") from err
    return found


def _check(found: Distribution) -> None:
    bounds = [0.0, *chain.from_iterable(zip(found.lower_s, found.upper_s, strict=True))]
    if not all(before <= after < math.inf for before, after in pairwise(bounds)) or bounds[-1] <= 0:
        raise ValueError("bounds must ascend")
    if min(found.counts) < 1:
        raise ValueError(f"counts must be positive, but one is {min(found.counts)}")
