"""Patterns, signals and regimes of hand-made windows."""

import numpy as np
import pytest

from demo.platform.instruments import INSTRUMENTS, InstrumentName
from demo.platform.patterns import KINDS, find_patterns
from demo.platform.prices import Bars
from demo.platform.regime import detect_regime, efficiency
from demo.platform.signals import Signal, crossings, find_signals, net_score


def make_bars(*candles: tuple[float, float, float, float]) -> Bars:
    """Bars from (open, high, low, close)."""
    columns = np.array(candles, dtype=np.float64).T
    made = Bars(
        instrument=INSTRUMENTS[InstrumentName.EUR_USD],
        step_s=60,
        times=60 * np.arange(len(candles), dtype=np.int64),
        open=columns[0],
        close=columns[3],
    )
    # set the cached properties
    made.__dict__.update(high=columns[1], low=columns[2])
    return made


@pytest.mark.parametrize(
    ("candle", "name"),
    [
        ((10.0, 11.0, 9.0, 10.1), "neutral doji"),  # body 0.1 of range 2
        ((10.0, 11.0, 10.0, 11.0), "bullish marubozu"),  # nothing but body
        ((11.0, 11.0, 10.0, 10.0), "bearish marubozu"),
        ((10.0, 10.5, 8.5, 10.4), "bullish hammer"),  # body 0.4, lower shadow 1.5, upper 0.1
        ((10.0, 11.5, 9.9, 10.4), "bearish shooting_star"),  # body 0.4, upper shadow 1.1, lower 0.1
        ((10.0, 10.8, 9.8, 10.5), None),  # body half the range
        ((10.0, 10.0, 10.0, 10.0), None),  # did not move
    ],
)
def test_a_single_candle_shows_its_pattern(candle: tuple[float, float, float, float], name: str | None) -> None:
    found = [f"{kind.direction} {kind.name}" for _, kind in find_patterns(make_bars(candle)).latest(9)]
    assert found == ([] if name is None else [name])


def test_two_candles_engulf_or_lie_inside() -> None:
    plain_down, plain_up = (10.5, 10.9, 9.9, 10.1), (10.0, 11.2, 9.7, 10.7)
    found = find_patterns(make_bars(plain_down, plain_up, plain_down))
    # up after down covers 10.5 … 10.1; the last lies within 11.2 … 9.7 but opens below the close 10.7
    assert [(bar, kind.name, kind.direction) for bar, kind in found.latest(9)] == [
        (1, "engulfing", "bullish"),
        (2, "inside_bar", "neutral"),
    ]
    counts = found.counts()
    assert sum(counts.values()) == 2
    assert len(counts) == len(KINDS)


def test_the_latest_patterns_are_the_last_ones() -> None:
    doji = (10.0, 11.0, 9.0, 10.0)
    found = find_patterns(make_bars(*[doji] * 5))
    # bars 1–4 are inside bars as well: equal extremes count as within
    assert found.counts()[KINDS[0]] == 5
    assert [bar for bar, _ in found.latest(3)] == [3, 4, 4]


def test_crossings_are_changes_of_side() -> None:
    assert crossings([-1, 1, 1, 0, -1], 0.0, source="x", offset=10) == [
        Signal(source="x", action="buy", index=11),
        Signal(source="x", action="sell", index=13),  # a value on the level is not above it
    ]
    assert crossings([], 0.0, source="x", offset=0) == []


def test_a_turn_of_the_market_gives_a_sell_signal_of_each_kind() -> None:
    rise_and_fall = np.concatenate([np.linspace(1.0, 1.1, 60), np.linspace(1.1, 1.0, 60)])
    found = find_signals(rise_and_fall)
    assert {(s.source, s.action) for s in found} == {("rsi", "sell"), ("sma_cross", "sell"), ("macd", "sell")}
    assert all(60 <= s.index < 90 for s in found)
    assert [s.index for s in found] == sorted(s.index for s in found)


def test_the_score_weighs_newer_signals_more() -> None:
    buy, sell = (Signal(source="x", action=a, index=i) for a, i in (("buy", 9), ("sell", 4)))
    # weights 10/10 and 5/10: (1 - 0.5) / 1.5
    assert net_score([sell, buy], bars=10) == pytest.approx(1 / 3)
    assert net_score([], bars=10) == 0.0


def test_a_lively_end_is_a_high_regime() -> None:
    calm = 1.0 + 0.0001 * (np.arange(100) % 2)
    lively = 1.0 + 0.002 * (np.arange(20) % 2)
    found = detect_regime(np.concatenate([calm, lively]), step_s=60)
    assert (found.volatility, found.direction, found.percentile) == ("high", "ranging", 1.0)
    assert found.changes >= 1
    quiet = detect_regime(np.concatenate([np.tile(lively, 5), calm[:40]]), step_s=60)
    assert quiet.volatility == "low"


def test_a_straight_line_trends() -> None:
    assert detect_regime(np.linspace(1.0, 1.1, 60), step_s=60).direction == "trending"
    assert efficiency(np.array([1.0, 2.0, 1.0, 2.0])) == pytest.approx(1 / 3)  # net 1 of a path of 3
    assert efficiency(np.array([2.0, 2.0])) == 0.0


def test_too_few_prices_have_no_regime() -> None:
    with pytest.raises(ValueError, match="at least 21 prices, but got 20"):
        detect_regime(np.ones(20), step_s=60)
