"""Exports of trading platforms: which are recognised, and what becomes of them."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from include.perf.load.export_formats import own_format
from include.perf.load.market_data import read_market_data
from include.perf.load.market_exports import Conversion, bars_of
from include.perf.model.errors import ConfigurationError, DataError

ATHENS = {"instrument": "EUR_USD", "zone": "Europe/Athens"}
PLAIN = {"instrument": "EUR_USD", "spread": 0.0001}

MT5_BARS = """<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>
2026.01.02\t00:00:00\t1.06975\t1.07010\t1.06952\t1.06965\t123\t0\t12
2026.07.02\t00:01:00\t1.06965\t1.07010\t1.06952\t1.06970\t99\t0\t10
"""
MT5_DAYS = """<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>
2026.01.02\t149.1\t150.25\t149\t150\t123\t0\t7
2026.01.05\t149.1\t150.25\t149\t150\t99\t0\t5
"""
MT5_TICKS = """<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>
2026.01.02\t00:00:00.100\t1.10000\t1.10020\t\t\t6
2026.01.02\t00:00:59\t1.10040\t1.10060\t\t\t6
2026.01.02\t00:01:00.000\t1.10010\t1.10020\t\t\t6
"""
MT4_BARS = "2026.01.02,00:00,1.06975,1.07010,1.06952,1.06965,123\n2026.01.02,00:01,1.06965,1.07010,1.06952,1.06970,99\n"
DUKASCOPY_BARS = """Gmt time,Open,High,Low,Close,Volume
02.01.2026 00:00:00.000,1.06975,1.07010,1.06952,1.06965,179.4
02.01.2026 00:01:00.000,1.06965,1.07010,1.06952,1.06970,99
"""
DUKASCOPY_LOCAL = """Local time,Open,High,Low,Close,Volume
02.01.2026 00:00:00.000 GMT+0100,1.06975,1.07010,1.06952,1.06965,12
02.01.2026 00:01:00.000 GMT+0100,1.06965,1.07010,1.06952,1.06970,99
"""
DUKASCOPY_TICKS = """Gmt time,Ask,Bid,AskVolume,BidVolume
02.01.2026 00:00:00.123,1.10020,1.10000,1.5,0.75
02.01.2026 00:01:00.456,1.10030,1.10010,1.5,0.75
"""
HISTDATA_BARS = """20120201 000000;1.306600;1.306600;1.306560;1.306560;0
20120701 000100;1.306570;1.306570;1.306470;1.306560;17
"""
HISTDATA_TICKS = "20120201 000003660,1.306600,1.306770,0\n20120201 000103660,1.306610,1.306780,0\n"
TRUEFX = "EUR/USD,20160502 00:00:00.959,1.14601,1.14605   \nEUR/USD,20160502 00:01:00.991,1.14599,1.14605   \n"
OANDA_MID = """time,complete,volume,mid.o,mid.h,mid.l,mid.c
2026-01-02T00:00:00.000000000Z,True,12,1.06975,1.07010,1.06952,1.06965
2026-01-02T00:01:00.000000000Z,True,99,1.06965,1.07010,1.06952,1.06970
"""
OANDA_BOTH = """time,volume,bid.o,bid.h,bid.l,bid.c,ask.o,ask.h,ask.l,ask.c
2026-01-02T00:00:00Z,12,1.1000,1.1010,1.0990,1.1004,1.1002,1.1012,1.0992,1.1006
2026-01-02T00:01:00Z,12,1.1000,1.1010,1.0990,1.1004,1.1002,1.1012,1.0992,1.1007
"""


def converted(folder: Path, text: str, **given: object) -> pd.DataFrame:
    path = folder / "export.csv"
    path.write_text(text, encoding="utf-8")
    return bars_of(path, Conversion(**given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "given", "times", "first"),
    [
        (  # winter and summer time in Athens
            MT5_BARS,
            ATHENS,
            ["2026-01-01T22:00:00+00:00", "2026-07-01T21:01:00+00:00"],
            [1.06975, 1.0701, 1.06952, 1.06965, 123, 0.00012],
        ),
        (
            MT5_DAYS,
            {"instrument": "USD_JPY", "zone": "UTC+2"},
            ["2026-01-01T22:00:00+00:00", "2026-01-04T22:00:00+00:00"],
            [149.1, 150.25, 149, 150, 123, 0.07],  # a point is the last decimal of the prices
        ),
        (
            MT5_TICKS,
            ATHENS,
            ["2026-01-01T22:00:00+00:00", "2026-01-01T22:01:00+00:00"],
            [1.1001, 1.1005, 1.1001, 1.1005, 2, 0.0002],
        ),
        (
            MT4_BARS,
            PLAIN | ATHENS,
            ["2026-01-01T22:00:00+00:00", "2026-01-01T22:01:00+00:00"],
            [1.06975, 1.0701, 1.06952, 1.06965, 123, 0.0001],
        ),
        (
            DUKASCOPY_BARS,
            PLAIN,
            ["2026-01-02T00:00:00+00:00", "2026-01-02T00:01:00+00:00"],
            [1.06975, 1.0701, 1.06952, 1.06965, 179.4, 0.0001],
        ),
        (
            DUKASCOPY_LOCAL,
            PLAIN,
            ["2026-01-01T23:00:00+00:00", "2026-01-01T23:01:00+00:00"],
            [1.06975, 1.0701, 1.06952, 1.06965, 12, 0.0001],
        ),
        (
            DUKASCOPY_TICKS,
            {"instrument": "EUR_USD"},
            ["2026-01-02T00:00:00+00:00", "2026-01-02T00:01:00+00:00"],
            [1.1001, 1.1001, 1.1001, 1.1001, 1, 0.0002],
        ),
        (  # no summer time
            HISTDATA_BARS,
            PLAIN,
            ["2012-02-01T05:00:00+00:00", "2012-07-01T05:01:00+00:00"],
            [1.3066, 1.3066, 1.30656, 1.30656, 0, 0.0001],
        ),
        (
            HISTDATA_TICKS,
            {"instrument": "EUR_USD"},
            ["2012-02-01T05:00:00+00:00", "2012-02-01T05:01:00+00:00"],
            [1.306685, 1.306685, 1.306685, 1.306685, 1, 0.00017],
        ),
        (
            TRUEFX,
            {},
            ["2016-05-02T00:00:00+00:00", "2016-05-02T00:01:00+00:00"],
            [1.14603, 1.14603, 1.14603, 1.14603, 1, 0.00004],
        ),
        (
            OANDA_MID,
            PLAIN,
            ["2026-01-02T00:00:00+00:00", "2026-01-02T00:01:00+00:00"],
            [1.06975, 1.0701, 1.06952, 1.06965, 12, 0.0001],
        ),
        (
            OANDA_BOTH,
            {"instrument": "EUR_USD"},
            ["2026-01-02T00:00:00+00:00", "2026-01-02T00:01:00+00:00"],
            [1.1001, 1.1011, 1.0991, 1.1005, 12, 0.0002],
        ),
    ],
    ids=lambda given: given.split("\n")[0][:24] if isinstance(given, str) else "",
)
def test_conversion(tmp_path: Path, text: str, given: dict[str, object], times: list[str], first: list[float]) -> None:
    """Times, prices, volume and spread of each format; the result is market data."""
    bars = converted(tmp_path, text, **given)
    assert [time.isoformat() for time in bars["timestamp"]] == times
    assert bars.iloc[0].tolist()[2:] == pytest.approx(first, abs=1e-9)
    assert bars["instrument"].tolist() == [given.get("instrument", "EUR_USD")] * 2
    bars["timestamp"] = [time.isoformat() for time in bars["timestamp"]]
    path = tmp_path / "bars.csv"
    bars.to_csv(path, index=False)
    assert len(read_market_data(path, warn=lambda _: None)) == 2


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (
            MT5_BARS,
            "is a bar export of MetaTrader 5; convert it with python -m include.perf data convert {} --output NEW.csv "
            "--instrument EUR_USD --timezone Europe/Athens",
        ),
        (
            HISTDATA_BARS,
            "is a bar export of HistData; convert it with python -m include.perf data convert {} --output NEW.csv "
            "--instrument EUR_USD --spread 0.0001",
        ),
        (
            TRUEFX,
            "is a tick export of TrueFX; convert it with python -m include.perf data convert {} --output NEW.csv",
        ),
    ],
)
def test_an_export_in_place_of_market_data_is_recognised(tmp_path: Path, text: str, remedy: str) -> None:
    """The error names the format and the command, with what the export does not say."""
    path = tmp_path / "export.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_market_data(path)
    assert str(caught.value) == f"{path} line 1: {remedy.format(path)}"


def test_what_an_export_does_not_say_must_be_given(tmp_path: Path) -> None:
    """All of it at once."""
    with pytest.raises(ConfigurationError) as caught:
        converted(tmp_path, MT4_BARS)
    assert list(caught.value.problems) == [
        f"a bar export of MetaTrader 4: {problem}"
        for problem in (
            "it does not name its instrument; give it with --instrument EUR_USD",
            "its times are those of the broker's server; give their zone with --timezone Europe/Athens",
            "it has no spread; give one in price units with --spread 0.0001",
        )
    ]


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "UTC+15", "+2", "../etc/passwd", "UTC+2:75"])
def test_an_unknown_time_zone(tmp_path: Path, zone: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        converted(tmp_path, MT5_BARS, instrument="EUR_USD", zone=zone)
    assert str(caught.value) == (
        f"--timezone must be a name such as Europe/Athens, or an offset such as UTC+2, but is {zone!r}"
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("1.06970\t99", "1_0\t99", "line 3: close must be a finite number, but is '1_0'; correct or remove the row"),
        ("\t99\t0\t10", "", "line 3: must have at least 9 fields, but has 6; correct or remove the row"),
        ("2026.07.02\t00:01:00", "2026.03.29\t03:30:00", "line 3: time '2026.03.29 03:30:00' cannot be read in"),
        ("2026.07.02\t00:01:00", "2026.10.25\t03:30:00", "line 3: time '2026.10.25 03:30:00' cannot be read in"),
        ("2026.07.02", "02.07.2026", "line 3: time '02.07.2026 00:01:00' cannot be read in"),
    ],
)
def test_rows_that_cannot_be_read(tmp_path: Path, old: str, new: str, problem: str) -> None:
    """With file and line; times that do not exist or exist twice in their zone too."""
    with pytest.raises(DataError) as caught:
        converted(tmp_path, MT5_BARS.replace(old, new), **ATHENS)
    assert f"{tmp_path / 'export.csv'} {problem}" in str(caught.value)


def test_an_unknown_export(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"is no known export; known are mt5-bars, .*, by their columns; name others with --columns$"
    ):
        converted(tmp_path, "a,b\n1,2\n")


def test_the_length_of_bars_from_ticks(tmp_path: Path) -> None:
    bars = converted(tmp_path, MT5_TICKS, bar_s=300, **ATHENS)
    assert bars["volume"].tolist() == [3]


@pytest.mark.parametrize(
    ("text", "given", "problem"),
    [
        (
            TRUEFX,
            {"instrument": "USD_JPY"},
            "a tick export of TrueFX: it names its instruments; leave out --instrument",
        ),
        (TRUEFX, {"spread": 0.1}, "a tick export of TrueFX: it has bid and ask; leave out --spread"),
        (
            OANDA_MID,
            PLAIN | {"zone": "Europe/Athens"},
            "an export of mid candles of OANDA: its times have their offsets; leave out --timezone",
        ),
        (
            MT5_BARS,
            ATHENS | {"bar_s": 3600},
            "a bar export of MetaTrader 5: its rows are bars, and --bars is for ticks; leave it out",
        ),
    ],
)
def test_what_would_be_ignored_is_refused(tmp_path: Path, text: str, given: dict[str, object], problem: str) -> None:
    """Otherwise the bars would be of another instrument, time, spread or length than the user believes."""
    with pytest.raises(ConfigurationError) as caught:
        converted(tmp_path, text, **given)
    assert str(caught.value) == problem


def test_a_point_counts_the_decimals_as_they_are_written(tmp_path: Path) -> None:
    """Few bars may all end with a zero: 12 points of 1.06970 are 0.00012, not 0.0012."""
    header = MT5_BARS.splitlines()[0]
    rows = [f"2026.01.02\t00:0{minute}:00\t1.06970\t1.07010\t1.06950\t1.06960\t99\t0\t12" for minute in (0, 1)]
    text = "\n".join([header, *rows])
    bars = converted(tmp_path, text, **ATHENS)
    assert bars["spread"].tolist() == [0.00012, 0.00012]


def test_prices_are_no_finer_than_those_of_the_export(tmp_path: Path) -> None:
    """The mean of 1.14601 and 1.14602 is half a tick, and no broker takes it; each instrument has its own decimals."""
    ticks = "EUR/USD,20160502 00:00:00.959,1.14601,1.14602\nUSD/JPY,20160502 00:01:00.991,106.001,106.002\n"
    bars = converted(tmp_path, ticks)
    assert bars["close"].tolist() == pytest.approx([1.146015, 106.0015], abs=6e-4)
    assert [round(price, places) for price, places in zip(bars["close"], (5, 3), strict=True)] == bars["close"].tolist()
    assert bars["spread"].tolist() == [0.00001, 0.001]


def test_a_quote_of_zero_is_refused(tmp_path: Path) -> None:
    """The mean with the other side would be half of the price, which no later rule finds."""
    with pytest.raises(DataError, match=r"line 2: bid must be greater than 0, but is 0; correct or remove the row$"):
        converted(tmp_path, TRUEFX.replace("1.14599", "0"))


def test_a_blank_quote_of_metatrader_is_that_of_the_tick_before(tmp_path: Path) -> None:
    """Its tick exports leave out the side that did not change."""
    bars = converted(tmp_path, MT5_TICKS.replace("1.10040\t1.10060", "\t1.10040"), **ATHENS)
    assert bars["close"].tolist() == [1.1002, 1.10015]  # (1.10000 + 1.10040) / 2


def test_ticks_before_both_sides_are_known_are_left_out(tmp_path: Path) -> None:
    """An export may begin with a change of one side; there is no price yet."""
    bars = converted(tmp_path, MT5_TICKS.replace("1.10000\t", "\t"), **ATHENS)
    assert bars["volume"].tolist() == [1, 1]
    with pytest.raises(DataError, match=r"line 2: bid must be a finite number, but is ''"):
        converted(tmp_path, re.sub(r"\t1\.\d+\t(1\.\d+)", r"\t\t\1", MT5_TICKS), **ATHENS)


def test_weeks_begin_on_mondays(tmp_path: Path) -> None:
    """2 January 2026 is a Friday."""
    bars = converted(tmp_path, DUKASCOPY_TICKS, instrument="EUR_USD", bar_s=7 * 86400)
    assert [time.isoformat() for time in bars["timestamp"]] == ["2025-12-29T00:00:00+00:00"]


QUOTES = "Date;Bid;Offer\n05/01/2026 07:00:00;1,10000;1,10020\n05/01/2026 07:01:00;1,10010;1,10030\n"
BARS = """at,pair,o,h,l,c,v,s
1767596400,EUR/USD,1.1,1.2,1.0,1.15,10,0.0001
1767596460,EUR/USD,1.1,1.2,1.0,1.15,12,0.0001
"""
BAR_COLUMNS = {
    "time": "at",
    "instrument": "pair",
    "open": "O",
    "high": "h",
    "low": "l",
    "close": "c",
    "volume": "v",
    "spread": "s",
}


def test_ticks_with_columns_of_their_own(tmp_path: Path) -> None:
    """The user names the columns and how times are written; decimal commas are read beside semicolons."""
    form = own_format({"time": "Date", "bid": "Bid", "ask": "Offer"}, "%d/%m/%Y %H:%M:%S")
    bars = converted(tmp_path, QUOTES, form=form, instrument="EUR_USD", zone="Europe/Athens")
    assert [time.isoformat() for time in bars["timestamp"]] == [
        "2026-01-05T05:00:00+00:00",
        "2026-01-05T05:01:00+00:00",
    ]
    assert bars.iloc[0, 2:].tolist() == [1.1001, 1.1001, 1.1001, 1.1001, 1, 0.0002]


def test_bars_with_columns_of_their_own(tmp_path: Path) -> None:
    """Times may be seconds since 1970, and the spread is in price units."""
    bars = converted(tmp_path, BARS, form=own_format(BAR_COLUMNS, "epoch_s"))
    assert bars["timestamp"][0].isoformat() == "2026-01-05T07:00:00+00:00"
    assert bars.iloc[0, 1:].tolist() == ["EUR_USD", 1.1, 1.2, 1.0, 1.15, 10, 0.0001]


def test_utf_16(tmp_path: Path) -> None:
    """MetaTrader writes it, with a byte order mark."""
    path = tmp_path / "export.csv"
    path.write_text(MT5_BARS, encoding="utf-16")
    assert len(bars_of(path, Conversion(**ATHENS))) == 2  # type: ignore[arg-type]


def test_decimal_commas_of_a_known_export(tmp_path: Path) -> None:
    """Windows with another language writes them, with semicolons between the fields."""
    text = MT4_BARS.replace(",", ";").replace(";1.", ";1,")
    assert text.startswith("2026.01.02;00:00;1,06975;")
    bars = converted(tmp_path, text, **PLAIN | ATHENS)
    assert bars.iloc[0, 2:].tolist() == [1.06975, 1.0701, 1.06952, 1.06965, 123, 0.0001]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"time": "t", "mid": "m"}, r"--columns: mid is no known meaning; known: time, date, clock, "),
        ({"bid": "b", "ask": "a"}, r"--columns: time is missing"),
        ({"time": "t", "open": "o"}, r"--columns: bars need open, high, low, close, or .* only time, open"),
    ],
)
def test_columns_that_make_no_bars(columns: dict[str, str], problem: str) -> None:
    """The message says what is missing."""
    with pytest.raises(ConfigurationError, match=problem):
        own_format(columns, None)


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    """The message has the columns that are."""
    with pytest.raises(DataError, match=r"export.csv: has no column price; its columns are Date, Bid, Offer$"):
        converted(tmp_path, QUOTES, form=own_format({"time": "Date", "bid": "Price", "ask": "Offer"}, None))


def test_times_without_an_offset_are_not_taken_for_utc(tmp_path: Path) -> None:
    """They are those of some clock that only the user knows."""
    text = "Date,Bid,Ask\n2026-01-05 07:00:00,1.1,1.2\n"
    form = own_format({"time": "Date", "bid": "Bid", "ask": "Ask"}, None)
    with pytest.raises(DataError, match=r"line 2: time '2026-01-05 07:00:00' has no offset from UTC; give --times"):
        converted(tmp_path, text, form=form, instrument="EUR_USD")


ROW = "1.06975,1.07010,1.06950,1.07001"


def by_header(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    ("text", "given", "first"),
    [
        (  # JForex: the header has the time zone
            by_header("Time (UTC),Open,High,Low,Close,Volume ", f"2026.01.05 00:00:00,{ROW},12.5"),
            PLAIN,
            "2026-01-05T00:00:00+00:00",
        ),
        (
            by_header("Time (EET),Open,High,Low,Close,Volume", f"2026.07.05 00:00:00,{ROW},12.5"),
            PLAIN,
            "2026-07-04T21:00:00+00:00",  # summer time
        ),
        (  # JForex ticks in local time
            by_header("Local time,Ask,Bid,AskVolume", "05.01.2026 00:00:00.123 GMT+0200,1.07010,1.07001,1"),
            {"instrument": "EUR_USD"},
            "2026-01-04T22:00:00+00:00",
        ),
        (  # tools that read Dukascopy's feed
            by_header("timestamp,askPrice,bidPrice,askVolume,bidVolume", "1767571200123,1.07010,1.07001,1,1"),
            {"instrument": "EUR_USD"},
            "2026-01-05T00:00:00+00:00",
        ),
        (  # HistData for MetaStock, and others with such a header
            by_header(
                "<TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", f"EURUSD,20260105,000000,{ROW},4"
            ),
            {"zone": "UTC-5", "spread": 0.0001},
            "2026-01-05T05:00:00+00:00",
        ),
        ("20260105 000003;1.306600;0\n", PLAIN, "2026-01-05T05:00:00+00:00"),  # HistData for NinjaTrader
        (f"2026-01-05,00:00:00,{ROW},4\n", PLAIN | ATHENS, "2026-01-04T22:00:00+00:00"),  # another MetaTrader 4
        (f"2026.01.05 00:00,{ROW},4\n", PLAIN | ATHENS, "2026-01-04T22:00:00+00:00"),
        (
            by_header("Date;Time;Open;High;Low;Close;Volume", f"25/01/2026;00:00:00;{ROW.replace(',', ';')};4"),
            PLAIN | ATHENS,
            "2026-01-24T22:00:00+00:00",
        ),
        (  # cTrader in another language: the user says what comes first
            by_header("Time;Open;High;Low;Close;Tick volume", f"05/01/2026 00:00:00;{ROW.replace(',', ';')};4"),
            PLAIN | ATHENS | {"times": "%d/%m/%Y %H:%M:%S"},
            "2026-01-04T22:00:00+00:00",
        ),
        (  # Interactive Brokers: no volume, and the time zone behind each time
            by_header(
                "date,open,high,low,close,volume,average,barCount", f"20260105 00:00:00 US/Eastern,{ROW},-1,-1,-1"
            ),
            PLAIN,
            "2026-01-05T05:00:00+00:00",
        ),
        (
            by_header(",date,open,high,low,close,volume", f"0,2026-01-05 00:00:00+00:00,{ROW},-1.0"),
            PLAIN,
            "2026-01-05T00:00:00+00:00",
        ),
        (by_header("time,open,high,low,close", f"1767571200,{ROW}"), PLAIN, "2026-01-05T00:00:00+00:00"),
        (
            by_header("Date,Open,High,Low,Close,Adj Close", f"2026-01-05,{ROW},1.07"),
            PLAIN | {"zone": "UTC"},
            "2026-01-05T00:00:00+00:00",
        ),
    ],
    ids=lambda given: given.split("\n")[0][:30] if isinstance(given, str) else "",
)
def test_an_export_is_read_by_the_names_of_its_columns(
    tmp_path: Path, text: str, given: dict[str, object], first: str
) -> None:
    """Other exports of other platforms than those that are known as a whole."""
    bars = converted(tmp_path, text, **given)
    assert bars["timestamp"][0].isoformat() == first
    assert bars["instrument"][0] == "EUR_USD"
    assert bars["volume"][0] >= 0
    assert bars["spread"][0] > 0


@pytest.mark.parametrize(("spread", "expected"), [("12", 0.00012), ("0.0002", 0.0002), ("0", 0.0)])
def test_a_spread_in_whole_numbers_is_in_points(tmp_path: Path, spread: str, expected: float) -> None:
    text = by_header("Symbol,Time,Open,High,Low,Close,Volume,Spread", f"EUR/USD,2026-01-05T00:00:00Z,{ROW},4,{spread}")
    assert converted(tmp_path, text)["spread"][0] == expected


@pytest.mark.parametrize(("name", "instrument"), [("xauusd", "XAU_USD"), ("NATGAS", "NATGAS"), ("EUR-JPY", "EUR_JPY")])
def test_names_of_instruments(tmp_path: Path, name: str, instrument: str) -> None:
    """Six letters are a pair only if the last three are a currency."""
    text = by_header("symbol,time,bid,ask", f"{name},2026-01-05T00:00:00Z,1.1,1.2")
    assert converted(tmp_path, text)["instrument"][0] == instrument


def test_an_uncertain_date_must_be_explained(tmp_path: Path) -> None:
    """Every row of the export could be read day first and month first."""
    text = by_header("Date,Time,Bid,Ask", "05/01/2026,07:00,1.1,1.2", "06/01/2026,07:00,1.1,1.2")
    with pytest.raises(
        ConfigurationError, match=r"^the date of '05/01/2026 07:00' may begin with its day or its month;"
    ):
        converted(tmp_path, text)
    with pytest.raises(DataError, match=r"line 1: looks like a file with a header of a trading platform; convert it"):
        read_market_data(tmp_path / "export.csv")
    with pytest.raises(ConfigurationError, match=r"its times are known; leave out --times$"):
        converted(tmp_path, TRUEFX, times="%Y")


CANDLE = {"bid": dict(zip("ohlc", ROW.split(","), strict=True)), "ask": dict(zip("ohlc", ROW.split(","), strict=True))}
CANDLES = [{"complete": True, "volume": 12, "time": f"2026-01-05T00:0{at}:00.000000000Z", **CANDLE} for at in range(3)]
PRICE = {"type": "PRICE", "time": "2026-01-05T00:00:00.1Z", "instrument": "EUR_USD", "closeoutBid": "1.0"}
STREAM = [PRICE | {"bids": [{"price": "1.07001"}], "asks": [{"price": "1.07012"}]}, {"type": "HEARTBEAT", "time": "x"}]


@pytest.mark.parametrize(
    ("text", "given", "count"),
    [
        (json.dumps({"instrument": "EUR_USD", "granularity": "M1", "candles": CANDLES}, indent=2), {}, 3),
        ("\n".join(map(json.dumps, CANDLES)), {"instrument": "EUR_USD"}, 3),
        (json.dumps(CANDLES), {"instrument": "EUR_USD"}, 3),
        ("\n".join(map(json.dumps, STREAM * 2)), {}, 1),
    ],
    ids=["response", "lines", "list", "stream"],
)
def test_json_of_oanda(tmp_path: Path, text: str, given: dict[str, object], count: int) -> None:
    """Responses and streams of its API, as they are; prices keep the decimals that are written."""
    bars = converted(tmp_path, text, **given)
    assert len(bars) == count
    assert bars["instrument"].tolist() == ["EUR_USD"] * count
    assert bars["close"][0] in (1.07001, 1.07007, 1.07006)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", r"looks like JSON, but cannot be read"),
        ("[1, 2]", r"'1' is no object with fields"),
        ('{"a": 1}\nx', r"looks like JSON, but cannot be read"),
        ("[]", r"has no rows"),
        ("[" * 100_000, r"it is nested too deeply"),
        (json.dumps([{f"f{at}": 1 for at in range(300)}]), r"more than 200 different fields"),
        (json.dumps([{"time": "2026-01-05T00:00:00Z", "bid": 1.1}, {"ask": 1.2, "time": 7}]), r"line|time '7'|finite"),
    ],
)
def test_json_that_is_no_export(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        converted(tmp_path, text, instrument="EUR_USD")
