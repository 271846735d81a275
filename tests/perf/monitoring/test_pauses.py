"""The longest pause of a schedule."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.catalogue.scenario.schedule import OptionalSchedule, Schedule
from include.perf.monitoring.rule_groups import longest_pause

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
