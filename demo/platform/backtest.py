"""What a strategy would have earned over past bars.

The position decided at the close of bar i earns the simple return of bar i + 1; each change of position
costs half the spread per unit changed. With equity E and per-bar net returns g::

    E[i] = E[0] · Π(1 + g),  max drawdown = max(1 - E / running maximum of E),
    Sharpe = mean(g) / std(g) · √(bars a year)

A year has 260 trading days. Source: Sharpe, W., "The Sharpe Ratio", J. of Portfolio Management, 1994,
doi:10.3905/jpm.1994.409501.
"""

import math
from dataclasses import dataclass

import numpy as np

from demo.platform.instruments import Instrument
from demo.platform.prices import Bars, FloatArray
from demo.platform.regime import TRADING_SECONDS_PER_YEAR
from demo.platform.strategies import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """The figures of a backtest.

    Attributes:
        final_capital: in the currency of the initial capital.
        pnl: final - initial capital.
        max_drawdown: ratio, 0–1.
        sharpe: annualised, 0 where returns do not vary.
        trades: changes of position, the entry included.
        win_rate: share of bars with a position that earned more than they cost, 0 without any.
    """

    final_capital: float
    pnl: float
    max_drawdown: float
    sharpe: float
    trades: int
    win_rate: float


def run_backtest(strategy: Strategy, instrument: Instrument, bars: Bars, *, capital: float) -> BacktestResult:
    """Run a strategy over bars with its costs."""
    held = strategy.positions(bars.close)[:-1]
    cost = instrument.half_spread / bars.close[:-1]
    return evaluate_positions(held, bars.close, cost=cost, capital=capital, step_s=bars.step_s)


def evaluate_positions(
    held: FloatArray, close: FloatArray, *, cost: FloatArray, capital: float, step_s: int
) -> BacktestResult:
    """Compute the figures of positions held over bars.

    Args:
        held: (n - 1,) positions decided at the close of bars 0 … n - 2.
        close: (n,) closing prices, n ≥ 2.
        cost: (n - 1,) ratio of the price paid per unit of position changed.
        capital: initial capital, positive.
        step_s: length of a bar in seconds.
    """
    changed = held.copy()
    changed[1:] -= held[:-1]
    np.abs(changed, out=changed)
    net = held * (close[1:] / close[:-1] - 1.0) - cost * changed
    equity = capital * np.cumprod(1.0 + net)
    peak = np.maximum.accumulate(np.maximum(equity, capital))
    mean = float(net.sum()) / len(net)
    deviation = math.sqrt(max(0.0, float(net @ net) / len(net) - mean * mean))
    in_market = held != 0.0
    positions = int(np.count_nonzero(in_market))
    bars_a_year = TRADING_SECONDS_PER_YEAR / step_s
    final = float(equity[-1])
    return BacktestResult(
        final_capital=final,
        pnl=final - capital,
        max_drawdown=1.0 - float((equity / peak).min()),
        sharpe=mean / deviation * math.sqrt(bars_a_year) if deviation > 0 else 0.0,
        trades=int(np.count_nonzero(changed)),
        win_rate=int(np.count_nonzero(in_market & (net > 0))) / positions if positions else 0.0,
    )
