"""Delays as counts: quantiles are exact to half a percent, and counts of several workers add up exactly."""

import json
import math
import random
from collections.abc import Iterable

import numpy as np
import pytest

from include.perf.model.histogram import LEAST_S, STEP_RATIO, Histogram

HALF_A_STEP = math.sqrt(STEP_RATIO) - 1  # 0.4988 %


def of(delays_s: Iterable[float]) -> Histogram:
    histogram = Histogram()
    for delay_s in delays_s:
        histogram.add(delay_s)
    return histogram


def test_an_empty_histogram_has_no_quantile() -> None:
    """No data is never zero."""
    assert (Histogram().quantile(0.5), Histogram().counts) == (None, {})


@pytest.mark.parametrize("delay_s", [1.1e-6, 0.000_1, 0.001, 0.020_3, 1.0, 59.9, 3_600.0])
def test_one_delay_is_exact_to_half_a_percent(delay_s: float) -> None:
    """From a microsecond to an hour, for every share."""
    histogram = of([delay_s])
    for share in (0.0, 0.5, 1.0):
        assert histogram.quantile(share) == pytest.approx(delay_s, rel=HALF_A_STEP + 1e-9)


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99, 1.0])
def test_quantiles_are_exact_to_half_a_percent(share: float) -> None:
    """10,000 latencies over four orders of magnitude, compared with numpy's method inverted_cdf."""
    delays_s = np.random.default_rng(7).lognormal(-4, 1.2, 10_000)
    exact = float(np.quantile(delays_s, share, method="inverted_cdf"))
    assert of(delays_s).quantile(share) == pytest.approx(exact, rel=HALF_A_STEP + 1e-9)


@pytest.mark.parametrize(
    ("slow", "p99_s"),
    [(1, 0.001), (2, 0.050)],
    ids=["1 of 100", "2 of 100"],
)
def test_the_99th_of_100(slow: int, p99_s: float) -> None:
    """99 of 100 do not exceed the p99: it is a fast delay if one is slow, and a slow one if two are."""
    histogram = of([0.001] * (100 - slow) + [0.050] * slow)
    assert histogram.quantile(0.99) == pytest.approx(p99_s, rel=0.005)


@pytest.mark.parametrize("delay_s", [0.0, -0.001, LEAST_S, LEAST_S / 2])
def test_zero_or_negative_delays_count_as_the_shortest(delay_s: float) -> None:
    """Clock readings may be slightly out of order; the logarithm of zero must not stop a load."""
    assert of([delay_s]).counts == {0: 1}
    assert of([delay_s]).quantile(1.0) == pytest.approx(LEAST_S, rel=0.005)


def test_delays_of_an_incomplete_batch_are_counted() -> None:
    """A batch is 64 delays; 1, 63, 64, 65 and 1 000 are counted exactly."""
    for count in (1, 63, 64, 65, 1_000):
        assert sum(of([0.01] * count).counts.values()) == count


def test_several_histograms_add_up_to_one_of_all() -> None:
    """The counts of three workers equal those of a single one; no quantiles are averaged."""
    source = random.Random(3)
    delays_s = [source.lognormvariate(-4, 1) for _ in range(1_000)]
    merged = of(delays_s[0::3])
    merged.merge(of(delays_s[1::3]).counts)
    merged.merge(of(delays_s[2::3]).counts)
    assert merged.counts == of(delays_s).counts
    assert merged.quantile(0.99) == of(delays_s).quantile(0.99)


def test_a_merge_keeps_delays_that_are_not_counted_yet() -> None:
    """10 of an incomplete batch and 5 of another histogram."""
    histogram = of([0.01] * 10)
    histogram.merge({0: 5})
    assert sum(histogram.counts.values()) == 15


def test_a_histogram_is_rebuilt_from_its_counts() -> None:
    """The counts are a copy, and a histogram built from them is equal."""
    histogram = of([0.01, 0.02, 0.02])
    counts = histogram.counts
    rebuilt = Histogram(counts)
    rebuilt.add(0.5)
    assert histogram.counts == counts
    assert {step: count for step, count in rebuilt.counts.items() if step in counts} == counts


def test_counts_go_through_json() -> None:
    """JSON turns keys into text; they can be read back as numbers."""
    counts = of([0.01, 0.02, 0.02]).counts
    read = json.loads(json.dumps(counts))
    assert {int(step): count for step, count in read.items()} == counts


def test_take_resets_the_counts() -> None:
    """Every delay is returned exactly once."""
    histogram = of([0.01, 0.02])
    assert sum(histogram.take().values()) == 2
    assert (histogram.take(), histogram.quantile(0.5)) == ({}, None)
    histogram.add(0.5)
    assert sum(histogram.take().values()) == 1
