"""Registers Bellwether with Airflow; the package beside this file holds the rest."""

from airflow.plugins_manager import AirflowPlugin
from bellwether import load_pool, schedule_pause
from bellwether.timetable import OpeningTimetable
from bellwether.web import mounted


class BellwetherPlugin(AirflowPlugin):
    """The one plugin of Bellwether."""

    name = "bellwether"
    timetables = [OpeningTimetable]  # noqa: RUF012 - as Airflow declares it
    listeners = [load_pool, schedule_pause]  # noqa: RUF012
    fastapi_apps = mounted.fastapi_apps()
    external_views = mounted.external_views()
