"""Staging: the same inputs give the same bytes, and every field follows from the data."""

import itertools
import json
import math
import statistics
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.template import FIELDS
from include.perf.load.feed import Feed
from include.perf.load.market_data import read_market_data
from include.perf.load.staging import ROWS_PER_ENDPOINT, build_feed, request_fields, unusual_cadence
from include.perf.model.errors import DataError
from tests.fakes.small_catalogue import small_scenario, small_service, write_csv

PAIRS = ("EUR_USD", "GBP_USD")
EVERYTHING = {name: f"${name}" for name in FIELDS}


def endpoint(**settings: Any) -> Endpoint:
    made: dict[str, Any] = {"name": "place", "method": "POST", "path": "/orders", "body": EVERYTHING}
    return Endpoint.model_validate(made | settings)


def feed_of(path: Path, *endpoints: Endpoint, seed: int = 1) -> Feed:
    service = small_service(endpoints=[made.model_dump() for made in endpoints or (endpoint(),)])
    return build_feed(path, service, small_scenario(load={"rate_rps": 40, "duration_s": 10, "seed": seed}).load)


def bodies(feed: Feed, number: int = 0) -> list[dict[str, Any]]:
    return [json.loads(request.body or b"") for request in feed.requests[number]]


def fields_of(path: Path, *, seed: int = 1) -> pd.DataFrame:
    return request_fields(read_market_data(path), seed=seed)


def feed_bytes(folder: Path, feed: Feed) -> bytes:
    feed.write(folder / "feed.jsonl")
    return (folder / "feed.jsonl").read_bytes()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Two runs send the same requests in the same order."""
    data = write_csv(tmp_path / "d.csv", instruments=PAIRS)
    first, second = (feed_bytes(tmp_path, feed_of(data)) for _ in range(2))
    assert first == second


def test_another_seed_gives_other_orders_on_the_same_market(tmp_path: Path) -> None:
    """The seed decides what the data does not: side, type, quantity, time in force and so the price of an order."""
    data = write_csv(tmp_path / "d.csv", instruments=PAIRS)
    one, other = (bodies(feed_of(data, seed=seed)) for seed in (1, 2))
    drawn = {"side", "order_type", "time_in_force", "quantity", "price"}
    differing = {name for a, b in zip(one, other, strict=True) for name in a if a[name] != b[name]}
    assert differing == drawn


def test_fields_keep_their_types(tmp_path: Path) -> None:
    """JSON gets numbers where the data has numbers, text where it has text."""
    for body in bodies(feed_of(write_csv(tmp_path / "d.csv"))):
        types = {name: type(value) for name, value in body.items()}
        assert types == {
            name: int if name in ("volume", "quantity") else str if isinstance(body[name], str) else float
            for name in FIELDS
        }
        assert isinstance(body["instrument"], str)
        assert math.isfinite(body["volatility"])


def test_bodies_are_compact_and_literals_stay(tmp_path: Path) -> None:
    """Text that is no placeholder is sent unchanged."""
    settings = {"body": {"pair": "$instrument", "note": "5 $$", "deep": [{"n": 20, "on": True, "none": None}]}}
    (request, *_) = feed_of(write_csv(tmp_path / "d.csv"), endpoint(**settings)).requests[0]
    assert request.target == "/orders"
    assert request.body == b'{"pair":"EUR_USD","note":"5 $","deep":[{"n":20,"on":true,"none":null}]}'


def test_queries_are_encoded(tmp_path: Path) -> None:
    """Decoding gives the same values: also with colons, spaces, ampersands and other alphabets."""
    query = {"at": "$timestamp", "note": "a&b=c d/€", "n": 20, "pair": "$instrument"}
    get = endpoint(method="GET", path="/orders/für", body=None, query=query)
    (request, *_) = feed_of(write_csv(tmp_path / "d.csv"), get).requests[0]
    assert request.body is None
    assert request.target.startswith("/orders/f%C3%BCr?at=2026-03-02T07%3A00%3A00Z&note=a%26b%3Dc%20d%2F%E2%82%AC&")
    assert parse_qs(urlsplit(request.target).query) == {
        "at": ["2026-03-02T07:00:00Z"],
        "note": ["a&b=c d/€"],
        "n": ["20"],
        "pair": ["EUR_USD"],
    }


def test_no_query_no_question_mark(tmp_path: Path) -> None:
    """A bare path stays bare."""
    (request, *_) = feed_of(write_csv(tmp_path / "d.csv"), endpoint(method="GET", body=None)).requests[0]
    assert (request.target, request.body) == ("/orders", None)


@pytest.mark.parametrize(
    ("bars", "rows"),
    [
        (80, 50),  # the first 30 bars have no 30 returns yet
        (2029, 1999),
        (2030, 2000),
        (2500, 2000),  # never more than 2 000 an endpoint
    ],
)
def test_rows_per_endpoint(tmp_path: Path, bars: int, rows: int) -> None:
    """As many requests as there are bars with a history, up to the limit; header and rows agree."""
    feed = feed_of(write_csv(tmp_path / "d.csv", count=bars), endpoint(), endpoint(name="two"))
    assert [endpoint.rows for endpoint in feed.endpoints] == [rows, rows]
    assert [len(requests) for requests in feed.requests] == [rows, rows]
    assert ROWS_PER_ENDPOINT == 2000


def test_rows_are_spread_over_the_data_in_time_order(tmp_path: Path) -> None:
    """Of 4 000 bars every second one is taken, and the second endpoint takes those between."""
    data = write_csv(tmp_path / "d.csv", count=4030)
    feed = feed_of(data, endpoint(body={"at": "$timestamp"}), endpoint(name="two", body={"at": "$timestamp"}))
    one, two = ([body["at"] for body in bodies(feed, number)] for number in (0, 1))
    assert one == sorted(one)
    assert (one[:2], two[:2]) == (
        ["2026-03-02T07:00:00Z", "2026-03-02T07:02:00Z"],
        ["2026-03-02T07:01:00Z", "2026-03-02T07:03:00Z"],
    )
    assert set(one).isdisjoint(two)


def test_endpoints_keep_order_method_and_weight(tmp_path: Path) -> None:
    """The load picks endpoints by these."""
    feed = feed_of(write_csv(tmp_path / "d.csv"), endpoint(weight=3), endpoint(name="two", method="PUT"))
    assert [(endpoint.name, endpoint.method, endpoint.weight) for endpoint in feed.endpoints] == [
        ("place", "POST", 3),
        ("two", "PUT", 1),
    ]


def test_a_buy_pays_the_ask_and_a_sell_gets_the_bid(tmp_path: Path) -> None:
    """Half the spread of 0.0002 above or below the close."""
    found = set()
    for body in bodies(feed_of(write_csv(tmp_path / "d.csv", count=400))):
        distance = 0.0001 if body["side"] == "buy" else -0.0001
        assert body["price"] == pytest.approx(body["close"] + distance, abs=1e-9)
        assert body["quantity"] % 1000 == 0
        assert 1_000 <= body["quantity"] <= 100_000
        found.add((body["side"], body["order_type"], body["time_in_force"]))
    assert {side for side, _, _ in found} == {"buy", "sell"}
    assert {kind for _, kind, _ in found} == {"market", "limit"}
    assert {life for _, _, life in found} == {"GTC", "IOC", "FOK", "DAY"}


@pytest.mark.parametrize(
    ("cadence_s", "timeframe", "bar_s"),
    [
        (60, "M1", 60),
        (300, "M5", 300),
        (900, "M15", 900),
        (1800, "M30", 1800),
        (3600, "H1", 3600),
        (14400, "H4", 14400),
        (86400, "D1", 86400),
        (5, "S5", 5),
        (120, "M2", 120),
        (7200, "H2", 7200),
        (7 * 86400, "W1", 7 * 86400),
        (7, "S5", 5),  # no S7: the longest that is not longer
        (90, "M1", 60),
    ],
)
def test_the_window_is_the_60_bars_before(tmp_path: Path, cadence_s: int, timeframe: str, bar_s: int) -> None:
    """A CSV may have another cadence; the window is 60 bars of the requested timeframe."""
    rows = bodies(feed_of(write_csv(tmp_path / "d.csv", cadence_s=cadence_s, instruments=PAIRS)))
    for row in rows:
        start, end = (datetime.fromisoformat(row[name]) for name in ("start_time", "end_time"))
        assert end - start == timedelta(seconds=60 * bar_s)
        assert (row["timeframe"], row["end_time"]) == (timeframe, row["timestamp"])
        assert row["start_time"].endswith("Z")


@pytest.mark.parametrize(
    ("cadence_s", "sentence"),
    [
        (7200, None),
        (7 * 86400, None),
        (2700, "mostly 45 min apart, which is the length of no usual bar; $timeframe is M30"),
        (3 * 86400, "mostly 72 h apart, which is the length of no usual bar; $timeframe is D1"),
    ],
)
def test_bars_of_an_unusual_length_are_named(tmp_path: Path, cadence_s: int, sentence: str | None) -> None:
    """Their timeframe is the next shorter one, and nobody would see that in the requests."""
    bars = read_market_data(write_csv(tmp_path / "d.csv", cadence_s=cadence_s, instruments=PAIRS))
    found = unusual_cadence(bars)
    assert found == (sentence and f"the rows of an instrument are {sentence}")


def test_indicators_by_their_definition(tmp_path: Path) -> None:
    """Momentum over 10 bars, volume over its 30-bar mean, deviation of 30 log returns, per instrument."""
    fields = fields_of(write_csv(tmp_path / "d.csv", instruments=PAIRS))
    closes = [1.1 + number / 10_000 for number in range(80)]
    returns = [math.log(b / a) for a, b in itertools.pairwise(closes)]
    for pair in PAIRS:
        rows = fields[fields["instrument"] == pair]
        assert len(rows) == 50
        for number, (_, row) in enumerate(rows.iterrows(), start=30):
            momentum = math.log(closes[number] / closes[number - 10])
            trend = (100 + number) / (100 + number - 14.5) - 1  # the mean of 30 bars ending here is 14.5 ticks back
            deviation = statistics.stdev(returns[number - 30 : number])
            assert row["price_momentum"] == pytest.approx(momentum, abs=1e-8)
            assert row["volume_trend"] == pytest.approx(trend, abs=1e-8)
            assert row["volatility"] == pytest.approx(deviation, abs=1e-8)


@pytest.mark.parametrize(
    ("bars", "rows"),
    [
        (2, 2),  # the least a file may have
        (30, 30),
        (59, 29),  # 29 of 59 have a history: 29 ≥ 59 // 2
        (58, 58),  # 28 of 58: fewer than half
    ],
)
def test_few_rows_are_all_used(tmp_path: Path, bars: int, rows: int) -> None:
    """Where leaving rows out would leave too little, indicators without a history are zero instead."""
    found = bodies(feed_of(write_csv(tmp_path / "d.csv", count=bars)))
    assert len(found) == rows
    if rows == bars:
        first = found[0]
        assert (first["price_momentum"], first["volume_trend"], first["volatility"]) == (0.0, 0.0, 0.0)


def test_a_market_without_volume(tmp_path: Path) -> None:
    """Volumes of zero have no trend; the trend is then zero, and the requests are JSON."""
    path = write_csv(tmp_path / "d.csv")
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    quiet = [lines[0], *([*fields[:6], "0", fields[7]] for fields in lines[1:])]
    path.write_text("\n".join(",".join(fields) for fields in quiet), encoding="utf-8")
    rows = bodies(feed_of(path))
    assert {row["volume_trend"] for row in rows} == {0.0}
    assert len(rows) == 80


def test_one_bar_an_instrument(tmp_path: Path) -> None:
    """Without two bars of anything there is no cadence; a minute is assumed."""
    rows = bodies(feed_of(write_csv(tmp_path / "d.csv", count=1, instruments=PAIRS)))
    assert [(row["instrument"], row["timeframe"], row["start_time"]) for row in rows] == [
        ("EUR_USD", "M1", "2026-03-02T05:30:00Z"),
        ("GBP_USD", "M1", "2026-03-02T05:30:00Z"),
    ]


def test_data_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """Staging makes no requests of a file with a problem."""
    path = write_csv(tmp_path / "d.csv", count=3)
    path.write_text(path.read_text(encoding="utf-8").replace("EUR_USD", "EURUSD"), encoding="utf-8")
    with pytest.raises(DataError, match="line 2: instrument must look like EUR_USD or SPX500_USD, but is 'EURUSD'"):
        feed_of(path)


def test_the_data_is_left_alone(tmp_path: Path) -> None:
    """Computing fields changes neither the file nor the frame."""
    bars = read_market_data(write_csv(tmp_path / "d.csv"))
    before = bars.copy()
    request_fields(bars, seed=1)
    pd.testing.assert_frame_equal(bars, before)


@pytest.mark.parametrize(
    ("stamps", "shown"),
    [
        (("07:00:00.100", "07:00:00.350"), "2026-03-17T07:00:00.100Z"),
        (("07:00:00.000001", "07:00:01"), "2026-03-17T07:00:00.000001Z"),
        (("07:00:00", "07:00:01"), "2026-03-17T07:00:00Z"),
    ],
)
def test_times_below_a_second_are_kept(tmp_path: Path, stamps: tuple[str, str], shown: str) -> None:
    """In the same form for all rows."""
    path = tmp_path / "ticks.csv"
    rows = [f"2026-03-17T{stamp}Z,EUR_USD,1.1,1.1,1.1,1.1,1,0.0001" for stamp in stamps]
    path.write_text("\n".join(["timestamp,instrument,open,high,low,close,volume,spread", *rows]), encoding="utf-8")
    fields = request_fields(read_market_data(path), seed=1)
    assert fields["timestamp"].iloc[0] == shown
    assert fields["end_time"].str.len().nunique() == 1


def test_prices_have_the_decimals_of_their_instrument(tmp_path: Path) -> None:
    """A price between bid and ask would be finer than the tick."""
    path = tmp_path / "two.csv"
    lines = ["timestamp,instrument,open,high,low,close,volume,spread"]
    for minute in range(40):
        lines.append(f"2026-03-17T07:{minute:02d}:00Z,USD_CHF,0.88310,0.88311,0.88309,0.88310,9,0.00003")
        lines.append(f"2026-03-17T07:{minute:02d}:00Z,USD_JPY,149.601,149.602,149.6,149.601,9,0.003")
    path.write_text("\n".join(lines), encoding="utf-8")
    fields = request_fields(read_market_data(path), seed=1)
    for instrument, places in (("USD_CHF", 5), ("USD_JPY", 3)):
        of_instrument = fields[fields["instrument"] == instrument]
        assert set(of_instrument["decimals"]) == {places}
        assert all(price == round(price, places) for price in of_instrument["price"])
