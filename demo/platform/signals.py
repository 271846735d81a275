"""Trading signals from the usual crossings.

- sma_cross: SMA(10) crosses SMA(30)
- rsi: RSI(14) comes back above 30 (buy) or below 70 (sell)
- macd: the MACD line crosses zero
"""

from collections.abc import Sequence
from dataclasses import dataclass

from demo.platform.indicators import macd, rsi
from demo.platform.prices import FloatArray
from demo.platform.rolling import rolling_mean

_FAST, _SLOW = 10, 30
_RSI_PERIOD = 14
_OVERSOLD, _OVERBOUGHT = 30.0, 70.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal.

    Attributes:
        source: sma_cross, rsi or macd.
        action: buy or sell.
        index: the bar that gave it, counted from 0.
    """

    source: str
    action: str
    index: int


def find_signals(close: FloatArray) -> list[Signal]:
    """Find the signals of (n,) closing prices, ordered by bar."""
    gaps = rolling_mean(close, _FAST)[_SLOW - _FAST :] - rolling_mean(close, _SLOW)
    prices = close.tolist()
    strength = rsi(prices, _RSI_PERIOD)
    found = [
        *crossings(gaps.tolist(), 0.0, source="sma_cross", offset=_SLOW - 1),
        *(s for s in crossings(strength, _OVERSOLD, source="rsi", offset=_RSI_PERIOD) if s.action == "buy"),
        *(s for s in crossings(strength, _OVERBOUGHT, source="rsi", offset=_RSI_PERIOD) if s.action == "sell"),
        *crossings(macd(prices), 0.0, source="macd", offset=25),
    ]
    return sorted(found, key=lambda signal: signal.index)


def crossings(values: Sequence[float], level: float, *, source: str, offset: int) -> list[Signal]:
    """List where a series crosses a level: upwards is a buy, downwards a sell.

    Args:
        values: the series.
        level: in the unit of the values; a value on the level counts as not above it.
        source: what the signals are named after.
        offset: the bar that belongs to the first value.
    """
    found: list[Signal] = []
    was_above = bool(values) and values[0] > level
    for index, value in enumerate(values):
        is_above = value > level
        if is_above != was_above:
            found.append(Signal(source=source, action="buy" if is_above else "sell", index=index + offset))
            was_above = is_above
    return found


def net_score(signals: Sequence[Signal], *, bars: int) -> float:
    """Weigh signals into one number from -1 (sell) to 1 (buy); the newest bar weighs most.

    Each signal weighs (index + 1) / bars; the score is the weighted mean of +1 and -1, 0 without signals.
    """
    weights = [(s.index + 1) / bars for s in signals]
    total = sum(weights)
    if total == 0:
        return 0.0
    return sum(w if s.action == "buy" else -w for w, s in zip(weights, signals, strict=True)) / total
