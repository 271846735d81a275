"""Load on production: only while the market is closed."""

from datetime import datetime

from include.perf.errors import RunSkipped
from include.perf.market_hours import MarketHours
from include.perf.phrase import utc_time
from include.perf.service import Service


def production_ends(service: Service, hours: MarketHours, now: datetime) -> datetime:
    """Return when all load on a service in production must be over: when the market opens next.

    Raises:
        RunSkipped: the market is open.
    """
    closes = hours.closes_at(now)
    if closes is not None:
        raise RunSkipped(
            f"{service.name} is {service.environment}, which is loaded only while the market is closed, and it is open "
            f"until {utc_time(closes)}; start the run after that"
        )
    return hours.market_opening(now)
