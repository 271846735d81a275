"""The timetables: the next runs, and what Airflow stores of them."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.timezone import coerce_datetime
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from bellwether.timetable import OpeningTimetable, airflow_schedule, from_now_on

from include.perf.catalogue.scenario.market_hours import OWN_FILE, MarketHours, load_market_hours
from include.perf.catalogue.scenario.schedule import CronSchedule, OpeningSchedule

ROOT = Path(__file__).parents[2]
HOURS = load_market_hours(OWN_FILE)
LONDON = OpeningSchedule(before="london", minutes=250)


def utc(text: str) -> Any:
    return coerce_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))


def timetable_at(now: str, schedule: OpeningSchedule = LONDON) -> OpeningTimetable:
    """Return the timetable with a clock that shows a time, in UTC."""
    return OpeningTimetable(schedule, HOURS, clock=lambda: utc(now))


def info(
    now: str, *, last: str | None = None, earliest: str | None = None, latest: str | None = None, catchup: bool = False
) -> DagRunInfo | None:
    """Return the next run at a time, after a last run and within a start date and an end date."""
    restriction = TimeRestriction(
        earliest=utc(earliest) if earliest else None, latest=utc(latest) if latest else None, catchup=catchup
    )
    interval = DataInterval.exact(utc(last)) if last else None
    return timetable_at(now).next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)


# In July London opens at 07:00 UTC, and so a run starts at 02:50; 8 July 2026 is a Wednesday

NEXT = [
    # now, last run → next
    ("2026-07-08T01:00", None, "2026-07-08T02:50"),
    ("2026-07-08T02:50", None, "2026-07-08T02:50"),  # deployed at that very moment
    ("2026-07-08T02:51", None, "2026-07-09T02:50"),  # deployed a minute later: never for what is past
    ("2026-07-10T12:00", None, "2026-07-13T02:50"),  # on Friday
    ("2026-07-08T02:50:01", "2026-07-08T02:50", "2026-07-09T02:50"),
    ("2026-07-08T01:00", "2026-07-07T02:50", "2026-07-08T02:50"),
    ("2026-07-08T03:30", "2026-07-07T02:50", "2026-07-08T02:50"),  # the scheduler was late
    ("2026-07-08T12:00", "2026-07-01T02:50", "2026-07-08T02:50"),  # it was down for a week: of five the latest
    ("2026-07-12T12:00", "2026-07-01T02:50", "2026-07-10T02:50"),
    ("2026-03-27T04:00", "2026-03-27T03:50", "2026-03-30T02:50"),  # the clocks change on Sunday
    ("2026-12-24T04:00", "2026-12-24T03:50", "2026-12-28T03:50"),  # Christmas
]


@pytest.mark.parametrize(("now", "last", "start"), NEXT)
def test_the_next_run(now: str, last: str | None, start: str) -> None:
    """Exactly at the start, with an interval of no length."""
    assert info(now, last=last) == DagRunInfo.exact(utc(start))


RESTRICTED = [
    # now, restrictions → next
    ("2026-07-08T12:00", {"earliest": "2026-07-20T00:00"}, "2026-07-20T02:50"),
    ("2026-07-08T12:00", {"earliest": "2026-07-20T02:50"}, "2026-07-20T02:50"),  # inclusive
    ("2026-07-08T12:00", {"earliest": "2026-01-01T00:00"}, "2026-07-09T02:50"),  # a start date in the past is no order
    ("2026-07-08T12:00", {"earliest": "2026-07-20T02:51", "last": "2026-07-08T02:50"}, "2026-07-21T02:50"),
    ("2026-07-08T12:00", {"latest": "2026-07-09T02:50"}, "2026-07-09T02:50"),  # inclusive
    ("2026-07-08T12:00", {"latest": "2026-07-09T02:49"}, None),
    ("2026-07-08T12:00", {"latest": "2026-07-07T00:00", "last": "2026-07-06T02:50"}, None),
    ("2026-07-08T12:00", {"catchup": True, "earliest": "2026-07-01T00:00"}, "2026-07-01T02:50"),
    ("2026-07-08T12:00", {"catchup": True, "last": "2026-07-01T02:50"}, "2026-07-02T02:50"),
    ("2026-07-08T12:00", {"catchup": True}, "2026-07-09T02:50"),
]


@pytest.mark.parametrize(("now", "restriction", "start"), RESTRICTED)
def test_the_next_run_within_restrictions(now: str, restriction: dict[str, Any], start: str | None) -> None:
    """Start date, end date and catchup, as Airflow gives them."""
    found = info(now, **restriction)
    assert found == (DagRunInfo.exact(utc(start)) if start else None)


def test_a_year_of_runs_as_the_scheduler_has_them() -> None:
    """The next run is computed when the last one has begun; none is repeated or left out."""
    start = utc("2026-01-01T00:00")
    starts = []
    for _ in range(260):
        found = info(f"{start:%Y-%m-%dT%H:%M}", last=f"{starts[-1]:%Y-%m-%dT%H:%M}" if starts else None)
        assert found is not None
        start = found.run_after
        starts.append(start)
    assert starts == sorted(set(starts))
    # weekdays from Friday 2 January to Thursday 31 December 2026 but Christmas: 52 weeks of five days less one holiday
    assert (starts[0], starts[258]) == (utc("2026-01-02T03:50"), utc("2026-12-31T03:50"))
    assert starts[259] == utc("2027-01-04T03:50")


def test_a_missed_night_as_with_a_cron() -> None:
    """After an outage of the scheduler both kinds run the same nights."""
    daily = OpeningSchedule(before="london", minutes=480)  # midnight in London
    cron = CronTriggerTimetable("0 0 * * 1-5", timezone="Europe/London")
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    now = datetime.now(UTC)
    no_holidays = HOURS.model_copy(update={"holidays": ()})
    for days in range(1, 20):
        last = DataInterval.exact(coerce_datetime(now - timedelta(days=days)))
        expected = cron.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        timetable = OpeningTimetable(daily, no_holidays)
        assert timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction) == expected


def test_a_manual_run_has_its_own_moment() -> None:
    """It belongs to no opening."""
    moment = utc("2026-07-08T14:03:12")
    assert timetable_at("2026-07-08T14:03").infer_manual_data_interval(run_after=moment) == DataInterval.exact(moment)


@pytest.mark.parametrize(
    ("schedule", "now", "summary", "description"),
    [
        (
            LONDON,
            "2026-11-23T12:00",
            "250 min before the London open",
            "250 min before the London open, weekdays, next Tue 24 Nov 03:50 London time",
        ),
        (
            OpeningSchedule(before="new_york", minutes=90, weekdays=("monday",)),
            "2026-12-23T12:00",
            "90 min before the New York open",
            "90 min before the New York open, Mondays, next Mon 28 Dec 06:30 New York time",
        ),
        (
            OpeningSchedule(before="week", minutes=60),
            "2026-07-01T12:00",
            "60 min before the market week opens",
            "60 min before the market week opens, once a week, next Sun 5 Jul 16:00 New York time",
        ),
    ],
)
def test_the_description_in_the_list_of_dags(
    schedule: OpeningSchedule, now: str, summary: str, description: str
) -> None:
    """The next start is relative to the current time."""
    timetable = timetable_at(now, schedule)
    assert (timetable.summary, timetable.description) == (summary, description)


def test_utc_has_no_place() -> None:
    """It is not called "UTC time"."""
    document = HOURS.model_dump(mode="json")
    document["sessions"] = {"fixing": {"timezone": "UTC", "opens": "11:00", "closes": "12:00"}}
    hours = MarketHours.model_validate(document)
    schedule = OpeningSchedule(before="fixing", minutes=60)
    timetable = OpeningTimetable(schedule, hours, clock=lambda: utc("2026-07-08T12:00"))
    assert timetable.description == "60 min before the Fixing open, weekdays, next Thu 9 Jul 10:00 UTC"


@pytest.mark.parametrize(
    "schedule", [LONDON, OpeningSchedule(before="sydney", minutes=9, weekdays=("friday",), margin_minutes=0)]
)
def test_a_timetable_survives_json(schedule: OpeningSchedule) -> None:
    """The scheduler reads it from the database: schedule, hours and holidays."""
    timetable = OpeningTimetable(schedule, HOURS)
    again = OpeningTimetable.deserialize(json.loads(json.dumps(timetable.serialize())))
    assert (again.schedule, again.hours) == (schedule, HOURS)
    assert again == timetable
    assert hash(again) == hash(timetable)
    assert again != OpeningTimetable(schedule.model_copy(update={"minutes": 10}), HOURS)
    assert again != schedule


def test_the_timetable_of_each_kind_of_schedule() -> None:
    """And none without a schedule."""
    cron = CronSchedule(cron="0 5 * * 6", timezone="Europe/London", finish_by="13:00")
    assert airflow_schedule(None, HOURS) is None
    assert airflow_schedule(cron, HOURS) == from_now_on("0 5 * * 6", timezone="Europe/London")
    assert airflow_schedule(LONDON, HOURS) == OpeningTimetable(LONDON, HOURS)


CHANGES = [  # the days before the clocks change in the three zones
    *("2024-03-09", "2024-03-30", "2024-04-06", "2024-10-05", "2024-10-26", "2024-11-02"),
    *("2025-03-08", "2025-03-29", "2025-04-05", "2025-10-04", "2025-10-25", "2025-11-01"),
    *("2026-03-07", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31"),
    *("2027-03-13", "2027-03-27", "2027-04-03", "2027-10-02", "2027-10-30", "2027-11-06"),
]


@pytest.mark.parametrize("zone", ["Europe/London", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize(
    "cron", ["0 1 * * *", "30 1 * * *", "30 2 * * 0", "0 22 * * 1-5", "*/20 * * * *", "15 0-4/2 1,15 * *"]
)
def test_a_cron_schedule_starts_when_airflow_starts_it(cron: str, zone: str) -> None:
    """The catalogue computes the same starts as Airflow, including clock changes."""
    schedule, timetable = CronSchedule(cron=cron, timezone=zone), CronTriggerTimetable(cron, timezone=zone)
    restriction = TimeRestriction(earliest=None, latest=None, catchup=True)
    for change in CHANGES:
        moment = utc(f"{change}T00:10")
        for _ in range(200):
            found = timetable.next_dagrun_info(
                last_automated_data_interval=DataInterval.exact(moment), restriction=restriction
            )
            assert found is not None
            assert schedule.next_start(moment, HOURS) == found.run_after
            moment = found.run_after
            if moment > utc(f"{change}T00:10") + timedelta(days=3):
                break


KEPT = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

bag = DagBag(sys.argv[1], safe_mode=True)
kept = DagSerialization.to_json(bag.dags["market_open"])
again = DagSerialization.from_json(kept)
print(json.dumps({
    "errors": bag.import_errors,
    "type": again.timetable.type_name,
    "kept": json.loads(kept)["dag"]["timetable"],
    "is_the_same": again.timetable == bag.dags["market_open"].timetable,
    "summary": again.timetable.summary,
    "next_is_in_doc": "next" in json.loads(kept)["dag"]["doc_md"],
}))
"""


def test_airflow_stores_and_restores_a_timetable(tmp_path: Path) -> None:
    """From dags/ to the database and back, in a process that loads the plugin like Airflow."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "BELLWETHER"))}
    environment |= {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", KEPT, str(ROOT / "dags")],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == {}
    assert found["type"] == found["kept"]["__type"] == "bellwether.timetable.OpeningTimetable"
    assert found["kept"]["__var"]["schedule"]["before"] == "london"
    assert found["is_the_same"]
    assert found["summary"] == "250 min before the London open"
    # what changes from day to day would make a new version of the DAG each day
    assert not found["next_is_in_doc"]
