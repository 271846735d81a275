"""Pauses the DAG of a scenario after a run whose task `pause_schedule` succeeded.

A task cannot pause a DAG: it has no access to Airflow's database. The scheduler can, and it calls this listener when a
DAG run ends. Airflow's own ``max_consecutive_failed_dag_runs`` counts regressions and manual runs, too, pauses again
after the first failure that follows an unpause, and notifies nobody.
"""

import logging
from typing import Any

from airflow.listeners import hookimpl

log = logging.getLogger(__name__)

PAUSE_TASK = "pause_schedule"


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Pause the DAG if the run asked for it."""
    _pause_if_asked(dag_run)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """Pause the DAG if the run asked for it: the task may have been cleared after the run failed."""
    _pause_if_asked(dag_run)


def _pause_if_asked(dag_run: Any) -> None:
    from airflow.models.dag import DagModel  # noqa: TID251 - there is no public way to pause a DAG inside Airflow
    from airflow.models.log import Log  # noqa: TID251
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import update
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)  # of the scheduler, which commits; another one would wait for its locks
    if session is None:
        return
    task = dag_run.get_task_instance(PAUSE_TASK, session=session)
    if task is None or task.state != TaskInstanceState.SUCCESS:
        return
    session.execute(update(DagModel).where(DagModel.dag_id == dag_run.dag_id).values(is_paused=True))
    session.add(
        Log(event="paused", dag_id=dag_run.dag_id, owner="bellwether", extra=f"asked for by run {dag_run.run_id}")
    )
    log.warning("paused the schedule of %s, because run %s asked for it", dag_run.dag_id, dag_run.run_id)
