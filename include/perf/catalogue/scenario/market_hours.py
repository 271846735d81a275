"""When the forex market and its sessions are open.

The models are the entries of ``market_hours.yaml``. Hours are local wall-clock times in IANA time zones, so they follow
daylight saving time. Returned times are in UTC. The sessions of a local day belong to the trading day with the same
date, so no session opens on a day that is closed as a whole.

It imports neither pandas nor a calendar library, because Airflow reads the file each time it parses the DAGs.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Self
from zoneinfo import ZoneInfo

from pydantic import ValidationError, field_serializer, field_validator, model_validator

from include.perf.catalogue.scenario.market_week import WEEK_DAYS, Holiday, MarketWeek
from include.perf.catalogue.scenario.wall_clock import Period, SessionName, TimeOfDay, TimeZone, moment_of
from include.perf.model.errors import CatalogueError
from include.perf.model.validation import problem_of
from include.perf.model.yaml_entries import PROJECT_FOLDER, Entry, default_folder, read_document

MARKET_HOURS_FILE = "market_hours.yaml"
OWN_FILE = PROJECT_FOLDER / MARKET_HOURS_FILE

EVERY_DAY = range(WEEK_DAYS)
_SATURDAY = 5


class Session(Entry):
    """A trading session: local hours within one day, from Monday to Friday."""

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
        """Return the session's hours on a local day, even if the market is closed."""
        return Period(
            begins=moment_of(day, self.opens, timezone=self.timezone),
            ends=moment_of(day, self.closes, timezone=self.timezone),
        )


class MarketHours(Entry):
    """The hours of the market and its sessions. Times passed in must have a time zone; returned times are in UTC."""

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
            f"{day} is there more than once ({', '.join(named)})" for day, named in names.items() if len(named) > 1
        ]
        if repeated:
            raise ValueError(f"{'; '.join(repeated)}; keep one entry for a date")
        return tuple(sorted(holidays, key=lambda holiday: holiday.date))

    @model_validator(mode="after")
    def _within_trading_days(self) -> Self:
        for holiday in self.holidays:
            closed = self.week.closed_on(holiday)
            if not self.week.trading_day(holiday.date).begins <= closed.begins < closed.ends:
                raise ValueError(
                    f"holidays: {holiday.name} on {holiday.date} must close within its trading day, which changes at "
                    f"{self.week.opens.at:%H:%M}, but closes at {holiday.early_close:%H:%M}"
                )
        return self

    def session(self, name: str) -> Session:
        """Return a session by its name.

        Raises:
            CatalogueError: there is no session with this name.
        """
        try:
            return self.sessions[name]
        except KeyError:
            known = ", ".join(self.sessions)
            raise CatalogueError(f"session {name!r} is not in {MARKET_HOURS_FILE}; known: {known}") from None

    def holiday_on(self, day: date) -> Holiday | None:
        """Return the holiday on the trading day of a date, also one that only closes early, or ``None``."""
        day = _plain(day)
        return next((holiday for holiday in self.holidays if holiday.date == day), None)

    def opening(self, session: str, day: date) -> datetime | None:
        """Return when a session opens on a local day, in UTC; ``None`` if it does not.

        If the market opens during the session, the session opens with the market: in Sydney on Mondays in summer and
        on the morning after a holiday. It does not open at weekends, on holidays, or if the market is closed during
        the entire session.

        Raises:
            CatalogueError: there is no such session.
        """
        hours = self.session(session).hours_on(day)
        holiday = self.holiday_on(day)
        if day.weekday() >= _SATURDAY or (holiday is not None and holiday.early_close is None):
            return None
        opening = max(hours.begins, self._trading_at_or_after(hours.begins).begins)
        return opening if opening < hours.ends else None

    def next_opening(self, session: str, after: datetime, weekdays: Collection[int] = EVERY_DAY) -> datetime:
        """Return the first opening of a session strictly after a time, in UTC.

        Args:
            session: its name.
            after: a time with a time zone.
            weekdays: local weekdays of the session that count, 0 = Monday.

        Raises:
            CatalogueError: there is no such session.
            ValueError: the time has no time zone, or there is no such opening.
        """
        if not weekdays or not set(weekdays) <= set(EVERY_DAY):
            raise ValueError(f"weekdays must be some of 0 (Monday) to 6 (Sunday), but are {sorted(weekdays)}")
        after = _utc(after)
        day = after.astimezone(ZoneInfo(self.session(session).timezone)).date()
        for days in range(WEEK_DAYS * (2 * len(self.holidays) + 2)):  # a holiday takes at most its day and the next
            candidate = day + timedelta(days=days)
            opening = self.opening(session, candidate) if candidate.weekday() in weekdays else None
            if opening is not None and opening > after:
                return opening
        raise ValueError(f"session {session!r} never opens on weekdays {sorted(weekdays)}; name others (0 is Monday)")

    def week_opening(self, after: datetime) -> datetime:
        """Return the first opening of a market week strictly after a time, in UTC.

        A holiday at the start of a week delays it: to 17:00 on Monday if that is New Year's Day.
        """
        after = _utc(after)
        return next(week[0].begins for week in self._weeks_from(after) if week and week[0].begins > after)

    def is_open(self, moment: datetime) -> bool:
        """Return whether the market is open at a time: from its opening until just before its close."""
        return self._trading_at_or_after(_utc(moment)).begins <= moment

    def next_close(self, after: datetime) -> datetime:
        """Return the first close of the market strictly after a time, in UTC, even if it is closed then."""
        return self._trading_at_or_after(_utc(after)).ends

    def closes_at(self, moment: datetime) -> datetime | None:
        """Return when the market closes, in UTC; ``None`` if it is not open at this time."""
        return self.next_close(moment) if self.is_open(moment) else None

    def market_opening(self, after: datetime) -> datetime:
        """Return the first opening of the market strictly after a time, in UTC: of a week, or after a holiday."""
        after = _utc(after)
        return next(period.begins for week in self._weeks_from(after) for period in week if period.begins > after)

    def _trading_at_or_after(self, moment: datetime) -> Period:
        """Return the trading period at a time, or the next one."""
        return next(period for week in self._weeks_from(moment) for period in week if period.ends > moment)

    def _weeks_from(self, moment: datetime) -> Iterator[list[Period]]:
        """Yield the trading periods of each week, without end, starting with the latest week that has opened."""
        first_day = self.week.first_day(moment.astimezone(ZoneInfo(self.week.timezone)).date())
        return (list(self._trading_from(first_day + timedelta(weeks=weeks))) for weeks in count())

    def _trading_from(self, first_day: date) -> Iterator[Period]:
        """Yield the trading periods of the week that opens on a local day, without holidays."""
        week = self.week.hours_from(first_day)
        begins = week.begins
        for holiday in self.holidays:
            if first_day <= holiday.date <= first_day + timedelta(days=WEEK_DAYS):
                closed = self.week.closed_on(holiday)
                if begins < min(closed.begins, week.ends):
                    yield Period(begins=begins, ends=min(closed.begins, week.ends))
                begins = closed.ends
        if begins < week.ends:
            yield Period(begins=begins, ends=week.ends)


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"a time must have a time zone, but {moment.isoformat()} has none; give it a tzinfo")
    return moment.astimezone(UTC)


def _plain(day: date) -> date:
    """Refuse a datetime, which never equals a date and would miss every holiday."""
    if isinstance(day, datetime):
        raise ValueError(
            f"a day must be a date without a time, but is {day.isoformat()}; use the date in the intended time zone"
        )
    return day


def market_hours_path(folder: Path | None = None) -> Path:
    """Return the path of the market hours: in the catalogue's folder, or else the project's own file."""
    path = (folder or default_folder()) / MARKET_HOURS_FILE
    return path if path.exists() else OWN_FILE


def load_market_hours(path: Path | None = None, *, text: str | None = None) -> MarketHours:
    """Read and check a file of market hours, by default the one of `market_hours_path`.

    Args:
        text: the content, if it was read before.

    Raises:
        CatalogueError: with all problems in the file; each has the place, the rule and the value.
    """
    path = path or market_hours_path()
    document = read_document(
        path, holds="schema_version, sessions and week", remedy="put the market hours there", text=text
    )
    try:
        return MarketHours.model_validate(document)
    except ValidationError as err:
        raise CatalogueError([f"{path.name}: {problem_of(error)}" for error in err.errors()]) from err
