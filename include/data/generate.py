"""Write the market data of the four scenarios: ``python -m include.data.generate``.

The model and its literature are described in ``include.data.model`` (prices, clustering, ticks, spreads) and
``include.data.sessions`` (the shape of the day). In short:

- ``normal_trading``: one working day, Tokyo open to New York close; session bursts, calm clustering.
- ``market_open``: 07:00–10:00 London on five trading days around the last weekend of March, when the open
  moves from 08:00 to 07:00 UTC; bursts of ticks and wide spreads at 08:00 London.
- ``high_volatility``: four periods of four hours, each with a release an hour in; jumps, strong clustering.
- ``overnight_processing``: 24 hours, 00:00–24:00 UTC; thin, wide-spread hours around 17:00 New York.

The same seed gives the same bytes: every scenario has its own PCG64 stream, and prices are rounded to pipettes.
NumPy keeps these streams stable within a release and rarely changes them (NEP 19); a test notices a change after
an upgrade. The releases are at hours at which such news is published; neither they nor the quotes are real.

Columns: timestamp (start of the minute, RFC 3339 UTC), instrument, open, high, low, close (mid prices),
volume (tick count), spread (ask − bid, price units). Rows are sorted by timestamp, then instrument.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from include.data.conditions import Conditions, ConditionWindow, Release
from include.data.instruments import INSTRUMENTS
from include.data.model import simulate
from include.data.quotes import QuoteBars
from include.data.sessions import LONDON, NEW_YORK, TOKYO

log = logging.getLogger(__name__)

SEED = 20260317
HEADER = "timestamp,instrument,open,high,low,close,volume,spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPeriod:
    """The market data of one scenario: when, and under which conditions."""

    scenario: str
    windows: tuple[ConditionWindow, ...]
    conditions: Conditions

    @property
    def file_name(self) -> str:
        """Name of its CSV."""
        return f"{self.scenario}_data.csv"


def _utc(zone: ZoneInfo, *local: int) -> datetime:
    """Return local year, month, day, hour, minute as UTC."""
    year, month, day, hour, minute = local
    return datetime(year, month, day, hour, minute, tzinfo=zone).astimezone(UTC)


def _open(month: int, day: int) -> ConditionWindow:
    """Return one hour before 08:00 London to two hours after it."""
    return ConditionWindow(start=_utc(LONDON.zone, 2026, month, day, 7, 0), minutes=180)


def _news(start: datetime, currency: str, jump: float) -> ConditionWindow:
    """Return four hours with a release at the end of the first."""
    return ConditionWindow(start=start, minutes=240, release=Release(minute=60, currency=currency, jump=jump))


PERIODS = (
    DataPeriod(
        scenario="normal_trading",
        windows=(ConditionWindow(start=_utc(TOKYO.zone, 2026, 3, 17, 9, 0), minutes=21 * 60),),
        conditions=Conditions(),
    ),
    DataPeriod(
        scenario="market_open",
        windows=(_open(3, 26), _open(3, 27), _open(3, 30), _open(3, 31), _open(4, 1)),
        conditions=Conditions(level=1.2, arch=0.06, garch=0.9, open_burst=3.0, open_spread=2.0),
    ),
    DataPeriod(
        scenario="high_volatility",
        windows=(
            _news(_utc(NEW_YORK.zone, 2026, 3, 6, 7, 30), "USD", 7.0),  # payrolls, 08:30 New York
            _news(_utc(NEW_YORK.zone, 2026, 3, 18, 13, 0), "USD", 6.0),  # Fed, 14:00 New York
            _news(_utc(LONDON.zone, 2026, 3, 19, 11, 0), "GBP", 8.0),  # Bank of England, 12:00 London
            _news(_utc(TOKYO.zone, 2026, 3, 24, 11, 0), "JPY", 8.0),  # Bank of Japan, about noon Tokyo
        ),
        conditions=Conditions(level=2.0, arch=0.16, garch=0.82, jumps_per_hour=0.2),
    ),
    DataPeriod(
        scenario="overnight_processing",
        windows=(ConditionWindow(start=datetime(2026, 3, 18, tzinfo=UTC), minutes=24 * 60),),
        conditions=Conditions(level=0.85),
    ),
)


def bars(period: DataPeriod, *, seed: int = SEED) -> QuoteBars:
    """Return the bars of a scenario; it has its own random stream, so adding a scenario changes no other."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *period.scenario.encode()])))
    return simulate(period.windows, period.conditions, rng)


def csv_text(data: QuoteBars) -> str:
    """Return bars as CSV, ``\\n`` at the end of every line."""
    return "\n".join([HEADER, *_rows(data), ""])


def _rows(data: QuoteBars) -> Iterator[str]:
    columns = sorted(range(len(INSTRUMENTS)), key=lambda i: INSTRUMENTS[i].name)
    prices = np.stack([data.open, data.high, data.low, data.close], axis=-1).tolist()
    volume, spread = data.volume.tolist(), data.spread.tolist()
    for t, time in enumerate(data.times):
        stamp = f"{time:%Y-%m-%dT%H:%M:%SZ}"
        for i in columns:
            digits = INSTRUMENTS[i].digits
            quotes = ",".join(f"{price:.{digits}f}" for price in prices[t][i])
            yield f"{stamp},{INSTRUMENTS[i].name},{quotes},{volume[t][i]},{spread[t][i]:.{digits}f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the four files and, if requested, a picture of them."""
    parser = argparse.ArgumentParser(prog="python -m include.data.generate", description="Write the market data.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the CSVs")
    parser.add_argument("--seed", type=int, default=SEED, help="same seed, same bytes (default: %(default)s)")
    parser.add_argument("--picture", type=Path, help="draw the four scenarios into this PNG as well")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    data = {period.scenario: bars(period, seed=options.seed) for period in PERIODS}
    for period in PERIODS:
        path = options.out / period.file_name
        path.write_bytes(csv_text(data[period.scenario]).encode())
        log.info("%s: %d rows", path, data[period.scenario].volume.size)
    if options.picture:
        from include.data.picture import draw  # matplotlib takes a second to import; only a picture needs it

        draw(data, options.picture)
        log.info("%s: drawn", options.picture)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
