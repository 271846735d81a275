"""The longest pause between two scheduled starts of a scenario, after which `BellwetherNoRun` fires."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.schedule import CronSchedule, Schedule

GRACE = timedelta(hours=2)
"""Added to the longest pause, because a service runs earlier in one night than in another: a nightly scenario is
missing after 26 h."""

_DAY = timedelta(days=1)
_PERIOD = timedelta(days=373)
"""One year and a week, because the market has its longest pause around New Year."""


def longest_pause(schedule: Schedule, hours: MarketHours, *, year: int) -> timedelta:
    """Return the longest time between two scheduled starts in a year, by the wall clock, plus `GRACE`.

    It includes weekends and holidays, so that no run is missing on a day without a scheduled run.
    """
    return max(_pauses(schedule, hours, begin=datetime(year, 1, 1, tzinfo=UTC)), default=timedelta()) + GRACE


def _pauses(schedule: Schedule, hours: MarketHours, *, begin: datetime) -> Iterator[timedelta]:
    """Yield the pauses of the period, by the wall clock.

    A cron expression has the same times on every day on which it starts at all, so the pauses within a day are
    yielded once, and again around the days on which the clock changes: of a start per minute, 525,600 a year otherwise.
    """
    zone = ZoneInfo(schedule.zone(hours))
    start, end = schedule.next_start(begin, hours), begin + _PERIOD
    whole: date | None = None
    last: time | None = None
    while start < end:
        following = schedule.next_start(start, hours)
        shown, shown_next = _shown(start, zone), _shown(following, zone)
        yield shown_next - shown
        start = following
        if isinstance(schedule, CronSchedule) and shown_next.date() != shown.date():
            if shown.date() == whole:
                last = shown.time()
            whole = shown_next.date() if _is_usual(shown_next.date(), zone) else None
            if whole is not None and last is not None:
                start = datetime.combine(whole, last, zone).astimezone(UTC)


def _shown(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _is_usual(day: date, zone: ZoneInfo) -> bool:
    """Return whether the clock does not change on a day, the day before or the day after."""
    midnights = (datetime.combine(day + number * _DAY, time(), zone) for number in (-1, 0, 1, 2))
    return len({midnight.utcoffset() for midnight in midnights}) == 1
