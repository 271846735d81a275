"""A synthetic forex market in one-minute bars: prices, tick counts and spreads of eight pairs.

Symbols: i instrument, t minute, a activity (``sessions``), ā its mean over a normal day.

- Return of a dollar pair: r = σᵢ √(a/ā) · level · x, x = √h · z + J. Variance follows activity: more
  trades, more movement (Clark 1973). z is normal with one common factor, the dollar.
- Clustering: h' = ω + α x² + β h, ω = 1 − α − β, long-run mean 1: GARCH(1,1) (Bollerslev 1986).
- A release (payrolls, a rate decision) brings a jump J at its minute and lifts h; half of the lift is
  gone after ln ½ / ln(α + β) minutes (Andersen et al. 2003). Smaller jumps come at random.
- Crosses follow from their legs (EUR_GBP = EUR_USD / GBP_USD, EUR_JPY = EUR_USD · USD_JPY) to within
  half their spread, so that there is no arbitrage.
- Ticks: Poisson, mean ∝ a · √(conditional volatility) · lognormal noise, fewer before a release.
  Silent minutes repeat the last price.
- Spread: wider where activity is low, where conditional volatility is high (Bollerslev and Melvin
  1994), at the London open, around a release and around 17:00 New York.
- High and low: extremes of a Brownian bridge from open to close, by the reflection principle:
  high = (open + close + √((close − open)² − 2 σ² ln U)) / 2.

All data is synthetic: the levels are plausible for majors at a retail-grade venue, no quote was traded.

Source: Clark (1973), Econometrica 41(1), 135–155, doi:10.2307/1913889; Bollerslev (1986), Journal of
Econometrics 31(3), 307–327, doi:10.1016/0304-4076(86)90063-1; Bollerslev, Melvin (1994), Journal of
International Economics 36(3–4), 355–372, doi:10.1016/0022-1996(94)90008-6; Andersen, Bollerslev,
Diebold, Vega (2003), American Economic Review 93(1), 38–62, doi:10.1257/000282803321455151.
"""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator

from include.data.conditions import Conditions, ConditionWindow
from include.data.instruments import CROSSES, INSTRUMENTS, LEGS
from include.data.quotes import QuoteBars, bars, spreads, ticks
from include.data.sessions import Floats, activity, usual_activity

# log price of a cross = these weights · log prices of the legs
_WEIGHTS = np.array([[1.0, -1.0, 0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
_LOADINGS = np.array([leg.loading for leg in LEGS])
_OWN = np.sqrt(1.0 - _LOADINGS**2)
_CORRELATION = np.outer(_LOADINGS, _LOADINGS) + np.diag(_OWN**2)
_DAY_MIN = 1440


def simulate(windows: Sequence[ConditionWindow], conditions: Conditions, rng: Generator) -> QuoteBars:
    """Return the bars of all windows, in order; prices continue from one window to the next."""
    times = [t for window in windows for t in window.times]
    number = np.repeat(np.arange(len(windows)), [window.minutes for window in windows])
    seasons = [activity(times, i.name, open_burst=conditions.open_burst) for i in INSTRUMENTS]
    season = np.column_stack(seasons)
    busy = season / np.array([usual_activity(i.name) for i in INSTRUMENTS])
    scale = np.array([leg.daily_volatility for leg in LEGS]) / np.sqrt(_DAY_MIN) * conditions.level
    scale = scale * np.sqrt(busy[:, : len(LEGS)])
    shocks, variance = _shocks(windows, conditions, rng)
    deviation = _deviations(scale * np.sqrt(variance))
    excess = deviation / _deviations(scale) * conditions.level  # volatility as a multiple of the hour's usual one
    spread = spreads(times, windows, conditions, busy=busy, excess=excess, rng=rng)
    opened, closed = _paths(scale * shocks, windows, rng)
    volume = ticks(season, windows, excess=excess, rng=rng)
    return bars(times, number, opened, closed, volume=volume, spread=spread, deviation=deviation, rng=rng)


def _shocks(windows: Sequence[ConditionWindow], conditions: Conditions, rng: Generator) -> tuple[Floats, Floats]:
    """Return standardised returns x and conditional variances h of the legs, both (n, 6)."""
    count = sum(window.minutes for window in windows)
    normal = _LOADINGS * rng.standard_normal((count, 1)) + _OWN * rng.standard_normal((count, len(LEGS)))
    jumps = _jumps(windows, conditions, rng)
    starts = np.cumsum([0, *[window.minutes for window in windows]])
    alpha, beta = conditions.arch, conditions.garch
    shocks, variances = np.empty_like(normal), np.empty_like(normal)
    variance = np.ones(len(LEGS))
    for t in range(count):
        if t in starts:  # another day: the volatility of the day before has decayed
            variance = np.ones(len(LEGS))
        shocks[t] = np.sqrt(variance) * normal[t] + jumps[t]
        variances[t] = variance
        squared = np.minimum(shocks[t] ** 2, 80.0)  # a single jump must not raise the variance without bound
        variance = (1.0 - alpha - beta) + alpha * squared + beta * variance
    return shocks, variances


def _jumps(windows: Sequence[ConditionWindow], conditions: Conditions, rng: Generator) -> Floats:
    """Return jumps of the legs in standard deviations, (n, 6): releases and small random ones."""
    count = sum(window.minutes for window in windows)
    sizes = rng.uniform(3.0, 6.0, (count, len(LEGS))) * np.sign(rng.standard_normal((count, len(LEGS))))
    jumps = np.where(rng.random((count, len(LEGS))) < conditions.jumps_per_hour / 60.0, sizes, 0.0)
    start = 0
    for window in windows:
        sign = np.sign(rng.standard_normal())
        if window.release is not None:
            release = window.release
            jumps[start + release.minute] += sign * release.jump * _exposure(release.currency)
        start += window.minutes
    return jumps


def _exposure(currency: str) -> Floats:
    """Return how the legs move on a currency's good news: (6,), 1 base, −1 quote, a third of it elsewhere."""
    moves = []
    for leg in LEGS:
        base, quote = leg.name.split("_")
        elsewhere = -np.sign(leg.loading) / 3.0
        moves.append(1.0 if base == currency else -1.0 if quote == currency else elsewhere)
    return np.array(moves)


def _deviations(legs: Floats) -> Floats:
    """Return standard deviations of all eight log returns, (n, 8), from those of the legs, (n, 6)."""
    crosses = []
    for weights in _WEIGHTS:
        weighted = legs * weights
        crosses.append(np.sqrt(np.einsum("ti,ij,tj->t", weighted, _CORRELATION, weighted)))
    return np.column_stack([legs, *crosses])


def _paths(returns: Floats, windows: Sequence[ConditionWindow], rng: Generator) -> tuple[Floats, Floats]:
    """Return open and close of all instruments before rounding, both (n, 8)."""
    gaps = np.zeros_like(returns)
    start = 0
    daily = np.array([leg.daily_volatility for leg in LEGS])
    for window in windows:
        if start > 0:  # the change of the market between the windows
            gaps[start] = 0.5 * daily * rng.standard_normal(len(LEGS))
        start += window.minutes
    log_prices = np.log([leg.price for leg in LEGS])
    closes = log_prices + np.cumsum(returns + gaps, axis=0)
    opens = closes - returns
    usual = np.array([cross.spread_pips * cross.pip for cross in CROSSES])
    noise = usual * np.clip(0.05 * rng.standard_normal((len(returns), len(CROSSES))), -0.2, 0.2)
    before = np.vstack([np.zeros((1, len(CROSSES))), noise[:-1]])
    crosses = [np.exp(opens @ _WEIGHTS.T) + before, np.exp(closes @ _WEIGHTS.T) + noise]
    return np.hstack([np.exp(opens), crosses[0]]), np.hstack([np.exp(closes), crosses[1]])
