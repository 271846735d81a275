"""When DAGs run: by a cron expression, or before the market or one of its sessions opens.

Airflow stores the path of `OpeningTimetable`, so that neither it nor this module can be renamed.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from airflow.sdk import CronTriggerTimetable
from airflow.sdk.timezone import coerce_datetime, utcnow
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from pendulum import DateTime

from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.schedule import CronSchedule, OpeningSchedule, Schedule


class OpeningTimetable(Timetable):
    """Starts a number of minutes before each opening; data intervals have no length, like those of a cron trigger.

    A newly deployed DAG waits for its next start, whatever its start date: it never runs for the past. After an outage
    of the scheduler only the latest missed start is made up for; with ``catchup=True`` all of them are.

    The timetable contains the market's hours, because the scheduler reads no file.
    """

    def __init__(
        self, schedule: OpeningSchedule, hours: MarketHours, *, clock: Callable[[], datetime] = utcnow
    ) -> None:
        self.schedule = schedule
        self.hours = hours
        self._clock = clock

    def __eq__(self, other: object) -> bool:
        """Return whether both start at the same times."""
        if not isinstance(other, OpeningTimetable):
            return NotImplemented
        return (self.schedule, self.hours) == (other.schedule, other.hours)

    def __hash__(self) -> int:
        return hash(self.schedule)

    @property
    def summary(self) -> str:
        """The schedule in a few words."""
        return self.schedule.summary

    @property
    def description(self) -> str:  # type: ignore[override]  # Airflow has an attribute; the next start changes
        """The schedule with its days and its next start, as of now."""
        schedule, zone = self.schedule, self.schedule.zone(self.hours)
        start = schedule.next_start(self._clock(), self.hours).astimezone(ZoneInfo(zone))
        return f"{schedule.summary}, {schedule.days}, next {start:%a} {start.day} {start:%b %H:%M} {_of(zone)}"

    def serialize(self) -> dict[str, Any]:
        """Return the schedule and the hours as JSON."""
        return {
            "schedule": self.schedule.model_dump(mode="json"),
            "market_hours": self.hours.model_dump(mode="json"),
        }

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Self:
        """Return the timetable from the output of `serialize`."""
        return cls(
            OpeningSchedule.model_validate(data["schedule"]),
            MarketHours.model_validate(data["market_hours"]),
        )

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """Return the moment at which a run was triggered."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next start, or ``None`` if it would be after the DAG's end date."""
        start = self._next_start(last_automated_data_interval, restriction)
        if restriction.latest is not None and start > restriction.latest:
            return None
        return DagRunInfo.exact(coerce_datetime(start))

    def _next_start(self, last: DataInterval | None, restriction: TimeRestriction) -> datetime:
        now = self._clock()
        if last is None:
            start = self._first_start(now, restriction)
        else:
            start = self.schedule.next_start(last.end, self.hours)
            if restriction.earliest is not None:
                start = max(start, self._start_from(restriction.earliest))
        if restriction.catchup or last is None:
            return start
        while (following := self.schedule.next_start(start, self.hours)) <= now:
            start = following
        return start

    def _first_start(self, now: datetime, restriction: TimeRestriction) -> datetime:
        earliest = restriction.earliest
        if earliest is None:
            return self._start_from(now)
        return self._start_from(earliest if restriction.catchup else max(earliest, now))

    def _start_from(self, moment: datetime) -> datetime:
        """Return the first start at or after a moment."""
        return self.schedule.next_start(moment - datetime.resolution, self.hours)


def airflow_schedule(schedule: Schedule | None, hours: MarketHours) -> CronTriggerTimetable | OpeningTimetable | None:
    """Return the timetable of a schedule. After it is deployed, a DAG waits for the next start either way."""
    match schedule:
        case None:
            return None
        case CronSchedule():
            return from_now_on(schedule.cron, timezone=schedule.timezone)
        case OpeningSchedule():
            return OpeningTimetable(schedule, hours)


def from_now_on(cron: str, *, timezone: str) -> CronTriggerTimetable:
    """Return a cron timetable whose first run is the next one, never a past one.

    A DAG with a start date in the past would run for the last missed time as soon as it is deployed, and send its load
    at that moment. A DAG without a start date waits only if ``run_immediately`` is a time of zero: ``False`` still runs
    what was due less than a tenth of the interval ago (Airflow 3.3.2).
    """
    return CronTriggerTimetable(cron, timezone=timezone, run_immediately=timedelta(0))


def _of(zone: str) -> str:
    """Return the name of a time zone for people: ``New York time``."""
    return zone if zone == "UTC" else f"{zone.rpartition('/')[2].replace('_', ' ')} time"
