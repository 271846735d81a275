"""The market's hours, compared with tables calculated by hand and with two years of wall-clock times."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import ValidationError

from include.perf.catalogue.scenario.market_hours import MarketHours, load_market_hours, market_hours_path
from include.perf.catalogue.scenario.wall_clock import moment_of
from include.perf.model.errors import CatalogueError
from include.perf.model.yaml_entries import RESTORE

ROOT = Path(__file__).parents[4]
OWN_FILE = ROOT / "include" / "market_hours.yaml"
NEW_YORK = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
CLOCKS = {
    # session → zone, the hours at which its clock opens and closes it
    "sydney": (ZoneInfo("Australia/Sydney"), 7, 16),
    "tokyo": (ZoneInfo("Asia/Tokyo"), 9, 18),
    "london": (ZoneInfo("Europe/London"), 8, 17),
    "new_york": (NEW_YORK, 8, 17),
}


@pytest.fixture(scope="module")
def hours() -> MarketHours:
    """The project's own file."""
    return load_market_hours(OWN_FILE)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opening_on(hours: MarketHours, session: str, day: str) -> str | None:
    opening = hours.opening(session, date.fromisoformat(day))
    return None if opening is None else f"{opening:%a %H:%M}"


# The weeks of the table

WEEKS = [
    # Monday → the week opens (Sunday), Sydney by its own clock (Sunday), clipped to the week, London, New York
    ("2026-01-12", "22:00", "20:00", "22:00", "08:00", "13:00"),
    ("2026-03-16", "21:00", "20:00", "21:00", "08:00", "12:00"),
    ("2026-03-30", "21:00", "20:00", "21:00", "07:00", "12:00"),
    ("2026-07-06", "21:00", "21:00", "21:00", "07:00", "12:00"),
    ("2026-10-05", "21:00", "20:00", "21:00", "07:00", "12:00"),
    ("2026-10-26", "21:00", "20:00", "21:00", "08:00", "12:00"),
    ("2026-12-14", "22:00", "20:00", "22:00", "08:00", "13:00"),
]


@pytest.mark.parametrize(("monday", "week", "sydney", "clipped", "london", "new_york"), WEEKS)
def test_weeks_of_the_year_with_different_clocks(
    hours: MarketHours, *, monday: str, week: str, sydney: str, clipped: str, london: str, new_york: str
) -> None:
    """Seven weeks with different daylight saving time; Tokyo has none and opens at midnight UTC."""
    day = date.fromisoformat(monday)
    sunday = f"{day - DAY}"
    assert hours.week_opening(utc(sunday)) == utc(f"{sunday}T{week}")
    assert hours.sessions["sydney"].hours_on(day).begins == utc(f"{sunday}T{sydney}")
    assert hours.opening("sydney", day) == utc(f"{sunday}T{clipped}")
    assert hours.opening("tokyo", day) == utc(f"{monday}T00:00")
    assert hours.opening("london", day) == utc(f"{monday}T{london}")
    assert hours.opening("new_york", day) == utc(f"{monday}T{new_york}")


CHANGES = [
    # what the clocks do, session, Friday before → opening, Monday after → opening, Tuesday after → opening
    ("US on", "new_york", "2026-03-06", "Fri 13:00", "Mon 12:00", "Tue 12:00"),
    ("US off", "new_york", "2026-10-30", "Fri 12:00", "Mon 13:00", "Tue 13:00"),
    ("US on", "new_york", "2027-03-12", "Fri 13:00", "Mon 12:00", "Tue 12:00"),
    ("US off", "new_york", "2027-11-05", "Fri 12:00", "Mon 13:00", "Tue 13:00"),
    ("UK on", "london", "2026-03-27", "Fri 08:00", "Mon 07:00", "Tue 07:00"),
    ("UK off", "london", "2026-10-23", "Fri 07:00", "Mon 08:00", "Tue 08:00"),
    ("UK on", "london", "2027-03-26", "Fri 08:00", "Mon 07:00", "Tue 07:00"),
    ("UK off", "london", "2027-10-29", "Fri 07:00", "Mon 08:00", "Tue 08:00"),
    # in its winter Sydney opens at 21:00 the day before, as the week does; in its summer at 20:00, on Mondays with it
    ("Sydney off", "sydney", "2026-04-03", "Thu 20:00", "Sun 21:00", "Mon 21:00"),
    ("Sydney on", "sydney", "2026-10-02", "Thu 21:00", "Sun 21:00", "Mon 20:00"),
    ("Sydney off", "sydney", "2027-04-02", "Thu 20:00", "Sun 21:00", "Mon 21:00"),
    ("Sydney on", "sydney", "2027-10-01", "Thu 21:00", "Sun 21:00", "Mon 20:00"),
    # the change of New York moves Sydney's clipped Mondays, and only those
    ("US on", "sydney", "2026-03-06", "Thu 20:00", "Sun 21:00", "Mon 20:00"),
    ("US off", "sydney", "2026-10-30", "Thu 20:00", "Sun 22:00", "Mon 20:00"),
]


@pytest.mark.parametrize(("change", "session", "friday", "before", "monday", "tuesday"), CHANGES)
def test_sessions_around_a_change_of_clocks(
    hours: MarketHours, *, change: str, session: str, friday: str, before: str, monday: str, tuesday: str
) -> None:
    """The opening changes in UTC, because the local hour stays."""
    day = date.fromisoformat(friday)
    found = [opening_on(hours, session, f"{day + days * DAY}") for days in (0, 1, 2, 3, 4)]
    assert found == [before, None, None, monday, tuesday], change


@pytest.mark.parametrize(
    ("sunday", "before", "opens", "closes"),
    [
        # on the Sunday of a change the week opens by the new time; the week before closed by the old
        ("2026-03-08", "2026-03-06T22:00", "2026-03-08T21:00", "2026-03-13T21:00"),
        ("2026-11-01", "2026-10-30T21:00", "2026-11-01T22:00", "2026-11-06T22:00"),
        ("2027-03-14", "2027-03-12T22:00", "2027-03-14T21:00", "2027-03-19T21:00"),
        ("2027-11-07", "2027-11-05T21:00", "2027-11-07T22:00", "2027-11-12T22:00"),
        # London's and Sydney's changes leave the week alone
        ("2026-03-29", "2026-03-27T21:00", "2026-03-29T21:00", "2026-04-03T21:00"),
        ("2026-10-25", "2026-10-23T21:00", "2026-10-25T21:00", "2026-10-30T21:00"),
        ("2026-04-05", "2026-04-03T21:00", "2026-04-05T21:00", "2026-04-10T21:00"),
    ],
)
def test_the_week_around_a_change_of_clocks(
    hours: MarketHours, sunday: str, before: str, opens: str, closes: str
) -> None:
    """The market is closed for exactly 47, 48 or 49 hours."""
    assert hours.next_close(utc(before) - HOUR) == utc(before)
    assert hours.week_opening(utc(before)) == utc(opens)
    assert hours.next_close(utc(before)) == utc(closes)
    second = timedelta(seconds=1)
    edges = [utc(before) - second, utc(before), utc(opens) - second, utc(opens), utc(closes) - second, utc(closes)]
    assert [hours.is_open(edge) for edge in edges] == [True, False, False, True, True, False]


# Two years, hour by hour: everything here opens on the hour, so a walk by hours sees it


def walked_hours() -> Iterator[datetime]:
    moment = BEGIN - 3 * DAY
    while moment < END + 10 * DAY:
        yield moment
        moment += HOUR


def shows_trading(moment: datetime) -> bool:
    """Whether the market is open by New York time; seven hours later, its date is that of the trading day."""
    clock = moment.astimezone(NEW_YORK).replace(tzinfo=None)
    trading_day = clock + timedelta(hours=7)
    return trading_day.strftime("%a") not in ("Sat", "Sun") and trading_day.strftime("%m-%d") not in ("12-25", "01-01")


@cache
def trading() -> dict[datetime, bool]:
    return {moment: shows_trading(moment) for moment in walked_hours()}


def walked_openings(session: str) -> dict[date, datetime]:
    """Return, by local day, the first hour of a session with trading."""
    zone, opens_h, closes_h = CLOCKS[session]
    found: dict[date, datetime] = {}
    for moment, is_trading in trading().items():
        clock = moment.astimezone(zone)
        if is_trading and opens_h <= clock.hour < closes_h:
            found.setdefault(clock.date(), moment)
    return {
        day: opening
        for day, opening in found.items()
        if day.strftime("%a") not in ("Sat", "Sun") and (day.month, day.day) not in ((12, 25), (1, 1))
    }


@pytest.mark.parametrize("session", CLOCKS)
def test_sessions_on_every_day_of_two_years(hours: MarketHours, session: str) -> None:
    """A session opens at its first local hour with trading in New York."""
    walked = walked_openings(session)
    days = [date(2026, 1, 1) + number * DAY for number in range(365 + 365)]
    assert days[-1] == date(2027, 12, 31)
    assert {day: hours.opening(session, day) for day in days} == {day: walked.get(day) for day in days}
    # 104 weeks and 2 days, Thursday 1 Jan 2026 to Friday 31 Dec 2027: 522 weekdays, without 1 Jan twice and 25 Dec 2026
    assert sum(day in walked for day in days) == 522 - 3


@pytest.mark.parametrize("session", CLOCKS)
def test_the_next_opening_on_every_day_of_two_years(hours: MarketHours, session: str) -> None:
    """Each opening follows the previous one, without one in between."""
    openings = sorted(walked_openings(session).values())
    for before, opening in pairwise(openings):
        assert hours.next_opening(session, before) == opening
        assert hours.next_opening(session, opening - timedelta(microseconds=1)) == opening
    assert openings[0] < BEGIN
    assert openings[-1] > END


def test_every_hour_of_two_years(hours: MarketHours) -> None:
    """The market is open according to New York time."""
    walked = {moment: is_trading for moment, is_trading in trading().items() if BEGIN <= moment < END}
    assert len(walked) == 730 * 24
    assert {moment: hours.is_open(moment) for moment in walked} == walked


def test_every_close_of_two_years(hours: MarketHours) -> None:
    """Once a week, on Thursday if Friday is a holiday; both while the market is open and while it is closed."""
    walked = trading()
    closes = [moment for earlier, moment in pairwise(walked) if walked[earlier] and not walked[moment]]
    opens = [moment for earlier, moment in pairwise(walked) if walked[moment] and not walked[earlier]]
    # 105 Fridays, 2 Jan 2026 to 31 Dec 2027; 25 Dec 2026 and 1 Jan 2027 are closed a day earlier
    in_the_years = [close for close in closes if BEGIN <= close < END]
    assert len(in_the_years) == 105
    assert [close for close in in_the_years if f"{close:%a}" != "Fri"] == [
        utc("2026-12-24T22:00"),
        utc("2026-12-31T22:00"),
    ]
    for before, close in pairwise(closes):
        (opening,) = [opening for opening in opens if before < opening < close]
        assert hours.next_close(before) == hours.next_close(opening) == close
        assert hours.closes_at(opening) == hours.closes_at(close - timedelta(microseconds=1)) == close
        assert hours.closes_at(before) is hours.closes_at(opening - timedelta(microseconds=1)) is None


# Christmas and New Year

AROUND_HOLIDAYS = [
    # session, local day → opening
    ("london", "2026-12-24", "Thu 08:00"),
    ("london", "2026-12-25", None),  # Friday
    ("london", "2026-12-28", "Mon 08:00"),
    ("sydney", "2026-12-24", "Wed 20:00"),
    ("sydney", "2026-12-25", None),  # though the market trades until Thursday 22:00, two hours of its morning
    ("sydney", "2026-12-28", "Sun 22:00"),  # with the week
    ("tokyo", "2026-12-25", None),
    ("tokyo", "2026-12-28", "Mon 00:00"),
    ("new_york", "2026-12-31", "Thu 13:00"),
    ("new_york", "2027-01-01", None),  # Friday
    ("new_york", "2027-01-04", "Mon 13:00"),
    ("london", "2027-12-24", "Fri 08:00"),  # Christmas is on Saturday
    ("london", "2027-12-27", "Mon 08:00"),
    ("london", "2028-12-25", None),  # Monday
    ("sydney", "2028-12-26", "Mon 22:00"),  # 20:00 by its clock, but the market opens at 17:00 New York
    ("tokyo", "2028-12-26", "Tue 00:00"),
    ("london", "2028-12-26", "Tue 08:00"),
    ("sydney", "2029-12-25", None),  # Tuesday
    ("sydney", "2029-12-26", "Tue 22:00"),
    ("sydney", "2029-12-27", "Wed 20:00"),
]


@pytest.mark.parametrize(("session", "day", "opening"), AROUND_HOLIDAYS)
def test_openings_around_holidays(hours: MarketHours, session: str, day: str, opening: str | None) -> None:
    """No session on the date of a holiday opens; on the next day, Sydney opens with the market if that is later."""
    assert opening_on(hours, session, day) == opening


@pytest.mark.parametrize(
    ("closes", "opens"),
    [
        ("2026-12-24T22:00", "2026-12-27T22:00"),  # Christmas on Friday: Thursday to Sunday
        ("2026-12-31T22:00", "2027-01-03T22:00"),
        ("2027-12-24T22:00", "2027-12-26T22:00"),  # on Saturday: a weekend like others
        ("2028-12-22T22:00", "2028-12-25T22:00"),  # on Monday: Friday to Monday
        ("2028-12-29T22:00", "2029-01-01T22:00"),
        ("2029-12-24T22:00", "2029-12-25T22:00"),  # on Tuesday: a day in the week
    ],
)
def test_the_market_around_holidays(hours: MarketHours, closes: str, opens: str) -> None:
    """It is closed for the trading day of New York, from 17:00 to 17:00."""
    close, opening, second = utc(closes), utc(opens), timedelta(seconds=1)
    assert [hours.is_open(moment) for moment in (close - second, close, opening - second, opening)] == [
        True,
        False,
        False,
        True,
    ]
    assert hours.next_close(close - HOUR) == close
    assert hours.closes_at(close - second) == close
    assert hours.closes_at(opening - second) is None


@pytest.mark.parametrize(
    ("after", "opening"),
    [
        ("2026-07-05T20:59:59", "2026-07-05T21:00"),
        ("2026-07-05T21:00", "2026-07-12T21:00"),  # strictly after
        ("2026-07-08T12:00", "2026-07-12T21:00"),
        ("2026-12-24T23:00", "2026-12-27T22:00"),
        ("2028-12-24T23:00", "2028-12-25T22:00"),  # the week begins with a holiday, a day late
        ("2028-12-25T22:00", "2029-01-01T22:00"),
        ("2029-12-25T12:00", "2029-12-30T22:00"),  # the opening after a holiday in the week is none of the week
    ],
)
def test_the_opening_of_the_week(hours: MarketHours, after: str, opening: str) -> None:
    """The first opening of the market in a week."""
    assert hours.week_opening(utc(after)) == utc(opening)


def test_holidays_have_names(hours: MarketHours) -> None:
    """Christmas and New Year of four years; the days before are no holidays."""
    assert [f"{holiday.date} {holiday.name}" for holiday in hours.holidays] == [
        f"{year}-{day}" for year in range(2026, 2030) for day in ("01-01 New Year's Day", "12-25 Christmas Day")
    ]
    christmas = hours.holiday_on(date(2026, 12, 25))
    assert christmas is not None
    assert (christmas.name, christmas.closes) == ("Christmas Day", "market")
    assert [hours.holiday_on(date(2026, 12, day)) for day in (24, 26, 31)] == [None, None, None]


# The next opening


@pytest.mark.parametrize(
    ("session", "after", "opening"),
    [
        ("london", "2026-07-08T06:59:59", "2026-07-08T07:00"),
        ("london", "2026-07-08T07:00", "2026-07-09T07:00"),  # strictly after
        ("london", "2026-07-10T07:00", "2026-07-13T07:00"),  # over a weekend
        ("london", "2026-03-27T12:00", "2026-03-30T07:00"),  # and a change of clocks
        ("london", "2026-12-24T08:00", "2026-12-28T08:00"),  # over Christmas and a weekend
        ("sydney", "2026-12-24T12:00", "2026-12-27T22:00"),  # clipped to the week
        ("sydney", "2026-01-11T20:00", "2026-01-11T22:00"),  # after it by Sydney's clock, before it by the market's
        ("sydney", "2026-01-11T22:00", "2026-01-12T20:00"),
        ("tokyo", "2026-07-08T23:00", "2026-07-09T00:00"),  # in Tokyo it is the 9th already
        ("new_york", "2026-07-09T02:00", "2026-07-09T12:00"),  # in New York it is the 8th still
    ],
)
def test_the_next_opening(hours: MarketHours, session: str, after: str, opening: str) -> None:
    """Strictly after the given time, across weekends and holidays."""
    assert hours.next_opening(session, utc(after)) == utc(opening)


@pytest.mark.parametrize(
    ("session", "weekdays", "after", "opening"),
    [
        ("london", {0}, "2026-07-06T07:00", "2026-07-13T07:00"),
        ("london", {0}, "2026-07-06T06:59", "2026-07-06T07:00"),
        ("london", [1, 3], "2026-07-07T08:00", "2026-07-09T07:00"),
        ("london", {4}, "2026-12-18T08:00", "2027-01-08T08:00"),  # both Christmas and New Year's Day are Fridays
        ("sydney", {0}, "2026-07-08T00:00", "2026-07-12T21:00"),  # Monday there, Sunday in UTC
        ("sydney", {1}, "2026-07-08T00:00", "2026-07-13T21:00"),
        ("london", range(7), "2026-07-10T08:00", "2026-07-13T07:00"),
        ("london", {0, 5, 6}, "2026-07-10T08:00", "2026-07-13T07:00"),
    ],
)
def test_the_next_opening_on_some_weekdays(
    hours: MarketHours, session: str, weekdays: Any, after: str, opening: str
) -> None:
    """Weekdays are local to the session."""
    assert hours.next_opening(session, utc(after), weekdays) == utc(opening)


@pytest.mark.parametrize(
    ("weekdays", "problem"),
    [
        ([], r"weekdays must be some of 0 \(Monday\) to 6 \(Sunday\), but are \[\]"),
        ([7, 0], r"weekdays must be some of 0 \(Monday\) to 6 \(Sunday\), but are \[0, 7\]"),
        ([5, 6], r"session 'london' never opens on weekdays \[5, 6\]; name others \(0 is Monday\)"),
    ],
)
def test_weekdays_without_openings(hours: MarketHours, weekdays: list[int], problem: str) -> None:
    """They are refused, because the search would never end."""
    with pytest.raises(ValueError, match=problem):
        hours.next_opening("london", utc("2026-07-06"), weekdays)


def test_times_may_be_in_any_time_zone(hours: MarketHours) -> None:
    """The results are the same, and in UTC."""
    moment = datetime(2026, 7, 6, 9, 0, tzinfo=timezone(timedelta(hours=2)))  # 07:00 UTC
    assert hours.next_opening("london", moment) == utc("2026-07-07T07:00")
    assert hours.next_opening("london", moment - HOUR) == utc("2026-07-06T07:00")
    close = datetime(2026, 7, 10, 17, 0, tzinfo=NEW_YORK)
    assert [hours.is_open(close - HOUR), hours.is_open(close)] == [True, False]
    answers = [
        hours.opening("sydney", date(2026, 7, 6)),
        hours.next_opening("tokyo", close),
        hours.week_opening(close),
        hours.next_close(close),
        hours.closes_at(close - HOUR),
    ]
    assert [answer is not None and answer.tzinfo is UTC for answer in answers] == [True] * 5


@pytest.mark.parametrize("fold", [0, 1])
def test_a_local_time_that_occurs_twice(hours: MarketHours, fold: int) -> None:
    """Sunday 01:30 in New York on 1 November, first or second: the week opens after both."""
    moment = datetime(2026, 11, 1, 1, 30, fold=fold, tzinfo=NEW_YORK)
    assert hours.week_opening(moment) == utc("2026-11-01T22:00")
    assert not hours.is_open(moment)


def test_times_without_a_time_zone_are_refused(hours: MarketHours) -> None:
    """Their meaning is unknown."""
    naive = utc("2026-07-06").replace(tzinfo=None)
    problem = "must have a time zone, but 2026-07-06T00:00:00 has none; give it a tzinfo"
    for ask in (hours.is_open, hours.week_opening, hours.market_opening, hours.next_close, hours.closes_at):
        with pytest.raises(ValueError, match=problem):
            ask(naive)
    with pytest.raises(ValueError, match=problem):
        hours.next_opening("london", naive)


def test_a_datetime_is_not_a_day(hours: MarketHours) -> None:
    """It equals no date of a holiday, so the result would be wrong."""
    problem = "a day must be a date without a time, but is 2026-12-25T00:00:00"
    without = hours.model_copy(update={"holidays": ()})
    for ask in (hours.holiday_on, without.holiday_on, lambda day: hours.opening("london", day)):
        with pytest.raises(ValueError, match=problem):
            ask(utc("2026-12-25"))


def test_an_unknown_session(hours: MarketHours) -> None:
    """The message contains the known sessions."""
    problem = "session 'frankfurt' is not in market_hours.yaml; known: sydney, tokyo, london, new_york"
    for ask in (
        lambda: hours.opening("frankfurt", date(2026, 7, 6)),
        lambda: hours.next_opening("frankfurt", utc("2026-07-06")),
    ):
        with pytest.raises(CatalogueError, match=problem):
            ask()


def test_market_hours_are_immutable(hours: MarketHours) -> None:
    """Neither a setting nor a session can be changed."""
    with pytest.raises(ValidationError, match="frozen"):
        hours.week = hours.week  # type: ignore[misc]
    with pytest.raises(TypeError):
        hours.sessions["london"] = hours.sessions["tokyo"]  # type: ignore[index]


# Local times that a wall clock shows twice, or never


@pytest.mark.parametrize(
    ("day", "at", "moment"),
    [
        ("2026-03-29", "00:59", "2026-03-29T00:59"),
        (
            "2026-03-29",
            "01:30",
            "2026-03-29T01:30",
        ),  # never shown: the clock goes from 00:59 to 02:00, and this is 02:30
        ("2026-03-29", "02:00", "2026-03-29T01:00"),
        ("2026-10-25", "01:30", "2026-10-25T00:30"),  # shown twice: the first time
        ("2026-10-25", "02:00", "2026-10-25T02:00"),
    ],
)
def test_local_times_around_a_change_of_clocks(day: str, at: str, moment: str) -> None:
    """The first of two, or the shifted one if there is none; the given fold is ignored."""
    for fold in (0, 1):
        given = time.fromisoformat(at).replace(fold=fold)
        assert moment_of(date.fromisoformat(day), given, timezone="Europe/London") == utc(moment)


# The file


def write(folder: Path, **changes: Any) -> Path:
    """Write the project's file with changed parts; ``None`` removes one."""
    document = yaml.safe_load(OWN_FILE.read_text(encoding="utf-8")) | changes
    path = folder / "market_hours.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in document.items() if value is not None}))
    return path


def problems_of(path: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        load_market_hours(path)
    return list(caught.value.problems)


LONDON = {"timezone": "Europe/London", "opens": "08:00", "closes": "17:00"}
WEEK = {
    "timezone": "America/New_York",
    "opens": {"weekday": "sunday", "at": "17:00"},
    "closes": {"weekday": "friday", "at": "17:00"},
}
CHRISTMAS = {"date": "2026-12-25", "name": "Christmas Day", "closes": "market"}
QUOTES = 'must be a time of day in quotes, such as "08:00", but is'

MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"schema_version": 2},
        [f"schema_version must be 1, but is 2; {RESTORE}"],
    ),
    (
        {"schema_version": None},
        [f"schema_version must be 1, but is None; {RESTORE}"],
    ),
    ({"weeks": {}}, ["weeks: is not a known setting; correct its name or remove it"]),
    ({"sessions": None}, ["sessions: is missing; every entry needs it"]),
    ({"sessions": {}}, ["sessions: must name at least one session, but is empty"]),
    (
        {"sessions": {"london": LONDON | {"open": "08:00"}}},
        ["sessions.london.open: is not a known setting; correct its name or remove it"],
    ),
    (
        {"sessions": {"london": LONDON | {"timezone": "Europe/Lodnon"}}},
        ["sessions.london.timezone: must be an IANA time zone such as Europe/London, but is 'Europe/Lodnon'"],
    ),
    (
        {"sessions": {"london": LONDON | {"timezone": "Europe"}}},  # a folder of zones
        ["sessions.london.timezone: must be an IANA time zone such as Europe/London, but is 'Europe'"],
    ),
    (
        {"sessions": {"london": LONDON | {"opens": 630}}},
        [f'sessions.london.opens: {QUOTES} the number 630; write "10:30" if that is meant'],
    ),
    ({"sessions": {"london": LONDON | {"opens": 37_800}}}, [f"sessions.london.opens: {QUOTES} 37800"]),
    ({"sessions": {"london": LONDON | {"opens": "8:00"}}}, [f"sessions.london.opens: {QUOTES} '8:00'"]),
    ({"sessions": {"london": LONDON | {"opens": "08:00Z"}}}, [f"sessions.london.opens: {QUOTES} '08:00Z'"]),
    ({"sessions": {"london": LONDON | {"closes": "24:00"}}}, [f"sessions.london.closes: {QUOTES} '24:00'"]),
    ({"sessions": {"london": LONDON | {"closes": True}}}, [f"sessions.london.closes: {QUOTES} True"]),
    (
        {"sessions": {"london": LONDON | {"closes": "07:00"}}},
        [
            "sessions.london: closes must be later than opens (08:00) on the same local day, but is 07:00; correct one "
            "of them"
        ],
    ),
    (
        {"sessions": {"london": LONDON | {"closes": "08:00"}}},
        [
            "sessions.london: closes must be later than opens (08:00) on the same local day, but is 08:00; correct one "
            "of them"
        ],
    ),
    (
        # open at the weekend and closed in the week, as in pandas_market_calendars 5.5.0
        {
            "week": WEEK
            | {"opens": {"weekday": "saturday", "at": "17:00"}, "closes": {"weekday": "sunday", "at": "17:00"}}
        },
        [
            "week: closes must be later than opens (saturday 17:00) in a week of Sunday to Saturday, but is sunday "
            "17:00; correct one of them"
        ],
    ),
    (
        {"week": WEEK | {"closes": WEEK["opens"]}},
        [
            "week: closes must be later than opens (sunday 17:00) in a week of Sunday to Saturday, but is sunday "
            "17:00; correct one of them"
        ],
    ),
    (
        {"holidays": [CHRISTMAS | {"date": "2026-12-24", "closes": "18:00"}]},
        [
            "holidays: Christmas Day on 2026-12-24 must close within its trading day, which changes at 17:00, but "
            "closes at 18:00"
        ],
    ),
    (
        {"week": WEEK | {"closes": {"weekday": "friday", "at": 1020}}},
        [f'week.closes.at: {QUOTES} the number 1020; write "17:00" if that is meant'],
    ),
    (
        {"holidays": [CHRISTMAS, CHRISTMAS | {"name": "Xmas"}]},
        ["holidays: 2026-12-25 is there more than once (Christmas Day, Xmas); keep one entry for a date"],
    ),
    (
        {"holidays": [CHRISTMAS | {"closes": "early"}]},
        ["""holidays[0].closes: must be market, or a time of day in quotes, such as "08:00", but is 'early'"""],
    ),
    ({"holidays": [CHRISTMAS | {"name": " "}]}, ["holidays[0].name: should have at least 1 character, but is ' '"]),
    (
        {"holidays": [CHRISTMAS | {"date": 20261225}]},  # seconds since 1970 are a date, too
        ["holidays[0].date: must be a date such as 2026-12-25, but is '20261225'"],
    ),
    (
        {"holidays": [CHRISTMAS | {"date": datetime(2026, 12, 25, 8, tzinfo=UTC)}]},
        ["holidays[0].date: must be a date such as 2026-12-25, but is '2026-12-25 08:00:00+00:00'"],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), MISTAKES)
def test_a_mistake_in_the_file(tmp_path: Path, changes: dict[str, Any], expected: list[str]) -> None:
    """One sentence: the file, the place, the rule and the value."""
    assert problems_of(write(tmp_path, **changes)) == [f"market_hours.yaml: {problem}" for problem in expected]


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    """They may be in any part."""
    path = write(
        tmp_path,
        sessions={"London": LONDON, "tokyo": {"timezone": "Asia/Tokio", "opens": 540}},
        week=WEEK | {"opens": {"weekday": "Sunday", "at": "17:00"}},
        holidays=[CHRISTMAS | {"half_day": True}, {"date": "2026-13-01"}],
        early=[],
    )
    problems = problems_of(path)
    assert [problem.split(": ")[1] for problem in problems] == [
        "sessions.London.[key]",
        "sessions.tokyo.timezone",
        "sessions.tokyo.opens",
        "sessions.tokyo.closes",
        "week.opens.weekday",
        "holidays[0].half_day",
        "holidays[1].date",
        "holidays[1].name",
        "holidays[1].closes",
        "early",
    ]
    assert all(problem.startswith("market_hours.yaml: ") and "\n" not in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must hold schema_version, sessions and week, but holds None"),
        ("- london", "must hold schema_version, sessions and week, but holds ['london']"),
        ("schema_version: 1\nweek: {}\nweek: {}\n", "not valid YAML: 'week' is given twice"),
        ("holidays: [{date: 2026-02-30}]", "not valid YAML: day is out of range for month"),
        ("sessions: [", "not valid YAML: while parsing"),
    ],
)
def test_a_file_that_is_not_market_hours(tmp_path: Path, text: str, problem: str) -> None:
    """The top level is checked first."""
    path = tmp_path / "market_hours.yaml"
    path.write_text(text)
    (found,) = problems_of(path)
    assert found.startswith(f"market_hours.yaml: {problem}")


def test_a_time_without_quotes(tmp_path: Path) -> None:
    """YAML reads 17:00 as a base-60 number, but 08:00 as text."""
    path = tmp_path / "market_hours.yaml"
    path.write_text(OWN_FILE.read_text(encoding="utf-8").replace('"', ""))
    problems = problems_of(path)
    assert f'market_hours.yaml: sessions.london.closes: {QUOTES} the number 1020; write "17:00" if that is meant' in (
        problems
    )
    assert len(problems) == 4 + 2  # four sessions close, the week opens and closes


def test_an_unreadable_file(tmp_path: Path) -> None:
    """Missing, a folder, or not text."""
    path = tmp_path / "market_hours.yaml"
    assert problems_of(path) == [f"there is no {path}; put the market hours there"]
    path.write_bytes(b"name: \xff")
    assert problems_of(path) == ["market_hours.yaml: not UTF-8 text (invalid start byte at byte 6)"]
    assert problems_of(tmp_path) == [f"cannot read {tmp_path}: Is a directory"]


def test_the_file_of_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: MarketHours) -> None:
    """It is used if it exists, else the project's own."""
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(tmp_path))
    assert market_hours_path() == OWN_FILE
    assert load_market_hours() == hours
    path = write(tmp_path, sessions={"frankfurt": LONDON | {"timezone": "Europe/Berlin"}}, holidays=None)
    assert market_hours_path(tmp_path) == market_hours_path() == path
    own = load_market_hours()
    assert (list(own.sessions), own.holidays) == (["frankfurt"], ())
    assert own.opening("frankfurt", date(2026, 12, 25)) == utc("2026-12-25T07:00")  # of no holiday it knows
    monkeypatch.delenv("BELLWETHER_CATALOGUE")
    assert market_hours_path() == OWN_FILE


def test_a_session_outside_the_market_never_opens(tmp_path: Path) -> None:
    """Friday evening in Los Angeles is after the close; the other evenings are not."""
    path = write(
        tmp_path, sessions={"evening": {"timezone": "America/Los_Angeles", "opens": "18:00", "closes": "22:00"}}
    )
    own = load_market_hours(path)
    assert own.opening("evening", date(2026, 7, 9)) == utc("2026-07-10T01:00")
    assert own.opening("evening", date(2026, 7, 10)) is None
    with pytest.raises(ValueError, match=r"session 'evening' never opens on weekdays \[4\]"):
        own.next_opening("evening", utc("2026-07-06"), {4})


def test_a_holiday_in_the_middle_of_a_week_does_not_open_a_week(tmp_path: Path) -> None:
    """With Wednesday and Thursday closed there are two trading periods, in any order in the file."""
    closed = [CHRISTMAS | {"date": f"2026-07-{day:02}", "name": f"Closed on {day}"} for day in (9, 8)]
    own = load_market_hours(write(tmp_path, holidays=closed))
    assert [holiday.date.day for holiday in own.holidays] == [8, 9]
    assert own.closes_at(utc("2026-07-06")) == utc("2026-07-07T21:00")
    assert own.next_close(utc("2026-07-08")) == utc("2026-07-10T21:00")
    assert [own.is_open(utc(f"2026-07-{day:02}T12:00")) for day in range(6, 11)] == [True, True, False, False, True]
    assert own.next_opening("london", utc("2026-07-07T07:00")) == utc("2026-07-10T07:00")
    assert own.week_opening(utc("2026-07-07T12:00")) == utc("2026-07-12T21:00")


def test_the_next_opening_may_be_in_the_middle_of_a_week(tmp_path: Path) -> None:
    """After a holiday the market opens, but no week does; the opening itself is not the next one."""
    own = load_market_hours(write(tmp_path, holidays=[CHRISTMAS | {"date": "2026-07-08"}]))
    moments = ["2026-07-03T21:00", "2026-07-05T20:59", "2026-07-05T21:00", "2026-07-08T12:00", "2026-07-08T21:00"]
    assert [own.market_opening(utc(moment)) for moment in moments] == [
        *[utc("2026-07-05T21:00")] * 2,
        *[utc("2026-07-08T21:00")] * 2,
        utc("2026-07-12T21:00"),
    ]


@pytest.mark.parametrize("day", ["2026-07-04", "2026-07-05", "2026-07-11", "2026-07-12"])
def test_a_holiday_at_the_weekend_has_no_effect(tmp_path: Path, day: str) -> None:
    """Its trading day ends when the week opens, or starts when the week ends."""
    own = load_market_hours(write(tmp_path, holidays=[CHRISTMAS | {"date": day}]))
    assert own.week_opening(utc("2026-07-04")) == utc("2026-07-05T21:00")
    assert own.closes_at(utc("2026-07-05T21:00")) == own.next_close(utc("2026-07-04")) == utc("2026-07-10T21:00")
    assert own.opening("sydney", date(2026, 7, 6)) == utc("2026-07-05T21:00")


EARLY = [CHRISTMAS | {"date": "2026-12-24", "name": "Christmas Eve", "closes": "13:00"}, CHRISTMAS]


@pytest.mark.parametrize(
    ("moment", "closes", "opens"),
    [
        ("2026-12-23T12:00", "2026-12-24T18:00", "2026-12-27T22:00"),
        ("2026-12-24T17:59", "2026-12-24T18:00", "2026-12-27T22:00"),
        ("2026-12-24T18:00", None, "2026-12-27T22:00"),
        ("2026-12-24T22:30", None, "2026-12-27T22:00"),  # Christmas Day, and then the weekend
    ],
)
def test_the_market_closes_early(tmp_path: Path, moment: str, closes: str | None, opens: str) -> None:
    """At 13:00 in New York, for the rest of the trading day; the holiday after it follows without a gap."""
    own = load_market_hours(write(tmp_path, holidays=EARLY))
    assert own.closes_at(utc(moment)) == (None if closes is None else utc(closes))
    assert own.market_opening(utc(moment)) == utc(opens)


def test_sessions_open_on_a_day_that_closes_early(tmp_path: Path) -> None:
    """Those before the close do; one that opens after it has no market that day."""
    evening = {"timezone": "America/New_York", "opens": "14:00", "closes": "16:00"}
    own = load_market_hours(write(tmp_path, holidays=EARLY, sessions={"london": LONDON, "afternoon": evening}))
    assert own.opening("london", date(2026, 12, 24)) == utc("2026-12-24T08:00")
    assert [own.opening("afternoon", date(2026, 12, day)) for day in (23, 24, 25)] == [
        utc("2026-12-23T19:00"),
        None,
        None,
    ]


def test_the_market_opens_again_in_the_evening_of_an_early_close(tmp_path: Path) -> None:
    """An early close ends with the trading day, at 17:00 in New York."""
    own = load_market_hours(write(tmp_path, holidays=EARLY[:1]))
    assert own.market_opening(utc("2026-12-24T12:00")) == utc("2026-12-24T22:00")
    assert own.closes_at(utc("2026-12-24T22:00")) == utc("2026-12-25T22:00")


BROKER = {
    "timezone": "Europe/Athens",
    "opens": {"weekday": "monday", "at": "00:00"},
    "closes": {"weekday": "saturday", "at": "00:00"},
}


def test_a_week_that_begins_at_midnight(tmp_path: Path) -> None:
    """Its trading days are calendar days of its time zone, which is two hours ahead of UTC in winter."""
    own = load_market_hours(write(tmp_path, week=BROKER, holidays=[CHRISTMAS, *EARLY[:1]]))
    assert own.week_opening(utc("2026-12-19T12:00")) == utc("2026-12-20T22:00")
    assert own.closes_at(utc("2026-12-21T12:00")) == utc("2026-12-24T11:00")
    assert own.market_opening(utc("2026-12-24T11:00")) == utc("2026-12-27T22:00")
    assert own.opening("london", date(2026, 12, 25)) is None
    assert own.closes_at(utc("2026-07-10T12:00")) == utc("2026-07-10T21:00")  # Saturday 00:00 in summer


def test_a_holiday_in_a_week_that_begins_at_midnight(tmp_path: Path) -> None:
    """It closes from midnight to midnight."""
    own = load_market_hours(write(tmp_path, week=BROKER, holidays=[CHRISTMAS | {"date": "2026-07-08"}]))
    assert own.closes_at(utc("2026-07-06T12:00")) == utc("2026-07-07T21:00")
    assert own.market_opening(utc("2026-07-07T21:00")) == utc("2026-07-08T21:00")


def test_a_week_of_holidays(tmp_path: Path) -> None:
    """The next week opens."""
    closed = [CHRISTMAS | {"date": f"2026-07-{day:02}", "name": f"Closed on {day}"} for day in range(6, 11)]
    own = load_market_hours(write(tmp_path, holidays=closed))
    assert own.week_opening(utc("2026-07-05T12:00")) == utc("2026-07-12T21:00")
    assert own.next_close(utc("2026-07-03T21:00")) == utc("2026-07-17T21:00")
    assert own.next_opening("tokyo", utc("2026-07-03T12:00"), {2}) == utc("2026-07-15T00:00")


def test_importing_the_module_is_fast() -> None:
    """Airflow imports it each time it parses the DAGs."""
    heavy = ("airflow", "pandas", "numpy", "locust", "gevent", "requests", "matplotlib")
    module = "include.perf.catalogue.scenario.market_hours"
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
