"""Technical indicators over plain lists.

The windows here hold 60–240 values, where a running sum in Python costs as much as the array
arithmetic it would replace and reads like the textbook. A series has one value for each input from the
first full period on, so it is shorter than its input by `period - 1` (or `period` where differences
are taken). Inputs shorter than that give an empty series.

Source: Wilder, J. W., "New Concepts in Technical Trading Systems", 1978 (RSI, ATR); Bollinger, J.,
"Bollinger on Bollinger Bands", 2001; Appel, G., "Technical Analysis: Power Tools", 2005 (MACD).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

NEUTRAL_RSI = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BollingerBands:
    """Bands around a moving average, in price units.

    Attributes:
        upper: middle + width · standard deviation.
        middle: the moving average.
        lower: middle - width · standard deviation.
    """

    upper: float
    middle: float
    lower: float


def sma(values: Sequence[float], period: int) -> list[float]:
    """Compute the simple moving average: the mean of the last `period` values.

    Returns:
        (n - period + 1,) averages, or an empty list.
    """
    if len(values) < period:
        return []
    total = math.fsum(values[:period])
    averages = [total / period]
    for newest, oldest in zip(values[period:], values, strict=False):
        total += newest - oldest
        averages.append(total / period)
    return averages


def ema(values: Sequence[float], period: int) -> list[float]:
    """Compute the exponential moving average with weight 2 / (period + 1), begun with the first SMA.

    Returns:
        (n - period + 1,) averages, or an empty list.
    """
    if len(values) < period:
        return []
    weight = 2.0 / (period + 1)
    average = math.fsum(values[:period]) / period
    averages = [average]
    for value in values[period:]:
        average += weight * (value - average)
        averages.append(average)
    return averages


def macd(values: Sequence[float], *, fast: int = 12, slow: int = 26) -> list[float]:
    """Compute the MACD line, EMA(fast) - EMA(slow).

    Returns:
        (n - slow + 1,) differences in the unit of the values, or an empty list.
    """
    quick, calm = ema(values, fast), ema(values, slow)
    return [a - b for a, b in zip(quick[slow - fast :], calm, strict=True)] if calm else []


def rsi(values: Sequence[float], period: int) -> list[float]:
    """Compute Wilder's relative strength index, 100 - 100 / (1 + mean gain / mean loss).

    The means are Wilder's: begun with a plain mean, then (previous · (period - 1) + new) / period.

    Returns:
        (n - period,) indices from 0 to 100, 50 for constant values; or an empty list.
    """
    changes = [b - a for a, b in pairwise(values)]
    if len(changes) < period:
        return []
    gain = math.fsum(c for c in changes[:period] if c > 0) / period
    loss = -math.fsum(c for c in changes[:period] if c < 0) / period
    total = gain + loss
    indices = [100.0 * gain / total if total > 0 else NEUTRAL_RSI]
    keep = (period - 1) / period
    for change in changes[period:]:
        gain *= keep
        loss *= keep
        if change > 0:
            gain += change / period
        else:
            loss -= change / period
        total = gain + loss
        indices.append(100.0 * gain / total if total > 0 else NEUTRAL_RSI)
    return indices


def atr(high: Sequence[float], low: Sequence[float], close: Sequence[float], period: int) -> list[float]:
    """Compute Wilder's average true range, in price units.

    The true range is max(high, previous close) - min(low, previous close).

    Returns:
        (n - period,) ranges, or an empty list.
    """
    # twice as fast as max() and min()
    ranges = [(h if h > c else c) - (lo if lo < c else c) for h, lo, c in zip(high[1:], low[1:], close, strict=False)]
    if len(ranges) < period:
        return []
    average = math.fsum(ranges[:period]) / period
    averages = [average]
    for true_range in ranges[period:]:
        average += (true_range - average) / period
        averages.append(average)
    return averages


def bollinger(values: Sequence[float], period: int, *, width: float = 2.0) -> BollingerBands | None:
    """Compute the Bollinger bands at the last value, with the population standard deviation.

    Returns:
        The bands, or None where there are fewer than `period` values.
    """
    if len(values) < period:
        return None
    last = values[-period:]
    middle = math.fsum(last) / period
    reach = width * math.sqrt(math.fsum((v - middle) ** 2 for v in last) / period)
    return BollingerBands(upper=middle + reach, middle=middle, lower=middle - reach)
