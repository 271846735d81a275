"""What a DAG run asks for, and how its load tells of its progress."""

import logging
from typing import Any

from include.perf.console import EveryTenSeconds
from include.perf.errors import ConfigurationError
from include.perf.request import RunRequest

log = logging.getLogger(__name__)

PARAMETERS = ("service", "duration", "rate", "update_baseline", "reason")


def request_from(context: Any, *, scenario: str) -> RunRequest:
    """Turn the parameters of a DAG run into a request.

    Raises:
        ConfigurationError: a parameter is unknown. Airflow takes any, and a misspelt duration would send the
            scenario's whole load.
    """
    params, dag_run = context["params"], context["dag_run"]
    unknown = [name for name in params if name not in PARAMETERS]
    if unknown:
        known = ", ".join(PARAMETERS)
        raise ConfigurationError([f"parameter {name!r} is unknown; there are {known}" for name in unknown])
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
