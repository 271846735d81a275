"""What the columns of an export mean by their names, for exports of which only the names of columns are known.

Names are compared in lower case, without ``<>``, and without a time zone in parentheses: ``Time (EET)``.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

PRICES = ("open", "high", "low", "close")

SIDES = tuple(f"{side}_{price}" for side in ("bid", "ask") for price in PRICES)

_TIME = (
    "time",
    "timestamp",
    "datetime",
    "date time",
    "date/time",
    "date_time",
    "gmt time",
    "open time",
    "timestamp_utc",
)
_DATE = ("date", "dtyyyymmdd", "day")

_NAMES: Mapping[str, tuple[str, ...]] = {
    "instrument": ("instrument", "symbol", "ticker", "pair", "currency pair", "currencypair"),
    **{price: (price, price[0], f"mid.{price[0]}", f"mid_{price}", f"mid{price}") for price in PRICES},
    "volume": ("volume", "vol", "tickvol", "tick volume", "tickvolume", "tick_volume", "ticks", "tickqty"),
    "spread": ("spread",),
    "bid": ("bid", "bidprice", "bid price", "bid_price", "rateb", "ratebid", "bids.0.price"),
    "ask": ("ask", "askprice", "ask price", "ask_price", "offer", "rateask", "asks.0.price"),
    **{
        f"{side}_{price}": (
            f"{side}.{price[0]}",
            f"{side}_{price}",
            f"{side}{price}",
            f"{price}{side}",
            f"{side} {price}",
        )
        for side in ("bid", "ask")
        for price in PRICES
    },
}

_PLAIN = re.compile(r"<?([^<>()]*?)>?\s*(?:\(([^()]*)\))?\s*")


def plain_name(name: str) -> tuple[str, str]:
    """Return a column's name in the form in which names are compared, and what stands in parentheses after it."""
    found = _PLAIN.fullmatch(name.strip().lower())
    return (found[1].strip(), (found[2] or "").strip()) if found else (name.strip().lower(), "")


def meanings_of(header: Sequence[str]) -> dict[str, int]:
    """Return the index of each column whose meaning its name says; nothing if they are neither bars nor ticks."""
    names = [plain_name(name)[0] for name in header]
    found = _times_of(names)
    for meaning, known in _NAMES.items():
        index = _index_of(names, known)
        if index is not None:
            found[meaning] = index
    prices = next((kind for kind in (PRICES, SIDES, ("bid", "ask")) if set(kind) <= set(found)), ())
    if not prices or not ({"time", "date"} & set(found)):
        return {}
    kept = {"time", "date", "clock", "instrument", *prices, *(("volume",) if len(prices) > 2 else ())}
    kept |= {"spread"} if prices == PRICES else set()
    return {meaning: index for meaning, index in found.items() if meaning in kept}


def _times_of(names: Sequence[str]) -> dict[str, int]:
    """Return where the time is; with a column of dates, the column of times is that of the clock."""
    date, time = _index_of(names, _DATE), _index_of(names, _TIME)
    if date is None:
        return {} if time is None else {"time": time}
    return {"date": date} if time is None else {"date": date, "clock": time}


def _index_of(names: Sequence[str], known: Iterable[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)
