"""Market data of a scenario: a CSV file, checked completely and then sorted.

A file with any problem is refused, and the error lists all of its problems with their line, column, value, rule and
remedy. Rows that are unusual but may be true are warnings.

Files may have any instruments and any cadence, timestamps with any UTC offset, columns in any order, and commas,
semicolons or tabs between them. Unknown columns are ignored. Exports of trading platforms are converted first
(`include.perf.load.market_exports`).
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.perf.load.csv_rows import Records, place, read_bytes, read_records
from include.perf.load.export_formats import remedy_for
from include.perf.load.market_rules import FIX_ROW, NUMBERS, RULES, TIMESTAMP, RawBars, Rule, numbers_of
from include.perf.model.errors import DataError

log = logging.getLogger(__name__)

COLUMNS = ("timestamp", "instrument", "open", "high", "low", "close", "volume", "spread")
MIN_ROWS = 2
MAX_PROBLEMS = 20
_SHOWN_CHARS = 60


def read_market_data(path: Path, *, warn: Callable[[str], None] = log.warning) -> pd.DataFrame:
    """Return the market data of a CSV file, sorted by timestamp, then instrument.

    Args:
        warn: takes a sentence about each kind of unusual rows.

    Returns:
        (n, 8): COLUMNS in that order, with an index from 0: timestamp ``datetime64[us, UTC]``, instrument ``str``,
        open, high, low, close, spread ``float64`` (price units), volume ``int64``, or ``float64`` if any is fractional.

    Raises:
        DataError: lists the first MAX_PROBLEMS problems by line, and the number of further ones.
    """
    records = read_records(path)
    problems = _shape_problems(path, records)
    table = _table(records)
    rules = [rule for rule in RULES if table.text.keys() >= set(rule.columns)]
    broken = [(rule, np.flatnonzero(rule.is_broken(table))) for rule in rules]
    refused = [(rule, rows) for rule, rows in broken if not rule.is_warning]
    count = len(problems) + sum(len(rows) for _, rows in refused)
    if count == 0:
        for rule, rows in broken:
            if len(rows):
                warn(_warning(path, table, rule, rows))
        return _frame(table)
    for rule, rows in refused:
        problems += [_row_problem(table, rule, int(row)) for row in rows[:MAX_PROBLEMS]]
    problems.sort(key=lambda problem: problem.line)
    sentences = [f"{place(path, p.line)} {p.sentence}" for p in problems[:MAX_PROBLEMS]]
    if count > MAX_PROBLEMS:
        sentences.append(f"… and {count - MAX_PROBLEMS:,} more")
    raise DataError(sentences)


def _warning(path: Path, table: RawBars, rule: Rule, rows: "np.ndarray[Any, np.dtype[np.intp]]") -> str:
    first = _row_problem(table, rule, int(rows[0]))
    more = f", and {len(rows) - 1:,} more such rows" if len(rows) > 1 else ""
    return f"{place(path, first.line)} {first.sentence}, which is unusual{more}"


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


def _shape_problems(path: Path, records: Records) -> list[_Problem]:
    """Return the problems of the header, the number of rows and the number of fields."""
    problems = []
    if len(records.rows) < MIN_ROWS:
        rule = f"must have at least {MIN_ROWS} rows of data, but has {len(records.rows)}; add rows"
        problems.append(_Problem(line=0, sentence=rule))
    if remedy := remedy_for(path, records):
        return [_Problem(line=records.header_line, sentence=remedy)]
    for sentence in _header_sentences(records.header):
        problems.append(_Problem(line=records.header_line, sentence=sentence))
    expected = len(records.header)
    for row, line in zip(records.rows, records.lines, strict=True):
        if len(row) != expected:
            is_cut = line == records.lines[-1] and len(row) < expected
            remedy = "the file looks cut off here: write it again" if is_cut else FIX_ROW
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


def _table(records: Records) -> RawBars:
    fitting = [i for i, row in enumerate(records.rows) if len(row) == len(records.header)]
    fields = list(zip(*(records.rows[i] for i in fitting), strict=True)) or [()] * len(records.header)
    text = {c: fields[records.header.index(c)] for c in COLUMNS if c in records.header}
    text |= {c: tuple(map(str.rstrip, text[c])) for c in ("timestamp", "instrument") if c in text}
    given = text.get("timestamp", ())
    sound = {x for x in set(given) if TIMESTAMP.fullmatch(x)}
    stamps = [x if x in sound else None for x in given]
    times = pd.to_datetime(pd.Series(stamps, dtype=object), format="ISO8601", utc=True, errors="coerce")
    return RawBars(
        lines=[records.lines[i] for i in fitting],
        text=text,
        numbers={column: numbers_of(text[column]) for column in NUMBERS if column in text},
        times=times.dt.as_unit("us"),
    )


def _row_problem(table: RawBars, rule: Rule, row: int) -> _Problem:
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


def _frame(table: RawBars) -> pd.DataFrame:
    columns = {
        "timestamp": table.times,
        "instrument": pd.Series(list(table.text["instrument"]), dtype="str"),
        **{column: pd.Series(table.numbers[column]) for column in NUMBERS},
    }
    frame = pd.DataFrame(columns)
    if (frame["volume"] % 1 == 0).all():
        frame = frame.astype({"volume": "int64"})
    return frame.sort_values(["timestamp", "instrument"], kind="stable", ignore_index=True)
