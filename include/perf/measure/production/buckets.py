"""Quantiles of a histogram with buckets, computed as Prometheus does.

Requests are assumed to be evenly distributed within a bucket. The error is at most the width of the bucket, so an
estimate always has its bucket. Two histograms are compared in their common upper bounds: finer buckets can be merged
into coarser ones, not the other way round.

Source: ``bucketQuantile`` in Prometheus' ``promql/quantile.go``, version 2.42.
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

TOLERANCE_RATIO = 0.01
"""A cumulative count may be smaller than the one below it by this share of all requests: ``increase()`` extrapolates
every series separately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The bounds of a bucket in seconds; the last bucket has no upper bound."""

    low: float
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A quantile in seconds, estimated from a histogram.

    Attributes:
        value: interpolated within its bucket; the lower bound of a bucket without an upper one.
        bucket: the bucket that contains the exact quantile.
    """

    value: float
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram of durations in seconds.

    Attributes:
        bounds: upper bounds, ascending; the last is infinite.
        counts: requests up to each bound, ascending.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @classmethod
    def of(cls, counts: Mapping[float, float]) -> "Buckets":
        """Return the histogram of cumulative counts by upper bound.

        Raises:
            ValueError: they are not a histogram; the text says why.
        """
        bounds = tuple(sorted(counts))
        if len(bounds) < 2 or bounds[-1] != math.inf:
            raise ValueError('a histogram needs a bucket with a bound and one without (le="+Inf")')
        rising: list[float] = []
        for bound in bounds:
            below = rising[-1] if rising else 0.0
            if below - counts[bound] > TOLERANCE_RATIO * counts[bounds[-1]]:
                raise ValueError(
                    f"the count up to {bound:g} s is smaller than the one below it; its instances have other buckets"
                )
            rising.append(max(below, counts[bound]))
        return cls(bounds, tuple(rising))

    @property
    def total(self) -> float:
        """The number of requests."""
        return self.counts[-1]

    @property
    def finite_bounds(self) -> frozenset[float]:
        """The upper bounds without the infinite one."""
        return frozenset(self.bounds[:-1])

    def coarsened(self, bounds: Collection[float]) -> "Buckets":
        """Return the histogram with only these of its bounds; the infinite one always stays."""
        kept = [at for at, bound in enumerate(self.bounds) if bound in bounds or bound == math.inf]
        return Buckets(tuple(self.bounds[at] for at in kept), tuple(self.counts[at] for at in kept))

    def quantile(self, share: float) -> Estimate | None:
        """Return the duration that a share of all requests does not exceed; ``None`` without requests."""
        if not self.total > 0:
            return None
        rank = share * self.total
        at = bisect_left(self.counts, rank, hi=len(self.counts) - 1)
        bucket = self._bucket(at)
        if bucket.high is None:
            return Estimate(value=bucket.low, bucket=bucket)
        below = self.counts[at - 1] if at else 0.0
        inside = self.counts[at] - below
        part = (rank - below) / inside if inside else 1.0
        return Estimate(value=bucket.low + (bucket.high - bucket.low) * part, bucket=bucket)

    def bucket_of(self, duration_s: float) -> Bucket:
        """Return the bucket of a duration."""
        return self._bucket(bisect_left(self.bounds, duration_s))

    def _bucket(self, at: int) -> Bucket:
        high = self.bounds[at]
        return Bucket(low=self.bounds[at - 1] if at else 0.0, high=None if high == math.inf else high)


def common_bounds(histograms: Iterable[Buckets]) -> frozenset[float]:
    """Return the finite bounds that all histograms have."""
    sets = [histogram.finite_bounds for histogram in histograms]
    return frozenset.intersection(*sets) if sets else frozenset()
