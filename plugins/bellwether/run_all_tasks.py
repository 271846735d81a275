"""The tasks around the scenarios' DAGs when all are run, and the summary at the end of any DAG run."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.context import SHORT, TRIES_AGAIN, airflow_errors, task_context

if TYPE_CHECKING:
    from include.perf.catalogue.catalogue import Catalogue
    from include.perf.runs.dag_run import DagRunResults

log = logging.getLogger(__name__)

LOOK_EVERY_S = 10
CHILD_RUN_ID = "run_all__{{ run_id }}"
PASSED_ON = ("duration", "update_baseline", "reason")


@task(execution_timeout=SHORT)
def begin(scenarios: Sequence[str]) -> list[str]:
    """Return the scenarios that are to run; the summary names those that were removed or broken meanwhile.

    Args:
        scenarios: those of the DAG, in order.
    """
    from bellwether.run_requests import params_of
    from include.perf.catalogue.reading import read_catalogue

    with airflow_errors():
        params, catalogue = params_of(task_context()), read_catalogue()
    wanted = [name for name in scenarios if not params["scenarios"] or name in params["scenarios"]]
    return [name for name in wanted if _has_service(catalogue, name, params["service"])]


def _has_service(catalogue: "Catalogue", scenario: str, service: str) -> bool:
    """Return whether a scenario loads a service; a wrong entry counts, because what it loads is unknown."""
    from include.perf.catalogue.catalogue import ALL_SERVICES
    from include.perf.model.errors import CatalogueError

    known = catalogue.scenarios.get(scenario)
    if service == ALL_SERVICES or known is None:
        return True
    try:
        catalogue.services_of(known, service)
    except CatalogueError:
        return False
    return True


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE)
def chosen(scenario: str) -> Mapping[str, Any]:
    """Return the parameters for a scenario's DAG; skipped if the scenario was not chosen or has not the service."""
    from bellwether.run_requests import params_of, requested_by
    from include.perf.catalogue.catalogue import ALL_SERVICES
    from include.perf.catalogue.reading import read_catalogue
    from include.perf.model.errors import CatalogueError

    with airflow_errors():
        params = params_of(task_context())
    if params["scenarios"] and scenario not in params["scenarios"]:
        raise AirflowSkipException(f"{scenario} was not chosen")
    with airflow_errors():
        catalogue = read_catalogue()
        known = catalogue.scenario(scenario)
    if params["service"] != ALL_SERVICES:
        try:
            catalogue.services_of(known, params["service"])
        except CatalogueError as err:
            raise AirflowSkipException(str(err)) from None
    given = {name: params[name] for name in PASSED_ON if params[name] is not None}
    return {"service": params["service"], "asked_by": requested_by(task_context()), **given}


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE, **TRIES_AGAIN)
def summary() -> str:
    """Log and store the matrix of all verdicts; fail if a service is worse, over a limit or not judged."""
    from bellwether.wiring import storage
    from include.perf.adapters.wiring.last_catalogue import usable_catalogue
    from include.perf.pipeline.planning.time_plan import run_order
    from include.perf.reporting import markdown_text
    from include.perf.reporting.summary import dag_run_document

    with airflow_errors():
        catalogue = usable_catalogue(storage)
        stored = sorted({cell.scenario for cell in storage().results().cells()})  # of removed entries, too
    begun = _begun()
    scenarios = [*begun, *(scenario.name for scenario in run_order(catalogue)), *catalogue.left_out_scenarios, *stored]
    planned = {scenario: _planned_in(scenario) for scenario in dict.fromkeys(scenarios)}
    uris = [uri for of_scenario in planned.values() for uri in of_scenario]
    not_run = tuple(f"{name} did not run: {_why_not(name, catalogue)}" for name in begun if not planned[name])
    if not uris:
        raise AirflowFailException("\n".join(("nothing was run; see the tasks before", *not_run)))
    results = keep_summary(uris, not_run=not_run)
    shown = markdown_text.render(dag_run_document(results))
    log.info("Verdicts:\n%s", shown)
    fail_if_bad(results)
    return shown


def keep_summary(uris: Sequence[str], *, not_run: tuple[str, ...] = ()) -> "DagRunResults":
    """Read the results of the runs of this DAG run, store their summary, and return them.

    Args:
        not_run: a sentence for each scenario that was to run and planned nothing.
    """
    from bellwether.wiring import storage
    from include.perf.reporting.summary import write_summary
    from include.perf.runs.dag_run import results_of

    context = task_context()
    where = {"dag_id": context["dag"].dag_id, "dag_run_id": context["dag_run"].run_id}
    with airflow_errors():
        store = storage().results()
        results = replace(results_of(store, uris, **where), not_run=not_run)
        log.info("The summary is in %s", write_summary(store, results))
    return results


def fail_if_bad(results: "DagRunResults") -> None:
    """Fail the task, so that the grid is not green after a bad night.

    Raises:
        AirflowFailException: a run regressed, has no verdict or no record; with the headline of each.
    """
    if results.problems:
        raise AirflowFailException("\n".join(results.problems))


def _begun() -> list[str]:
    """Return the scenarios with which this DAG run began."""
    context = task_context()
    begun: Any = context["ti"].xcom_pull(
        dag_id=context["dag"].dag_id, run_id=context["dag_run"].run_id, task_ids="begin"
    )
    return list(begun or ())


def _why_not(scenario: str, catalogue: "Catalogue") -> str:
    if scenario in catalogue.left_out_scenarios:
        return "its entry in scenarios.yaml is wrong; correct it, and run it"
    if scenario not in catalogue.scenarios:
        return "it was removed from scenarios.yaml while this DAG run was in flight"
    return "its DAG planned nothing; see its tasks"


def _planned_in(scenario: str) -> list[str]:
    """Return the runs that the scenario's DAG planned for this DAG run; none if it was skipped."""
    context = task_context()
    planned: Any = context["ti"].xcom_pull(
        dag_id=scenario, run_id=f"run_all__{context['dag_run'].run_id}", task_ids="plan"
    )
    return list(planned or ())
