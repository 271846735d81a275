"""Candlestick patterns.

A candle has a body |close - open|, an upper shadow high - max(open, close), a lower shadow
min(open, close) - low and a range high - low. The rules, with R the range and B the body:

- doji: B ≤ 0.1 R
- hammer: lower shadow ≥ 2 B, upper shadow ≤ 0.5 B, not a doji (bullish)
- shooting_star: upper shadow ≥ 2 B, lower shadow ≤ 0.5 B, not a doji (bearish)
- marubozu: B ≥ 0.9 R, with the direction of the body
- engulfing: the body covers the previous body and has the other direction
- inside_bar: high and low within the previous candle's

Source: Nison, S., "Japanese Candlestick Charting Techniques", 1991.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.platform.prices import Bars

_DOJI_BODY = 0.1
_FULL_BODY = 0.9
_LONG_SHADOW = 2.0
_SHORT_SHADOW = 0.5

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A kind of pattern.

    Attributes:
        name: one of the names in the module's list.
        direction: bullish, bearish or neutral.
    """

    name: str
    direction: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """The patterns in n bars.

    Attributes:
        shown: (kinds, n) whether a bar ends a pattern of that kind, kinds as in `KINDS`.
    """

    shown: BoolArray

    def counts(self) -> Mapping[Pattern, int]:
        """Count the patterns of each kind."""
        return dict(zip(KINDS, self.shown.sum(axis=1).tolist(), strict=True))

    def latest(self, limit: int) -> list[tuple[int, Pattern]]:
        """List (bar, kind) of the latest patterns, oldest first."""
        bars, kinds = np.nonzero(self.shown.T)
        return [(bar, KINDS[kind]) for bar, kind in zip(bars[-limit:].tolist(), kinds[-limit:].tolist(), strict=True)]


KINDS = (
    Pattern(name="doji", direction="neutral"),
    Pattern(name="marubozu", direction="bullish"),
    Pattern(name="marubozu", direction="bearish"),
    Pattern(name="hammer", direction="bullish"),
    Pattern(name="shooting_star", direction="bearish"),
    Pattern(name="engulfing", direction="bullish"),
    Pattern(name="engulfing", direction="bearish"),
    Pattern(name="inside_bar", direction="neutral"),
)


def find_patterns(bars: Bars) -> Patterns:
    """Find every pattern; a bar may show several."""
    shown = np.zeros((len(KINDS), len(bars)), dtype=np.bool_)
    _mark_single(bars, shown)
    _mark_double(bars, shown)
    return Patterns(shown=shown)


def _mark_single(bars: Bars, shown: BoolArray) -> None:
    """Mark the patterns of a single candle."""
    change, spread = bars.close - bars.open, bars.high - bars.low
    body = np.abs(change)
    upper = bars.high - np.maximum(bars.open, bars.close)
    lower = np.minimum(bars.open, bars.close) - bars.low
    # A bar without any movement shows no pattern.
    shown[0] = (body <= _DOJI_BODY * spread) & (spread > 0)
    full = (body >= _FULL_BODY * spread) & (spread > 0)
    shown[1] = full & (change > 0)
    shown[2] = full & (change < 0)
    plain = body > _DOJI_BODY * spread
    shown[3] = plain & (lower >= _LONG_SHADOW * body) & (upper <= _SHORT_SHADOW * body)
    shown[4] = plain & (upper >= _LONG_SHADOW * body) & (lower <= _SHORT_SHADOW * body)


def _mark_double(bars: Bars, shown: BoolArray) -> None:
    """Mark the patterns of two consecutive candles."""
    change = bars.close - bars.open
    was, now = change[:-1], change[1:]
    before, after = slice(None, -1), slice(1, None)
    shown[5, 1:] = (was < 0) & (now > 0)
    shown[5, 1:] &= (bars.open[after] <= bars.close[before]) & (bars.close[after] >= bars.open[before])
    shown[6, 1:] = (was > 0) & (now < 0)
    shown[6, 1:] &= (bars.open[after] >= bars.close[before]) & (bars.close[after] <= bars.open[before])
    shown[7, 1:] = (bars.high[after] <= bars.high[before]) & (bars.low[after] >= bars.low[before])
