"""Times of day and time zones in the catalogue."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from include.perf.model.yaml_entries import matching


def time_of_day(given: object) -> time:
    """Parse ``HH:MM``; YAML reads an unquoted 10:30 as the number 630.

    Raises:
        ValueError: it is no time of day.
    """
    if isinstance(given, time) and given == time(given.hour, given.minute):
        return given
    if isinstance(given, str) and re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", given.strip()):
        return time.fromisoformat(given.strip())
    wanted = 'must be a time of day in quotes, such as "08:00"'
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given < 24 * 60:
        raise ValueError(
            f'{wanted}, but is the number {given}; write "{given // 60:02}:{given % 60:02}" if that is meant'
        )
    raise ValueError(f"{wanted}, but is {given!r}")


def _known_zone(timezone: str) -> str:
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as err:  # OSError: a folder of time zones, such as Europe
        raise ValueError(f"must be an IANA time zone such as Europe/London, but is {timezone!r}") from err
    return timezone


def calendar_date(given: object) -> object:
    """Refuse numbers, which would count as seconds since 1970, and times of day."""
    if isinstance(given, (int, float, datetime)):
        raise ValueError(f"must be a date such as 2026-12-25, but is {str(given)!r}")
    return given


TimeOfDay = Annotated[
    time, BeforeValidator(time_of_day), PlainSerializer(lambda at: f"{at:%H:%M}", return_type=str, when_used="json")
]

TimeZone = Annotated[str, AfterValidator(_known_zone)]

SessionName = Annotated[
    str,
    Field(max_length=63),
    matching(r"[a-z][a-z0-9_]*", "must have lower-case letters, digits and _, and start with a letter"),
]


def moment_of(day: date, at: time, *, timezone: str) -> datetime:
    """Return the UTC time of a local date and time.

    If the local time occurs twice because the clock is set back, it is the first occurrence (``fold=0``). If it is
    skipped because the clock is set forward, it is the time at which it would have occurred: 02:30 is then 03:30.
    """
    return datetime.combine(day, at.replace(fold=0), tzinfo=ZoneInfo(timezone)).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A period in UTC; ``begins`` is included, ``ends`` is not."""

    begins: datetime
    ends: datetime
