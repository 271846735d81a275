"""The Airflow pool for loads; its slots are the requests per second that the generators can send together.

Airflow starts a load only when its share of the pool is free. Airflow's own processes create the pool when they start,
with the size from the catalogue.
"""

import logging
from typing import Any

from airflow.listeners import hookimpl

from include.perf.catalogue.operations import LOAD_POOL, LOAD_POOL_DESCRIPTION, slots_of
from include.perf.catalogue.reading import read_catalogue
from include.perf.model.errors import CatalogueError

log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: Any) -> None:
    """Create the pool when a scheduler, triggerer or DAG processor starts; a task's process has no database."""
    from airflow.jobs.job import Job

    if isinstance(component, Job):
        make_pool()


def make_pool() -> None:
    """Create or resize the pool. Errors in the catalogue are only logged here, because the DAGs report them."""
    from airflow.models.pool import Pool  # noqa: TID251 - there is no public way to make one inside Airflow
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    try:
        slots = slots_of(read_catalogue().operations.capacity_rps)
        with create_session() as session:
            Pool.create_or_update_pool(
                LOAD_POOL, slots=slots, description=LOAD_POOL_DESCRIPTION, include_deferred=False, session=session
            )
    except CatalogueError as err:
        log.error("the pool %s is not changed, because the catalogue cannot be read: %s", LOAD_POOL, err)
    except IntegrityError:
        log.info("another process created the pool %s at the same time", LOAD_POOL)
