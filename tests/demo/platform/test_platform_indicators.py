"""Indicators against values computed by hand."""

import math

import numpy as np
import pytest

from demo.platform import indicators
from demo.platform.rolling import rolling_deviation, rolling_mean, rolling_sum


def test_sma_is_the_mean_of_the_last_values() -> None:
    # means of 1 2 3, of 2 3 4 and of 3 4 8
    assert indicators.sma([1, 2, 3, 4, 8], 3) == pytest.approx([2, 3, 5])


def test_ema_begins_with_the_first_sma() -> None:
    # weight 2/(3+1) = 0.5: mean(1,2,3) = 2; 2 + 0.5·(4-2) = 3; 3 + 0.5·(8-3) = 5.5
    assert indicators.ema([1, 2, 3, 4, 8], 3) == pytest.approx([2, 3, 5.5])


def test_macd_is_the_difference_of_two_averages_at_the_same_value() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 8.0]
    # EMA(2), weight 2/3: 1.5, 2.5, 3.5, 6.5; EMA(3): 2, 3, 5.5
    assert indicators.macd(values, fast=2, slow=3) == pytest.approx([0.5, 0.5, 1.0])


def test_rsi_compares_gains_with_losses() -> None:
    # changes +2 -1 +3: mean gain 2/2 = 1, mean loss 1/2 → 100·1/1.5 = 66.67
    # then gain (1·1 + 3)/2 = 2, loss (0.5·1)/2 = 0.25 → 100·2/2.25 = 88.89
    assert indicators.rsi([10, 12, 11, 14], 2) == pytest.approx([66.6667, 88.8889], abs=1e-4)


@pytest.mark.parametrize(
    ("values", "expected"), [([1, 2, 3], 100.0), ([3, 2, 1], 0.0), ([2, 2, 2], 50.0)], ids=["up", "down", "flat"]
)
def test_rsi_at_its_boundaries(values: list[float], expected: float) -> None:
    assert indicators.rsi(values, 2) == [expected]


def test_atr_counts_gaps_from_the_previous_close() -> None:
    high, low, close = [10, 12, 15], [9, 11, 14], [9.5, 11.5, 14.5]
    # true ranges: 12 - min(11, 9.5) = 2.5; 15 - min(14, 11.5) = 3.5
    assert indicators.atr(high, low, close, 2) == pytest.approx([3.0])
    # with period 1, every value is its own average
    assert indicators.atr(high, low, close, 1) == pytest.approx([2.5, 3.5])


def test_bollinger_bands_lie_two_deviations_around_the_mean() -> None:
    bands = indicators.bollinger([100, 2, 4, 6], 3)
    # mean 4, population deviation √(8/3)
    assert bands is not None
    assert (bands.middle, bands.upper) == pytest.approx((4, 4 + 2 * math.sqrt(8 / 3)))
    assert bands.lower == pytest.approx(4 - 2 * math.sqrt(8 / 3))


def test_too_few_values_give_nothing() -> None:
    assert indicators.sma([1, 2], 3) == []
    assert indicators.ema([1, 2], 3) == []
    assert indicators.macd([1, 2]) == []
    assert indicators.rsi([1, 2], 2) == []
    assert indicators.atr([1, 2], [1, 2], [1, 2], 2) == []
    assert indicators.bollinger([1, 2], 3) is None


def test_rolling_figures_are_those_of_each_run() -> None:
    values = np.array([1.0, 2.0, 4.0, 4.0])
    assert rolling_sum(values, 3).tolist() == [7.0, 10.0]
    assert rolling_mean(values, 2).tolist() == [1.5, 3.0, 4.0]
    # deviations with n - 1: of (1,2) √0.5, of (2,4) √2, of (4,4) 0
    assert rolling_deviation(values, 2) == pytest.approx([math.sqrt(0.5), math.sqrt(2), 0.0], abs=1e-12)


def test_rolling_deviation_agrees_with_numpy_on_tiny_returns() -> None:
    values = 1e-5 * np.random.default_rng(3).standard_normal(240) + 1e-3
    direct = [values[i : i + 20].std(ddof=1) for i in range(221)]
    assert rolling_deviation(values, 20) == pytest.approx(direct, rel=1e-6)
