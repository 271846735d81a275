"""The hours of production that are compared: on trading days, in local time."""

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.catalogue.scenario.production_hours import OptionalProductionHours, ProductionHours, last_hours

MARKET = load_market_hours(OWN_FILE)
READ: TypeAdapter[ProductionHours | None] = TypeAdapter(OptionalProductionHours)
NIGHT = {"from": "22:00", "to": "02:00", "timezone": "Europe/London"}


def hours(**given: Any) -> ProductionHours:
    found = READ.validate_python(given)
    assert found is not None
    return found


def begins(wanted: ProductionHours, *, before: datetime, most: int) -> list[str]:
    found = islice(last_hours(wanted, MARKET, before=before), most)
    return [f"{period.begins:%a %m-%d %H:%M}–{period.ends:%H:%M}" for period in found]


def test_session_hours_follow_daylight_saving_time() -> None:
    """London opens at 08:00 UTC until 27 March 2026, and at 07:00 UTC from the 30th on."""
    wanted = hours(session="london", minutes=60)
    assert begins(wanted, before=datetime(2026, 4, 1, 5, 0, tzinfo=UTC), most=4) == [
        "Tue 03-31 07:00–08:00",
        "Mon 03-30 07:00–08:00",
        "Fri 03-27 08:00–09:00",
        "Thu 03-26 08:00–09:00",
    ]


def test_holidays_and_weekends_are_excluded() -> None:
    """Before Tuesday 29 December 2026 come Monday, Thursday 24 and Wednesday 23: the 25th is a holiday."""
    wanted = hours(session="new_york", from_minutes=30, minutes=60)
    assert begins(wanted, before=datetime(2026, 12, 29, 6, 0, tzinfo=UTC), most=3) == [
        "Mon 12-28 13:30–14:30",
        "Thu 12-24 13:30–14:30",
        "Wed 12-23 13:30–14:30",
    ]


def test_hours_that_are_not_over_yet_do_not_count() -> None:
    """A run at 08:30 is compared with yesterday's first hour, a run at 09:00 with today's."""
    wanted = hours(session="london", minutes=60)
    assert begins(wanted, before=datetime(2026, 3, 3, 8, 59, 59, tzinfo=UTC), most=1) == ["Mon 03-02 08:00–09:00"]
    assert begins(wanted, before=datetime(2026, 3, 3, 9, 0, tzinfo=UTC), most=1) == ["Tue 03-03 08:00–09:00"]


def test_the_market_week_opens_once_a_week() -> None:
    """At 17:00 in New York on Sunday, an hour earlier in UTC from 8 March on; on 1 January a day later."""
    wanted = hours(session="week", minutes=30)
    assert begins(wanted, before=datetime(2026, 3, 10, tzinfo=UTC), most=2) == [
        "Sun 03-08 21:00–21:30",
        "Sun 03-01 22:00–22:30",
    ]
    assert begins(wanted, before=datetime(2029, 1, 3, tzinfo=UTC), most=2) == [
        "Mon 01-01 22:00–22:30",  # New Year's Day is a Monday, and the market opens when it is over
        "Mon 12-25 22:00–22:30",  # so is Christmas Day
    ]


def test_clock_hours_may_go_past_midnight() -> None:
    """They belong to the day on which they start; on 29 March the clock is set forward at 01:00, an hour is missing."""
    wanted = hours(**NIGHT, weekdays=["saturday", "thursday"])
    found = list(islice(last_hours(wanted, MARKET, before=datetime(2026, 3, 30, tzinfo=UTC)), 2))
    assert [(period.begins, period.ends) for period in found] == [
        (datetime(2026, 3, 28, 22, 0, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        (datetime(2026, 3, 26, 22, 0, tzinfo=UTC), datetime(2026, 3, 27, 2, 0, tzinfo=UTC)),
    ]


def test_clock_hours_are_on_trading_days_by_default() -> None:
    """Monday 28 December, then Thursday the 24th: no weekend, no holiday."""
    assert begins(hours(**NIGHT), before=datetime(2026, 12, 29, 12, tzinfo=UTC), most=2) == [
        "Mon 12-28 22:00–02:00",
        "Thu 12-24 22:00–02:00",
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"session": "london", "minutes": 15}, "the first 15 min after the London open"),
        ({"session": "new_york", "from_minutes": 30, "minutes": 60}, "1 h beginning 30 min after the New York open"),
        ({"session": "week", "minutes": 30}, "the first 30 min after the market week opens"),
        (NIGHT, "22:00–02:00 Europe/London"),
    ],
)
def test_hours_have_a_short_description(given: dict[str, Any], words: str) -> None:
    """It is shown in the report."""
    assert hours(**given).description == words


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"minutes": 60}, "needs session, such as"),
        ("london", "needs session, such as"),
        ({**NIGHT, "session": "london"}, "holds both session and from"),
        ({"from": "10:00", "to": "10:04"}, "to must be at least 5 minutes after from"),
        ({"session": "london", "minutes": 4}, "greater than or equal to 5"),
        ({"from": "10:00"}, "Field required"),
    ],
)
def test_invalid_hours_are_refused(given: object, problem: str) -> None:
    """The message contains the rule."""
    with pytest.raises(ValidationError, match=problem):
        READ.validate_python(given)


def test_an_unknown_session_is_reported() -> None:
    """The message contains the known sessions."""
    (problem,) = hours(session="paris", minutes=60).problems(MARKET)
    assert problem.startswith("session: there is no session 'paris'; known: sydney, tokyo, london, new_york, and week")
