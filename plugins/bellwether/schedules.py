"""When DAGs run by themselves."""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable

from bellwether.timetable import OpeningTimetable
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.schedule import CronSchedule, OpeningSchedule, Schedule


def airflow_schedule(schedule: Schedule | None, hours: MarketHours) -> CronTriggerTimetable | OpeningTimetable | None:
    """Return what a DAG takes as its schedule; both kinds wait for their next time once they are deployed."""
    match schedule:
        case None:
            return None
        case CronSchedule():
            return from_now_on(schedule.cron, timezone=schedule.timezone)
        case OpeningSchedule():
            return OpeningTimetable(schedule, hours)


def from_now_on(cron: str, *, timezone: str) -> CronTriggerTimetable:
    """Return a schedule whose first run is the next one to come.

    A DAG with a start date in the past would run at once for the time that was missed last, and so send its load the
    moment it is deployed, at whatever hour that is. Without a start date it waits, if told to by a time of zero:
    ``False`` still runs what was due less than a tenth of the interval ago (Airflow 3.3.2).
    """
    return CronTriggerTimetable(cron, timezone=timezone, run_immediately=timedelta(0))
