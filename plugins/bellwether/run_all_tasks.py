"""The tasks around the scenarios' DAGs when all are run: what each is asked for, and the summary."""

import logging
from collections.abc import Mapping
from typing import Any

from airflow.sdk import TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.context import SHORT, task_context
from bellwether.failures import told_to_airflow

log = logging.getLogger(__name__)

LOOK_EVERY_S = 10
CHILD_RUN_ID = "run_all__{{ run_id }}"
PASSED_ON = ("duration", "update_baseline", "reason")


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE)
def chosen(scenario: str) -> Mapping[str, Any]:
    """Return what a scenario's DAG is asked for; skipped when it was not chosen, or does not load the service."""
    from bellwether.requests import asked_by, params_of
    from include.perf.catalogue.catalogue import ALL_SERVICES
    from include.perf.catalogue.reading import load_catalogue
    from include.perf.model.errors import CatalogueError

    with told_to_airflow():
        params = params_of(task_context())
    if params["scenarios"] and scenario not in params["scenarios"]:
        raise AirflowSkipException(f"{scenario} was not chosen")
    with told_to_airflow():
        catalogue = load_catalogue()
    if params["service"] != ALL_SERVICES:
        try:
            catalogue.services_of(catalogue.scenario(scenario), params["service"])
        except CatalogueError as err:
            raise AirflowSkipException(str(err)) from None
    asked = {name: params[name] for name in PASSED_ON if params[name] is not None}
    return {"service": params["service"], "asked_by": asked_by(task_context()), **asked}


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE)
def summary() -> str:
    """Show and keep the matrix of all verdicts; fails when a service regressed or could not be judged."""
    from bellwether.summing_up import fail_if_bad, keep_summary
    from include.perf.catalogue.reading import load_catalogue
    from include.perf.pipeline.planning.time_plan import run_order
    from include.perf.reporting import markdown_text
    from include.perf.reporting.summary import dag_run_document

    with told_to_airflow():
        scenarios = run_order(load_catalogue())
    uris = [uri for scenario in scenarios for uri in _planned_in(scenario.name)]
    if not uris:
        raise AirflowFailException("nothing was run; see the tasks before")
    results = keep_summary(uris)
    shown = markdown_text.render(dag_run_document(results))
    log.info("What came of it:\n%s", shown)
    fail_if_bad(results)
    return shown


def _planned_in(scenario: str) -> list[str]:
    """Return the runs that the scenario's DAG planned for this one; none where it was skipped."""
    context = task_context()
    planned: Any = context["ti"].xcom_pull(
        dag_id=scenario, run_id=f"run_all__{context['dag_run'].run_id}", task_ids="plan"
    )
    return list(planned or ())
