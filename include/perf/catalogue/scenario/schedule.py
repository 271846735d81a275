"""When a scenario runs by itself, and when all its load must be over.

The models are the ``schedule`` of an entry in ``scenarios.yaml``; the key ``cron`` or ``before`` tells which of them
it
is. Every moment taken must be aware, every one returned is in UTC.

When all load of a run must be over, and why.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import product
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from croniter import CroniterError, croniter
from pydantic import BeforeValidator, Field, field_validator, model_validator

from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.wall_clock import SessionName, TimeOfDay, TimeZone, moment_of
from include.perf.model.yaml_entries import Entry, chosen_by_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A moment at which no load may run any more.

    Attributes:
        occasion: what makes it one, as a clause: ``the London session opens at 08:00 Europe/London``.
    """

    at: datetime
    occasion: str


WEEK = "week"
"""Stands for the market week where a session's name is expected."""

TradingWeekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday"]

_WEEKDAYS: tuple[str, ...] = get_args(TradingWeekday)

_DAY = timedelta(days=1)

_EVERY_HOUR = ["*"]

_MOST_PUT_BACK = timedelta(hours=3)
"""What a clock shows for the second time lies behind what it has shown already."""

_MONDAY = datetime(2026, 1, 5, tzinfo=UTC).date()

_WEEKS_OF_A_YEAR = 53


class CronSchedule(Entry):
    """A cron expression in a time zone, so that it follows changes of the clocks.

    Attributes:
        cron: minute, hour, day of the month, month, weekday.
        finish_by: time of day in the time zone by which all load must be over.
    """

    cron: str
    timezone: TimeZone = "UTC"
    finish_by: TimeOfDay | None = None

    @field_validator("cron")
    @classmethod
    def _comes_to_pass(cls, cron: str) -> str:
        wanted = f'must be a cron expression of five fields, such as "30 5 * * 1-5", but is {cron!r}'
        if len(cron.split()) != 5:
            raise ValueError(wanted)
        if re.search(r"\b[hr]\b", cron, re.IGNORECASE):
            raise ValueError(f"{wanted}; H and R stand for times that nobody can foretell")
        try:
            croniter(cron, datetime(2026, 1, 1)).get_next(datetime)  # noqa: DTZ001 - a wall clock
        except CroniterError as err:
            raise ValueError(f"{wanted}: {err}") from err
        return cron

    @property
    def is_before_opening(self) -> bool:
        """Whether the market decides when all load must be over, also of runs that a person asked for."""
        return False

    @property
    def summary(self) -> str:
        """The schedule in a few words."""
        return f"cron {self.cron}"

    @property
    def description(self) -> str:
        """The schedule, and when its load must be over."""
        over = f", all load over by {self.finish_by:%H:%M}" if self.finish_by else ""
        return f"cron `{self.cron}` in {self.timezone}{over}"

    def zone(self, hours: MarketHours) -> str:
        """Return the time zone whose clock the schedule follows."""
        return self.timezone

    def problems(self, hours: MarketHours) -> list[str]:
        """Return what is wrong with it in view of the market's hours: nothing ever."""
        return []

    def next_start(self, after: datetime, hours: MarketHours) -> datetime:
        """Return the first start strictly after a moment.

        What the clock shows twice is the second time, and what it never shows the moment at which it would have been
        shown, as Airflow has it; an expression of every hour runs through both.

        Source: `airflow.timetables._cron.CronMixin` (Airflow 3.3.2).
        """
        zone = ZoneInfo(self.timezone)
        shown = _shown(after, zone)
        times = croniter(self.cron, shown)
        if times.expanded[1] == _EVERY_HOUR:
            following: datetime = times.get_next(datetime)
            return _shown(after, UTC).replace(tzinfo=UTC) + (following - shown)
        times.set_current(shown - _MOST_PUT_BACK)
        while (start := _later_of(times.get_next(datetime), zone)) <= after:
            pass
        return start

    def deadline(self, due_at: datetime, hours: MarketHours) -> Deadline | None:
        """Return when all load of a run that is due at a moment must be over: the first ``finish_by`` after it."""
        if self.finish_by is None:
            return None
        day = due_at.astimezone(ZoneInfo(self.timezone)).date()
        ends = (moment_of(day + days * _DAY, self.finish_by, timezone=self.timezone) for days in range(3))
        return Deadline(
            at=next(end for end in ends if end > due_at),
            occasion=f"its schedule ends at {self.finish_by:%H:%M} {self.timezone}",
        )

    def over_by(self, hours: MarketHours) -> time | None:
        """Return what the clock usually shows when all load must be over."""
        return self.finish_by

    def time_available(self) -> timedelta | None:
        """Return how long it is from a start to the time by which all load must be over, by the wall clock.

        Of several starts a day it is that of the last one before. The night in which the clocks change is an hour
        longer or shorter.
        """
        if self.finish_by is None:
            return None
        minutes, hours = croniter(self.cron).expanded[:2]
        starts = product(range(24) if hours == ["*"] else hours, range(60) if minutes == ["*"] else minutes)
        end = timedelta(hours=self.finish_by.hour, minutes=self.finish_by.minute)
        return min((end - timedelta(hours=hour, minutes=minute)) % _DAY or _DAY for hour, minute in starts)


class OpeningSchedule(Entry):
    """So many minutes before the market or one of its sessions opens, by the clock of whoever opens.

    Attributes:
        before: a session of ``market_hours.yaml``, or ``week``: the opening of the market week.
        minutes: how long before the opening it starts.
        weekdays: on which openings it counts, local days of the session; every one by default.
        margin_minutes: all load must be over so long before the opening.
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
        """Whether it is about the opening of the market week."""
        return self.before == WEEK

    @property
    def is_before_opening(self) -> bool:
        """Whether the market decides when all load must be over, also of runs that a person asked for."""
        return True

    @property
    def summary(self) -> str:
        """The schedule in a few words: ``250 min before the London open``."""
        opens = "the market week opens" if self.is_of_the_week else f"the {title_of(self.before)} open"
        return f"{self.minutes} min before {opens}"

    @property
    def description(self) -> str:
        """The schedule with its days, and when its load must be over."""
        over = f"{self.margin_minutes} min before it" if self.margin_minutes else "by then"
        return f"{self.summary}, {self.days}, all load over {over}"

    @property
    def days(self) -> str:
        """On which openings it counts: ``weekdays``, ``Mondays and Fridays``, ``once a week``."""
        if self.is_of_the_week:
            return "once a week"
        days = [f"{day.capitalize()}s" for number, day in enumerate(_WEEKDAYS) if number in self._weekdays]
        if len(days) == len(_WEEKDAYS):
            return "weekdays"
        return " and ".join(filter(None, (", ".join(days[:-1]), days[-1])))

    @property
    def _weekdays(self) -> frozenset[int]:
        """The weekdays that count, 0 = Monday."""
        return frozenset(map(_WEEKDAYS.index, self.weekdays or _WEEKDAYS))

    def zone(self, hours: MarketHours) -> str:
        """Return the time zone whose clock the schedule follows."""
        return hours.week.timezone if self.is_of_the_week else hours.session(self.before).timezone

    def problems(self, hours: MarketHours) -> list[str]:
        """Return what is wrong with it in view of the market's hours, each with the setting that it is about."""
        if self.is_of_the_week:
            return []
        if self.before not in hours.sessions:
            known = ", ".join(hours.sessions)
            return [f"before: there is no session {self.before!r}; there are {known}, and {WEEK} for the market week"]
        never = [_WEEKDAYS[day] for day in sorted(self._weekdays) if not _ever_opens(self.before, hours, weekday=day)]
        if not never or (self.weekdays is None and len(never) < len(_WEEKDAYS)):
            return []
        return [f"weekdays: {self.before} never opens on a {' or a '.join(never)}; name other days"]

    def next_opening(self, after: datetime, hours: MarketHours) -> datetime:
        """Return the first opening that the schedule is about, strictly after a moment."""
        if self.is_of_the_week:
            return hours.week_opening(after)
        return hours.next_opening(self.before, after, self._weekdays)

    def next_start(self, after: datetime, hours: MarketHours) -> datetime:
        """Return the first start strictly after a moment; to the opening it is always ``minutes`` of real time."""
        ahead = timedelta(minutes=self.minutes)
        return self.next_opening(after + ahead, hours) - ahead

    def deadline(self, due_at: datetime, hours: MarketHours) -> Deadline:
        """Return when all load of a run that is due at a moment must be over: before the first opening after it.

        A run that is due less than the margin before an opening is too late for it: its deadline is past.
        """
        what = "the market week" if self.is_of_the_week else f"the {title_of(self.before)} session"
        opening = self.next_opening(due_at, hours)
        zone = self.zone(hours)
        return Deadline(
            at=opening - timedelta(minutes=self.margin_minutes),
            occasion=f"{what} opens at {opening.astimezone(ZoneInfo(zone)):%H:%M} {zone} ({opening:%H:%M} UTC)",
        )

    def over_by(self, hours: MarketHours) -> time | None:
        """Return what the clock usually shows when all load must be over."""
        opens = hours.week.opens.at if self.is_of_the_week else hours.session(self.before).opens
        return (datetime.combine(_MONDAY, opens) - timedelta(minutes=self.margin_minutes)).time()

    def time_available(self) -> timedelta | None:
        """Return how long it is from a start to the time by which all load must be over."""
        return timedelta(minutes=self.minutes - self.margin_minutes)


Schedule = CronSchedule | OpeningSchedule


def _chosen(given: object) -> object:
    """Read a schedule as what its keys say that it is; YAML's ``off`` is none."""
    return chosen_by_key(
        None if given is False else given,
        {"cron": CronSchedule, "before": OpeningSchedule},
        needs='cron, such as {cron: "0 2 * * 6"}, or before, such as {before: london, minutes: 120}',
        or_else="write off if it is to run only when triggered",
    )


OptionalSchedule = Annotated[Schedule | None, BeforeValidator(_chosen)]
"""A schedule, or ``None`` (in YAML also ``off``): only when triggered."""


def _shown(moment: datetime, zone: tzinfo) -> datetime:
    """Return what a zone's clock shows at a moment, as a plain datetime; Airflow's own reckon in another way."""
    local = moment.astimezone(zone)
    return datetime.combine(local.date(), local.time())


def _later_of(shown: datetime, zone: ZoneInfo) -> datetime:
    """Return when a zone's clock shows a time, the second time where it does so twice.

    The two readings of a time are the same but around a change of the clocks. The later one is the second time where
    it is put back, and where it is put forward the moment at which the time would have been shown.
    """
    return max(shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))


def _ever_opens(session: str, hours: MarketHours, *, weekday: int) -> bool:
    first = _MONDAY + weekday * _DAY
    return any(hours.opening(session, first + timedelta(weeks=weeks)) for weeks in range(_WEEKS_OF_A_YEAR))


def title_of(session: str) -> str:
    """Return a session as people call it: ``New York``."""
    return session.replace("_", " ").title()
