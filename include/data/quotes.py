"""From a path of prices to the data of a feed: spreads, tick counts and one-minute bars.

The model and its sources are described in ``include.data.model``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from include.data.conditions import Conditions, ConditionWindow, minutes_from_release
from include.data.instruments import INSTRUMENTS
from include.data.sessions import LONDON, Floats, minutes_since_open, rollover


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteBars:
    """One-minute bars of all instruments.

    Attributes:
        times: (n,) starts of the bars, UTC.
        window: (n,) number of each bar's window.
        open, high, low, close, spread: (n, 8) in price units, rounded to pipettes, columns as INSTRUMENTS.
        volume: (n, 8) tick counts.
    """

    times: list[datetime]
    window: NDArray[np.int64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: NDArray[np.int64]
    spread: Floats


def spreads(
    times: Sequence[datetime],
    windows: Sequence[ConditionWindow],
    conditions: Conditions,
    *,
    busy: Floats,
    excess: Floats,
    rng: Generator,
) -> Floats:
    """Return spreads in price units before rounding, (n, 8)."""
    usual = np.array([i.spread_pips * i.pip for i in INSTRUMENTS])
    thin = 0.5 + 0.5 / np.sqrt(busy)
    from_open = np.abs(minutes_since_open(times, LONDON))[:, np.newaxis]
    opening = 1.0 + conditions.open_spread * np.exp(-from_open / 7.0)
    closing = 1.0 + 1.5 * rollover(times)[:, np.newaxis]
    from_release = minutes_from_release(windows)
    news = 1.0 + 2.5 * np.exp(-np.maximum(from_release, 0.0) / 8.0) * np.exp(np.minimum(from_release, 0.0) / 2.0)
    noise = np.exp(0.12 * rng.standard_normal(busy.shape))
    return np.asarray(usual * thin * opening * closing * news * np.sqrt(excess) * noise)


def ticks(season: Floats, windows: Sequence[ConditionWindow], *, excess: Floats, rng: Generator) -> NDArray[np.int64]:
    """Return tick counts, (n, 8)."""
    from_release = minutes_from_release(windows)
    lull = np.where(from_release < 0.0, 1.0 - 0.4 * np.exp(np.minimum(from_release, 0.0) / 12.0), 1.0)
    noise = np.exp(0.2 * rng.standard_normal(season.shape))
    usual = np.array([i.ticks for i in INSTRUMENTS])
    return rng.poisson(usual * season * lull * np.sqrt(excess) * noise).astype(np.int64)


def bars(
    times: list[datetime],
    number: NDArray[np.int64],
    opened: Floats,
    closed: Floats,
    *,
    volume: NDArray[np.int64],
    spread: Floats,
    deviation: Floats,
    rng: Generator,
) -> QuoteBars:
    """Return rounded bars with highs and lows; one tick has one price, no tick repeats the last price."""
    middle, step, variance = opened + closed, (closed - opened) ** 2, (deviation * opened) ** 2
    high = (middle + np.sqrt(step - 2.0 * variance * np.log1p(-rng.random(opened.shape)))) / 2.0
    low = (middle - np.sqrt(step - 2.0 * variance * np.log1p(-rng.random(opened.shape)))) / 2.0
    rows = np.where(volume > 0, np.arange(len(times))[:, np.newaxis], 0)
    last = np.maximum.accumulate(rows, axis=0)  # the minute of the last tick
    closed = np.take_along_axis(closed, last, axis=0)
    point = volume < 2
    prices = [np.where(point, closed, x) for x in (opened, high, low)]
    digits = [i.digits for i in INSTRUMENTS]
    pipettes = np.array([10.0**-d for d in digits])
    rounded = [_rounded(x, digits) for x in (*prices, closed, np.maximum(spread, pipettes))]
    return QuoteBars(
        times=times,
        window=number.astype(np.int64),
        open=rounded[0],
        high=rounded[1],
        low=rounded[2],
        close=rounded[3],
        volume=volume,
        spread=rounded[4],
    )


def _rounded(values: Floats, digits: Sequence[int]) -> Floats:
    return np.column_stack([np.round(values[:, i], d) for i, d in enumerate(digits)])
