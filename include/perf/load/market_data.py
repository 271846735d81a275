"""Market data of a scenario: a CSV file, checked completely and then sorted.

A file with any problem is refused, and the error lists all of its problems with their line, column, value, rule and
remedy.

Files may have any instruments and any cadence, timestamps with any UTC offset, and columns in any order. Unknown
columns are ignored.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.perf.load.csv_rows import Records, place, read_bytes, read_records
from include.perf.model.errors import DataError

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

COLUMNS = ("timestamp", "instrument", "open", "high", "low", "close", "volume", "spread")
MIN_ROWS = 2
MAX_PROBLEMS = 20
MAX_SPREAD_RATIO = 0.05  # of the close; a wider spread is in pips, or has a slipped decimal point
MAX_VOLUME = 10**15  # floats represent integers exactly only up to 2**53
_PRICES = ("open", "high", "low", "close")
_NUMBERS = (*_PRICES, "volume", "spread")

# RFC 3339, also with a space instead of the T; without an offset the hour would be ambiguous.
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_INSTRUMENT = re.compile(r"[A-Z]{3}_[A-Z]{3}", re.ASCII)
_FIX_ROW = "correct or remove the row"
_SHOWN_CHARS = 60


def read_market_data(path: Path) -> pd.DataFrame:
    """Return the market data of a CSV file, sorted by timestamp, then instrument.

    Returns:
        (n, 8): COLUMNS in that order, with an index from 0: timestamp ``datetime64[us, UTC]``, instrument ``str``,
        open, high, low, close, spread ``float64`` (price units), volume ``int64``.

    Raises:
        DataError: lists the first MAX_PROBLEMS problems by line, and the number of further ones.
    """
    records = read_records(path)
    problems = _shape_problems(records)
    table = _table(records)
    rules = [rule for rule in _RULES if table.text.keys() >= set(rule.columns)]
    broken = [np.flatnonzero(rule.is_broken(table)) for rule in rules]
    count = len(problems) + sum(map(len, broken))
    if count == 0:
        return _frame(table)
    for rule, rows in zip(rules, broken, strict=True):
        problems += [_row_problem(table, rule, int(row)) for row in rows[:MAX_PROBLEMS]]
    problems.sort(key=lambda problem: problem.line)
    sentences = [f"{place(path, p.line)} {p.sentence}" for p in problems[:MAX_PROBLEMS]]
    if count > MAX_PROBLEMS:
        sentences.append(f"… and {count - MAX_PROBLEMS:,} more")
    raise DataError(sentences)


def data_fingerprint(path: Path) -> str:
    """Return ``sha256:<hex>`` of the file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    return f"sha256:{hashlib.sha256(read_bytes(path)).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    line: int  # 0: the file itself
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
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
class _Rule:
    """A rule for every row; an unreadable field breaks only the rule about its format.

    Attributes:
        columns: the columns that it compares; a file that lacks one of them is not checked against the rule.
        is_broken: table → (n,) booleans.
        sentence: template with the columns and the extra fields of ``_row_problem``.
    """

    columns: tuple[str, ...]
    is_broken: Callable[[_Table], Mask]
    sentence: str


def _shape_problems(records: Records) -> list[_Problem]:
    """Return the problems of the header, the number of rows and the number of fields."""
    problems = []
    if len(records.rows) < MIN_ROWS:
        rule = f"must have at least {MIN_ROWS} rows of data, but has {len(records.rows)}; add rows"
        problems.append(_Problem(line=0, sentence=rule))
    for sentence in _header_sentences(records.header):
        problems.append(_Problem(line=records.header_line, sentence=sentence))
    expected = len(records.header)
    for row, line in zip(records.rows, records.lines, strict=True):
        if len(row) != expected:
            is_cut = line == records.lines[-1] and len(row) < expected
            remedy = "the file looks cut off here: write it again" if is_cut else _FIX_ROW
            rule = f"must have {expected} fields like the header, but has {len(row)}; {remedy}"
            problems.append(_Problem(line=line, sentence=rule))
    return problems


def _header_sentences(header: Sequence[str]) -> list[str]:
    sentences = []
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        found = repr(",".join(header)[:_SHOWN_CHARS])
        sentences.append(f"header must name {', '.join(missing)}, but is {found}; add what is missing")
    for column in COLUMNS:
        if (times := header.count(column)) > 1:
            sentences.append(f"column {column} must be there once, but is there {times} times; keep one")
    return sentences


def _table(records: Records) -> _Table:
    fitting = [i for i, row in enumerate(records.rows) if len(row) == len(records.header)]
    fields = list(zip(*(records.rows[i] for i in fitting), strict=True)) or [()] * len(records.header)
    text = {c: fields[records.header.index(c)] for c in COLUMNS if c in records.header}
    text |= {c: tuple(map(str.rstrip, text[c])) for c in ("timestamp", "instrument") if c in text}
    given = text.get("timestamp", ())
    sound = {x for x in set(given) if _TIMESTAMP.fullmatch(x)}
    stamps = [x if x in sound else None for x in given]
    times = pd.to_datetime(pd.Series(stamps, dtype=object), format="ISO8601", utc=True, errors="coerce")
    return _Table(
        lines=[records.lines[i] for i in fitting],
        text=text,
        numbers={column: _numbers(text[column]) for column in _NUMBERS if column in text},
        times=times.dt.as_unit("us"),
    )


def _numbers(fields: Sequence[str]) -> Floats:
    """Return fields as floats, NaN unless finite."""
    try:
        values = np.array(list(map(float, fields)))
    except ValueError:  # slower, but finds the fields that are no numbers
        values = np.array([_number(field) for field in fields])
    return np.where(np.isfinite(values), values, np.nan)


def _number(field: str) -> float:
    try:
        return float(field)
    except ValueError:
        return math.nan


def _is_unreadable(column: str) -> Callable[[_Table], Mask]:
    return lambda table: np.isnan(table.numbers[column])


def _is_not_positive(column: str) -> Callable[[_Table], Mask]:
    return lambda table: table.numbers[column] <= 0.0


def _is_outside(column: str) -> Callable[[_Table], Mask]:
    def is_outside(table: _Table) -> Mask:
        value, low, high = (table.numbers[c] for c in (column, "low", "high"))
        return (low <= high) & ((value < low) | (value > high))

    return is_outside


def _is_not_a_count(table: _Table) -> Mask:
    volume = table.numbers["volume"]
    return (volume < 0.0) | (volume > MAX_VOLUME) | (np.mod(volume, 1.0) > 0.0)


def _is_too_wide(table: _Table) -> Mask:
    close = table.numbers["close"]
    limit = np.where(close > 0.0, MAX_SPREAD_RATIO * close, np.nan)
    return table.numbers["spread"] >= limit


def _is_not_a_pair(table: _Table) -> Mask:
    pairs = table.text["instrument"]
    sound = {pair for pair in set(pairs) if _INSTRUMENT.fullmatch(pair)}
    return np.array([pair not in sound for pair in pairs], dtype=np.bool_)


def _is_not_a_time(table: _Table) -> Mask:
    return table.times.isna().to_numpy(dtype=np.bool_)


def _is_earlier(table: _Table) -> Mask:
    return (table.times < table.times.ffill().shift()).to_numpy(dtype=np.bool_)


def _is_repeated(table: _Table) -> Mask:
    keys = pd.DataFrame({"timestamp": table.times, "instrument": table.text["instrument"]})
    return (keys.duplicated() & table.times.notna()).to_numpy(dtype=np.bool_)


_RULES = (
    _Rule(
        ("timestamp",),
        _is_not_a_time,
        f"timestamp must be like 2026-03-17T07:00:00Z, but is {{timestamp!r}}; {_FIX_ROW}",
    ),
    _Rule(
        ("timestamp",),
        _is_earlier,
        "timestamp must not be earlier than in the row before, but is {timestamp} after {before}; "
        "sort the file by timestamp",
    ),
    _Rule(("instrument",), _is_not_a_pair, f"instrument must look like EUR_USD, but is {{instrument!r}}; {_FIX_ROW}"),
    _Rule(
        ("timestamp", "instrument"),
        _is_repeated,
        "timestamp and instrument must be unique, but {timestamp} {instrument} already stands in line "
        "{first_line}; remove one of the two",
    ),
    *(_Rule((c,), _is_unreadable(c), f"{c} must be a finite number, but is {{{c}!r}}; {_FIX_ROW}") for c in _NUMBERS),
    *(
        _Rule((c,), _is_not_positive(c), f"{c} must be greater than 0, but is {{{c}}}; {_FIX_ROW}")
        for c in (*_PRICES, "spread")
    ),
    _Rule(
        ("low", "high"),
        lambda table: table.numbers["low"] > table.numbers["high"],
        f"low must be at most high, but is {{low}} with high {{high}}; {_FIX_ROW}",
    ),
    *(
        _Rule(
            (c, "low", "high"),
            _is_outside(c),
            f"{c} must be from low {{low}} to high {{high}}, but is {{{c}}}; {_FIX_ROW}",
        )
        for c in ("open", "close")
    ),
    _Rule(
        ("volume",),
        _is_not_a_count,
        f"volume must be an integer from 0 to {MAX_VOLUME:,}, but is {{volume}}; {_FIX_ROW}",
    ),
    _Rule(
        ("spread", "close"),
        _is_too_wide,
        f"spread must be less than {MAX_SPREAD_RATIO:.0%} of close {{close}}, but is {{spread}}; "
        "give it in price units, not in pips",
    ),
)


def _row_problem(table: _Table, rule: _Rule, row: int) -> _Problem:
    """Return the sentence of a broken rule.

    In addition to the columns, a template may use {before}, the timestamp that the row is compared with, and
    {first_line}, the line in which its timestamp and instrument occur first.
    """
    values = {column: fields[row][:_SHOWN_CHARS] for column, fields in table.text.items()}
    if "{before}" in rule.sentence:
        values["before"] = table.text["timestamp"][np.flatnonzero(table.times[:row].notna())[-1]]
    if "{first_line}" in rule.sentence:
        same = table.times == table.times[row]
        pairs = table.text["instrument"]
        values["first_line"] = str(next(table.lines[i] for i in np.flatnonzero(same) if pairs[i] == pairs[row]))
    return _Problem(line=table.lines[row], sentence=rule.sentence.format_map(values))


def _frame(table: _Table) -> pd.DataFrame:
    columns = {
        "timestamp": table.times,
        "instrument": pd.Series(list(table.text["instrument"]), dtype="str"),
        **{column: pd.Series(table.numbers[column]) for column in _NUMBERS},
    }
    frame = pd.DataFrame(columns).astype({"volume": "int64"})
    return frame.sort_values(["timestamp", "instrument"], kind="stable", ignore_index=True)
