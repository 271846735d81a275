"""The eight currency pairs: six against the dollar, and two crosses that follow from them.

Levels, volatilities, correlations and spreads are plausible for majors at a retail-grade venue; none was
measured at one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyPair:
    """One currency pair.

    Attributes:
        price: the first price; that of a cross follows from its legs.
        daily_volatility: standard deviation of a normal day's log return.
        loading: correlation with the common factor, the weakness of the dollar.
        ticks: mean tick count of a minute with activity 1.
        spread_pips: spread at the usual activity and volatility.
    """

    name: str
    ticks: float
    spread_pips: float
    price: float = 0.0
    daily_volatility: float = 0.0
    loading: float = 0.0

    @property
    def pip(self) -> float:
        """One pip in price units."""
        return 0.01 if self.name.endswith("JPY") else 0.0001

    @property
    def digits(self) -> int:
        """Decimals of a quote: a pipette is a tenth of a pip."""
        return 3 if self.name.endswith("JPY") else 5


LEGS = (
    CurrencyPair(name="EUR_USD", price=1.085, daily_volatility=0.0045, loading=0.85, ticks=150, spread_pips=0.7),
    CurrencyPair(name="GBP_USD", price=1.295, daily_volatility=0.0050, loading=0.85, ticks=125, spread_pips=1.0),
    CurrencyPair(name="USD_JPY", price=149.5, daily_volatility=0.0055, loading=-0.50, ticks=140, spread_pips=0.9),
    CurrencyPair(name="AUD_USD", price=0.635, daily_volatility=0.0060, loading=0.65, ticks=95, spread_pips=0.9),
    CurrencyPair(name="USD_CHF", price=0.882, daily_volatility=0.0045, loading=-0.85, ticks=70, spread_pips=1.2),
    CurrencyPair(name="USD_CAD", price=1.430, daily_volatility=0.0040, loading=-0.60, ticks=85, spread_pips=1.3),
)
CROSSES = (
    CurrencyPair(name="EUR_GBP", ticks=75, spread_pips=1.1),
    CurrencyPair(name="EUR_JPY", ticks=115, spread_pips=1.5),
)
INSTRUMENTS = (*LEGS, *CROSSES)
