"""Every problem of a market data file, with its sentence."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from include.perf.load.market_data import COLUMNS, data_fingerprint, read_market_data
from include.perf.model.errors import DataError

HEADER = "timestamp,instrument,open,high,low,close,volume,spread"
FIRST = "2026-03-17T07:00:00Z,EUR_USD,1.1,1.3,1.0,1.2,10,0.0001"  # line 2
SECOND = "2026-03-17T07:01:00Z,EUR_USD,1.2,1.3,1.1,1.25,0,0.0001"  # line 3
THIRD = "2026-03-17T07:02:00Z,EUR_USD,{open},{high},{low},{close},{volume},{spread}"  # line 4
SOUND = {"open": "1.2", "high": "1.3", "low": "1.1", "close": "1.25", "volume": "7", "spread": "0.0001"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files are named relative to the working directory, as on a command line."""
    monkeypatch.chdir(tmp_path)
    return Path()


def write(folder: Path, *lines: str) -> Path:
    path = folder / "x.csv"
    path.write_bytes("\n".join([*lines, ""]).encode())
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(DataError) as caught:
        read_market_data(path)
    return list(caught.value.problems)


FIX = "correct or remove the row"
FIELD_TABLE = [
    ({"open": "abc"}, [f"open must be a finite number, but is 'abc'; {FIX}"]),
    ({"high": ""}, [f"high must be a finite number, but is ''; {FIX}"]),
    ({"low": "nan"}, [f"low must be a finite number, but is 'nan'; {FIX}"]),
    ({"close": "-inf"}, [f"close must be a finite number, but is '-inf'; {FIX}"]),
    ({"volume": "many"}, [f"volume must be a finite number, but is 'many'; {FIX}"]),
    ({"spread": "1e999"}, [f"spread must be a finite number, but is '1e999'; {FIX}"]),
    ({"open": "9" * 400}, [f"open must be a finite number, but is '{'9' * 60}'; {FIX}"]),
    (
        {"open": "0", "low": "0"},
        [f"open must be greater than 0, but is 0; {FIX}", f"low must be greater than 0, but is 0; {FIX}"],
    ),
    ({"low": "-1"}, [f"low must be greater than 0, but is -1; {FIX}"]),
    ({"high": "0.9"}, [f"low must be at most high, but is 1.1 with high 0.9; {FIX}"]),
    ({"open": "1.31"}, [f"open must be from low 1.1 to high 1.3, but is 1.31; {FIX}"]),
    ({"open": "1.09"}, [f"open must be from low 1.1 to high 1.3, but is 1.09; {FIX}"]),
    ({"close": "1.31"}, [f"close must be from low 1.1 to high 1.3, but is 1.31; {FIX}"]),
    ({"close": "1.09"}, [f"close must be from low 1.1 to high 1.3, but is 1.09; {FIX}"]),
    ({"volume": "-3"}, [f"volume must be from 0 to 1,000,000,000,000,000, but is -3; {FIX}"]),
    ({"volume": "1e30"}, [f"volume must be from 0 to 1,000,000,000,000,000, but is 1e30; {FIX}"]),
    ({"volume": "1_0"}, [f"volume must be a finite number, but is '1_0'; {FIX}"]),
    ({"open": "١.٢"}, [f"open must be a finite number, but is '١.٢'; {FIX}"]),
    ({"open": "1.2e"}, [f"open must be a finite number, but is '1.2e'; {FIX}"]),
    ({"spread": "-0.1"}, [f"spread must be 0 or more, but is -0.1; {FIX}"]),
    (  # 50 % of 1.25 = 0.625
        {"spread": "0.625"},
        ["spread must be less than 50% of close 1.25, but is 0.625; give it in price units, not in pips"],
    ),
]

UNUSUAL = [
    ({"volume": "179.4"}, "volume 179.4 is no whole number"),
    ({"spread": "0"}, "spread is 0"),
    ({"spread": "0.0625"}, "spread 0.0625 is more than 5% of close 1.25"),
    ({"spread": "0.624"}, "spread 0.624 is more than 5% of close 1.25"),
]


@pytest.mark.parametrize(("fields", "expected"), FIELD_TABLE)
def test_names_each_broken_field(folder: Path, fields: dict[str, str], expected: list[str]) -> None:
    """The sentence for a value out of range has its line, column, value, rule and remedy."""
    path = write(folder, HEADER, FIRST, SECOND, THIRD.format(**SOUND | fields))
    assert problems(path) == [f"x.csv line 4: {sentence}" for sentence in expected]


@pytest.mark.parametrize(("fields", "sentence"), UNUSUAL)
def test_warns_of_unusual_rows(folder: Path, fields: dict[str, str], sentence: str) -> None:
    """They may be true, so they are used: a central bank may let a price go, and some brokers charge no spread."""
    row = THIRD.format(**SOUND | fields)
    warnings: list[str] = []
    data = read_market_data(write(folder, HEADER, FIRST, SECOND, row), warn=warnings.append)
    assert warnings == [f"x.csv line 4: {sentence}, which is unusual"]
    column = next(iter(fields))
    assert data[column].iloc[2] == float(fields[column])


def test_counts_further_unusual_rows(folder: Path) -> None:
    rows = [THIRD.format(**SOUND | {"spread": "0"}).replace("07:02", f"07:{minute:02d}") for minute in range(2, 7)]
    warnings: list[str] = []
    read_market_data(write(folder, HEADER, FIRST, SECOND, *rows), warn=warnings.append)
    assert warnings == ["x.csv line 4: spread is 0, which is unusual, and 4 more such rows"]


@pytest.mark.parametrize("instrument", ["SPX500_USD", "US30_USD", "WTICO_USD", "XAU_EUR", "DE30_EUR"])
def test_knows_contracts_for_difference(folder: Path, instrument: str) -> None:
    lines = [line.replace("EUR_USD", instrument) for line in (FIRST, SECOND)]
    assert set(read_market_data(write(folder, HEADER, *lines))["instrument"]) == {instrument}


@pytest.mark.parametrize("separator", [";", "\t"])
def test_reads_other_separators(folder: Path, separator: str) -> None:
    path = write(folder, HEADER, FIRST, SECOND)
    expected = read_market_data(path)
    path.write_text(path.read_text(encoding="utf-8").replace(",", separator), encoding="utf-8")
    pd.testing.assert_frame_equal(read_market_data(path), expected)


@pytest.mark.parametrize(
    "fields",
    [
        {"open": "1.1", "close": "1.3"},  # on the edges of the bar
        {"open": "1.3", "close": "1.3", "high": "1.3", "low": "1.3", "volume": "0"},  # a silent minute
        {"volume": "1000000000000000"},
        {"volume": "7.0"},  # an integer all the same
        {"spread": "0.06249"},  # just below 5 % of 1.25
        {"spread": "1e-5"},
    ],
)
def test_accepts_values_on_the_boundary(folder: Path, fields: dict[str, str]) -> None:
    """The limits themselves are fine."""
    assert len(read_market_data(write(folder, HEADER, FIRST, SECOND, THIRD.format(**SOUND | fields)))) == 3


REST = ",1.2,1.3,1.1,1.25,0,0.0001"
ROW_TABLE = [
    *(
        (
            f"{stamp},EUR_USD{REST}",
            f"x.csv line 4: timestamp must be like 2026-03-17T07:00:00Z, but is '{stamp}'; {FIX}",
        )
        for stamp in (
            "yesterday",
            "",
            "2026-03-17T07:02:00",
            "2026-03-17",
            "2026-02-30T07:02:00Z",
            "1773730920",
        )
    ),
    *(
        (
            f"2026-03-17T07:02:00Z,{pair}{REST}",
            f"x.csv line 4: instrument must look like EUR_USD or SPX500_USD, but is '{pair}'; {FIX}",
        )
        for pair in ("EURUSD", "eur_usd", "EUR/USD", "EUR_USDT", "")
    ),
    (
        f"2026-03-17T06:59:00Z,EUR_USD{REST}",
        "x.csv line 4: timestamp must not be earlier than in the row before, but is "
        "2026-03-17T06:59:00Z after 2026-03-17T07:01:00Z; sort the file by timestamp",
    ),
    (  # the same instant in another notation
        f"2026-03-17T09:01:00+02:00,EUR_USD{REST}",
        "x.csv line 4: timestamp and instrument must be unique, but 2026-03-17T09:01:00+02:00 EUR_USD "
        "already stands in line 3; remove one of the two",
    ),
    (
        "2026-03-17T07:02:00Z,EUR_USD,1.2,1.3",
        "x.csv line 4: must have 8 fields like the header, but has 4; the file looks cut off here: write it again",
    ),
    (
        f"2026-03-17T07:02:00Z,EUR_USD{REST},9",
        f"x.csv line 4: must have 8 fields like the header, but has 9; {FIX}",
    ),
]


@pytest.mark.parametrize(("row", "expected"), ROW_TABLE)
def test_names_each_broken_row(folder: Path, row: str, expected: str) -> None:
    """Times, instruments, order, duplicates and the number of fields are checked too."""
    assert problems(write(folder, HEADER, FIRST, SECOND, row)) == [expected]


COLUMN_LIST = "timestamp, instrument, open, high, low, close, volume, spread"
FILE_TABLE = [
    (
        b"",
        "x.csv: must have a header and rows of data, but is empty; write the data into it",
    ),
    (
        b" \n\n",
        "x.csv: must have a header and rows of data, but is empty; write the data into it",
    ),
    (f"{HEADER}\n".encode(), "x.csv: must have at least 2 rows of data, but has 0; add rows"),
    (f"{HEADER}\n{FIRST}\n".encode(), "x.csv: must have at least 2 rows of data, but has 1; add rows"),
    (
        f"{HEADER}\n{FIRST}\n".encode() + b"caf\xe9",
        "x.csv line 3: must be UTF-8 text, but has byte 0xe9; save it as CSV in UTF-8",
    ),
    (
        f"{HEADER}\n".encode() + b"PK\x00",
        "x.csv line 2: must be UTF-8 text, but has byte 0x00; save it as CSV in UTF-8",
    ),
    (
        b"\xff" + HEADER.encode(),
        "x.csv line 1: must be UTF-8 text, but has byte 0xff; save it as CSV in UTF-8",
    ),
    (
        f'{HEADER}\n{FIRST}\n"2026'.encode(),
        "x.csv line 3: must be CSV, but is not (unexpected end of data); correct its quotes",
    ),
    (
        f"{HEADER},open\n{FIRST},1\n{SECOND},1\n".encode(),
        "x.csv line 1: column open must be there once, but is there 2 times; keep one",
    ),
    (
        b"timestamp,instrument,open,high,low,last\n2026-03-17T07:00:00Z,EUR_USD,1,1,1,1\n"
        b"2026-03-17T07:01:00Z,EUR_USD,1,1,1,1\n",
        "x.csv line 1: header must name close, volume, spread, but is "
        "'timestamp,instrument,open,high,low,last'; add what is missing",
    ),
    (
        b"a;b\n1;2\n1;3\n",
        f"x.csv line 1: header must name {COLUMN_LIST}, but is 'a,b'; add what is missing",
    ),
]


@pytest.mark.parametrize(("content", "expected"), FILE_TABLE)
def test_names_what_is_wrong_with_the_file(folder: Path, content: bytes, expected: str) -> None:
    """A file that cannot be split into rows has a sentence too."""
    path = folder / "x.csv"
    path.write_bytes(content)
    assert problems(path) == [expected]


def test_names_a_missing_file(folder: Path) -> None:
    """A missing file is a problem of the data, not a traceback."""
    expected = "x.csv: cannot be read (No such file or directory); name a CSV file that exists"
    assert problems(folder / "x.csv") == [expected]
    with pytest.raises(DataError, match="cannot be read"):
        data_fingerprint(folder / "x.csv")


def test_reports_every_problem_in_the_order_of_lines(folder: Path) -> None:
    """One pass reports all: header, fields, order; present columns are checked even if others are missing."""
    header = HEADER.replace("spread", "width")
    bad = THIRD.format(**SOUND | {"low": "-1", "volume": "x"})
    path = write(folder, header, FIRST, "cut,off", bad, SECOND)
    assert problems(path) == [
        f"x.csv line 1: header must name spread, but is '{header[:60]}'; add what is missing",
        f"x.csv line 3: must have 8 fields like the header, but has 2; {FIX}",
        f"x.csv line 4: volume must be a finite number, but is 'x'; {FIX}",
        f"x.csv line 4: low must be greater than 0, but is -1; {FIX}",
        "x.csv line 5: timestamp must not be earlier than in the row before, but is "
        "2026-03-17T07:01:00Z after 2026-03-17T07:02:00Z; sort the file by timestamp",
    ]


def test_lists_twenty_problems_and_counts_the_rest(folder: Path) -> None:
    """A file full of mistakes does not fill the screen."""
    rows = [f"2026-03-17T07:00:{s:02d}Z,EUR_USD,1,1,1,1,-1,-1" for s in range(60)]
    found = problems(write(folder, HEADER, *rows))
    assert len(found) == 21
    assert found[0].startswith("x.csv line 2: spread")
    assert found[19].startswith("x.csv line 11: volume")  # two problems a line, ten lines
    assert found[20] == "… and 100 more"  # 60 rows × 2 − 20


def test_line_numbers_are_those_of_an_editor(folder: Path) -> None:
    """Blank lines, CRLF, a byte order mark and quotes do not shift them."""
    bad = THIRD.format(**SOUND | {"spread": "-0.1"})
    path = folder / "x.csv"
    lines = [HEADER, "", FIRST, '"2026-03-17T07:01:00Z","EUR_USD",1,1,1,1,0,0.5', bad]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode())
    assert problems(path) == [
        "x.csv line 4: spread must be less than 50% of close 1, but is 0.5; give it in price units, not in pips",
        f"x.csv line 5: spread must be 0 or more, but is -0.1; {FIX}",
    ]


def test_returns_sorted_typed_rows(folder: Path) -> None:
    """Rows are sorted by time, then instrument, and have the documented types, whatever the order of columns."""
    path = write(
        folder,
        "spread, note, volume, close, low, high, open, instrument, timestamp",
        "0.00012,hello,5,1.1,1.0,1.2,1.05,XAU_USD,2026-03-17T09:00:00+02:00",
        "0.00013,,6,1.1,1.0,1.2,1.05,AUD_NZD,2026-03-17 07:00:00Z",
        "0.00014,,7,1.1,1.0,1.2,1.05,XAU_USD,2026-03-17T02:00:00.25-05:00",
    )
    data = read_market_data(path)
    assert tuple(data.columns) == COLUMNS
    assert [str(dtype) for dtype in data.dtypes] == [
        "datetime64[us, UTC]",
        "str",
        *["float64"] * 4,
        "int64",
        "float64",
    ]
    assert list(data.index) == [0, 1, 2]
    assert list(data["instrument"]) == ["AUD_NZD", "XAU_USD", "XAU_USD"]
    assert list(data["volume"]) == [6, 5, 7]
    assert data["timestamp"].iloc[1] == pd.Timestamp("2026-03-17T07:00:00Z")
    assert data["timestamp"].iloc[2] == pd.Timestamp("2026-03-17T07:00:00.25Z")
    assert data["spread"].iloc[0] == 0.00013


def test_fingerprint_is_the_hash_of_the_bytes(folder: Path) -> None:
    """The same bytes, the same fingerprint."""
    path = write(folder, HEADER, FIRST, SECOND)
    assert data_fingerprint(path) == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
