"""The rules for each row of market data: what is refused, and what is only unusual."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume", "spread")

WIDE_SPREAD = 0.05
"""Spreads above this part of the close are unusual: seen on 15 January 2015, or a slipped decimal point."""

MAX_SPREAD = 0.5
"""Spreads from this part of the close on are refused: they are in pips."""

MAX_VOLUME = 10**15  # floats represent integers exactly only up to 2**53

FIX_ROW = "correct or remove the row"

# RFC 3339, also with a space instead of the T; without an offset the hour would be ambiguous.
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_INSTRUMENT = re.compile(r"[A-Z0-9]{2,15}_[A-Z]{3}", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_IN_NUMBERS = frozenset("0123456789+-.eE \t")


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBars:
    """The rows with the right number of fields; a column that the file lacks is missing here too.

    Attributes:
        lines: (n,) line number of each row.
        text: column → (n,) fields of the file.
        numbers: column → (n,) floats, NaN for a field that is not a finite number.
        times: (n,) UTC, NaT for a field that is not a timestamp.
    """

    lines: list[int]
    text: Mapping[str, tuple[str, ...]]
    numbers: Mapping[str, Floats]
    times: "pd.Series[pd.Timestamp]"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for every row; an unreadable field breaks only the rule about its format.

    Attributes:
        columns: the columns that it compares; a file that lacks one of them is not checked against the rule.
        is_broken: table → (n,) booleans.
        is_warning: whether such a row is only unusual.
        sentence: template with the columns and the extra fields of a row's problem.
    """

    columns: tuple[str, ...]
    is_broken: Callable[[RawBars], Mask]
    sentence: str
    is_warning: bool = False


def numbers_of(fields: Sequence[str]) -> Floats:
    """Return fields as floats, NaN unless they are finite decimal numbers in ASCII digits."""
    if _IN_NUMBERS.issuperset("".join(fields)):  # float() also accepts 1_0, nan, and the digits of other scripts
        try:
            values = np.array(list(map(float, fields)))
            return np.where(np.isfinite(values), values, np.nan)
        except ValueError:  # slower, but finds the fields that are no numbers
            pass
    values = np.array([float(field) if _NUMBER.fullmatch(field) else math.nan for field in fields])
    return np.where(np.isfinite(values), values, np.nan)


def _is_unreadable(column: str) -> Callable[[RawBars], Mask]:
    return lambda table: np.isnan(table.numbers[column])


def _is_not_positive(column: str) -> Callable[[RawBars], Mask]:
    return lambda table: table.numbers[column] <= 0.0


def _is_negative(column: str) -> Callable[[RawBars], Mask]:
    return lambda table: table.numbers[column] < 0.0


def _is_zero(column: str) -> Callable[[RawBars], Mask]:
    return lambda table: table.numbers[column] == 0.0


def _is_outside(column: str) -> Callable[[RawBars], Mask]:
    def is_outside(table: RawBars) -> Mask:
        value, low, high = (table.numbers[c] for c in (column, "low", "high"))
        return (low <= high) & ((value < low) | (value > high))

    return is_outside


def _is_no_volume(table: RawBars) -> Mask:
    volume = table.numbers["volume"]
    return (volume < 0.0) | (volume > MAX_VOLUME)


def _is_fractional(table: RawBars) -> Mask:
    return np.mod(table.numbers["volume"], 1.0) > 0.0


def _is_spread_from(least: float, below: float) -> Callable[[RawBars], Mask]:
    """Return a check for spreads from one part of the close up to another."""

    def is_between(table: RawBars) -> Mask:
        close, spread = table.numbers["close"], table.numbers["spread"]
        known = np.where(close > 0.0, close, np.nan)
        return (spread >= least * known) & (spread < below * known)

    return is_between


def _is_not_a_pair(table: RawBars) -> Mask:
    pairs = table.text["instrument"]
    sound = {pair for pair in set(pairs) if _INSTRUMENT.fullmatch(pair)}
    return np.array([pair not in sound for pair in pairs], dtype=np.bool_)


def _is_not_a_time(table: RawBars) -> Mask:
    return table.times.isna().to_numpy(dtype=np.bool_)


def _is_earlier(table: RawBars) -> Mask:
    return (table.times < table.times.ffill().shift()).to_numpy(dtype=np.bool_)


def _is_repeated(table: RawBars) -> Mask:
    keys = pd.DataFrame({"timestamp": table.times, "instrument": table.text["instrument"]})
    return (keys.duplicated() & table.times.notna()).to_numpy(dtype=np.bool_)


RULES = (
    Rule(
        ("timestamp",),
        _is_not_a_time,
        f"timestamp must be like 2026-03-17T07:00:00Z, but is {{timestamp!r}}; {FIX_ROW}",
    ),
    Rule(
        ("timestamp",),
        _is_earlier,
        "timestamp must not be earlier than in the row before, but is {timestamp} after {before}; "
        "sort the file by timestamp",
    ),
    Rule(
        ("instrument",),
        _is_not_a_pair,
        f"instrument must look like EUR_USD or SPX500_USD, but is {{instrument!r}}; {FIX_ROW}",
    ),
    Rule(
        ("timestamp", "instrument"),
        _is_repeated,
        "timestamp and instrument must be unique, but {timestamp} {instrument} already stands in line "
        "{first_line}; remove one of the two",
    ),
    *(Rule((c,), _is_unreadable(c), f"{c} must be a finite number, but is {{{c}!r}}; {FIX_ROW}") for c in NUMBERS),
    *(Rule((c,), _is_not_positive(c), f"{c} must be greater than 0, but is {{{c}}}; {FIX_ROW}") for c in PRICES),
    Rule(
        ("low", "high"),
        lambda table: table.numbers["low"] > table.numbers["high"],
        f"low must be at most high, but is {{low}} with high {{high}}; {FIX_ROW}",
    ),
    *(
        Rule(
            (c, "low", "high"),
            _is_outside(c),
            f"{c} must be from low {{low}} to high {{high}}, but is {{{c}}}; {FIX_ROW}",
        )
        for c in ("open", "close")
    ),
    Rule(("spread",), _is_negative("spread"), f"spread must be 0 or more, but is {{spread}}; {FIX_ROW}"),
    Rule(
        ("volume",),
        _is_no_volume,
        f"volume must be from 0 to {MAX_VOLUME:,}, but is {{volume}}; {FIX_ROW}",
    ),
    Rule(
        ("spread", "close"),
        _is_spread_from(MAX_SPREAD, np.inf),
        f"spread must be less than {MAX_SPREAD:.0%} of close {{close}}, but is {{spread}}; "
        "give it in price units, not in pips",
    ),
    Rule(("volume",), _is_fractional, "volume {volume} is no whole number", is_warning=True),
    Rule(("spread",), _is_zero("spread"), "spread is 0", is_warning=True),
    Rule(
        ("spread", "close"),
        _is_spread_from(WIDE_SPREAD, MAX_SPREAD),
        f"spread {{spread}} is more than {WIDE_SPREAD:.0%} of close {{close}}",
        is_warning=True,
    ),
)
