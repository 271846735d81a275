"""What the platform trades: instruments and timeframes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class InstrumentName(StrEnum):
    """The currency pairs of the platform, written base_quote."""

    EUR_USD = "EUR_USD"
    GBP_USD = "GBP_USD"
    USD_JPY = "USD_JPY"
    AUD_USD = "AUD_USD"
    USD_CHF = "USD_CHF"
    USD_CAD = "USD_CAD"
    EUR_GBP = "EUR_GBP"
    EUR_JPY = "EUR_JPY"
    NZD_USD = "NZD_USD"


class Timeframe(StrEnum):
    """Length of a bar; `TIMEFRAME_SECONDS` has it in seconds."""

    M1 = "M1"
    M5 = "M5"
    M15 = "M15"
    M30 = "M30"
    H1 = "H1"
    H4 = "H4"
    D1 = "D1"


TIMEFRAME_SECONDS: Mapping[Timeframe, int] = {
    Timeframe.M1: 60,
    Timeframe.M5: 300,
    Timeframe.M15: 900,
    Timeframe.M30: 1_800,
    Timeframe.H1: 3_600,
    Timeframe.H4: 14_400,
    Timeframe.D1: 86_400,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A currency pair.

    Attributes:
        name: the pair.
        level: price around which the price process moves, in units of the quote currency.
        pip: the pair's pip in price units; 0.01 for pairs quoted in yen, else 0.0001.
        decimals: decimals a price is quoted with, one more than the pip's.
        spread_pips: usual distance between bid and ask, in pips.
    """

    name: InstrumentName
    level: float
    pip: float
    decimals: int
    spread_pips: float

    @property
    def tick(self) -> float:
        """Smallest price step, a tenth of a pip."""
        return self.pip / 10

    @property
    def half_spread(self) -> float:
        """Half the distance between bid and ask, in price units."""
        return self.spread_pips * self.pip / 2


def _pair(name: InstrumentName, *, level: float, spread_pips: float) -> Instrument:
    is_yen = name.value.endswith("JPY")
    return Instrument(
        name=name,
        level=level,
        pip=0.01 if is_yen else 0.0001,
        decimals=3 if is_yen else 5,
        spread_pips=spread_pips,
    )


_PAIRS = (
    _pair(InstrumentName.EUR_USD, level=1.0850, spread_pips=0.6),
    _pair(InstrumentName.GBP_USD, level=1.2700, spread_pips=0.9),
    _pair(InstrumentName.USD_JPY, level=151.50, spread_pips=0.8),
    _pair(InstrumentName.AUD_USD, level=0.6580, spread_pips=0.8),
    _pair(InstrumentName.USD_CHF, level=0.8850, spread_pips=1.1),
    _pair(InstrumentName.USD_CAD, level=1.3620, spread_pips=1.2),
    _pair(InstrumentName.EUR_GBP, level=0.8540, spread_pips=1.0),
    _pair(InstrumentName.EUR_JPY, level=164.40, spread_pips=1.2),
    _pair(InstrumentName.NZD_USD, level=0.6080, spread_pips=1.2),
)

INSTRUMENTS: Mapping[InstrumentName, Instrument] = {pair.name: pair for pair in _PAIRS}
