"""A few requests to every endpoint of every service, to see which endpoints answer as expected."""

from airflow.sdk import dag
from bellwether import check_tasks
from bellwether.dag_catalogue import dag_catalogue
from bellwether.params import smoke_params


@dag(
    dag_display_name="Smoke run",
    description="Sends a few requests to every endpoint of every service.",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=smoke_params(dag_catalogue()),
    tags=["bellwether", "checks"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def smoke() -> None:
    """Try each service; the task of a service fails if an endpoint does not answer as expected."""
    check_tasks.try_service.expand(service=check_tasks.services())


smoke()
