"""A few requests to every endpoint of every service, to see which of them answer as they should."""

from airflow.sdk import dag
from bellwether import check_tasks
from bellwether.params import smoke_params

from include.perf.catalogue.reading import load_catalogue


@dag(
    dag_display_name="Smoke run",
    description="A few requests to every endpoint of every service.",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=smoke_params(load_catalogue()),
    tags=["bellwether", "checks"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def smoke() -> None:
    """Try each service; a service that does not answer as it should is red."""
    check_tasks.try_service.expand(service=check_tasks.services())


smoke()
