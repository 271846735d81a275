"""Registers Bellwether with Airflow; the package beside this file holds the rest."""

from airflow.plugins_manager import AirflowPlugin
from bellwether import load_pool
from bellwether.timetable import OpeningTimetable


class BellwetherPlugin(AirflowPlugin):
    """The one plugin of Bellwether."""

    name = "bellwether"
    timetables = [OpeningTimetable]  # noqa: RUF012 - as Airflow declares it
    listeners = [load_pool]  # noqa: RUF012
