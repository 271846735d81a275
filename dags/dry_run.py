"""What a scenario would send, where, when and for how long. No task here can send anything."""

from airflow.sdk import dag
from bellwether import check_tasks
from bellwether.dag_catalogue import dag_catalogue
from bellwether.params import dry_run_params


@dag(
    dag_display_name="Dry run",
    description="Shows what a scenario would send, where, when and for how long; nothing is sent.",
    schedule=None,
    catchup=False,
    params=dry_run_params(dag_catalogue()),
    tags=["bellwether", "checks"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def dry_run() -> None:
    """List the loads in the task's log and return value."""
    check_tasks.preview()


dry_run()
