"""Converts exports of trading platforms into bars with the project's own columns.

The price of a bar with bid and ask, and of a tick, is their mean, with the decimals that the prices have in the export.
Bars from ticks have the number of ticks as volume, and the mean spread. A bar without ticks is left out.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.perf.load.csv_rows import Records, place, read_records
from include.perf.load.export_formats import FORMATS, NAMED, ExportFormat, format_of, lacks_spread
from include.perf.load.export_times import ISO_TIMES, UTC, has_offset, read_times
from include.perf.load.market_rules import PRICES, Floats, numbers_of
from include.perf.model.errors import ConfigurationError, DataError

MAX_PROBLEMS = 20
BAR_S = 60
MONDAY = pd.Timedelta(days=4)
"""The first Monday after the epoch, which is a Thursday: weeks begin on Mondays."""

NO_VOLUME = -1
"""What Interactive Brokers writes where there is no volume."""

NO_NUMBERS = ("date", "clock", "time", "instrument")
NOT_PRICES = (*NO_NUMBERS, "volume", "points", "spread")

_DECIMAL_COMMA = re.compile(r"\s*(\d+),(\d+)\s*", re.ASCII)
_PAIR = re.compile(r"([A-Z]{3})(USD|EUR|GBP|JPY|CHF|AUD|CAD|NZD|SEK|NOK|DKK|SGD|HKD|CNH|MXN|ZAR|TRY|PLN|HUF|CZK)")
"""An instrument as six letters, of which the last three are a currency: NATGAS is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What an export does not say.

    Attributes:
        instrument: such as EUR_USD; ``None`` if the file names it.
        zone: of its times: a name such as Europe/Athens, or UTC+2; ``None`` if the format says so.
        spread: of every bar, in price units; ``None`` if the file has it.
        bar_s: length of the bars that are made from ticks; ``None`` for M1.
        times: how the export writes times, as in ``strftime``; ``None`` where that is clear.
        form: of an export that is not recognised.
    """

    instrument: str | None = None
    zone: str | None = None
    spread: float | None = None
    bar_s: int | None = None
    times: str | None = None
    form: ExportFormat | None = None


def bars_of(path: Path, given: Conversion) -> pd.DataFrame:
    """Return the bars of an export.

    Returns:
        (n, 8): the columns of `include.perf.load.market_data.COLUMNS`, in the order of the file.

    Raises:
        DataError: the file is no known export, or has rows that cannot be read.
        ConfigurationError: the conversion does not say what the export does not say, or says what the export says.
    """
    records = read_records(path)
    known = _form_of(records, path, given)
    _check(known, given)
    columns, lines = _columns(known, records, path)
    if known.repeats_blanks:
        columns, lines = _carried(columns, lines)
    rows = pd.DataFrame({"timestamp": _times(known, columns, lines, path, zone=given.zone or known.zone or UTC)})
    rows["instrument"] = _instruments(columns, given.instrument, len(rows))
    for name, texts in columns.items():
        if name not in NO_NUMBERS:
            rows[name] = _numbers(texts, name, lines, path)
    prices = [name for name in columns if name not in NOT_PRICES]
    rows["decimals"] = np.max([_decimals(columns[name]) for name in prices], axis=0)
    rows["decimals"] = rows.groupby("instrument")["decimals"].transform("max")
    if known.is_ticks:
        return _from_ticks(rows, bar_s=given.bar_s or BAR_S, spread=given.spread)
    return _from_bars(rows, spread=given.spread)


def _form_of(records: Records, path: Path, given: Conversion) -> ExportFormat:
    form = given.form or format_of(records, times=given.times)
    if form is None:
        known = ", ".join(form.name for form in FORMATS)
        raise DataError(f"{path}: is no known export; known are {known}, by their columns; name others with --columns")
    if not form.fits(records.header):
        names = {name.strip().lower() for name in records.header}
        missing = ", ".join(name for name in form.columns if name not in names)
        raise DataError(f"{path}: has no column {missing}; its columns are {', '.join(records.header)}")
    return form


def _check(known: ExportFormat, given: Conversion) -> None:
    problems = []
    if "instrument" not in known.columns.values() and given.instrument is None:
        problems.append("it does not name its instrument; give it with --instrument EUR_USD")
    if known.zone is None and given.zone is None:
        problems.append("its times are those of the broker's server; give their zone with --timezone Europe/Athens")
    if lacks_spread(known) and given.spread is None:
        problems.append("it has no spread; give one in price units with --spread 0.0001")
    problems += _needless(known, given)
    if problems:
        raise ConfigurationError([f"{known.title}: {problem}" for problem in problems])


def _needless(known: ExportFormat, given: Conversion) -> list[str]:
    """Return what is given although the export says it, or has no use for it: it would be ignored."""
    problems = []
    if "instrument" in known.columns.values() and given.instrument is not None:
        problems.append("it names its instruments; leave out --instrument")
    if known.has_offsets and given.zone is not None:
        problems.append("its times have their offsets; leave out --timezone")
    if not lacks_spread(known) and "points" not in known.columns.values() and given.spread is not None:
        problems.append("it has bid and ask; leave out --spread")
    if given.times is not None and known.name != NAMED:
        problems.append("its times are known; leave out --times")
    if not known.is_ticks and given.bar_s is not None:
        problems.append("its rows are bars, and --bars is for ticks; leave it out")
    return problems


def _columns(known: ExportFormat, records: Records, path: Path) -> tuple[dict[str, list[str]], list[int]]:
    """Return the fields of each column by their meaning, and the line number of each row."""
    rows, lines = records.rows, records.lines
    if known.fields:
        rows, lines = [records.header, *rows], [records.header_line, *lines]
        places = {name: index for index, name in enumerate(known.columns)}
    else:
        header = [name.strip().lower() for name in records.header]
        places = {meaning: header.index(name) for name, meaning in known.columns.items()}
    needed = max(places.values()) + 1
    _raise(
        f"{place(path, line)} must have at least {needed} fields, but has {len(row)}; correct or remove the row"
        for row, line in zip(rows, lines, strict=True)
        if len(row) < needed
    )
    columns = {name: [row[index] for row in rows] for name, index in places.items()}
    if records.delimiter != ",":
        columns |= {name: _with_points(texts) for name, texts in columns.items() if name not in NO_NUMBERS}
    return columns, lines


def _with_points(texts: Sequence[str]) -> list[str]:
    """Return numbers with a decimal point; a column that has points as well is left as it is."""
    if any("." in text for text in texts):
        return list(texts)
    return [f"{found[1]}.{found[2]}" if (found := _DECIMAL_COMMA.fullmatch(text)) else text for text in texts]


def _times(
    known: ExportFormat, columns: Mapping[str, Sequence[str]], lines: Sequence[int], path: Path, *, zone: str
) -> "pd.Series[pd.Timestamp]":
    texts = [
        " ".join(map(str.strip, parts))
        for parts in zip(*(columns[name] for name in ("date", "clock", "time") if name in columns), strict=True)
    ]
    times = read_times(texts, way=known.times, zone=zone)
    if known.times == ISO_TIMES:
        _raise(
            f"{place(path, line)} time {text!r} has no offset from UTC; give --times '%Y-%m-%d %H:%M:%S' and --timezone"
            for text, line in zip(texts, lines, strict=True)
            if not has_offset(text)
        )
    _raise(
        f"{place(path, lines[row])} time {texts[row]!r} cannot be read in {zone}, or is there twice or not at all when "
        "its clocks change; correct the row, or give an offset such as --timezone UTC+2"
        for row in np.flatnonzero(times.isna()).tolist()
    )
    return times


def _instruments(columns: Mapping[str, Sequence[str]], given: str | None, count: int) -> list[str]:
    if given is not None:
        return [given] * count
    return list(map(_instrument, columns["instrument"]))


def _instrument(name: str) -> str:
    """Return a name as ``EUR_USD``; it may be written ``EUR/USD`` or ``EURUSD``."""
    name = re.sub(r"[/.-]", "_", name.strip().upper())
    pair = _PAIR.fullmatch(name)
    return f"{pair[1]}_{pair[2]}" if pair else name


def _numbers(texts: Sequence[str], name: str, lines: Sequence[int], path: Path) -> Floats:
    values = numbers_of(texts)
    _raise(
        f"{place(path, lines[row])} {name} must be a finite number, but is {texts[row]!r}; correct or remove the row"
        for row in np.flatnonzero(np.isnan(values)).tolist()
    )
    if name not in NOT_PRICES:  # the mean of bid and ask would hide it
        _raise(
            f"{place(path, lines[row])} {name} must be greater than 0, but is {texts[row]}; correct or remove the row"
            for row in np.flatnonzero(values <= 0).tolist()
        )
    return values


def _from_bars(rows: pd.DataFrame, *, spread: float | None) -> pd.DataFrame:
    if "bid_close" in rows:
        for price in PRICES:
            rows[price] = _mean(rows, f"bid_{price}", f"ask_{price}")
        rows["spread"] = (rows["ask_close"] - rows["bid_close"]).round(10)
    if "points" in rows:
        rows["spread"] = (rows["points"] * 10.0 ** -rows["decimals"]).round(10)
    if spread is not None:
        rows["spread"] = spread
    if "volume" not in rows or (rows["volume"] == NO_VOLUME).all():
        rows["volume"] = 0.0
    if (rows["volume"] % 1 == 0).all():
        rows = rows.astype({"volume": "int64"})
    return rows[["timestamp", "instrument", *PRICES, "volume", "spread"]]


def _carried(columns: Mapping[str, list[str]], lines: list[int]) -> tuple[dict[str, list[str]], list[int]]:
    """Put the quote before in place of each blank one; leave out the rows before both sides are known."""
    carried = dict(columns)
    for side in ("bid", "ask"):
        last, texts = "", []
        for text in columns[side]:
            last = text if text.strip() else last
            texts.append(last)
        carried[side] = texts
    first = next((row for row in range(len(lines)) if carried["bid"][row] and carried["ask"][row]), 0)
    return {name: texts[first:] for name, texts in carried.items()}, lines[first:]


def _decimals(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return how many decimals each price is written with; zeros at the end count too."""
    return np.array([max(0, -int(Decimal(text.strip() or "0").as_tuple().exponent)) for text in texts])


def _mean(rows: pd.DataFrame, bid: str, ask: str) -> list[float]:
    """Return the mean of bid and ask, with the decimals of the instrument."""
    means = ((rows[bid] + rows[ask]) / 2).tolist()
    return [round(mean, places) for mean, places in zip(means, rows["decimals"].tolist(), strict=True)]


def _from_ticks(rows: pd.DataFrame, *, bar_s: int, spread: float | None) -> pd.DataFrame:
    if "price" in rows:
        rows = rows.assign(spread=spread)
    else:
        rows = rows.assign(price=_mean(rows, "bid", "ask"), spread=rows["ask"] - rows["bid"])
    rows = rows.sort_values("timestamp", kind="stable")
    begin = (rows["timestamp"] - MONDAY).dt.floor(f"{bar_s}s") + MONDAY
    grouped = rows.groupby(["instrument", begin], sort=False)
    bars = grouped.agg(
        open=("price", "first"),
        high=("price", "max"),
        low=("price", "min"),
        close=("price", "last"),
        volume=("price", "size"),
        spread=("spread", "mean"),
    )
    bars = bars.round({"spread": 7}).reset_index()
    bars = bars.sort_values(["timestamp", "instrument"], kind="stable", ignore_index=True)
    return bars[["timestamp", "instrument", *PRICES, "volume", "spread"]]


def _raise(problems: Iterable[str]) -> None:
    """Raise the first problems, if there are any."""
    found = list(problems)
    if found:
        more = [f"… and {len(found) - MAX_PROBLEMS:,} more"] if len(found) > MAX_PROBLEMS else []
        raise DataError([*found[:MAX_PROBLEMS], *more])
