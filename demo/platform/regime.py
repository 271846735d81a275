"""Volatility regimes: whether the market is quiet, normal or lively, and whether it has a trend.

Volatility is the sample standard deviation of the last 20 log returns. The latest value is ranked among
those of the window: the lowest quarter is `low`, the highest `high`. Kaufman's efficiency ratio,
|last - first| / Σ|change|, is 1 for a trend and 0 for noise.

Source: Kaufman, P., "Trading Systems and Methods", 2013 (efficiency ratio).
"""

import math
from dataclasses import dataclass

import numpy as np

from demo.platform.prices import FloatArray
from demo.platform.rolling import rolling_deviation

VOLATILITY_PERIOD = 20
TRADING_SECONDS_PER_YEAR = 260 * 86_400
_TREND_EFFICIENCY = 0.3
_WORDS = {-1: "low", 0: "normal", 1: "high"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """The state of a window.

    Attributes:
        volatility: low, normal or high, at the last bar.
        direction: trending or ranging.
        annualised_volatility: ratio; deviation of the last returns · √(bars a year).
        percentile: share of the window's volatilities at or below the last one, 0–1.
        efficiency: Kaufman's ratio, 0–1.
        changes: how often the volatility regime changed in the window.
    """

    volatility: str
    direction: str
    annualised_volatility: float
    percentile: float
    efficiency: float
    changes: int


def detect_regime(close: FloatArray, *, step_s: int) -> Regime:
    """Detect the regime of at least 21 closing prices of bars `step_s` seconds long.

    Raises:
        ValueError: there are fewer prices.
    """
    if len(close) <= VOLATILITY_PERIOD:
        raise ValueError(f"a regime needs at least {VOLATILITY_PERIOD + 1} prices, but got {len(close)}")
    deviations = rolling_deviation(np.diff(np.log(close)), VOLATILITY_PERIOD)
    ordered = np.sort(deviations)
    low, high = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    # -1 low, 0 normal, 1 high
    states = (deviations > high).astype(np.int8) - (deviations < low)
    ratio = efficiency(close)
    last = float(deviations[-1])
    return Regime(
        volatility=_WORDS[int(states[-1])],
        direction="trending" if ratio >= _TREND_EFFICIENCY else "ranging",
        annualised_volatility=last * math.sqrt(TRADING_SECONDS_PER_YEAR / step_s),
        percentile=int(np.count_nonzero(deviations <= last)) / len(deviations),
        efficiency=ratio,
        changes=int(np.count_nonzero(states[1:] != states[:-1])),
    )


def efficiency(values: FloatArray) -> float:
    """Compute Kaufman's efficiency ratio of (n,) values, 0 for constant values."""
    path = float(np.abs(values[1:] - values[:-1]).sum())
    return abs(float(values[-1] - values[0])) / path if path > 0 else 0.0
