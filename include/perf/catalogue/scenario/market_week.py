"""The trading week and its holidays.

A *trading day* starts at the time of day when the week opens; if that is 12:00 or later, on the day before: 25 December
is 17:00 New York on the 24th to 17:00 on the 25th. A holiday closes a trading day, or its end.
"""

from datetime import date, time, timedelta
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from include.perf.catalogue.scenario.wall_clock import (
    Period,
    TimeOfDay,
    TimeZone,
    calendar_date,
    moment_of,
    time_of_day,
)
from include.perf.model.yaml_entries import Entry

WEEK_DAYS = 7
_NOON = time(12)

ALL_DAY = "market"
"""What a holiday closes if it is not a time of day."""

Weekday = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]


class WeekPoint(Entry):
    """A weekday and a time of day."""

    weekday: Weekday
    at: TimeOfDay

    def __str__(self) -> str:
        return f"{self.weekday} {self.at:%H:%M}"

    @property
    def days_from_sunday(self) -> int:
        """Days since the last Sunday, 0 to 6."""
        return get_args(Weekday).index(self.weekday)


class MarketWeek(Entry):
    """The trading week, which opens and closes between Sunday and Saturday."""

    timezone: TimeZone
    opens: WeekPoint
    closes: WeekPoint

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        opens, closes = self.opens, self.closes
        if (closes.days_from_sunday, closes.at) <= (opens.days_from_sunday, opens.at):
            raise ValueError(
                f"closes must be later than opens ({opens}) in a week of Sunday to Saturday, but is {closes}; "
                "correct one of them"
            )
        return self

    def first_day(self, day: date) -> date:
        """Return the local day on which the latest week opens, at most ``day``."""
        return day - timedelta(days=(day.isoweekday() - self.opens.days_from_sunday) % WEEK_DAYS)

    def hours_from(self, first_day: date) -> Period:
        """Return the hours of the week that opens on a local day, including holidays."""
        last_day = first_day + timedelta(days=self.closes.days_from_sunday - self.opens.days_from_sunday)
        return Period(
            begins=moment_of(first_day, self.opens.at, timezone=self.timezone),
            ends=moment_of(last_day, self.closes.at, timezone=self.timezone),
        )

    def trading_day(self, day: date) -> Period:
        """Return the trading day of a date, which lasts from the time of day when the week opens to the same time."""
        first = day - timedelta(days=1) if self.opens.at >= _NOON else day
        return Period(
            begins=moment_of(first, self.opens.at, timezone=self.timezone),
            ends=moment_of(first + timedelta(days=1), self.opens.at, timezone=self.timezone),
        )

    def closed_on(self, holiday: "Holiday") -> Period:
        """Return when the market is closed because of a holiday: on the trading day, or from its early close on."""
        day = self.trading_day(holiday.date)
        if holiday.early_close is None:
            return day
        return Period(begins=moment_of(holiday.date, holiday.early_close, timezone=self.timezone), ends=day.ends)


def _closing(given: object) -> object:
    try:
        return given if given == ALL_DAY else time_of_day(given)
    except ValueError as err:
        raise ValueError(f"must be {ALL_DAY}, or {str(err).removeprefix('must be ')}") from err


class Holiday(Entry):
    """A trading day on which the market is closed everywhere, or closes early; national holidays do not count.

    Attributes:
        closes: ``market`` for the whole day, or when it closes, as a local time of the week's time zone.
    """

    date: Annotated[date, BeforeValidator(calendar_date)]
    name: Annotated[str, Field(min_length=1)]
    closes: Annotated[Literal["market"] | TimeOfDay, BeforeValidator(_closing)]

    @property
    def early_close(self) -> time | None:
        """When the market closes on this date; ``None`` if it is closed the whole trading day."""
        return self.closes if isinstance(self.closes, time) else None
