"""Quantiles of buckets: Prometheus' interpolation, and the bucket as its uncertainty."""

import math
from collections.abc import Mapping

import pytest

from include.perf.measure.production.buckets import Bucket, Buckets, Estimate, common_bounds

INF = math.inf
FINE = {0.1: 10.0, 0.2: 50.0, 0.4: 90.0, 0.8: 99.0, INF: 100.0}


@pytest.mark.parametrize(
    ("share", "value", "low", "high"),
    [
        (0.05, 0.05, 0.0, 0.1),  # rank 5 of the 10 from 0 to 0.1
        (0.10, 0.10, 0.0, 0.1),  # the bound itself is in the bucket
        (0.50, 0.20, 0.1, 0.2),  # rank 50, the last of the bucket
        (0.70, 0.30, 0.2, 0.4),  # rank 70: 20 of the 40 from 0.2 to 0.4
        (0.95, 0.4 + 0.4 * 5 / 9, 0.4, 0.8),  # rank 95: 5 of 9
        (0.99, 0.80, 0.4, 0.8),
        (0.995, 0.80, 0.8, None),  # beyond the last bound nothing is known
    ],
)
def test_a_quantile_is_interpolated_as_prometheus_does(
    share: float, value: float, low: float, high: float | None
) -> None:
    """Requests are assumed to be evenly distributed in their bucket, which is returned with the value."""
    found = Buckets.of(FINE).quantile(share)
    assert found is not None
    assert found.value == pytest.approx(value)
    assert found.bucket == Bucket(low=low, high=high)


def test_without_requests_there_is_no_quantile() -> None:
    """No data is never zero."""
    assert Buckets.of({0.1: 0.0, INF: 0.0}).quantile(0.5) is None


def test_requests_beyond_the_last_bound_have_no_upper_bound() -> None:
    """Only the bucket without an upper bound has requests."""
    found = Buckets.of({0.1: 0.0, 1.0: 0.0, INF: 7.0}).quantile(0.5)
    assert found == Estimate(value=1.0, bucket=Bucket(low=1.0, high=None))


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ({INF: 5.0}, "a bucket with a bound and one without"),
        ({0.1: 5.0, 0.2: 6.0}, "a bucket with a bound and one without"),
        ({}, "a bucket with a bound and one without"),
        ({0.1: 50.0, 0.2: 30.0, INF: 80.0}, "the count up to 0.2 s is smaller"),
    ],
)
def test_other_counts_are_refused(counts: Mapping[float, float], problem: str) -> None:
    """Without the infinite bucket the total is unknown; decreasing counts come from instances with other buckets."""
    with pytest.raises(ValueError, match=problem):
        Buckets.of(counts)


def test_a_slightly_decreasing_count_is_corrected() -> None:
    """Prometheus extrapolates every bucket separately, so one may be slightly below the one before: 49.9 after 50."""
    assert Buckets.of({0.1: 50.0, 0.2: 49.9, INF: 80.0}).counts == (50.0, 50.0, 80.0)


def test_coarser_buckets_hold_the_same_requests() -> None:
    """Rank 70 is then one of the 80 from 0.1 to 0.4: 0.1 + 0.3 · 60 / 80."""
    coarse = Buckets.of(FINE).coarsened({0.1, 0.4})
    assert coarse == Buckets((0.1, 0.4, INF), (10.0, 90.0, 100.0))
    found = coarse.quantile(0.70)
    assert found is not None
    assert found.value == pytest.approx(0.325)
    assert found.bucket == Bucket(low=0.1, high=0.4)


def test_common_bounds_are_those_of_all_histograms() -> None:
    """The infinite one is always there and is not counted."""
    other = Buckets.of({0.2: 1.0, 0.3: 2.0, 0.8: 3.0, INF: 3.0})
    assert common_bounds([Buckets.of(FINE), other]) == {0.2, 0.8}
    assert common_bounds([]) == frozenset()


@pytest.mark.parametrize(("duration_s", "low", "high"), [(0.1, 0.0, 0.1), (0.11, 0.1, 0.2), (0.9, 0.8, None)])
def test_the_bucket_of_a_duration_ends_with_its_bound(duration_s: float, low: float, high: float | None) -> None:
    """``le`` means less or equal."""
    assert Buckets.of(FINE).bucket_of(duration_s) == Bucket(low=low, high=high)
