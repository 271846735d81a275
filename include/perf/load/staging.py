"""Staging: market data and payload templates become the request feed.

All sampling and computing happens here, with a seed: the same data, endpoints and seed give the same requests in the
same order, and the load itself computes nothing.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd

from include.perf.catalogue.endpoint import Endpoint, render
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.market_data import read_market_data

ROWS_PER_ENDPOINT = 2_000
"""Different requests per endpoint: enough that the target's caches do not see only repeats, and small in memory."""

LOOKBACK_BARS = 60
MOMENTUM_BARS = 10
VOLATILITY_BARS = 30
LOT = 1_000
TIMEFRAMES = {60: "M1", 300: "M5", 900: "M15", 1800: "M30", 3600: "H1", 14400: "H4", 86400: "D1"}


def build_feed(data: Path, endpoints: Sequence[Endpoint], *, seed: int) -> Feed:
    """Return the requests of a service, made from a scenario's market data.

    Raises:
        DataError: the data cannot be used.
    """
    fields = request_fields(read_market_data(data), seed=seed)
    requests = []
    for number, endpoint in enumerate(endpoints):
        rows = _spread_rows(len(fields), offset=number / len(endpoints))
        requests.append(tuple(_request(endpoint, row) for row in fields.iloc[rows].to_dict("records")))
    return Feed(
        endpoints=tuple(
            FeedEndpoint(name=endpoint.name, method=endpoint.method, weight=endpoint.weight, rows=len(rows))
            for endpoint, rows in zip(endpoints, requests, strict=True)
        ),
        requests=tuple(requests),
    )


def _spread_rows(available: int, *, offset: float) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Choose evenly spaced rows in time order; ``offset`` in [0, 1) shifts them by a part of their distance."""
    count = min(available, ROWS_PER_ENDPOINT)
    rows: np.ndarray[Any, np.dtype[np.intp]] = np.floor((np.arange(count) + offset) * (available / count)).astype(
        np.intp
    )
    return rows


def _request(endpoint: Endpoint, row: Mapping[Any, Any]) -> Request:
    target = quote(endpoint.path)
    if endpoint.query:
        target += "?" + urlencode(render(endpoint.query, row))
    body = None
    if endpoint.body is not None:
        body = json.dumps(render(endpoint.body, row), separators=(",", ":")).encode()
    return Request(target, body)


def request_fields(bars: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Compute every field that a payload template may name.

    Args:
        bars: (n, columns) from `read_market_data`.
        seed: for what the data does not determine: side, type, quantity and time in force of an order.

    Returns:
        (m, fields), m ≤ n, in time order. Rows without enough history for the indicators are left out; if those are
        more than half of the rows, they stay and their indicators are 0.
    """
    fields = bars.reset_index(drop=True).copy()
    by_instrument = fields.groupby("instrument", sort=False)
    log_close = np.log(fields["close"])
    returns = log_close.groupby(fields["instrument"]).diff()
    fields["price_momentum"] = log_close - log_close.groupby(fields["instrument"]).shift(MOMENTUM_BARS)
    mean_volume = by_instrument["volume"].transform(lambda volume: volume.rolling(VOLATILITY_BARS).mean())
    fields["volume_trend"] = fields["volume"] / mean_volume.where(mean_volume > 0) - 1
    fields["volatility"] = returns.groupby(fields["instrument"]).transform(
        lambda series: series.rolling(VOLATILITY_BARS).std()
    )
    return _with_orders(_with_window(_with_history(fields)), seed=seed)


def _with_history(fields: pd.DataFrame) -> pd.DataFrame:
    indicators = ["price_momentum", "volume_trend", "volatility"]
    complete = fields.dropna(subset=indicators)
    kept = complete if len(complete) >= len(fields) // 2 else fields
    return kept.fillna(dict.fromkeys(indicators, 0.0)).round(dict.fromkeys(indicators, 8))


def _with_window(fields: pd.DataFrame) -> pd.DataFrame:
    """Add the time window of each row: the 60 bars that end with it."""
    gaps = fields.groupby("instrument")["timestamp"].diff().dropna().dt.total_seconds()
    bar_s = _timeframe_s(gaps.median()) if len(gaps) else 60
    end = fields["timestamp"]
    start = end - pd.Timedelta(seconds=LOOKBACK_BARS * bar_s)
    text = "%Y-%m-%dT%H:%M:%SZ"
    return fields.assign(
        timeframe=TIMEFRAMES[bar_s],
        timestamp=end.dt.strftime(text),
        end_time=end.dt.strftime(text),
        start_time=start.dt.strftime(text),
    )


def _timeframe_s(cadence_s: float) -> int:
    """Return the longest timeframe that is not longer than the data's cadence, M1 for anything faster."""
    return max((length for length in TIMEFRAMES if length <= cadence_s), default=min(TIMEFRAMES))


def _with_orders(fields: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Add the fields of an order; a buy pays the ask, a sell gets the bid."""
    random = np.random.default_rng(seed)
    count = len(fields)
    side = np.where(random.random(count) < 0.5, "buy", "sell")
    half_spread = fields["spread"] / 2
    price = np.where(side == "buy", fields["close"] + half_spread, fields["close"] - half_spread)
    return fields.assign(
        side=side,
        order_type=random.choice(["market", "limit"], size=count, p=[0.7, 0.3]),
        time_in_force=random.choice(["GTC", "IOC", "FOK", "DAY"], size=count, p=[0.4, 0.3, 0.1, 0.2]),
        quantity=random.integers(1, 101, size=count) * LOT,
        price=np.round(price, 6),
    )
