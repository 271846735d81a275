"""When the forex market and its sessions are open.

The models are the entries of ``market_hours.yaml``. Hours are local wall-clock times in IANA zones, which follow
changes of the clocks; every moment given back is in UTC.

A *trading day* begins at the time at which the week opens, on the day before: 25 December is 17:00 New York on the 24th
to 17:00 on the 25th. A holiday closes a trading day. The sessions of a local day belong to the trading day of the same
date, so that none of them opens on a holiday, wherever it is.

Reading the file imports neither pandas nor a library of calendars: Airflow does so each time it parses the DAGs.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, ValidationError, field_serializer, field_validator, model_validator

from include.perf.catalogue.scenario.wall_clock import (
    Period,
    SessionName,
    TimeOfDay,
    TimeZone,
    _calendar_date,
    moment_of,
)
from include.perf.model.errors import CatalogueError
from include.perf.model.validation import problem_of
from include.perf.model.yaml_entries import PROJECT_FOLDER, Entry, default_folder, read_document

MARKET_HOURS_FILE = "market_hours.yaml"

OWN_FILE = PROJECT_FOLDER / MARKET_HOURS_FILE

EVERY_DAY = range(7)

_WEEK_DAYS = 7

_SATURDAY = 5

_NOON = time(12)

Weekday = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]


class Session(Entry):
    """A trading session: the same local hours from Monday to Friday, within one local day."""

    timezone: TimeZone
    opens: TimeOfDay
    closes: TimeOfDay

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError(
                f"closes must be later than opens ({self.opens:%H:%M}) on the same local day, but is "
                f"{self.closes:%H:%M}; correct one of them"
            )
        return self

    def hours_on(self, day: date) -> Period:
        """Return the session's hours on a local day, whether the market trades then or not."""
        return Period(
            begins=moment_of(day, self.opens, timezone=self.timezone),
            ends=moment_of(day, self.closes, timezone=self.timezone),
        )


class WeekPoint(Entry):
    """A time of a weekday."""

    weekday: Weekday
    at: TimeOfDay

    def __str__(self) -> str:
        return f"{self.weekday} {self.at:%H:%M}"

    @property
    def days_from_sunday(self) -> int:
        """Days since the Sunday before, 0 to 6."""
        return get_args(Weekday).index(self.weekday)


class MarketWeek(Entry):
    """The week in which the market trades through, told from Sunday to Saturday."""

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
        if opens.at < _NOON:
            raise ValueError(
                f"opens.at must be 12:00 or later, but is {opens.at:%H:%M}; every trading day begins at it on the day "
                "before"
            )
        return self

    def first_day(self, day: date) -> date:
        """Return the local day, this or the last before it, on which a week opens."""
        return day - timedelta(days=(day.isoweekday() - self.opens.days_from_sunday) % _WEEK_DAYS)

    def hours_from(self, first_day: date) -> Period:
        """Return the hours of the week that opens on a local day, holidays or not."""
        last_day = first_day + timedelta(days=self.closes.days_from_sunday - self.opens.days_from_sunday)
        return Period(
            begins=moment_of(first_day, self.opens.at, timezone=self.timezone),
            ends=moment_of(last_day, self.closes.at, timezone=self.timezone),
        )

    def trading_day(self, day: date) -> Period:
        """Return the trading day of a date: of the week's opening time on the day before to the same time."""
        return Period(
            begins=moment_of(day - timedelta(days=1), self.opens.at, timezone=self.timezone),
            ends=moment_of(day, self.opens.at, timezone=self.timezone),
        )


class Holiday(Entry):
    """A trading day on which the market is closed everywhere; national holidays are none."""

    date: Annotated[date, BeforeValidator(_calendar_date)]
    name: Annotated[str, Field(min_length=1)]
    closes: Literal["market"]


class MarketHours(Entry):
    """The hours of the market and its sessions. Every moment taken must be aware, every one returned is in UTC."""

    sessions: Mapping[SessionName, Session]
    week: MarketWeek
    holidays: tuple[Holiday, ...] = ()

    @field_validator("sessions")
    @classmethod
    def _unchangeable(cls, sessions: Mapping[str, Session]) -> Mapping[str, Session]:
        if not sessions:
            raise ValueError("must name at least one session, but is empty")
        return MappingProxyType(dict(sessions))

    @field_serializer("sessions")
    def _plain_sessions(self, sessions: Mapping[str, Session]) -> dict[str, Session]:
        return dict(sessions)

    @field_validator("holidays")
    @classmethod
    def _in_order(cls, holidays: tuple[Holiday, ...]) -> tuple[Holiday, ...]:
        names: dict[date, list[str]] = {}
        for holiday in holidays:
            names.setdefault(holiday.date, []).append(holiday.name)
        repeated = [
            f"{day} is there more than once ({', '.join(each)})" for day, each in names.items() if len(each) > 1
        ]
        if repeated:
            raise ValueError(f"{'; '.join(repeated)}; keep one entry for a date")
        return tuple(sorted(holidays, key=lambda holiday: holiday.date))

    def session(self, name: str) -> Session:
        """Return a session by its name.

        Raises:
            CatalogueError: there is none of that name.
        """
        try:
            return self.sessions[name]
        except KeyError:
            known = ", ".join(self.sessions)
            raise CatalogueError(f"session {name!r} is not in {MARKET_HOURS_FILE}; there are {known}") from None

    def holiday_on(self, day: date) -> Holiday | None:
        """Return the holiday that closes the market on the trading day of a date, if there is one."""
        day = _plain(day)
        return next((holiday for holiday in self.holidays if holiday.date == day), None)

    def opening(self, session: str, day: date) -> datetime | None:
        """Return when a session opens on a local day, in UTC; ``None`` when it does not.

        It opens with the market where that opens later than the session by its own clock and before its close: on
        Mondays of the Sydney summer, and on the morning after a holiday there. It does not open at weekends, on
        holidays, and where the market is closed for the whole session.

        Raises:
            CatalogueError: there is no such session.
        """
        hours = self.session(session).hours_on(day)
        if self.holiday_on(day) or day.weekday() >= _SATURDAY:
            return None
        opening = max(hours.begins, self._trading_at_or_after(hours.begins).begins)
        return opening if opening < hours.ends else None

    def next_opening(self, session: str, after: datetime, weekdays: Collection[int] = EVERY_DAY) -> datetime:
        """Return a session's first opening strictly after a moment, in UTC.

        Args:
            session: its name.
            after: an aware moment.
            weekdays: local weekdays of the session's zone that count, 0 = Monday.

        Raises:
            CatalogueError: there is no such session.
            ValueError: the moment is naive, or there is no such opening.
        """
        if not weekdays or not set(weekdays) <= set(EVERY_DAY):
            raise ValueError(f"weekdays must be some of 0 (Monday) to 6 (Sunday), but are {sorted(weekdays)}")
        after = _utc(after)
        day = after.astimezone(ZoneInfo(self.session(session).timezone)).date()
        for days in range(_WEEK_DAYS * (2 * len(self.holidays) + 2)):  # a holiday takes at most its day and the next
            candidate = day + timedelta(days=days)
            opening = self.opening(session, candidate) if candidate.weekday() in weekdays else None
            if opening is not None and opening > after:
                return opening
        raise ValueError(f"session {session!r} never opens on weekdays {sorted(weekdays)}; name others (0 is Monday)")

    def week_opening(self, after: datetime) -> datetime:
        """Return when the market first opens in a week, the first such moment strictly after another, in UTC.

        A holiday at the beginning of a week puts it off: 17:00 on Monday when New Year's Day is one.
        """
        after = _utc(after)
        return next(week[0].begins for week in self._weeks_from(after) if week and week[0].begins > after)

    def is_open(self, moment: datetime) -> bool:
        """Say whether the market trades at a moment; it does when it opens, and does not when it closes."""
        return self._trading_at_or_after(_utc(moment)).begins <= moment

    def next_close(self, after: datetime) -> datetime:
        """Return the market's first close strictly after a moment, in UTC, whether it is open at it or not."""
        return self._trading_at_or_after(_utc(after)).ends

    def closes_at(self, moment: datetime) -> datetime | None:
        """Return when the market that is open at a moment closes, in UTC; ``None`` when it is not open."""
        return self.next_close(moment) if self.is_open(moment) else None

    def market_opening(self, after: datetime) -> datetime:
        """Return when the market next opens strictly after a moment, in UTC: in a week, or after a holiday in one."""
        after = _utc(after)
        return next(period.begins for week in self._weeks_from(after) for period in week if period.begins > after)

    def _trading_at_or_after(self, moment: datetime) -> Period:
        """Return the period of trading that a moment is in, or else the next."""
        return next(period for week in self._weeks_from(moment) for period in week if period.ends > moment)

    def _weeks_from(self, moment: datetime) -> Iterator[list[Period]]:
        """Return each week's periods of trading without end, from the week that opens last on or before a day."""
        first_day = self.week.first_day(moment.astimezone(ZoneInfo(self.week.timezone)).date())
        return (list(self._trading_from(first_day + timedelta(weeks=weeks))) for weeks in count())

    def _trading_from(self, first_day: date) -> Iterator[Period]:
        """Cut the holidays out of the week that opens on a local day."""
        week = self.week.hours_from(first_day)
        begins = week.begins
        for holiday in self.holidays:
            if first_day <= holiday.date <= first_day + timedelta(days=_WEEK_DAYS):
                closed = self.week.trading_day(holiday.date)
                if begins < min(closed.begins, week.ends):
                    yield Period(begins=begins, ends=min(closed.begins, week.ends))
                begins = closed.ends
        if begins < week.ends:
            yield Period(begins=begins, ends=week.ends)


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(
            f"a moment must be aware of its time zone, but {moment.isoformat()} is naive; give it a tzinfo"
        )
    return moment.astimezone(UTC)


def _plain(day: date) -> date:
    """Refuse a moment, which equals no date and so would be on no holiday."""
    if isinstance(day, datetime):
        raise ValueError(
            f"a day must be a date without a time, but is {day.isoformat()}; take the date in the zone meant"
        )
    return day


def market_hours_path(folder: Path | None = None) -> Path:
    """Return where the market hours of a catalogue's folder are: in it, or else in the project's own file."""
    path = (folder or default_folder()) / MARKET_HOURS_FILE
    return path if path.exists() else OWN_FILE


def load_market_hours(path: Path | None = None) -> MarketHours:
    """Read and check a file of market hours; without a path, that of the catalogue's folder or the project's own.

    Raises:
        CatalogueError: with every problem in the file: where, the rule and the value.
    """
    path = path or market_hours_path()
    document = read_document(path, holds="schema_version, sessions and week", remedy="put the market hours there")
    try:
        return MarketHours.model_validate(document)
    except ValidationError as err:
        raise CatalogueError([f"{path.name}: {problem_of(error)}" for error in err.errors()]) from err
