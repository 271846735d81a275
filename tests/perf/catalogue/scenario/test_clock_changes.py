"""Starts and deadlines by cron on days whose clock is set back or forward: each start once, each deadline its own."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from include.perf.catalogue.scenario.clock_changes import moments_of, shown, skipped_time_at
from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.catalogue.scenario.schedule import CronSchedule

HOURS = load_market_hours(OWN_FILE)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
QUARTER = 15 * MINUTE
FIRST, LAST = date(2024, 1, 1), date(2027, 12, 31)

ZONES = sorted(
    {HOURS.week.timezone, "UTC", *(session.timezone for session in HOURS.sessions.values())}
    # set by half an hour, at midnight, and by two hours
    | {"Australia/Lord_Howe", "America/Santiago", "Antarctica/Troll"}
)
"""The zones of the market hours, and those with unusual changes."""


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def every_start(cron: str, zone: str) -> Iterator[datetime]:
    """Yield the starts from the first day on, in the zone's own calendar."""
    schedule = CronSchedule(cron=cron, timezone=zone)
    moment = datetime.combine(FIRST, time(), tzinfo=ZoneInfo(zone)) - MINUTE
    while True:
        moment = schedule.next_start(moment, HOURS)
        yield moment


@cache
def changes(zone: str) -> list[date]:
    """Return the local days on which the zone's clock is set."""
    days = [FIRST + days * DAY for days in range((LAST - FIRST).days + 1)]

    def offset(day: date) -> timedelta | None:
        return datetime.combine(day, time(), tzinfo=ZoneInfo(zone)).utcoffset()

    return [day for day in days if offset(day) != offset(day + DAY)]


def first_moment_that_shows(local: datetime, zone: str, *, after: datetime) -> datetime:
    """Return the first quarter after a moment at which the clock shows a time, or is past it if it skips it."""
    midnight = datetime.combine(local.date(), time(), tzinfo=UTC)
    moments = [midnight + quarters * QUARTER for quarters in range(-64, 160)]
    exact = [moment for moment in moments if shown(moment, ZoneInfo(zone)) == local]
    if exact:
        return next((moment for moment in exact if moment > after), exact[-1])
    return next(moment for moment in moments if shown(moment, ZoneInfo(zone)) > local)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["0 1 * * *", "30 2 * * *", "15 0 * * *"])
def test_a_daily_start_happens_once_on_every_day(zone: str, cron: str) -> None:
    """Also on days that skip or repeat its time: 1,461 days, 1,461 starts, in order, each on its own day."""
    days = (LAST - FIRST).days + 1
    starts = list(islice(every_start(cron, zone), days))
    assert starts == sorted(set(starts))
    minute, hour = map(int, cron.split()[:2])
    for number, start in enumerate(starts):
        day = FIRST + number * DAY
        local = shown(start, ZoneInfo(zone))
        assert local == datetime.combine(day, time(hour, minute)) or day in changes(zone), (local, day)
        assert timedelta() <= local - datetime.combine(day, time(hour, minute)) <= timedelta(hours=2)


@pytest.mark.parametrize("zone", [zone for zone in ZONES if changes(zone)])
@pytest.mark.parametrize("finish_by", ["00:30", "01:00", "01:45", "02:00", "02:30", "03:00", "13:00"])
def test_the_deadline_belongs_to_the_start(zone: str, finish_by: str) -> None:
    """The first ``finish_by`` after the time in the cron expression, compared with a search by quarters of an hour."""
    end = time.fromisoformat(finish_by)
    for day in changes(zone):
        for hour, minute in [(0, 0), (0, 30), (1, 0), (1, 30), (2, 0), (2, 15), (3, 0), (22, 0)]:
            schedule = CronSchedule(cron=f"{minute} {hour} * * *", timezone=zone, finish_by=finish_by)
            due = datetime.combine(day, time(hour, minute))
            start = schedule.next_start(datetime.combine(day, time(), tzinfo=ZoneInfo(zone)) - MINUTE, HOURS)
            local = datetime.combine(day if end > due.time() else day + DAY, end)
            deadline = schedule.deadline(start, HOURS)
            assert deadline is not None
            assert deadline.at == first_moment_that_shows(local, zone, after=start), (due, start)


@pytest.mark.parametrize(
    ("cron", "zone", "finish_by", "due_at", "end"),
    [
        # London skips 01:00 to 02:00 on 29 March 2026: no time is left, so nothing may start
        ("0 1 * * *", "Europe/London", "02:00", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("30 1 * * *", "Europe/London", "02:00", "2026-03-29T01:30", "2026-03-29T01:00"),
        ("0 2 * * *", "Europe/London", "02:00", "2026-03-29T01:00", "2026-03-30T01:00"),  # the start is at 02:00 itself
        ("30 0 * * *", "Europe/London", "01:30", "2026-03-29T00:30", "2026-03-29T01:00"),  # 01:30 is skipped
        # it repeats 01:00 to 02:00 on 25 October 2026: the start is the second 01:30, and so is its end
        ("30 1 * * *", "Europe/London", "01:45", "2026-10-25T01:30", "2026-10-25T01:45"),
        ("30 0 * * *", "Europe/London", "01:30", "2026-10-24T23:30", "2026-10-25T00:30"),  # of two ends, the first
        # New York skips 02:00 to 03:00 on 8 March 2026
        ("30 2 * * *", "America/New_York", "06:00", "2026-03-08T07:30", "2026-03-08T10:00"),
        ("0 2 * * *", "America/New_York", "03:00", "2026-03-08T07:00", "2026-03-08T07:00"),
    ],
)
def test_deadlines_on_days_with_a_change(cron: str, zone: str, finish_by: str, due_at: str, end: str) -> None:
    """In UTC."""
    schedule = CronSchedule(cron=cron, timezone=zone, finish_by=finish_by)
    assert schedule.next_start(utc(due_at) - MINUTE, HOURS) == utc(due_at)
    deadline = schedule.deadline(utc(due_at), HOURS)
    assert deadline is not None
    assert deadline.at == utc(end)


def test_times_that_occur_twice_or_not_at_all() -> None:
    """In London in 2026."""
    london = ZoneInfo("Europe/London")
    twice = moments_of(datetime.fromisoformat("2026-10-25T01:30"), london)
    assert twice == [utc("2026-10-25T00:30"), utc("2026-10-25T01:30")]
    assert moments_of(datetime.fromisoformat("2026-03-29T01:30"), london) == [utc("2026-03-29T01:00")]
    assert skipped_time_at(utc("2026-03-29T01:30"), london) == datetime.fromisoformat("2026-03-29T01:30")
    assert skipped_time_at(utc("2026-03-29T02:00"), london) is None
    assert skipped_time_at(utc("2026-10-25T01:30"), london) is None
