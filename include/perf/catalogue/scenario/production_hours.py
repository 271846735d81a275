"""The hours of production that a scenario represents, and their times on the last trading days.

The models are the ``production_hours`` of an entry in ``scenarios.yaml``; the key ``session`` or ``from`` selects the
model. Times passed in must have a time zone; returned times are in UTC.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.market_week import Weekday
from include.perf.catalogue.scenario.schedule import WEEK, title_of
from include.perf.catalogue.scenario.wall_clock import Period, SessionName, TimeOfDay, TimeZone, moment_of
from include.perf.model.text import span
from include.perf.model.yaml_entries import Entry, chosen_by_key

LEAST_MINUTES = 5
"""Long enough to contain the busiest five minutes."""

_DAY = timedelta(days=1)
_LOOK_BACK_DAYS = 7 * 24
"""Enough for twenty openings of the week, the maximum that can be requested, and some holidays."""

_MONDAY_TO_FRIDAY: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday")


class SessionHours(Entry):
    """A period after the opening of a session or of the market week.

    Attributes:
        session: a session of ``market_hours.yaml``, or ``week`` for the market week.
        from_minutes: minutes from the opening to the start of the period.
        minutes: length of the period.
    """

    session: SessionName
    from_minutes: Annotated[int, Field(ge=0, lt=24 * 60)] = 0
    minutes: Annotated[int, Field(ge=LEAST_MINUTES, le=24 * 60)]

    @property
    def description(self) -> str:
        """The hours in a few words: ``the first 15 min after the London open``."""
        opens = "the market week opens" if self.session == WEEK else f"the {title_of(self.session)} open"
        length = span(self.minutes * 60)
        if not self.from_minutes:
            return f"the first {length} after {opens}"
        return f"{length} beginning {span(self.from_minutes * 60)} after {opens}"

    def problems(self, hours: MarketHours) -> list[str]:
        """Return the problems in combination with the market hours, each with its setting."""
        if self.session == WEEK or self.session in hours.sessions:
            return []
        known = ", ".join(hours.sessions)
        return [f"session: there is no session {self.session!r}; known: {known}, and {WEEK} for the market week"]

    def zone(self, hours: MarketHours) -> ZoneInfo:
        """Return the time zone of their days."""
        return ZoneInfo(hours.week.timezone if self.session == WEEK else hours.session(self.session).timezone)

    def on(self, day: date, hours: MarketHours) -> Period | None:
        """Return the period on a local day; ``None`` if there is no opening."""
        opening = self._opening(day, hours)
        if opening is None:
            return None
        begins = opening + timedelta(minutes=self.from_minutes)
        return Period(begins=begins, ends=begins + timedelta(minutes=self.minutes))

    def _opening(self, day: date, hours: MarketHours) -> datetime | None:
        if self.session != WEEK:
            return hours.opening(self.session, day)
        opening = hours.week_opening(moment_of(day, time.min, timezone=hours.week.timezone))
        return opening if opening.astimezone(self.zone(hours)).date() == day else None


class ClockHours(Entry):
    """A period between two times of day on trading days; past midnight, it belongs to the day on which it starts.

    Attributes:
        begin: ``from`` in the YAML file.
        end: ``to`` in the YAML file.
        weekdays: local weekdays that count, except holidays and days on which the market closes early.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    begin: Annotated[TimeOfDay, Field(alias="from")]
    end: Annotated[TimeOfDay, Field(alias="to")]
    timezone: TimeZone = "UTC"
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = _MONDAY_TO_FRIDAY

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        length = datetime.combine(date.min, self.end) - datetime.combine(date.min, self.begin)
        if length % _DAY < timedelta(minutes=LEAST_MINUTES):
            raise ValueError(
                f"to must be at least {LEAST_MINUTES} minutes after from ({self.begin:%H:%M}), but is {self.end:%H:%M}"
            )
        return self

    @property
    def description(self) -> str:
        """The hours in a few words: ``22:00–02:00 Europe/London``."""
        return f"{self.begin:%H:%M}–{self.end:%H:%M} {self.timezone}"

    def problems(self, hours: MarketHours) -> list[str]:
        """Return no problems: they do not depend on the market hours."""
        return []

    def zone(self, hours: MarketHours) -> ZoneInfo:
        """Return the time zone of their days."""
        return ZoneInfo(self.timezone)

    def on(self, day: date, hours: MarketHours) -> Period | None:
        """Return the period on a local day; ``None`` on holidays and on weekdays that do not count."""
        is_wanted = get_args(Weekday)[day.isoweekday() % 7] in self.weekdays
        if not is_wanted or hours.holiday_on(day):
            return None
        last = day if self.end > self.begin else day + _DAY
        return Period(
            begins=moment_of(day, self.begin, timezone=self.timezone),
            ends=moment_of(last, self.end, timezone=self.timezone),
        )


ProductionHours = SessionHours | ClockHours


def last_hours(hours: ProductionHours, market: MarketHours, *, before: datetime) -> Iterator[Period]:
    """Yield the periods of the last trading days that ended before a time, latest first."""
    day = before.astimezone(hours.zone(market)).date()
    for days in range(_LOOK_BACK_DAYS):
        period = hours.on(day - days * _DAY, market)
        if period is not None and period.ends <= before:
            yield period


def _chosen(given: object) -> object:
    """Parse hours as the model that their keys select."""
    return chosen_by_key(
        given,
        {"session": SessionHours, "from": ClockHours},
        needs=(
            "session, such as {session: london, minutes: 60}, or from and to, such as "
            '{from: "01:00", to: "05:00", timezone: Europe/London}'
        ),
    )


OptionalProductionHours = Annotated[ProductionHours | None, BeforeValidator(_chosen)]
"""The hours of production that a scenario represents; ``None`` for no comparison with production."""
