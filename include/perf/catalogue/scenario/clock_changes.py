"""Local times that occur twice or not at all, because the clock of a time zone is set back or forward.

Local times are plain datetimes; moments have a time zone.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

MAX_CHANGE = timedelta(hours=3)
"""Maximum by which a clock is set back or forward."""

_MINUTE = timedelta(minutes=1)


def shown(moment: datetime, zone: tzinfo) -> datetime:
    """Return the local time at a moment, without the pendulum arithmetic of Airflow's times."""
    local = moment.astimezone(zone)
    return datetime.combine(local.date(), local.time())


def moments_of(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return when a clock shows a local time, in UTC and in order: once or twice.

    A time that the clock skips is the moment at which it is set forward.
    """
    either = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    found = sorted(moment for moment in either if shown(moment, zone) == local)
    return found or [_change_after(min(either), zone)]


def later_moment_of(local: datetime, zone: ZoneInfo) -> datetime:
    """Return when a clock shows a local time, the second occurrence if there are two, in UTC.

    Both values of ``fold`` give the same moment except around a change. The later one is the second occurrence when the
    clock is set back, and when it is set forward the moment at which the time would have been shown.
    """
    return max(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def skipped_time_at(moment: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the local time that the clock would show at a moment if it had not been set forward just before.

    Returns:
        ``None`` if the clock does show that time.
    """
    offset = (moment - MAX_CHANGE).astimezone(zone).utcoffset()
    local = shown(moment, UTC) + (offset or timedelta())
    is_shown = any(shown(found, zone) == local for found in moments_of(local, zone))
    return None if is_shown else local


def _change_after(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return the first whole minute after a moment at which the zone has another offset."""
    offset = moment.astimezone(zone).utcoffset()
    while moment.astimezone(zone).utcoffset() == offset:
        moment += _MINUTE
    return moment
