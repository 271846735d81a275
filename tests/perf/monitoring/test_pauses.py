"""The longest pause of a schedule."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.catalogue.scenario.schedule import CronSchedule, OptionalSchedule, Schedule
from include.perf.monitoring.pauses import GRACE, longest_pause

HOURS = load_market_hours(OWN_FILE)
SCHEDULE: TypeAdapter[Schedule | None] = TypeAdapter(OptionalSchedule)


@pytest.mark.parametrize(
    ("schedule", "hours"),
    [
        ({"cron": "0 22 * * *", "timezone": "Europe/London"}, 24 + 2),  # 25 h when the clocks go back
        ({"cron": "0 5 * * 6", "timezone": "Europe/London"}, 7 * 24 + 2),
        ({"cron": "0 5 * * 1-5"}, 3 * 24 + 2),  # over the weekend
        ({"before": "week", "minutes": 120}, 7 * 24 + 2),
    ],
)
def test_the_longest_pause_of_a_schedule(schedule: dict[str, Any], hours: int) -> None:
    """A nightly scenario is missing after 26 h, a weekly one after a week and 2 h."""
    found = SCHEDULE.validate_python(schedule)
    assert found is not None
    assert longest_pause(found, HOURS, year=2026) == timedelta(hours=hours)


def test_holidays_are_part_of_the_pause() -> None:
    """Before each London open: from the Thursday before Easter to the Tuesday after it are five days."""
    found = SCHEDULE.validate_python({"before": "london", "minutes": 250})
    assert found is not None
    assert longest_pause(found, HOURS, year=2026) >= timedelta(days=3, hours=2)
    assert longest_pause(found, HOURS, year=2026) <= timedelta(days=5, hours=2)


@pytest.mark.parametrize("zone", ["Europe/London", "Africa/Casablanca"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "45 23,0 * * *", "0 3 1,15 * 1"])
def test_days_alike_are_left_out_and_nothing_else(cron: str, zone: str) -> None:
    """The longest pause is that of all starts of the year, also in a year with four changes of the clock."""
    schedule = CronSchedule(cron=cron, timezone=zone)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    starts = [schedule.next_start(begin, HOURS)]
    while starts[-1] < begin + timedelta(days=373):
        starts.append(schedule.next_start(starts[-1], HOURS))
    shown = [start.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for start in starts]
    longest = max(following - start for start, following in pairwise(shown))
    assert longest_pause(schedule, HOURS, year=2026) == longest + GRACE


def test_a_start_per_minute_is_not_walked_through_minute_by_minute() -> None:
    """Of 373 days, one is walked through, and three around each of three changes of the clock: 10 × 1,440 starts."""
    schedule = CronSchedule(cron="* * * * *", timezone="Europe/London")
    with mock.patch.object(CronSchedule, "next_start", autospec=True, side_effect=CronSchedule.next_start) as asked:
        assert longest_pause(schedule, HOURS, year=2026) == timedelta(hours=1, minutes=1) + GRACE
    assert asked.call_count < 10 * 1_440 + 373
