"""What a DAG run asks for, and how its load tells of its progress."""

import logging
from typing import Any

from include.perf.console import EveryTenSeconds
from include.perf.pipeline import RunRequest

log = logging.getLogger(__name__)


def request_from(context: Any, *, scenario: str) -> RunRequest:
    """Turn the parameters of a DAG run into a request."""
    params, dag_run = context["params"], context["dag_run"]
    person = dag_run.triggering_user_name
    return RunRequest(
        scenario=scenario,
        service=params["service"],
        duration_s=params["duration"],
        rate_rps=params["rate"],
        update_baseline=params["update_baseline"],
        reason=params["reason"],
        triggered_by=person or f"airflow ({getattr(dag_run.run_type, 'value', dag_run.run_type)})",
        dag_id=context["dag"].dag_id,
        dag_run_id=dag_run.run_id,
    )


def logged_progress() -> EveryTenSeconds:
    """Return a listener that logs one line in ten seconds."""
    return EveryTenSeconds(lambda line: log.info("%s", line))
