"""How long a scenario rests between two runs when all is well, so that it is missed when it rests for longer."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from include.perf.market_hours import MarketHours
from include.perf.schedule import Schedule

PATIENCE = timedelta(hours=2)
"""A service has its turn sooner in one night and later in another: so a nightly scenario is missed after 26 h."""

_LOOKED_AT = timedelta(days=373)
"""A year, and a week of the next one: around the turn of the year the market is closed the longest."""


def longest_pause(schedule: Schedule, hours: MarketHours, *, year: int) -> timedelta:
    """Return the longest time from a start to the next one in a year, by the wall clock, and some patience.

    Weekends and holidays are in it, so that nothing is missed on a day on which nothing is to run.
    """
    zone = ZoneInfo(schedule.zone(hours))
    begin = datetime(year, 1, 1, tzinfo=UTC)
    start = schedule.next_start(begin, hours)
    longest = timedelta()
    while start < begin + _LOOKED_AT:
        following = schedule.next_start(start, hours)
        shown = (moment.astimezone(zone).replace(tzinfo=None) for moment in (following, start))
        longest = max(longest, next(shown) - next(shown))
        start = following
    return longest + PATIENCE
