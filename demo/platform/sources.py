"""The data sources of the platform: price feeds, and a summary of one in a window."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from demo.platform.instruments import InstrumentName
from demo.platform.prices import Bars
from demo.platform.responses import span
from demo.platform.windows import WindowQuery

_MAJORS = (
    InstrumentName.EUR_USD,
    InstrumentName.GBP_USD,
    InstrumentName.USD_JPY,
    InstrumentName.AUD_USD,
    InstrumentName.USD_CHF,
    InstrumentName.USD_CAD,
    InstrumentName.NZD_USD,
)
_CROSSES = (InstrumentName.EUR_GBP, InstrumentName.EUR_JPY)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """A feed.

    Attributes:
        source_id: its id.
        kind: ticks, bars or reference.
        instruments: what it covers.
    """

    source_id: str
    kind: str
    instruments: tuple[InstrumentName, ...]


DATA_SOURCES = (
    DataSource(source_id="interbank-ticks", kind="ticks", instruments=_MAJORS),
    DataSource(source_id="cross-ticks", kind="ticks", instruments=_CROSSES),
    DataSource(source_id="bar-archive", kind="bars", instruments=(*_MAJORS, *_CROSSES)),
    DataSource(source_id="central-bank-fixings", kind="reference", instruments=(*_MAJORS, *_CROSSES)),
)


def list_sources(query: WindowQuery, *, now_s: float) -> dict[str, Any]:
    """List the sources that cover the query's instrument, or all, with a summary of the window."""
    bars = query.bars(now_s=now_s)
    wanted = [source for source in DATA_SOURCES if query.instrument is None or query.instrument in source.instruments]
    return {
        "instrument": query.pair().name,
        **span(bars),
        "coverage": coverage(bars),
        "data_sources": [describe(source) for source in wanted],
    }


def describe(source: DataSource) -> dict[str, Any]:
    """Describe a source for JSON."""
    return {"source_id": source.source_id, "kind": source.kind, "instruments": source.instruments}


def coverage(bars: Bars) -> dict[str, Any]:
    """Summarise a source over bars: ticks, the busiest bar, and the share of bars with a price change."""
    return {
        "ticks": int(bars.volume.sum()),
        "most_ticks_in_a_bar": int(bars.volume.max()),
        "moving_bars_ratio": round(float(np.count_nonzero(bars.high > bars.low)) / len(bars), 4),
    }
