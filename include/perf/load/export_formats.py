"""The exports of trading platforms: recognised by their columns, or with columns that the user names.

Some exports are known as a whole (`FORMATS`). Of any other that has a header, the names of its columns say what they
mean (`include.perf.load.export_headers`).

- MetaTrader 4 (History Center, without a header) and 5 (bars and ticks). Times are those of the broker's server, so the
  time zone must be given. The spread of MetaTrader 5 bars is in points: units of the last decimal of the prices.
- Dukascopy (bars and ticks). Times are in UTC, or have an offset.
- HistData (bars and ticks, ASCII). Times are Eastern Standard Time without daylight saving time.
- TrueFX (ticks). Times are in UTC.
- OANDA (candles of its REST API, as JSON or as a table): mid, or bid and ask. Times are in UTC.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from include.perf.load.csv_rows import Records
from include.perf.load.export_headers import SIDES, meanings_of, plain_name
from include.perf.load.export_times import (
    DAY_FIRST,
    EPOCH_TIMES,
    ISO_TIMES,
    UTC,
    YEAR_FIRST,
    ZONES_IN_HEADERS,
    written_times,
    zone_in,
)
from include.perf.load.market_rules import PRICES
from include.perf.model.errors import ConfigurationError

EASTERN_STANDARD = "UTC-5"

MEANINGS = (
    *("time", "date", "clock", "instrument", *PRICES, "volume", "spread", "points", "bid", "ask", "price"),
    *SIDES,
)
"""What a column may mean: ``date`` and ``clock`` make the time, ``points`` is a spread in units of the last decimal,
``price`` is that of ticks with one price only."""

NAMED = "a file with a header"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat:
    """The export of a trading platform.

    Attributes:
        columns: one of `MEANINGS` for each of its columns: by the names in its header, or by their order if it has
            none.
        fields: for an export without a header, what the fields of its first row look like.
        times: how it writes times; see `include.perf.load.export_times`.
        zone: of its times; ``None`` if only the user knows.
        repeats_blanks: whether a blank bid or ask is that of the row before.
    """

    name: str
    title: str
    columns: Mapping[str, str]
    fields: tuple[str, ...] = ()
    times: str = ISO_TIMES
    zone: str | None = UTC
    repeats_blanks: bool = False

    @property
    def is_ticks(self) -> bool:
        """Whether its rows are ticks."""
        return not set(PRICES) <= set(self.columns.values()) and "bid_close" not in self.columns.values()

    @property
    def has_offsets(self) -> bool:
        """Whether its times say how far they are from UTC."""
        return "%z" in self.times or self.times == ISO_TIMES or self.times in EPOCH_TIMES

    def fits(self, first: Sequence[str]) -> bool:
        """Whether the first row of a file is one of this export."""
        if self.fields:
            return len(first) >= len(self.fields) and all(
                re.fullmatch(pattern, field.strip(), re.ASCII)
                for pattern, field in zip(self.fields, first, strict=False)
            )
        return set(self.columns) <= {name.strip().lower() for name in first}


_NUMBER = r"\d+([.,]\d+)?"
_MT_DATE, _MT_CLOCK = r"\d{4}([.\-/]?)\d\d\1\d\d", r"\d\d:\d\d(:\d\d)?"
_MT_BARS = {f"<{name}>": name for name in PRICES} | {"<tickvol>": "volume", "<spread>": "points"}
_OHLC = ("o", "h", "l", "c")

FORMATS = (
    ExportFormat(
        name="mt5-bars",
        title="a bar export of MetaTrader 5",
        columns={"<date>": "date", "<time>": "clock"} | _MT_BARS,
        times=YEAR_FIRST,
        zone=None,
    ),
    ExportFormat(
        name="mt5-days",
        title="an export of daily bars of MetaTrader 5",
        columns={"<date>": "date"} | _MT_BARS,
        times=YEAR_FIRST,
        zone=None,
    ),
    ExportFormat(
        name="mt5-ticks",
        title="a tick export of MetaTrader 5",
        columns={"<date>": "date", "<time>": "clock", "<bid>": "bid", "<ask>": "ask"},
        times=YEAR_FIRST,
        zone=None,
        repeats_blanks=True,
    ),
    ExportFormat(
        name="mt4-bars",
        title="a bar export of MetaTrader 4",
        columns={name: name for name in ("date", "clock", *PRICES, "volume")},
        fields=(_MT_DATE, _MT_CLOCK, *[_NUMBER] * 5),
        times=YEAR_FIRST,
        zone=None,
    ),
    ExportFormat(
        name="dukascopy-bars",
        title="a bar export of Dukascopy",
        columns={"gmt time": "time", "volume": "volume"} | {name: name for name in PRICES},
        times=DAY_FIRST,
    ),
    ExportFormat(
        name="dukascopy-local-bars",
        title="a bar export of Dukascopy in local time",
        columns={"local time": "time", "volume": "volume"} | {name: name for name in PRICES},
        times="%d.%m.%Y %H:%M:%S.%f GMT%z",
    ),
    ExportFormat(
        name="dukascopy-ticks",
        title="a tick export of Dukascopy",
        columns={"gmt time": "time", "ask": "ask", "bid": "bid"},
        times=DAY_FIRST,
    ),
    ExportFormat(
        name="dukascopy-local-ticks",
        title="a tick export of Dukascopy in local time",
        columns={"local time": "time", "ask": "ask", "bid": "bid"},
        times="%d.%m.%Y %H:%M:%S.%f GMT%z",
    ),
    ExportFormat(
        name="histdata-bars",
        title="a bar export of HistData",
        columns={name: name for name in ("time", *PRICES, "volume")},
        fields=(r"\d{8} \d{6}", *[_NUMBER] * 5),
        times=YEAR_FIRST,
        zone=EASTERN_STANDARD,
    ),
    ExportFormat(
        name="histdata-ticks",
        title="a tick export of HistData",
        columns={name: name for name in ("time", "bid", "ask")},
        fields=(r"\d{8} \d{9}", *[_NUMBER] * 2),
        times=YEAR_FIRST,
        zone=EASTERN_STANDARD,
    ),
    ExportFormat(
        name="histdata-last",
        title="a NinjaTrader tick export of HistData",
        columns={name: name for name in ("time", "price", "volume")},
        fields=(r"\d{8} \d{6}", _NUMBER, r"\d+"),
        times=YEAR_FIRST,
        zone=EASTERN_STANDARD,
    ),
    ExportFormat(
        name="bars-without-header",
        title="a bar export without a header",
        columns={name: name for name in ("time", *PRICES, "volume")},
        fields=(rf"{_MT_DATE}[ T]{_MT_CLOCK}", *[_NUMBER] * 5),
        times=YEAR_FIRST,
        zone=None,
    ),
    ExportFormat(
        name="truefx",
        title="a tick export of TrueFX",
        columns={name: name for name in ("instrument", "time", "bid", "ask")},
        fields=(r"[A-Z]{3}/[A-Z]{3}", r"\d{8} \d\d:\d\d:\d\d\.\d{3}", *[_NUMBER] * 2),
        times=YEAR_FIRST,
    ),
    ExportFormat(
        name="oanda-mid",
        title="an export of mid candles of OANDA",
        columns={"time": "time", "volume": "volume"}
        | {f"mid.{short}": name for short, name in zip(_OHLC, PRICES, strict=True)},
    ),
    ExportFormat(
        name="oanda-bid-ask",
        title="an export of bid and ask candles of OANDA",
        columns={"time": "time", "volume": "volume"}
        | {
            f"{side}.{short}": f"{side}_{name}"
            for side in ("bid", "ask")
            for short, name in zip(_OHLC, PRICES, strict=True)
        },
    ),
)


def own_format(columns: Mapping[str, str], times: str | None) -> ExportFormat:
    """Return the format of an export that is not recognised.

    Args:
        columns: the name in the header by the meaning of a column.
        times: how it writes times; ``None`` for `ISO_TIMES`.

    Raises:
        ConfigurationError: a meaning is unknown, or there are not enough of them for bars or for ticks.
    """
    given = set(columns)
    if unknown := sorted(given - set(MEANINGS)):
        raise ConfigurationError(f"--columns: {', '.join(unknown)} is no known meaning; known: {', '.join(MEANINGS)}")
    if not ({"time"} <= given or {"date"} <= given):
        raise ConfigurationError("--columns: time is missing, or date and clock; add time=NAME")
    if not any(set(needed) <= given for needed in (PRICES, SIDES, ("bid", "ask"), ("price",))):
        raise ConfigurationError(
            f"--columns: bars need {', '.join(PRICES)}, or the eight prices of bid and ask; ticks need bid and ask, or "
            f"price; but there are only {', '.join(columns)}"
        )
    form = ExportFormat(
        name="own",
        title="an export with columns of its own",
        columns={name.strip().lower(): meaning for meaning, name in columns.items()},
        times=times or ISO_TIMES,
    )
    return form if form.has_offsets else replace(form, zone=None)


def format_of(records: Records, *, times: str | None = None) -> ExportFormat | None:
    """Return the format of an export; ``None`` for an unknown one.

    Args:
        times: how it writes times, as in ``strftime``, if the user says so.

    Raises:
        ConfigurationError: its times can be read in several ways.
    """
    known = next((known for known in FORMATS if known.fits(records.header)), None)
    if known is None:
        return _named_format(records, times)
    if known.fields or "instrument" not in records.header:
        return known
    return replace(known, columns={**known.columns, "instrument": "instrument"})


def _named_format(records: Records, times: str | None) -> ExportFormat | None:
    """Return the format of an export whose columns have names that are known."""
    found = meanings_of(records.header)
    texts = _time_texts(records, found)
    if not texts:
        return None
    stated = next((plain_name(records.header[found[name]]) for name in ("time", "date") if name in found), ("", ""))
    zone = ZONES_IN_HEADERS.get(stated[1] or stated[0].removesuffix(" time")) or zone_in(texts)
    way = times or written_times(texts)
    if way is None:
        return None
    columns = {records.header[index].strip().lower(): meaning for meaning, index in found.items()}
    if "spread" in found and _is_in_points(records, found["spread"]):
        columns[records.header[found["spread"]].strip().lower()] = "points"
    form = ExportFormat(name=NAMED, title=NAMED, columns=columns, times=way, zone=zone or UTC)
    return form if form.has_offsets or zone else replace(form, zone=None)


def _time_texts(records: Records, found: Mapping[str, int]) -> list[str]:
    """Return the times of an export as they are written."""
    indices = [found[name] for name in ("date", "clock", "time") if name in found]
    needed = max(found.values(), default=0)
    return [" ".join(row[index].strip() for index in indices) for row in records.rows if indices and len(row) > needed]


def _is_in_points(records: Records, index: int) -> bool:
    """Whether a spread is in points: whole numbers, which no spread in price units is."""
    texts = {row[index].strip() for row in records.rows if len(row) > index}
    return all(map(str.isdigit, texts)) and texts != {"0"}


def remedy_for(path: Path, records: Records) -> str | None:
    """Return what to do with an export, as a sentence after the place; ``None`` if the file is no known export."""
    if {"timestamp", "instrument"} <= set(records.header):
        return None
    try:
        known = format_of(records)
    except ConfigurationError as err:
        return f"looks like {NAMED} of a trading platform; convert it with python -m include.perf data convert: {err}"
    if known is None:
        return None
    needs = [] if "instrument" in known.columns.values() else ["--instrument EUR_USD"]
    needs += ["--timezone Europe/Athens"] if known.zone is None else []
    needs += ["--spread 0.0001"] if lacks_spread(known) else []
    command = " ".join(["python -m include.perf data convert", str(path), "--output NEW.csv", *needs])
    return f"is {known.title}; convert it with {command}"


def lacks_spread(known: ExportFormat) -> bool:
    """Whether an export has no spread."""
    return not ({"spread", "points", "ask", "ask_close"} & set(known.columns.values()))
