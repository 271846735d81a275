"""The pool that holds what the load generators can send together, in requests per second.

Airflow starts a load only when its share of the pool is free. Airflow's own processes make the pool when they start, so
that nobody has to, and give it the size that the catalogue says.
"""

import logging
from typing import Any

from airflow.listeners import hookimpl

from include.perf.catalogue.operations import LOAD_POOL, LOAD_POOL_DESCRIPTION, slots_of
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import CatalogueError

log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: Any) -> None:
    """Make the pool when a scheduler, triggerer or DAG processor starts; a task's process has no database."""
    from airflow.jobs.job import Job

    if isinstance(component, Job):
        make_pool()


def make_pool() -> None:
    """Make the pool, or give it its size; a catalogue that is wrong is told by the DAGs, and stops nothing here."""
    from airflow.models.pool import Pool  # noqa: TID251 - there is no public way to make one inside Airflow
    from airflow.utils.session import create_session
    from sqlalchemy.exc import IntegrityError

    try:
        slots = slots_of(load_catalogue().operations.capacity_rps)
        with create_session() as session:
            Pool.create_or_update_pool(
                LOAD_POOL, slots=slots, description=LOAD_POOL_DESCRIPTION, include_deferred=False, session=session
            )
    except CatalogueError as err:
        log.error("the pool %s is left as it is, because the catalogue cannot be read: %s", LOAD_POOL, err)
    except IntegrityError:
        log.info("the pool %s was made by another process at the same time", LOAD_POOL)
