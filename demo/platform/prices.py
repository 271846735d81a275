"""Prices of any instrument at any time, computed and never stored.

The logarithm of a mid price is value noise: a sum of octaves, each a random value per cell of 2**k seconds,
joined by straight lines. The values come from one fixed table, at the index of the cell plus an offset of the
instrument and octave. So every moment costs the same, and has the same price in every process::

    log(mid(t) / level) = Σ coarse a·√period·noise(t) + activity(t) · Σ fine a·√period·noise(t)

An amplitude that grows with √period makes the variance of a change grow with its duration, as in a
random walk. `activity` varies between 0.4 and 1.6 over hours, which gives quiet and lively regimes. An
octave repeats after 2**14 cells (the finest after 12 days), their sum not within centuries. The
process has no weekends: every window has prices.

Source: lattice noise from a table, Perlin, K., "An Image Synthesizer", SIGGRAPH 1985,
doi:10.1145/325165.325247.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from demo.platform.instruments import Instrument, InstrumentName

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Periods of 64 s … 2**21 s (24 days) for prices; the last row, 2**14 s (4.6 h), is the activity.
_SHIFTS: IntArray = np.array([[6], [9], [12], [15], [18], [21], [14]], dtype=np.int64)
_MASKS: IntArray = (1 << _SHIFTS) - 1
_PER_SECOND: FloatArray = 1.0 / (1 << _SHIFTS)
_OCTAVES = 6
_FINE = 3
# 2.5e-5·√s makes a day's change 0.5 % (one standard deviation), that of a calm major pair.
_AMPLITUDE_PER_ROOT_S = 2.5e-5
_AMPLITUDES: FloatArray = _AMPLITUDE_PER_ROOT_S * np.sqrt(1.0 * (1 << _SHIFTS[:_OCTAVES, 0]))
_ACTIVITY_DEPTH = 0.6

_TABLE_CELLS = 2**14
_TABLE_MASK = _TABLE_CELLS - 1

# Ticks a minute by hour of the day (UTC): Asia, London, the overlap with New York, the evening.
_TICKS_PER_MINUTE: FloatArray = np.array(
    [30, 34, 36, 34, 30, 32, 48, 82, 96, 88, 78, 76, 92, 124, 132, 126, 104, 80, 62, 50, 42, 26, 20, 24],
    dtype=np.float64,
)


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Consecutive bars of one instrument, oldest first; all arrays have the shape (n,).

    High, low and volume are computed on first use: most users of bars need only the closes.

    Attributes:
        instrument: of the prices.
        step_s: length of a bar in seconds.
        times: when each bar opens, seconds since 1970-01-01 UTC.
        open: first mid price.
        close: last mid price; the next bar opens with it.
    """

    instrument: Instrument
    step_s: int
    times: IntArray
    open: FloatArray
    close: FloatArray

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def high(self) -> FloatArray:
        """Highest mid price."""
        top = np.maximum(np.maximum(self.open, self.close), self._middle) + self._wicks[0]
        return np.asarray(top, dtype=np.float64)

    @cached_property
    def low(self) -> FloatArray:
        """Lowest mid price."""
        bottom = np.minimum(np.minimum(self.open, self.close), self._middle) - self._wicks[1]
        return np.asarray(bottom, dtype=np.float64)

    @cached_property
    def volume(self) -> FloatArray:
        """Ticks in the bar."""
        ticks = _TICKS_PER_MINUTE.take(self.times // 3600 % 24) * (self.step_s / 60)
        return np.asarray(np.round(ticks * (0.6 + 0.8 * self._chances[2])) + 1.0, dtype=np.float64)

    @cached_property
    def _middle(self) -> FloatArray:
        return _rounded_mids(self.instrument, self.times + self.step_s // 2)

    @cached_property
    def _wicks(self) -> FloatArray:
        """How far the extremes lie beyond the sampled prices; rows for high and low."""
        reach = self.instrument.level * _AMPLITUDE_PER_ROOT_S * math.sqrt(self.step_s) * 0.25
        return np.round(self._chances[:2] * reach, self.instrument.decimals)

    @cached_property
    def _chances(self) -> FloatArray:
        """(3, n) numbers in [0, 1)."""
        return _CHANCES.take((self.times // 60 + _bar_offsets(self.instrument.name)) & _TABLE_MASK)


def mid_prices(instrument: Instrument, seconds: IntArray) -> FloatArray:
    """Compute the mid prices of moments.

    Args:
        instrument: of the prices.
        seconds: (n,) seconds since 1970-01-01 UTC, in any order.

    Returns:
        (n,) prices in units of the quote currency, not rounded.
    """
    cells = seconds >> _SHIFTS
    cells += _octave_offsets(instrument.name)
    cells &= _TABLE_MASK
    noise = (seconds & _MASKS) * _PER_SECOND
    noise *= _STEPS.take(cells)
    noise += _VALUES.take(cells)
    activity = 1.0 + _ACTIVITY_DEPTH * noise[_OCTAVES]
    change = _AMPLITUDES[_FINE:] @ noise[_FINE:_OCTAVES] + activity * (_AMPLITUDES[:_FINE] @ noise[:_FINE])
    return np.asarray(instrument.level * np.exp(change), dtype=np.float64)


def mid_price(instrument: Instrument, second: int) -> float:
    """Compute the mid price of one moment, rounded to the instrument's decimals."""
    return round(float(mid_prices(instrument, np.array([second], dtype=np.int64))[0]), instrument.decimals)


def bars(instrument: Instrument, *, first_s: int, step_s: int, count: int) -> Bars:
    """Compute consecutive bars.

    The mid price is sampled three times per bar (both ends and the middle), whatever its length; a random wick replaces
    the extremes in between. So opens and closes agree between timeframes, highs and lows nearly do, and the cost
    depends only on the number of bars.

    Args:
        instrument: of the prices.
        first_s: when the first bar opens, seconds since 1970-01-01 UTC.
        step_s: length of a bar in seconds, an even number.
        count: number of bars, at least 1.
    """
    edges_s = np.arange(first_s, first_s + step_s * count + 1, step_s, dtype=np.int64)
    edges = _rounded_mids(instrument, edges_s)
    return Bars(instrument=instrument, step_s=step_s, times=edges_s[:-1], open=edges[:-1], close=edges[1:])


def _rounded_mids(instrument: Instrument, seconds: IntArray) -> FloatArray:
    return mid_prices(instrument, seconds).round(instrument.decimals)


def _digits(purpose: str, count: int) -> NDArray[np.uint64]:
    """Make `count` random 64-bit numbers that depend on the purpose alone."""
    digest = hashlib.shake_256(purpose.encode()).digest(8 * count)
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


# Uniform in [0, 1), uniform in [-1, 1), and the step to the next of these (from the last to the first).
_CHANCES: FloatArray = _digits("table", _TABLE_CELLS) * np.float64(2.0**-64)
_VALUES: FloatArray = 2.0 * _CHANCES - 1.0
_STEPS: FloatArray = np.roll(_VALUES, -1) - _VALUES


def _offsets(purpose: str, count: int) -> IntArray:
    return (_digits(purpose, count) % _TABLE_CELLS).astype(np.int64).reshape(count, 1)


@lru_cache(maxsize=len(InstrumentName))
def _octave_offsets(name: InstrumentName) -> IntArray:
    return _offsets(f"octaves/{name.value}", _OCTAVES + 1)


@lru_cache(maxsize=len(InstrumentName))
def _bar_offsets(name: InstrumentName) -> IntArray:
    return _offsets(f"bars/{name.value}", 3)
