"""Staging: market data and payload templates become the request feed.

All sampling and computing happens here, with a seed: the same data, endpoints and seed give the same requests in the
same order, and the load itself computes nothing.
"""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.perf.catalogue.journey import Journey
from include.perf.catalogue.scenario.arrival_rate import shared_out
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from include.perf.catalogue.template import DECIMALS
from include.perf.load.data_files import FileColumns
from include.perf.load.feed import Feed, FeedEndpoint
from include.perf.load.market_data import read_market_data
from include.perf.load.request_template import RequestTemplate
from include.perf.model.text import span

ROWS_PER_ENDPOINT = 2_000
"""Different requests per endpoint: enough that the target's caches do not see only repeats, and small in memory."""

MAX_DECIMALS = 8
"""Prices have at most 6; more come from calculations, such as the mean of two prices."""

LOOKBACK_BARS = 60
MOMENTUM_BARS = 10
VOLATILITY_BARS = 30
LOT = 1_000
TIMEFRAMES = {
    **{seconds: f"S{seconds}" for seconds in (1, 5, 10, 15, 30)},
    **{60 * minutes: f"M{minutes}" for minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)},
    **{3600 * hours: f"H{hours}" for hours in (1, 2, 3, 4, 6, 8, 12)},
    86400: "D1",
    7 * 86400: "W1",
}
"""Names of bar lengths in seconds, as trading platforms use them."""


def build_feed(data: Path, service: Service, load: LoadProfile) -> Feed:
    """Return the requests of a service, made from a scenario's market data; none for a locustfile, which makes its own.

    Raises:
        DataError: the market data or a data file cannot be used, or a data file has too few rows for the load.
    """
    if service.locustfile is not None:
        return Feed(endpoints=(), requests=())
    return prepared(request_fields(read_market_data(data), seed=load.seed), service, load)


def prepared(fields: pd.DataFrame, service: Service, load: LoadProfile, *, rows: int = ROWS_PER_ENDPOINT) -> Feed:
    """Return the requests of a service, made from fields of market data.

    Args:
        fields: from `request_fields`.
        rows: how many different requests an endpoint has at most.

    Raises:
        DataError: a data file cannot be used, or has too few rows for the load.
    """
    columns = FileColumns()
    endpoints: list[FeedEndpoint] = []
    requests = []
    counts = requests_by_endpoint(service, load)
    for number, (entry, count) in enumerate(zip(service.endpoints, counts, strict=True)):
        chosen = _spread_rows(len(fields), most=rows, offset=number / len(service.endpoints))
        records = fields.iloc[chosen].to_dict("records")
        for endpoint in entry.requests:
            template = RequestTemplate(endpoint, headers=service.headers)
            made = map(template.request, records)
            requests.append(tuple(replace(request, is_signed=endpoint.sign) for request in made))
            endpoints.append(
                FeedEndpoint(
                    name=endpoint.name,
                    method=endpoint.method,
                    weight=endpoint.weight,
                    rows=len(chosen),
                    slots=template.slots,
                    files=columns.uses_of(endpoint, entry.name, template.slots, service.data_files, requests=count),
                    is_signed=endpoint.sign,
                    journey=entry.name if isinstance(entry, Journey) else "",
                )
            )
    columns.check_rows()
    return Feed(endpoints=tuple(endpoints), requests=tuple(requests), columns=columns.by_key)


def requests_by_endpoint(service: Service, load: LoadProfile) -> list[int]:
    """Return how many arrivals each endpoint or journey gets, in the warm-up and the measured part together."""
    weights = [endpoint.weight for endpoint in service.endpoints]
    parts = [shared_out(weights, arrivals) for arrivals in (load.warmup_arrivals, load.measured_arrivals)]
    return [sum(counts) for counts in zip(*parts, strict=True)]


def _spread_rows(available: int, *, most: int, offset: float) -> np.ndarray[Any, np.dtype[np.intp]]:
    """Choose evenly spaced rows in time order; ``offset`` in [0, 1) shifts them by a part of their distance."""
    count = min(available, most)
    rows: np.ndarray[Any, np.dtype[np.intp]] = np.floor((np.arange(count) + offset) * (available / count)).astype(
        np.intp
    )
    return rows


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
    return _with_orders(_with_window(_with_history(_with_decimals(fields))), seed=seed)


def _with_decimals(fields: pd.DataFrame) -> pd.DataFrame:
    """Add the decimals of the instrument's prices: the most that any of them has."""
    decimals = {
        instrument: max(_decimals(price) for price in np.unique(prices[["open", "high", "low", "close"]]))
        for instrument, prices in fields.groupby("instrument", sort=False)
    }
    return fields.assign(**{DECIMALS: fields["instrument"].map(decimals)})


def _decimals(price: float) -> int:
    exponent = Decimal(repr(float(price))).normalize().as_tuple().exponent
    return min(MAX_DECIMALS, max(0, -int(exponent)))


def _with_history(fields: pd.DataFrame) -> pd.DataFrame:
    indicators = ["price_momentum", "volume_trend", "volatility"]
    complete = fields.dropna(subset=indicators)
    kept = complete if len(complete) >= len(fields) // 2 else fields
    return kept.fillna(dict.fromkeys(indicators, 0.0)).round(dict.fromkeys(indicators, 8))


def _with_window(fields: pd.DataFrame) -> pd.DataFrame:
    """Add the time window of each row: the 60 bars that end with it."""
    bar_s = _timeframe_s(_cadence_s(fields))
    end = fields["timestamp"]
    start = end - pd.Timedelta(seconds=LOOKBACK_BARS * bar_s)
    end_text, start_text = _rfc3339(end), _rfc3339(start)
    return fields.assign(timeframe=TIMEFRAMES[bar_s], timestamp=end_text, end_time=end_text, start_time=start_text)


def unusual_cadence(bars: pd.DataFrame) -> str | None:
    """Return what is unusual about the distance of bars, as a sentence; ``None`` if it is that of a timeframe."""
    cadence_s = _cadence_s(bars)
    if cadence_s in TIMEFRAMES:
        return None
    return (
        f"the rows of an instrument are mostly {span(cadence_s)} apart, which is the length of no usual bar; "
        f"$timeframe is {TIMEFRAMES[_timeframe_s(cadence_s)]}"
    )


def _cadence_s(bars: pd.DataFrame) -> float:
    """Return the median distance of the rows of an instrument; a minute if each has one row only."""
    gaps = bars.groupby("instrument")["timestamp"].diff().dropna().dt.total_seconds()
    return float(gaps.median()) if len(gaps) else 60.0


def _rfc3339(times: "pd.Series[pd.Timestamp]") -> "pd.Series[str]":
    """Return times as text, with milliseconds or microseconds where any time has them."""
    micros = times.dt.microsecond
    if not micros.any():
        return times.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = times.dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return (text.str.slice(stop=-3) if not (micros % 1000).any() else text) + "Z"


def _timeframe_s(cadence_s: float) -> int:
    """Return the longest timeframe that is not longer than the data's cadence, S1 for anything faster."""
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
        price=[round(value, places) for value, places in zip(price.tolist(), fields[DECIMALS].tolist(), strict=True)],
    )
