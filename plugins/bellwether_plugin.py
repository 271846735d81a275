"""Registers Bellwether with Airflow; the package beside this file holds the rest."""

from airflow.plugins_manager import AirflowPlugin


class BellwetherPlugin(AirflowPlugin):
    """The one plugin of Bellwether."""

    name = "bellwether"
