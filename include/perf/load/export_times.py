"""The times of an export of a trading platform: how they are written, and in which time zone.

Dates are read with the year, the day or the month first, with or without a time of day, as numbers since 1970, or as
the user says (``strftime``). The order of a date such as 05/01/2026 follows from the other rows, or must be given.
"""

import re
from collections.abc import Sequence
from datetime import timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo

import pandas as pd

from include.perf.load.market_rules import numbers_of
from include.perf.model.errors import ConfigurationError

UTC = "UTC"

ISO_TIMES = "ISO8601"
EPOCH_TIMES = {"epoch_s": 1_000, "epoch_ms": 1}
"""Times as a number since 1970, and its unit in milliseconds."""

YEAR_FIRST, DAY_FIRST, MONTH_FIRST = "year first", "day first", "month first"

ZONES_IN_HEADERS = {
    "gmt": UTC,
    "utc": UTC,
    "etc/utc": UTC,
    "est": "UTC-5",
    "eet": "Europe/Athens",
    "cet": "Europe/Berlin",
}
"""What headers such as ``Time (EET)`` say, and its time zone; that of EET and CET has daylight saving time."""

_CLOCK = (
    r"(?:[ T]+(?P<h>\d\d):?(?P<m>\d\d)(?::?(?P<s>\d\d)(?:[.,]?(?P<f>\d{1,9}))?)?)?"
    r"(?: +(?P<zone>[A-Z][A-Za-z_]+(/\w+)*))?"
)
_DATES = {
    YEAR_FIRST: r"(?P<y>\d{4})(?P<sep>[./-]?)(?P<mo>\d\d)(?P=sep)(?P<d>\d\d)",
    DAY_FIRST: r"(?P<d>\d\d?)(?P<sep>[./-])(?P<mo>\d\d?)(?P=sep)(?P<y>\d{4})",
    MONTH_FIRST: r"(?P<mo>\d\d?)(?P<sep>[./-])(?P<d>\d\d?)(?P=sep)(?P<y>\d{4})",
}
_WRITTEN = {order: re.compile(date + _CLOCK, re.ASCII) for order, date in _DATES.items()}
_EPOCHS = {"epoch_s": re.compile(r"\d{9,10}(\.\d+)?", re.ASCII), "epoch_ms": re.compile(r"\d{12,13}", re.ASCII)}
_WITH_OFFSET = re.compile(r".*(?:Z|[+-]\d\d:?\d\d)", re.ASCII | re.IGNORECASE)
_ISO_WITH_OFFSET = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(?:Z|[+-]\d\d:?\d\d)", re.ASCII | re.IGNORECASE)
_OFFSET = re.compile(r"UTC(?:([+-]\d{1,2})(?::(\d\d))?)?")


def has_offset(text: str) -> bool:
    """Whether a time ends with its offset from UTC."""
    return _WITH_OFFSET.fullmatch(text) is not None


def zone_in(texts: Sequence[str]) -> str | None:
    """Return the time zone whose name follows every time, such as ``US/Eastern``; ``None`` without one.

    Raises:
        ConfigurationError: there are several, or it is unknown.
    """
    found = {match["zone"] for text in texts if (match := _WRITTEN[YEAR_FIRST].fullmatch(text))} - {None}
    if len(found) > 1:
        raise ConfigurationError(f"its times are in several time zones: {', '.join(sorted(found))}; convert them first")
    return next((ZONES_IN_HEADERS.get(name.lower(), name) for name in found), None)


def written_times(texts: Sequence[str]) -> str | None:
    """Return how times are written: `ISO_TIMES`, one of `EPOCH_TIMES`, or the order of their dates.

    Returns:
        ``None`` if no way is known.

    Raises:
        ConfigurationError: days and months cannot be distinguished.
    """
    first = texts[0]
    if _ISO_WITH_OFFSET.fullmatch(first):
        return ISO_TIMES
    for way, pattern in _EPOCHS.items():
        if pattern.fullmatch(first):
            return way
    fitting = [order for order in _WRITTEN if _iso(first, order)]
    if len(fitting) > 1:
        fitting = [order for order in fitting if all(_iso(text, order) for text in texts)] or fitting[:1]
    if len(fitting) > 1 and "." in first[:3]:  # nobody writes the month first and a point after it
        fitting = [DAY_FIRST]
    if len(fitting) > 1:
        raise ConfigurationError(
            f"the date of {first!r} may begin with its day or its month; give --times '%d/%m/%Y %H:%M:%S' or "
            "--times '%m/%d/%Y %H:%M:%S', as it is written"
        )
    return fitting[0] if fitting else None


def _iso(text: str, order: str) -> str:
    """Return a time in the format of ISO 8601; nothing if its date is not written in this order."""
    found = _WRITTEN[order].fullmatch(text)
    if found is None or not (1 <= int(found["mo"]) <= 12 and 1 <= int(found["d"]) <= 31):
        return ""
    clock = f"{found['h'] or '00'}:{found['m'] or '00'}:{found['s'] or '00'}.{found['f'] or '0'}"
    return f"{found['y']}-{int(found['mo']):02}-{int(found['d']):02}T{clock}"


def read_times(texts: Sequence[str], *, way: str, zone: str) -> "pd.Series[pd.Timestamp]":
    """Return times in UTC; NaT for those that cannot be read, or exist twice or not at all in the zone.

    Args:
        way: from `written_times`, or as in ``strftime``.
        zone: of times that do not have their offset.

    Raises:
        ConfigurationError: the time zone is unknown.
    """
    times: pd.Series[pd.Timestamp]
    if way in EPOCH_TIMES:
        since = pd.Series(numbers_of(texts)) * EPOCH_TIMES[way]
        return pd.to_datetime(since.round(), unit="ms", errors="coerce", utc=True)
    if way in _WRITTEN:
        texts, way = [_iso(text, way) for text in texts], ISO_TIMES
        is_local = True
    else:
        is_local = "%z" not in way and way != ISO_TIMES
    times = pd.to_datetime(pd.Series(texts, dtype=object), format=way, errors="coerce", utc=True)
    if is_local:
        local = times.dt.tz_localize(None)
        times = local.dt.tz_localize(zone_of(zone), ambiguous="NaT", nonexistent="NaT").dt.tz_convert(UTC)
    return times


@cache
def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name, or an offset such as UTC+2.

    Raises:
        ConfigurationError: it is neither.
    """
    if offset := _OFFSET.fullmatch(name):
        hours, minutes = int(offset[1] or 0), int(offset[2] or 0)
        if abs(hours) <= 14 and minutes < 60:
            return timezone(timedelta(hours=hours, minutes=minutes if hours >= 0 else -minutes))
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as err:  # ZoneInfoNotFoundError is a KeyError
        raise ConfigurationError(_no_zone(name)) from err
    except KeyError:
        raise ConfigurationError(_no_zone(name)) from None


def _no_zone(name: str) -> str:
    return f"--timezone must be a name such as Europe/Athens, or an offset such as UTC+2, but is {name!r}"
