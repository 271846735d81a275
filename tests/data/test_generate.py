"""The market data in the repository is the generator's output, and the four scenarios differ as described."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from include.data.generate import PERIODS, SEED, DataPeriod, bars, csv_text, main
from include.data.instruments import INSTRUMENTS
from include.data.picture import autocorrelation, draw
from include.data.quotes import QuoteBars
from include.perf.load.market_data import read_market_data

FOLDER = Path(__file__).parents[2] / "include" / "data"
NAMES = [instrument.name for instrument in INSTRUMENTS]
PIPS = np.array([instrument.pip for instrument in INSTRUMENTS])
LONDON = ZoneInfo("Europe/London")
NEW_YORK = ZoneInfo("America/New_York")
MAX_BYTES = 1_500_000
LEGS_OF = {"EUR_GBP": ("EUR_USD", "GBP_USD", -1), "EUR_JPY": ("EUR_USD", "USD_JPY", 1)}

every_period = pytest.mark.parametrize("period", PERIODS, ids=[period.scenario for period in PERIODS])


@cache
def made(scenario: str) -> QuoteBars:
    return bars(next(period for period in PERIODS if period.scenario == scenario))


@cache
def read(scenario: str) -> pd.DataFrame:
    return read_market_data(FOLDER / f"{scenario}_data.csv")


def wide(scenario: str, column: str) -> pd.DataFrame:
    """Return one column of the CSV: one row per minute, one column per instrument."""
    return read(scenario).pivot_table(index="timestamp", columns="instrument", values=column)[NAMES]


def volatility(scenario: str) -> np.ndarray:
    """Return the standard deviation of one-minute log returns, per instrument."""
    returns = np.log(wide(scenario, "close") / wide(scenario, "open"))
    return returns.std().to_numpy()


def burst(scenario: str, column: str) -> float:
    """Return the ratio of 08:00–08:05 London to 09:30–10:00, mean of the instruments."""
    values = wide(scenario, column)
    local = pd.DatetimeIndex(values.index).tz_convert(LONDON)
    minute = local.hour * 60 + local.minute
    opening = values[(minute >= 480) & (minute < 485)].mean()
    later = values[(minute >= 570) & (minute < 600)].mean()
    return float((opening / later).mean())


@every_period
def test_files_are_the_generator_s_output(period: DataPeriod) -> None:
    """The committed CSV is the generator's, byte by byte; if not, run python -m include.data.generate."""
    content = (FOLDER / period.file_name).read_bytes()
    assert content == csv_text(made(period.scenario)).encode()
    assert len(content) <= MAX_BYTES


def test_the_seed_decides(tmp_path: Path) -> None:
    """The same seed gives the same bytes, another seed other ones."""
    main(["--out", str(tmp_path / "a"), "--seed", "7"])
    main(["--out", str(tmp_path / "b"), "--seed", "7"])
    for period in PERIODS:
        again = (tmp_path / "b" / period.file_name).read_bytes()
        assert (tmp_path / "a" / period.file_name).read_bytes() == again
        assert (FOLDER / period.file_name).read_bytes() != again
    assert SEED != 7


@every_period
def test_each_minute_has_all_instruments_in_order(period: DataPeriod) -> None:
    """Rows are sorted by time and instrument, eight a minute, none missing within a window."""
    data = read(period.scenario)
    minutes = [t for window in period.windows for t in window.times]
    assert len(data) == len(minutes) * 8
    assert list(data["instrument"]) == sorted(NAMES) * len(minutes)
    assert list(data["timestamp"].iloc[::8]) == minutes
    text = (FOLDER / period.file_name).read_text().splitlines()
    assert text[0] == "timestamp,instrument,open,high,low,close,volume,spread"
    assert text[1].startswith(f"{minutes[0]:%Y-%m-%dT%H:%M:%SZ},AUD_USD,0.6")


@every_period
def test_prices_have_the_pipettes_of_their_instrument(period: DataPeriod) -> None:
    """Three decimals for yen pairs, five for the others, also for spreads."""
    for line in (FOLDER / period.file_name).read_text().splitlines()[1:]:
        _, instrument, *prices, volume, spread = line.split(",")
        decimals = {len(x.partition(".")[2]) for x in (*prices, spread)}
        assert decimals == {3 if instrument.endswith("JPY") else 5}
        assert volume.isdigit()


def test_normal_trading_is_one_day_from_tokyo_to_new_york() -> None:
    """09:00 Tokyo on 17 March to 17:00 New York: 21 hours × 60 × 8 rows."""
    times = read("normal_trading")["timestamp"]
    assert times.iloc[0].astimezone(ZoneInfo("Asia/Tokyo")) == datetime(2026, 3, 17, 9, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert times.iloc[-1] + timedelta(minutes=1) == datetime(2026, 3, 17, 17, tzinfo=NEW_YORK)
    assert len(times) == 21 * 60 * 8


def test_overnight_covers_every_minute_of_a_day() -> None:
    """1,440 minutes × 8 instruments, midnight to midnight UTC."""
    times = read("overnight_processing")["timestamp"]
    assert len(times) == 1440 * 8
    assert times.nunique() == 1440
    assert times.iloc[0] == datetime(2026, 3, 18, tzinfo=UTC)
    assert times.iloc[-1] == datetime(2026, 3, 18, 23, 59, tzinfo=UTC)


def test_market_opens_lie_around_eight_in_london() -> None:
    """07:00–10:00 London on five working days: 08:00 UTC before the clocks change on 29 March, 07:00 after."""
    windows = next(period.windows for period in PERIODS if period.scenario == "market_open")
    opens = [window.start + timedelta(hours=1) for window in windows]
    assert [t.astimezone(LONDON).hour for t in opens] == [8] * 5
    assert [t.hour for t in opens] == [8, 8, 7, 7, 7]
    assert [t.weekday() for t in opens] == [3, 4, 0, 1, 2]
    assert [window.minutes for window in windows] == [180] * 5


def test_market_open_bursts_more_than_a_normal_day() -> None:
    """Ticks and spreads of the first five minutes, as multiples of those from 09:30 to 10:00."""
    assert burst("market_open", "volume") > 2.8
    assert 1.5 < burst("normal_trading", "volume") < 2.2
    assert burst("market_open", "spread") > 1.9
    assert burst("normal_trading", "spread") < 1.3


def test_market_open_bursts_on_every_single_day() -> None:
    """Ticks at least double from the quarter of an hour before the open to the one after it, every time."""
    ticks = wide("market_open", "volume").sum(axis=1).to_numpy().reshape(5, 180)
    assert (ticks[:, 60:75].mean(axis=1) > 2.0 * ticks[:, 45:60].mean(axis=1)).all()


def test_high_volatility_is_twice_as_volatile_as_any_other() -> None:
    """Per instrument, standard deviation of one-minute returns."""
    volatile = volatility("high_volatility")
    assert (volatile > 2.0 * volatility("normal_trading")).all()
    assert (volatile > 1.5 * volatility("market_open")).all()
    assert (volatile > 2.5 * volatility("overnight_processing")).all()


def test_normal_volatility_is_that_of_major_pairs() -> None:
    """Between 5 and 12 % a year, 252 days of 1,440 minutes."""
    yearly = volatility("normal_trading") * np.sqrt(252 * 1440)
    assert ((yearly > 0.05) & (yearly < 0.12)).all()


def test_high_volatility_clusters() -> None:
    """Squared returns are autocorrelated beyond the 95 % band at each of ten lags, elsewhere far less."""
    volatile = autocorrelation(made("high_volatility"))
    band = 1.96 / np.sqrt(4 * 240)  # 0.063
    assert (volatile[:10] > band).all()
    assert volatile[:10].mean() > 2.0 * band
    for calm in ("normal_trading", "overnight_processing"):
        assert autocorrelation(made(calm))[:10].mean() < volatile[:10].mean() / 3.0


def test_high_volatility_jumps_at_its_releases() -> None:
    """Each release moves a pair of its currency by more than four normal standard deviations."""
    data = made("high_volatility")
    returns = np.abs(np.log(data.close / data.open)).reshape(4, 240, 8)
    typical = np.median(returns, axis=1) / 0.6745  # robust standard deviation of each window
    affected = [0, 0, 1, 2]  # EUR_USD twice for the dollar, GBP_USD, USD_JPY
    moves = [returns[w, 60, pair] / typical[w, pair] for w, pair in enumerate(affected)]
    assert min(moves) > 4.0


def test_overnight_is_thin_and_wide_at_the_new_york_close() -> None:
    """17:00–18:00 New York: under a fifth of the day's ticks, over three times its usual spread, some silence."""
    volume, spread = wide("overnight_processing", "volume"), wide("overnight_processing", "spread")
    local = pd.DatetimeIndex(volume.index).tz_convert(NEW_YORK)
    closing = local.hour == 17
    assert (volume[closing].mean() < 0.2 * volume.mean()).all()
    assert (spread[closing].mean() > 3.0 * spread.median()).all()
    assert (volume == 0).to_numpy().any()
    assert (volume[~closing] > 0).to_numpy().all()


def test_normal_day_has_its_peaks_in_london_and_its_overlap_with_new_york() -> None:
    """The M shape: the overlap is three times as busy as Tokyo, and London's lunch is a valley."""
    ticks = wide("normal_trading", "volume").sum(axis=1)
    hours = ticks.groupby(pd.DatetimeIndex(ticks.index).hour).mean()
    assert hours.loc[13:15].mean() > 3.0 * hours.loc[2:5].mean()
    assert hours.loc[11] < 0.65 * hours.loc[8]
    assert hours.loc[11] < 0.65 * hours.loc[13]


@every_period
@pytest.mark.parametrize("cross", LEGS_OF)
def test_crosses_follow_from_their_legs(period: DataPeriod, cross: str) -> None:
    """The mid of a cross is within half its spread of its legs' wherever all three were quoted."""
    first, second, power = LEGS_OF[cross]
    close, volume = wide(period.scenario, "close"), wide(period.scenario, "volume")
    quoted = (volume[[cross, first, second]] > 0).all(axis=1)
    implied = close[first] * close[second] ** power
    gap = (close[cross] - implied).abs()[quoted]
    assert (gap < wide(period.scenario, "spread")[cross][quoted] / 2.0).all()


@every_period
def test_silent_minutes_repeat_the_last_price(period: DataPeriod) -> None:
    """No tick, no movement."""
    data = made(period.scenario)
    silent = data.volume == 0
    assert (data.high[silent] == data.low[silent]).all()
    assert (data.close[1:][silent[1:]] == data.close[:-1][silent[1:]]).all()


def test_picture_is_drawn(tmp_path: Path) -> None:
    """The picture is a PNG wide enough for a README on a dense screen; its folder is created."""
    data = {period.scenario: made(period.scenario) for period in PERIODS}
    draw(data, tmp_path / "a" / "one.png")
    content = (tmp_path / "a" / "one.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (1725, 1500)
