"""Every week: removes what is too old. Records, reports and charts stay, and all of what a baseline refers to."""

from airflow.sdk import dag
from bellwether import maintenance_tasks
from bellwether.schedules import from_now_on


@dag(
    dag_display_name="Maintenance",
    description="Raw requests and unfinished runs that are too old to be kept.",
    schedule=from_now_on("0 20 * * 0", timezone="UTC"),  # on Sunday, when no load runs, an hour before the night's
    catchup=False,
    max_active_runs=1,
    tags=["bellwether", "maintenance"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def maintenance() -> None:
    """Clear the results."""
    maintenance_tasks.prune()


maintenance()
