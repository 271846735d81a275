"""Prices are random-access, repeatable and of a realistic size."""

import subprocess
import sys

import numpy as np
import pytest

from demo.platform.instruments import INSTRUMENTS, Instrument, InstrumentName
from demo.platform.prices import bars, mid_price, mid_prices

MONDAY_S = 1_767_571_200
EUR_USD = INSTRUMENTS[InstrumentName.EUR_USD]


def test_a_price_does_not_depend_on_other_requests() -> None:
    """A moment has the same price alone, in a window and in reverse order."""
    seconds = MONDAY_S + 7 * np.arange(500, dtype=np.int64)
    together = mid_prices(EUR_USD, seconds)
    alone = [mid_prices(EUR_USD, seconds[i : i + 1])[0] for i in range(0, 500, 50)]
    assert together[::50].tolist() == alone
    assert mid_prices(EUR_USD, seconds[::-1]).tolist() == together[::-1].tolist()


def test_another_process_computes_the_same_price() -> None:
    """Prices do not depend on hash randomisation or on the process."""
    code = (
        "from demo.platform.prices import mid_price\n"
        "from demo.platform.instruments import *\n"
        f"print(mid_price(INSTRUMENTS[InstrumentName.USD_JPY], {MONDAY_S}))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(answer.stdout) == mid_price(INSTRUMENTS[InstrumentName.USD_JPY], MONDAY_S)


@pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=lambda i: i.name.value)
def test_prices_stay_near_their_level_and_move_like_a_major_pair(instrument: Instrument) -> None:
    """A year stays within 10 % of the level; a day changes it by 0.3–0.7 % (one standard deviation)."""
    hours = MONDAY_S + 3_600 * np.arange(365 * 24, dtype=np.int64)
    prices = mid_prices(instrument, hours)
    assert 0.9 * instrument.level < prices.min() < prices.max() < 1.1 * instrument.level
    assert 0.003 < np.diff(np.log(prices[::24])).std() < 0.007


def test_minute_changes_are_not_predictable_from_the_last() -> None:
    """The correlation of consecutive changes is below 0.1."""
    minutes = MONDAY_S + 60 * np.arange(50_000, dtype=np.int64)
    changes = np.diff(mid_prices(EUR_USD, minutes))
    assert abs(np.corrcoef(changes[1:], changes[:-1])[0, 1]) < 0.1


def test_instruments_move_on_their_own() -> None:
    """Daily changes of two pairs are not the same series."""
    days = MONDAY_S + 86_400 * np.arange(300, dtype=np.int64)
    one = np.diff(np.log(mid_prices(EUR_USD, days)))
    other = np.diff(np.log(mid_prices(INSTRUMENTS[InstrumentName.AUD_USD], days)))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.3


def test_a_bar_holds_together() -> None:
    """High and low enclose open and close, and each bar opens where the last closed."""
    made = bars(EUR_USD, first_s=MONDAY_S, step_s=300, count=240)
    assert len(made) == 240
    assert (made.high >= np.maximum(made.open, made.close)).all()
    assert (made.low <= np.minimum(made.open, made.close)).all()
    assert made.open[1:].tolist() == made.close[:-1].tolist()
    assert (made.volume >= 1).all()
    assert made.times.tolist() == [MONDAY_S + 300 * i for i in range(240)]


def test_timeframes_agree_on_open_and_close() -> None:
    """An hour's bar opens with its first minute and closes with its last."""
    hour = bars(EUR_USD, first_s=MONDAY_S, step_s=3_600, count=1)
    minutes = bars(EUR_USD, first_s=MONDAY_S, step_s=60, count=60)
    assert (hour.open[0], hour.close[0]) == (minutes.open[0], minutes.close[-1])


def test_the_overlap_of_london_and_new_york_is_busiest() -> None:
    """Ticks at 14:00 UTC outnumber those at 22:00 several times."""
    day = bars(EUR_USD, first_s=MONDAY_S, step_s=3_600, count=24)
    assert day.volume[14] > 3 * day.volume[22]


def test_prices_before_1970_exist() -> None:
    """Negative seconds are moments like any other."""
    assert 1.0 < mid_price(EUR_USD, -1_000_000) < 1.2
