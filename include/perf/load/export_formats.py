"""The exports of trading platforms: recognised by their columns, or with columns that the user names.

- MetaTrader 4 (History Center, without a header) and 5 (bars and ticks). Times are those of the broker's server, so the
  time zone must be given. The spread of MetaTrader 5 bars is in points: units of the last decimal of the prices.
- Dukascopy (bars and ticks). Times are in UTC, or have an offset.
- HistData (bars and ticks, ASCII). Times are Eastern Standard Time without daylight saving time.
- TrueFX (ticks). Times are in UTC.
- OANDA (candles of its REST API as a table): mid, or bid and ask. Times are in UTC.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from include.perf.load.csv_rows import Records
from include.perf.load.market_rules import PRICES
from include.perf.model.errors import ConfigurationError

UTC = "UTC"
EASTERN_STANDARD = "UTC-5"

ISO_TIMES = "ISO8601"
EPOCH_TIMES = {"epoch_s": 1_000, "epoch_ms": 1}
"""Times as a number since 1970, and its unit in milliseconds."""

SIDES = tuple(f"{side}_{price}" for side in ("bid", "ask") for price in PRICES)
MEANINGS = ("time", "date", "clock", "instrument", *PRICES, "volume", "spread", "points", "bid", "ask", *SIDES)
"""What a column may mean; ``date`` and ``clock`` make the time, ``points`` is a spread in units of the last decimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFormat:
    """The export of a trading platform.

    Attributes:
        columns: one of `MEANINGS` for each of its columns: by the names in its header, or by their order if it has
            none.
        fields: for an export without a header, what the fields of its first row look like.
        times: how it writes times, as in `strftime`; or `ISO_TIMES`, or one of `EPOCH_TIMES`.
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
_MT_BARS = {f"<{name}>": name for name in PRICES} | {"<tickvol>": "volume", "<spread>": "points"}
_OHLC = ("o", "h", "l", "c")

FORMATS = (
    ExportFormat(
        name="mt5-bars",
        title="a bar export of MetaTrader 5",
        columns={"<date>": "date", "<time>": "clock"} | _MT_BARS,
        times="%Y.%m.%d %H:%M:%S",
        zone=None,
    ),
    ExportFormat(
        name="mt5-days",
        title="an export of daily bars of MetaTrader 5",
        columns={"<date>": "date"} | _MT_BARS,
        times="%Y.%m.%d",
        zone=None,
    ),
    ExportFormat(
        name="mt5-ticks",
        title="a tick export of MetaTrader 5",
        columns={"<date>": "date", "<time>": "clock", "<bid>": "bid", "<ask>": "ask"},
        times="%Y.%m.%d %H:%M:%S.%f",
        zone=None,
        repeats_blanks=True,
    ),
    ExportFormat(
        name="mt4-bars",
        title="a bar export of MetaTrader 4",
        columns={name: name for name in ("date", "clock", *PRICES, "volume")},
        fields=(r"\d{4}\.\d\d\.\d\d", r"\d\d:\d\d", *[_NUMBER] * 5),
        times="%Y.%m.%d %H:%M",
        zone=None,
    ),
    ExportFormat(
        name="dukascopy-bars",
        title="a bar export of Dukascopy",
        columns={"gmt time": "time", "volume": "volume"} | {name: name for name in PRICES},
        times="%d.%m.%Y %H:%M:%S.%f",
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
        times="%d.%m.%Y %H:%M:%S.%f",
    ),
    ExportFormat(
        name="histdata-bars",
        title="a bar export of HistData",
        columns={name: name for name in ("time", *PRICES, "volume")},
        fields=(r"\d{8} \d{6}", *[_NUMBER] * 5),
        times="%Y%m%d %H%M%S",
        zone=EASTERN_STANDARD,
    ),
    ExportFormat(
        name="histdata-ticks",
        title="a tick export of HistData",
        columns={name: name for name in ("time", "bid", "ask")},
        fields=(r"\d{8} \d{9}", *[_NUMBER] * 2),
        times="%Y%m%d %H%M%S%f",
        zone=EASTERN_STANDARD,
    ),
    ExportFormat(
        name="truefx",
        title="a tick export of TrueFX",
        columns={name: name for name in ("instrument", "time", "bid", "ask")},
        fields=(r"[A-Z]{3}/[A-Z]{3}", r"\d{8} \d\d:\d\d:\d\d\.\d{3}", *[_NUMBER] * 2),
        times="%Y%m%d %H:%M:%S.%f",
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
    if not any(needed <= given for needed in ({*PRICES, "volume"}, {*SIDES, "volume"}, {"bid", "ask"})):
        raise ConfigurationError(
            f"--columns: bars need {', '.join(PRICES)} and volume, or volume and the eight prices of bid and ask; "
            f"ticks need bid and ask; but there are only {', '.join(columns)}"
        )
    form = ExportFormat(
        name="own",
        title="an export with columns of its own",
        columns={name.strip().lower(): meaning for meaning, name in columns.items()},
        times=times or ISO_TIMES,
    )
    return form if form.has_offsets else replace(form, zone=None)


def format_of(records: Records) -> ExportFormat | None:
    """Return the format of an export; ``None`` for an unknown one."""
    return next((known for known in FORMATS if known.fits(records.header)), None)


def remedy_for(path: Path, records: Records) -> str | None:
    """Return what to do with an export, as a sentence after the place; ``None`` if the file is no known export."""
    known = format_of(records)
    if known is None or {"timestamp", "instrument"} <= set(records.header):
        return None
    needs = [] if "instrument" in known.columns.values() else ["--instrument EUR_USD"]
    needs += ["--timezone Europe/Athens"] if known.zone is None else []
    needs += ["--spread 0.0001"] if lacks_spread(known) else []
    command = " ".join(["python -m include.perf data convert", str(path), "--output NEW.csv", *needs])
    return f"is {known.title}; convert it with {command}"


def lacks_spread(known: ExportFormat) -> bool:
    """Whether an export has no spread."""
    return not ({"spread", "points", "ask", "ask_close"} & set(known.columns.values()))
