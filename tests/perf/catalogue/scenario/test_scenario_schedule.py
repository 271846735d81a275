"""Schedules: valid settings, when a scenario starts, and when its load must be over."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.scenario.market_hours import OWN_FILE, MarketHours, load_market_hours
from include.perf.catalogue.scenario.market_week import Holiday
from include.perf.catalogue.scenario.schedule import CronSchedule, OpeningSchedule, Schedule
from include.perf.model.validation import problem_of
from tests.fakes.small_catalogue import small_scenario

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def hours() -> MarketHours:
    """The project's own file."""
    return load_market_hours(OWN_FILE)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def before(session: str, minutes: int = 250, **changes: Any) -> OpeningSchedule:
    return OpeningSchedule.model_validate({"before": session, "minutes": minutes} | changes)


def cron(expression: str, timezone: str = "UTC", finish_by: object = None) -> CronSchedule:
    return CronSchedule.model_validate({"cron": expression, "timezone": timezone, "finish_by": finish_by})


def starts_of(
    schedule: Schedule, hours: MarketHours, *, begin: datetime = BEGIN, end: datetime = END
) -> list[datetime]:
    """Return all starts from ``begin`` to ``end``, each computed from the previous one."""

    def each() -> Iterator[datetime]:
        start = begin - timedelta(microseconds=1)
        while True:
            start = schedule.next_start(start, hours)
            yield start

    return list(takewhile(lambda start: start < end, each()))


# What is said of a schedule


def schedule_of(given: object) -> Schedule | None:
    return small_scenario(schedule=given).schedule


def problems_of(given: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        schedule_of(given)
    return [problem_of(error) for error in caught.value.errors()]


def test_the_key_selects_the_model() -> None:
    """A cron expression, an opening, or none for manual runs only."""
    assert schedule_of({"cron": "0 2 * * 6"}) == CronSchedule(cron="0 2 * * 6")
    assert schedule_of({"before": "london", "minutes": 250}) == OpeningSchedule(before="london", minutes=250)
    assert schedule_of(None) is schedule_of(False) is None


CRON = 'schedule.cron: must be a cron expression of five fields, such as "30 5 * * 1-5", but is'
WRONG: list[tuple[object, list[str]]] = [
    (
        {"before": "london", "minutes": 0},
        ["schedule.minutes: should be greater than or equal to 1, but is 0"],
    ),
    (
        {"before": "london", "minutes": 1441, "margin_minutes": -1},
        [
            "schedule.minutes: should be less than or equal to 1440, but is 1441",
            "schedule.margin_minutes: should be greater than or equal to 0, but is -1",
        ],
    ),
    ({"before": "london"}, ["schedule.minutes: is missing; every entry needs it"]),
    (
        {"before": "london", "minutes": 5},
        ["schedule: margin_minutes must be less than minutes (5), but is 5; nothing could run in between"],
    ),
    (
        {"before": "week", "minutes": 60, "weekdays": ["monday"]},
        ["schedule: weekdays have no meaning with before: week, which opens once a week; remove them"],
    ),
    (
        {"before": "london", "minutes": 60, "weekdays": ["monday", "sunday"]},
        ["schedule.weekdays[1]: should be 'monday', 'tuesday', 'wednesday', 'thursday' or 'friday', but is 'sunday'"],
    ),
    (
        {"before": "london", "minutes": 60, "weekdays": []},
        ["schedule.weekdays: should have at least 1 item, but is []"],
    ),
    (
        {"before": "london", "minutes": 60, "finish_by": "07:00"},
        ["schedule.finish_by: is not a known setting; correct its name or remove it"],
    ),
    ({"before": "london", "cron": "0 2 * * *"}, ["schedule: holds both cron and before; remove one of them"]),
    (
        {"minutes": 60},
        [
            'schedule: needs cron, such as {cron: "0 2 * * 6"}, or before, such as {before: london, minutes: 120}, but '
            "is {'minutes': 60}; write off for manual runs only"
        ],
    ),
    (
        "daily",
        [
            'schedule: needs cron, such as {cron: "0 2 * * 6"}, or before, such as {before: london, minutes: 120}, but '
            "is 'daily'; write off for manual runs only"
        ],
    ),
    ({"cron": "99 * * * *"}, [f"{CRON} '99 * * * *': [99 * * * *] is not acceptable, out of range"]),
    ({"cron": "daily"}, [f"{CRON} 'daily'"]),
    ({"cron": "0 0 2 * * *"}, [f"{CRON} '0 0 2 * * *'"]),  # with seconds
    ({"cron": "0 0 31 2 *"}, [f"{CRON} '0 0 31 2 *': failed to find next date"]),
    ({"cron": "R 2 * * *"}, [f"{CRON} 'R 2 * * *'; H and R are not supported, because their times are random"]),
    (
        {"cron": "0 2 * * *", "timezone": "Europe/Londn"},
        ["schedule.timezone: must be an IANA time zone such as Europe/London, but is 'Europe/Londn'"],
    ),
    (  # 10:30 without quotes: 10 · 60 + 30 in YAML
        {"cron": "0 2 * * *", "finish_by": 630},
        [
            'schedule.finish_by: must be a time of day in quotes, such as "08:00", but is the number 630; write '
            '"10:30" if that is meant'
        ],
    ),
    (
        {"cron": "0 2 * * *", "finish_by": "06:30+02:00"},
        ["schedule.finish_by: must be a time of day in quotes, such as \"08:00\", but is '06:30+02:00'"],
    ),
]


@pytest.mark.parametrize(("given", "expected"), WRONG)
def test_an_invalid_schedule(given: object, expected: list[str]) -> None:
    """The setting, the rule, the value and the remedy; nothing about the other model."""
    assert problems_of(given) == expected


@pytest.mark.parametrize(
    "expression", ["0 22 * * 0-4", "*/15 1-5 * * thu", "0 2 1 MAR,SEP *", "0 2 L * *", "0 0 29 2 *"]
)
def test_valid_cron_expressions(expression: str) -> None:
    """Names, steps, ranges, the last day of a month, and 29 February."""
    assert cron(expression).cron == expression


def test_an_unknown_session_is_reported_with_the_known_ones(hours: MarketHours) -> None:
    """The market week, which is not a session, is included."""
    assert before("lodon").problems(hours) == [
        "before: there is no session 'lodon'; known: sydney, tokyo, london, new_york, and week for the market week"
    ]
    for session in ("london", "week"):
        assert before(session).problems(hours) == []
    assert cron("0 2 * * *").problems(hours) == []


def test_days_on_which_a_session_never_opens() -> None:
    """A session in the evening of New York does not open on Friday, after the close of the week."""
    document = load_market_hours(OWN_FILE).model_dump(mode="json")
    document["sessions"] = {"late": {"timezone": "America/New_York", "opens": "18:00", "closes": "20:00"}}
    hours = MarketHours.model_validate(document)
    assert before("late", weekdays=["thursday", "friday"]).problems(hours) == [
        "weekdays: late never opens on a friday; name other days"
    ]
    assert before("late", weekdays=["thursday"]).problems(hours) == []
    assert before("late").problems(hours) == []


# In words


@pytest.mark.parametrize(
    ("schedule", "summary", "description"),
    [
        (
            before("london"),
            "250 min before the London open",
            "250 min before the London open, weekdays, all load over 5 min before it",
        ),
        (
            before("new_york", 90, weekdays=["friday", "monday", "monday"], margin_minutes=0),
            "90 min before the New York open",
            "90 min before the New York open, Mondays and Fridays, all load over by then",
        ),
        (
            before("tokyo", weekdays=["monday", "tuesday", "friday"]),
            "250 min before the Tokyo open",
            "250 min before the Tokyo open, Mondays, Tuesdays and Fridays, all load over 5 min before it",
        ),
        (
            before("sydney", weekdays=["wednesday"]),
            "250 min before the Sydney open",
            "250 min before the Sydney open, Wednesdays, all load over 5 min before it",
        ),
        (
            before("week", 60),
            "60 min before the market week opens",
            "60 min before the market week opens, once a week, all load over 5 min before it",
        ),
        (cron("0 5 * * 6"), "cron 0 5 * * 6", "cron `0 5 * * 6` in UTC"),
        (
            cron("0 5 * * 6", "Europe/London", "13:00"),
            "cron 0 5 * * 6",
            "cron `0 5 * * 6` in Europe/London, all load over by 13:00",
        ),
    ],
)
def test_a_schedule_in_words(schedule: Schedule, summary: str, description: str) -> None:
    """It is shown in the list of DAGs and on the page of a DAG."""
    assert (schedule.summary, schedule.description) == (summary, description)


@pytest.mark.parametrize(
    ("schedule", "due_at", "occasion"),
    [
        (before("london"), "2026-07-08T02:50", "the London session opens at 08:00 Europe/London (07:00 UTC)"),
        (before("london"), "2026-12-08T03:50", "the London session opens at 08:00 Europe/London (08:00 UTC)"),
        (before("new_york"), "2026-07-08T02:50", "the New York session opens at 08:00 America/New_York (12:00 UTC)"),
        # on Mondays of its summer Sydney opens with the market
        (before("sydney"), "2026-01-11T12:00", "the Sydney session opens at 09:00 Australia/Sydney (22:00 UTC)"),
        (before("week"), "2026-01-11T12:00", "the market week opens at 17:00 America/New_York (22:00 UTC)"),
        (cron("0 22 * * *", "Europe/London", "03:30"), "2026-01-11T22:00", "its schedule ends at 03:30 Europe/London"),
    ],
)
def test_the_reason_for_a_deadline(hours: MarketHours, schedule: Schedule, due_at: str, occasion: str) -> None:
    """In local time and in UTC."""
    deadline = schedule.deadline(utc(due_at), hours)
    assert deadline is not None
    assert deadline.occasion == occasion


# Two years of openings, by offsets from UTC and dates of changes as they are in print: no library of time zones

OFFSETS: dict[str, tuple[int, int, list[tuple[date, date]]]] = {
    # hours from UTC, hours from UTC in between these days
    "sydney": (11, 10, [(date(2026, 4, 5), date(2026, 10, 4)), (date(2027, 4, 4), date(2027, 10, 3))]),
    "tokyo": (9, 9, []),
    "london": (0, 1, [(date(2026, 3, 29), date(2026, 10, 25)), (date(2027, 3, 28), date(2027, 10, 31))]),
    "new_york": (-5, -4, [(date(2026, 3, 8), date(2026, 11, 1)), (date(2027, 3, 14), date(2027, 11, 7))]),
}
OPENS_H = {"sydney": 7, "tokyo": 9, "london": 8, "new_york": 8}
HOLIDAYS = {date(2026, 1, 1), date(2026, 12, 25), date(2027, 1, 1), date(2027, 12, 25), date(2028, 1, 1)}
DAYS = [date(2025, 12, 28) + number * DAY for number in range(750)]


def at_hour(place: str, day: date, hour: int) -> datetime:
    otherwise, between, spans = OFFSETS[place]
    offset = between if any(first <= day < end for first, end in spans) else otherwise
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour - offset)


def calendar(session: str, weekdays: str = "Mon Tue Wed Thu Fri") -> list[datetime]:
    """Return all openings, oldest first; a session opens with the market on Mondays and after a holiday."""
    if session == "week":
        return [at_hour("new_york", day, 17) for day in DAYS if f"{day:%a}" == "Sun"]
    openings = []
    for day in DAYS:
        if f"{day:%a}" in weekdays.split() and day not in HOLIDAYS:
            market = at_hour("new_york", day - DAY, 17)
            is_after_a_pause = f"{day:%a}" == "Mon" or day - DAY in HOLIDAYS
            opening = at_hour(session, day, OPENS_H[session])
            openings.append(max(opening, market) if is_after_a_pause else opening)
    return openings


@pytest.mark.parametrize("minutes", [6, 90, 250, 1440])
@pytest.mark.parametrize("session", [*OFFSETS, "week"])
def test_every_start_of_two_years(hours: MarketHours, session: str, minutes: int) -> None:
    """Each opening has a start exactly this many minutes before it, across all clock changes."""
    expected = [opening - minutes * MINUTE for opening in calendar(session)]
    starts = starts_of(before(session, minutes), hours)
    assert starts == [start for start in expected if BEGIN <= start < END]
    # 104 weeks and a day: 522 weekdays of which 3 are holidays, or 104 Sundays; one more or less at either end
    assert abs(len(starts) - (104 if session == "week" else 519)) <= 1


def test_only_some_weekdays(hours: MarketHours) -> None:
    """They are local: Sydney's Monday starts on Sunday in UTC, and so does the run."""
    for session in OFFSETS:
        schedule = before(session, weekdays=["monday", "thursday"])
        expected = [opening - 250 * MINUTE for opening in calendar(session, "Mon Thu")]
        assert starts_of(schedule, hours) == [start for start in expected if BEGIN <= start < END]


@pytest.mark.parametrize("session", [*OFFSETS, "week"])
def test_the_next_start_from_any_time(hours: MarketHours, session: str) -> None:
    """The first strictly later one, also from a start itself and from just before it."""
    schedule = before(session, 250)
    starts = [opening - 250 * MINUTE for opening in calendar(session)]
    source = random.Random(7)
    moments = [BEGIN + timedelta(seconds=source.randrange(730 * 86_400)) for _ in range(300)]
    moments += [start + shift * timedelta(microseconds=1) for start in starts[9:-9:7] for shift in (-1, 0, 1)]
    for moment in moments:
        start = schedule.next_start(moment, hours)
        assert start == min(known for known in starts if known > moment)
        assert schedule.next_start(moment.astimezone(timezone(timedelta(hours=9))), hours) == start
        assert start.utcoffset() == timedelta(0)


ODD_WEEKS = [
    # between the changes of different countries; session → start 250 min before, UTC
    ("london", "2026-03-10T00:00", "2026-03-10T03:50"),  # US on, UK not yet
    ("new_york", "2026-03-10T00:00", "2026-03-10T07:50"),
    ("london", "2026-03-30T00:00", "2026-03-30T02:50"),  # UK on, Sydney not off yet
    ("sydney", "2026-03-30T12:00", "2026-03-30T15:50"),
    ("sydney", "2026-04-06T12:00", "2026-04-06T16:50"),  # Sydney off
    ("sydney", "2026-10-05T12:00", "2026-10-05T15:50"),  # Sydney on, the others still on
    ("london", "2026-10-26T00:00", "2026-10-26T03:50"),  # UK off, US not yet
    ("new_york", "2026-10-26T00:00", "2026-10-26T07:50"),
    ("new_york", "2026-11-02T00:00", "2026-11-02T08:50"),
    ("week", "2026-10-25T00:00", "2026-10-25T16:50"),
    ("week", "2026-11-01T00:00", "2026-11-01T17:50"),
    # Christmas is on Friday, New Year's Day too
    ("london", "2026-12-24T03:50", "2026-12-28T03:50"),
    ("tokyo", "2026-12-31T00:00", "2027-01-03T19:50"),
    ("sydney", "2026-12-24T12:00", "2026-12-27T17:50"),
]


@pytest.mark.parametrize(("session", "after", "start"), ODD_WEEKS)
def test_starts_in_unusual_weeks(hours: MarketHours, session: str, after: str, start: str) -> None:
    """Calculated by hand."""
    assert before(session).next_start(utc(after), hours) == utc(start)


# When the load must be over


@pytest.mark.parametrize("session", [*OFFSETS, "week"])
def test_the_deadline_of_every_start(hours: MarketHours, session: str) -> None:
    """It is the margin before the opening, for any due time between start and deadline."""
    schedule = before(session, 250, margin_minutes=10)
    for start in starts_of(schedule, hours):
        deadline = schedule.deadline(start, hours).at
        assert deadline == start + 240 * MINUTE
        assert deadline - start == schedule.time_available()
        assert schedule.deadline(start + 249 * MINUTE, hours).at == deadline


@pytest.mark.parametrize(
    ("due_at", "deadline"),
    [
        ("2026-07-08T14:00", "2026-07-09T06:55"),  # asked for in the afternoon: before tomorrow's opening
        ("2026-07-10T14:00", "2026-07-13T06:55"),  # on Friday
        ("2026-07-08T06:54", "2026-07-08T06:55"),
        ("2026-07-08T06:57", "2026-07-08T06:55"),  # within the margin it is too late
        ("2026-07-08T07:00", "2026-07-09T06:55"),  # it has just opened
    ],
)
def test_the_deadline_of_a_manual_run(hours: MarketHours, due_at: str, deadline: str) -> None:
    """The first opening after it counts."""
    assert before("london").deadline(utc(due_at), hours).at == utc(deadline)


@pytest.mark.parametrize(
    ("finish_by", "zone", "moment", "end"),
    [
        ("07:00", "UTC", "2026-03-02T06:30", "2026-03-02T07:00"),
        ("07:00", "UTC", "2026-03-02T07:00", "2026-03-03T07:00"),  # that one is just over
        ("06:00", "UTC", "2026-03-02T22:00", "2026-03-03T06:00"),  # over midnight
        ("07:00", "Europe/London", "2026-07-02T05:30", "2026-07-02T06:00"),  # an hour ahead of UTC in summer
        ("06:00", "Europe/London", "2026-03-28T22:00", "2026-03-29T05:00"),  # the night in which it begins
        ("06:00", "America/New_York", "2026-03-02T02:00", "2026-03-02T11:00"),  # there it is still the evening before
        ("02:30", "Europe/London", "2026-10-24T23:00", "2026-10-25T02:30"),  # the clock goes back at two
        ("01:30", "Europe/London", "2026-10-24T23:00", "2026-10-25T00:30"),  # of two, the first
        ("01:30", "Europe/London", "2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_the_end_of_a_night(hours: MarketHours, finish_by: str, zone: str, moment: str, end: str) -> None:
    """The first ``finish_by`` after a time, in the schedule's time zone."""
    assert cron("0 2 * * *", zone, finish_by).deadline(utc(moment), hours).at == utc(end)


def test_times_may_be_in_any_time_zone(hours: MarketHours) -> None:
    """Half past eight in a zone two hours ahead is half past six."""
    moment = datetime(2026, 3, 2, 8, 30, tzinfo=timezone(timedelta(hours=2)))
    assert cron("0 2 * * *", finish_by="07:00").deadline(moment, hours).at == datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def test_a_schedule_without_a_deadline(hours: MarketHours) -> None:
    """There is none by default."""
    without = cron("0 2 * * *")
    assert without.deadline(BEGIN, hours) is without.time_available() is without.over_by(hours) is None


@pytest.mark.parametrize(
    ("schedule", "available", "over_by"),
    [
        (before("london"), 245, time(7, 55)),
        (before("sydney", 60, margin_minutes=0), 60, time(7, 0)),
        (before("week", 60, margin_minutes=15), 45, time(16, 45)),
        (cron("0 22 * * *", "Europe/London", "03:45"), 345, time(3, 45)),
        (cron("0 5 * * 6", "Europe/London", "13:00"), 480, time(13, 0)),
        (cron("30 1,4 * * *", finish_by="06:00"), 90, time(6, 0)),  # the later of the two
        (cron("*/20 * * * *", finish_by="06:30"), 10, time(6, 30)),
        (cron("0 6 * * *", finish_by="06:00"), 1440, time(6, 0)),  # by the next day
    ],
)
def test_the_available_time(hours: MarketHours, schedule: Schedule, available: int, over_by: time) -> None:
    """From a start to the deadline; of several starts, the shortest."""
    assert schedule.time_available() == available * MINUTE
    assert schedule.over_by(hours) == over_by


# Starts by cron


@pytest.mark.parametrize(
    ("expression", "zone", "after", "start"),
    [
        ("30 5 * * 1-5", "Europe/London", "2026-03-27T06:00", "2026-03-30T04:30"),  # over the weekend of the change
        ("0 22 * * *", "Europe/London", "2026-10-24T20:59", "2026-10-24T21:00"),
        ("0 22 * * *", "Europe/London", "2026-10-24T21:00", "2026-10-25T22:00"),  # 25 hours on
        ("0 5 * * 0", "UTC", "2026-03-02T00:00", "2026-03-08T05:00"),
        ("30 1 * * *", "Europe/London", "2026-03-28T12:00", "2026-03-29T01:30"),  # never shown: 02:30 there
        ("30 1 * * *", "Europe/London", "2026-10-24T12:00", "2026-10-25T01:30"),  # shown twice: the second time
        ("30 1 * * *", "Europe/London", "2026-10-25T00:30", "2026-10-25T01:30"),
        ("30 1 * * *", "Europe/London", "2026-10-25T01:30", "2026-10-26T01:30"),
        ("*/30 * * * *", "Europe/London", "2026-10-25T00:30", "2026-10-25T01:00"),  # every half hour runs through
        ("*/30 * * * *", "Europe/London", "2026-03-29T00:30", "2026-03-29T01:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
    ],
)
def test_the_next_start_by_cron(hours: MarketHours, expression: str, zone: str, after: str, start: str) -> None:
    """Strictly after a time, in local time."""
    assert cron(expression, zone).next_start(utc(after), hours) == utc(start)


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Australia/Sydney", "UTC"])
@pytest.mark.parametrize(("expression", "a_day"), [("30 1 * * *", 1), ("30 2 * * *", 1), ("0 */6 * * *", 4)])
def test_starts_by_cron_neither_repeat_nor_stop(hours: MarketHours, expression: str, a_day: int, zone: str) -> None:
    """Through every clock change in two years: 730 days, and one more at either end in local time."""
    starts = starts_of(cron(expression, zone), hours)
    assert starts == sorted(set(starts))
    assert abs(len(starts) - 730 * a_day) <= a_day


# As JSON


@pytest.mark.parametrize("schedule", [before("london"), before("week"), before("tokyo", weekdays=["monday"])])
def test_a_schedule_as_json(schedule: OpeningSchedule) -> None:
    """It is read back unchanged."""
    assert OpeningSchedule.model_validate_json(schedule.model_dump_json()) == schedule
    assert CronSchedule.model_validate_json(cron("0 2 * * *", finish_by="03:45").model_dump_json()).finish_by == time(
        3, 45
    )


def test_market_hours_as_json(hours: MarketHours, tmp_path: Path) -> None:
    """Times of day keep their format, so that they are read back unchanged."""
    document = hours.model_dump(mode="json")
    assert document["sessions"]["london"] == {"timezone": "Europe/London", "opens": "08:00", "closes": "17:00"}
    assert document["week"]["opens"] == {"weekday": "sunday", "at": "17:00"}
    assert document["holidays"][0] == {"date": "2026-01-01", "name": "New Year's Day", "closes": "market"}
    assert MarketHours.model_validate(document) == hours
    assert Holiday.model_validate(document["holidays"][0]) == hours.holidays[0]
