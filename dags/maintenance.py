"""Every week: remove old data. Records, reports and charts stay, and so do runs that a baseline refers to."""

from airflow.sdk import dag
from bellwether import upkeep_tasks
from bellwether.timetable import from_now_on


@dag(
    dag_display_name="Maintenance",
    description="Removes raw requests and unfinished runs past their retention.",
    schedule=from_now_on("0 20 * * 0", timezone="UTC"),  # on Sunday when no load runs, an hour before the nightly one
    catchup=False,
    max_active_runs=1,
    tags=["bellwether", "maintenance"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def maintenance() -> None:
    """Remove old results."""
    upkeep_tasks.prune()


maintenance()
