"""The timetable of a scenario that starts before the market, or one of its sessions, opens."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from airflow.sdk.timezone import coerce_datetime, utcnow
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from pendulum import DateTime

from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.schedule import OpeningSchedule


class OpeningTimetable(Timetable):
    """Starts so many minutes before each opening; data intervals have no length, as those of a cron trigger.

    A DAG that was just deployed waits for its next time, whatever its start date: it never runs for what is past. After
    a time without a scheduler the latest start that was missed comes late, and those before it never; with
    ``catchup=True`` all of them do.

    It carries the market's hours with it: the scheduler reads no file.
    """

    def __init__(
        self, schedule: OpeningSchedule, hours: MarketHours, *, clock: Callable[[], datetime] = utcnow
    ) -> None:
        self.schedule = schedule
        self.hours = hours
        self._clock = clock

    def __eq__(self, other: object) -> bool:
        """Whether both start at the same times."""
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
    def description(self) -> str:  # type: ignore[override]  # of the next start, which moves on
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
        """Make it again from what `serialize` gave."""
        return cls(
            OpeningSchedule.model_validate(data["schedule"]),
            MarketHours.model_validate(data["market_hours"]),
        )

    def infer_manual_data_interval(self, *, run_after: DateTime) -> DataInterval:
        """Return the moment at which a run was asked for."""
        return DataInterval.exact(run_after)

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next start, or ``None`` where it would come after the DAG's end."""
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
        """Return the first start at a moment or after it."""
        return self.schedule.next_start(moment - datetime.resolution, self.hours)


def _of(zone: str) -> str:
    """Return whose time it is: ``New York time``."""
    return zone if zone == "UTC" else f"{zone.rpartition('/')[2].replace('_', ' ')} time"
