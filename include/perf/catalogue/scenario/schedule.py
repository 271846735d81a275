"""When a scenario starts automatically, and when its load must be over.

The models are the ``schedule`` of an entry in ``scenarios.yaml``; the key ``cron`` or ``before`` selects the model.
Times passed in must have a time zone; returned times are in UTC.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import product
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter
from pydantic import BeforeValidator, Field, field_validator, model_validator

from include.perf.catalogue.scenario.clock_changes import (
    MAX_CHANGE,
    later_moment_of,
    moments_of,
    shown,
    skipped_time_at,
)
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.wall_clock import SessionName, TimeOfDay, TimeZone
from include.perf.model.yaml_entries import Entry, chosen_by_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When all load must be over.

    Attributes:
        occasion: the reason as a clause: ``the London session opens at 08:00 Europe/London``.
    """

    at: datetime
    occasion: str


WEEK = "week"
"""The market week, in place of the name of a session."""

TradingWeekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday"]

_WEEKDAYS: tuple[str, ...] = get_args(TradingWeekday)

_DAY = timedelta(days=1)
_EVERY_HOUR = ["*"]

_MONDAY = datetime(2026, 1, 5, tzinfo=UTC).date()
_WEEKS_OF_A_YEAR = 53


class CronSchedule(Entry):
    """A cron expression in a time zone; it follows daylight saving time.

    Attributes:
        cron: minute, hour, day of the month, month, weekday.
        finish_by: local time of day at which all load must be over.
    """

    cron: str
    timezone: TimeZone = "UTC"
    finish_by: TimeOfDay | None = None

    @field_validator("cron")
    @classmethod
    def _is_valid_cron(cls, cron: str) -> str:
        wanted = f'must be a cron expression of five fields, such as "30 5 * * 1-5", but is {cron!r}'
        if len(cron.split()) != 5:
            raise ValueError(wanted)
        if re.search(r"\b[hr]\b", cron, re.IGNORECASE):
            raise ValueError(f"{wanted}; H and R are not supported, because their times are random")
        try:
            croniter(cron, datetime(2026, 1, 1)).get_next(datetime)  # noqa: DTZ001 - a wall clock
        except CroniterError as err:
            raise ValueError(f"{wanted}: {err}") from err
        return cron

    @property
    def is_before_opening(self) -> bool:
        """Whether the deadline depends on the market, and therefore applies to manual runs, too."""
        return False

    @property
    def summary(self) -> str:
        """The schedule in short."""
        return f"cron {self.cron}"

    @property
    def description(self) -> str:
        """The schedule with the deadline of its load."""
        over = f", all load over by {self.finish_by:%H:%M}" if self.finish_by else ""
        return f"cron `{self.cron}` in {self.timezone}{over}"

    def zone(self, hours: MarketHours) -> str:
        """Return the time zone of the schedule."""
        return self.timezone

    def problems(self, hours: MarketHours) -> list[str]:
        """Return no problems: it does not depend on the market hours."""
        return []

    def next_start(self, after: datetime, hours: MarketHours) -> datetime:
        """Return the first start strictly after a time.

        As in Airflow, a local time that occurs twice is the second one, and a local time that is skipped is the time
        at which it would have occurred; an expression for every hour runs through both.

        Source: `airflow.timetables._cron.CronMixin` (Airflow 3.3.2).
        """
        zone = ZoneInfo(self.timezone)
        local = shown(after, zone)
        times = croniter(self.cron, local)
        if times.expanded[1] == _EVERY_HOUR:
            following: datetime = times.get_next(datetime)
            return shown(after, UTC).replace(tzinfo=UTC) + (following - local)
        times.set_current(local - MAX_CHANGE)  # repeated times are earlier than those that were shown already
        while (start := later_moment_of(times.get_next(datetime), zone)) <= after:
            pass
        return start

    def deadline(self, due_at: datetime, hours: MarketHours) -> Deadline | None:
        """Return when the load of a run must be over: the first ``finish_by`` after its due time.

        If the clock goes from 01:00 to 02:00, a run due at 01:00 must be over by ``finish_by`` of that day, even if no
        time is left. A ``finish_by`` that the clock skips is the moment of the change; of two occurrences, the first
        after the due time counts.
        """
        if self.finish_by is None:
            return None
        zone = ZoneInfo(self.timezone)
        due = self._scheduled_for(due_at, zone)
        first, second = (datetime.combine(due.date() + days * _DAY, self.finish_by) for days in (0, 1))
        moments = moments_of(first if first > due else second, zone)
        return Deadline(
            at=next((moment for moment in moments if moment > due_at), moments[-1]),
            occasion=f"its schedule ends at {self.finish_by:%H:%M} {self.timezone}",
        )

    def _scheduled_for(self, due_at: datetime, zone: ZoneInfo) -> datetime:
        """Return the local time for which a start was scheduled, even if the clock skipped it."""
        skipped = skipped_time_at(due_at, zone)
        return skipped if skipped is not None and croniter.match(self.cron, skipped) else shown(due_at, zone)

    def over_by(self, hours: MarketHours) -> time | None:
        """Return the usual local time at which all load must be over."""
        return self.finish_by

    def time_available(self) -> timedelta | None:
        """Return the time from a start to the deadline, by the wall clock.

        With several starts a day, the last one before the deadline counts. When daylight saving time starts or ends,
        the actual time is an hour shorter or longer.
        """
        if self.finish_by is None:
            return None
        minutes, hours = croniter(self.cron).expanded[:2]
        starts = product(range(24) if hours == ["*"] else hours, range(60) if minutes == ["*"] else minutes)
        end = timedelta(hours=self.finish_by.hour, minutes=self.finish_by.minute)
        return min((end - timedelta(hours=hour, minutes=minute)) % _DAY or _DAY for hour, minute in starts)


class OpeningSchedule(Entry):
    """A time before each opening of a session, or of the market week.

    Attributes:
        before: a session of ``market_hours.yaml``, or ``week`` for the market week.
        minutes: minutes from the start to the opening.
        weekdays: local weekdays of the openings that count; by default all.
        margin_minutes: minutes before the opening at which all load must be over.
    """

    before: SessionName
    minutes: Annotated[int, Field(ge=1, le=24 * 60)]
    weekdays: Annotated[tuple[TradingWeekday, ...], Field(min_length=1)] | None = None
    margin_minutes: Annotated[int, Field(ge=0)] = 5

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.is_of_the_week and self.weekdays is not None:
            problems.append("weekdays have no meaning with before: week, which opens once a week; remove them")
        if self.margin_minutes >= self.minutes:
            problems.append(
                f"margin_minutes must be less than minutes ({self.minutes}), but is {self.margin_minutes}; "
                "nothing could run in between"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def is_of_the_week(self) -> bool:
        """Whether it refers to the market week."""
        return self.before == WEEK

    @property
    def is_before_opening(self) -> bool:
        """Whether the deadline depends on the market, and therefore applies to manual runs, too."""
        return True

    @property
    def summary(self) -> str:
        """The schedule in short: ``250 min before the London open``."""
        opens = "the market week opens" if self.is_of_the_week else f"the {title_of(self.before)} open"
        return f"{self.minutes} min before {opens}"

    @property
    def description(self) -> str:
        """The schedule with its days and the deadline of its load."""
        over = f"{self.margin_minutes} min before it" if self.margin_minutes else "by then"
        return f"{self.summary}, {self.days}, all load over {over}"

    @property
    def days(self) -> str:
        """The days of the openings: ``weekdays``, ``Mondays and Fridays``, ``once a week``."""
        if self.is_of_the_week:
            return "once a week"
        days = [f"{day.capitalize()}s" for number, day in enumerate(_WEEKDAYS) if number in self._weekdays]
        if len(days) == len(_WEEKDAYS):
            return "weekdays"
        return " and ".join(filter(None, (", ".join(days[:-1]), days[-1])))

    @property
    def _weekdays(self) -> frozenset[int]:
        """The weekdays of the openings, 0 = Monday."""
        return frozenset(map(_WEEKDAYS.index, self.weekdays or _WEEKDAYS))

    def zone(self, hours: MarketHours) -> str:
        """Return the time zone of the schedule."""
        return hours.week.timezone if self.is_of_the_week else hours.session(self.before).timezone

    def problems(self, hours: MarketHours) -> list[str]:
        """Return the problems in combination with the market hours, each with its setting."""
        if self.is_of_the_week:
            return []
        if self.before not in hours.sessions:
            known = ", ".join(hours.sessions)
            return [f"before: there is no session {self.before!r}; known: {known}, and {WEEK} for the market week"]
        never = [_WEEKDAYS[day] for day in sorted(self._weekdays) if not _ever_opens(self.before, hours, weekday=day)]
        if not never or (self.weekdays is None and len(never) < len(_WEEKDAYS)):
            return []
        return [f"weekdays: {self.before} never opens on a {' or a '.join(never)}; name other days"]

    def next_opening(self, after: datetime, hours: MarketHours) -> datetime:
        """Return the first opening of the schedule strictly after a time."""
        if self.is_of_the_week:
            return hours.week_opening(after)
        return hours.next_opening(self.before, after, self._weekdays)

    def next_start(self, after: datetime, hours: MarketHours) -> datetime:
        """Return the first start strictly after a time; it is always ``minutes`` of elapsed time before the opening."""
        ahead = timedelta(minutes=self.minutes)
        return self.next_opening(after + ahead, hours) - ahead

    def deadline(self, due_at: datetime, hours: MarketHours) -> Deadline:
        """Return when the load of a run must be over: the margin before the first opening after its due time.

        If a run is due within the margin, its deadline has already passed.
        """
        what = "the market week" if self.is_of_the_week else f"the {title_of(self.before)} session"
        opening = self.next_opening(due_at, hours)
        zone = self.zone(hours)
        return Deadline(
            at=opening - timedelta(minutes=self.margin_minutes),
            occasion=f"{what} opens at {opening.astimezone(ZoneInfo(zone)):%H:%M} {zone} ({opening:%H:%M} UTC)",
        )

    def over_by(self, hours: MarketHours) -> time | None:
        """Return the usual local time at which all load must be over."""
        opens = hours.week.opens.at if self.is_of_the_week else hours.session(self.before).opens
        return (datetime.combine(_MONDAY, opens) - timedelta(minutes=self.margin_minutes)).time()

    def time_available(self) -> timedelta | None:
        """Return the time from a start to the deadline."""
        return timedelta(minutes=self.minutes - self.margin_minutes)


Schedule = CronSchedule | OpeningSchedule


def _chosen(given: object) -> object:
    """Parse a schedule as the model that its keys select; ``off`` in YAML means none."""
    return chosen_by_key(
        None if given is False or given == "off" else given,
        {"cron": CronSchedule, "before": OpeningSchedule},
        needs='cron, such as {cron: "0 2 * * 6"}, or before, such as {before: london, minutes: 120}',
        or_else="write off for manual runs only",
    )


OptionalSchedule = Annotated[Schedule | None, BeforeValidator(_chosen)]
"""A schedule; ``None`` (in YAML also ``off``) for manual runs only."""


def _ever_opens(session: str, hours: MarketHours, *, weekday: int) -> bool:
    first = _MONDAY + weekday * _DAY
    return any(hours.opening(session, first + timedelta(weeks=weeks)) for weeks in range(_WEEKS_OF_A_YEAR))


def title_of(session: str) -> str:
    """Return the title of a session: ``New York``."""
    return session.replace("_", " ").title()
