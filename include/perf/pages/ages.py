"""How long ago something was, as people say it."""

from datetime import UTC, datetime

from include.perf.phrase import counted

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_MONTHS_FROM_DAYS, _YEARS_FROM_DAYS = 60, 730
_MONTH_DAYS, _YEAR_DAYS = 30.44, 365.25


def age(moment: datetime, *, now: datetime) -> str:
    """Write how long ago a moment was: ``just now``, ``12 min ago``, ``5 h ago``, ``3 days ago``."""
    seconds = (now - moment).total_seconds()
    if seconds < _MINUTE_S:
        return "just now"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min ago"
    if seconds < 2 * _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h ago"
    days = seconds / _DAY_S
    if days < _MONTHS_FROM_DAYS:
        return f"{counted(int(days), 'day')} ago"
    if days < _YEARS_FROM_DAYS:
        return f"{counted(int(days / _MONTH_DAYS), 'month')} ago"
    return f"{counted(int(days / _YEAR_DAYS), 'year')} ago"


def minute(moment: datetime) -> str:
    """Write a moment in UTC, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def day(moment: datetime) -> str:
    """Write the day of a moment in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"
