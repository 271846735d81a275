"""Trading strategies: each turns closing prices into a position per bar.

A position is +1 (long), -1 (short) or 0 (flat), decided at a bar's close and held through the next bar.

- sma-crossover: long while SMA(10) > SMA(30), else short
- momentum: long while the price is above that of 20 bars ago, else short
- mean-reversion: against a price further than 1.5 deviations from its SMA(20), else flat
- breakout: with a close above (below) the highest (lowest) of the 20 bars before it, held until the other
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from demo.platform.prices import FloatArray
from demo.platform.rolling import rolling_mean

_FAST, _SLOW = 10, 30
_PERIOD = 20
_DEVIATIONS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A strategy.

    Attributes:
        strategy_id: its id.
        description: its rule in words.
        positions: closes (n,) → positions (n,), 0 while there is too little history.
    """

    strategy_id: str
    description: str
    positions: Callable[[FloatArray], FloatArray]


def _extreme(extreme: np.ufunc, values: FloatArray) -> FloatArray:
    """Take the extreme of every 20 values in five steps: of 2, 4, 8, 16, and of two runs of 16."""
    for reach in (1, 2, 4, 8, _PERIOD - 16):
        values = extreme(values[reach:], values[:-reach])
    return values


def sma_crossover(close: FloatArray) -> FloatArray:
    """Hold the sign of SMA(10) - SMA(30)."""
    held = np.zeros(len(close))
    slow = rolling_mean(close, _SLOW)
    held[_SLOW - 1 :] = np.sign(rolling_mean(close, _FAST)[_SLOW - _FAST :] - slow)
    return held


def momentum(close: FloatArray) -> FloatArray:
    """Hold the sign of the change over 20 bars."""
    held = np.zeros(len(close))
    held[_PERIOD:] = np.sign(close[_PERIOD:] - close[:-_PERIOD])
    return held


def mean_reversion(close: FloatArray) -> FloatArray:
    """Stand against closes further than 1.5 deviations from their SMA(20)."""
    held = np.zeros(len(close))
    level = close - close[0]
    mean = rolling_mean(level, _PERIOD)
    deviation = np.sqrt(np.maximum(rolling_mean(level * level, _PERIOD) - mean * mean, 0.0))
    gap = level[_PERIOD - 1 :] - mean
    held[_PERIOD - 1 :] = np.where(np.abs(gap) > _DEVIATIONS * deviation, -np.sign(gap), 0.0)
    return held


def breakout(close: FloatArray) -> FloatArray:
    """Follow closes beyond the extremes of the 20 bars before them until the other side breaks."""
    held = np.zeros(len(close))
    newest = close[_PERIOD:]
    above = newest > _extreme(np.maximum, close[:-1])
    broke = above.astype(np.float64) - (newest < _extreme(np.minimum, close[:-1]))
    # carry the last break forward: the index of the latest non-zero so far
    latest = np.maximum.accumulate(np.where(broke != 0.0, np.arange(len(broke)), -1))
    held[_PERIOD:] = np.where(latest >= 0, broke[latest], 0.0)
    return held


_CATALOGUE = (
    Strategy(
        strategy_id="sma-crossover",
        description="Long while SMA(10) > SMA(30), else short",
        positions=sma_crossover,
    ),
    Strategy(strategy_id="momentum", description="With the change over 20 bars", positions=momentum),
    Strategy(
        strategy_id="mean-reversion",
        description="Against 1.5 deviations from SMA(20)",
        positions=mean_reversion,
    ),
    Strategy(strategy_id="breakout", description="With a break of the 20-bar range", positions=breakout),
)

STRATEGIES: Mapping[str, Strategy] = {strategy.strategy_id: strategy for strategy in _CATALOGUE}
