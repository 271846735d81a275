"""The tasks that check before any load is sent: a dry run and a smoke run."""

import logging

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowFailException

from bellwether.context import SHORT, airflow_errors, task_context

log = logging.getLogger(__name__)


@task(execution_timeout=SHORT)
def preview() -> str:
    """List what the scenarios would send, where, when and for how long; nothing is sent."""
    from bellwether.run_requests import preview_requests
    from bellwether.wiring import airflow_outside
    from include.perf.pipeline import previews

    with airflow_errors():
        outside = airflow_outside()
        requests = preview_requests(task_context(), catalogue=outside.stores.catalogue)
        shown = previews.loads_in_words(previews.preview(requests, outside))
    log.info("A run would send:\n%s", shown)
    return shown


@task(execution_timeout=SHORT)
def services() -> list[str]:
    """Return the names of the services to try."""
    from bellwether.run_requests import params_of
    from include.perf.catalogue.catalogue import ALL_SERVICES
    from include.perf.catalogue.reading import read_catalogue

    with airflow_errors():
        chosen: str = params_of(task_context())["service"]
        catalogue = read_catalogue()
        if chosen != ALL_SERVICES:
            return [catalogue.service(chosen).name]
        return [*catalogue.services, *catalogue.left_out_services]  # the task of a wrong entry fails with its problems


@task(execution_timeout=SHORT, map_index_template="{{ service_name }}")
def try_service(service: str) -> None:
    """Send a few requests to every endpoint; fail if one does not answer as expected."""
    from bellwether.wiring import airflow_outside
    from include.perf.pipeline.smoke import smoke, smoke_in_words

    task_context()["service_name"] = service
    with airflow_errors():
        results = smoke(service, airflow_outside())
    shown = smoke_in_words(results)
    if not all(result.is_good for result in results):
        raise AirflowFailException(f"not every endpoint of {service} answers as it should:\n{shown}")
    log.info("Every endpoint of %s answers as it should:\n%s", service, shown)
