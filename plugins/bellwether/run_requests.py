"""From the parameters of a DAG run to a run request, and the progress of its load in the task log."""

import logging
from collections.abc import Mapping
from typing import Any

from include.perf.catalogue.catalogue import ALL_SCENARIOS, Catalogue
from include.perf.cli.console import EveryTenSeconds
from include.perf.model.errors import ConfigurationError
from include.perf.pipeline.planning.request import RunRequest
from include.perf.pipeline.planning.time_plan import scenarios_of

log = logging.getLogger(__name__)

SCHEDULED = "scheduled"


def params_of(context: Any) -> Mapping[str, Any]:
    """Return the parameters of a DAG run.

    Raises:
        ConfigurationError: a parameter is unknown. Airflow accepts any name, and a misspelt ``duration`` would send
            the full load.
    """
    params: Mapping[str, Any] = context["params"]
    known = context["dag"].params
    unknown = [name for name in params if name not in known]
    if unknown:
        raise ConfigurationError([f"parameter {name!r} is unknown; known: {', '.join(known)}" for name in unknown])
    return params


def request_from(context: Any, *, scenario: str) -> RunRequest:
    """Turn the parameters of a scenario's DAG run into a request.

    Raises:
        ConfigurationError: a parameter is unknown.
    """
    params, dag_run = params_of(context), context["dag_run"]
    return RunRequest(
        scenario=scenario,
        service=params["service"],
        duration_s=params["duration"],
        rate_rps=params["rate"],
        update_baseline=params["update_baseline"],
        reason=params["reason"],
        triggered_by=requested_by(context),
        dag_id=context["dag"].dag_id,
        dag_run_id=dag_run.run_id,
        due_at=dag_run.logical_date if dag_run.run_type == SCHEDULED else None,
    )


def requested_by(context: Any) -> str:
    """Return the person whom Airflow knows, or else the person whom another DAG names, or else the trigger."""
    dag_run = context["dag_run"]
    named = dag_run.triggering_user_name or context["params"].get("asked_by")
    return str(named or f"airflow ({getattr(dag_run.run_type, 'value', dag_run.run_type)})")


def preview_requests(context: Any, *, catalogue: Catalogue) -> list[RunRequest]:
    """Turn the parameters of a dry run into one request for each scenario that loads the service.

    Raises:
        ConfigurationError: a parameter is unknown, or no scenario loads the service.
    """
    params = params_of(context)
    names = [params["scenario"]]
    if params["scenario"] == ALL_SCENARIOS:
        names = [scenario.name for scenario in scenarios_of(catalogue, params["service"])]
    return [
        RunRequest(scenario=name, service=params["service"], duration_s=params["duration"], rate_rps=params["rate"])
        for name in names
    ]


def logged_progress() -> EveryTenSeconds:
    """Return a listener that logs one line every ten seconds of the load."""
    return EveryTenSeconds(lambda line: log.info("%s", line))
