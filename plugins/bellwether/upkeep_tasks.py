"""The tasks that keep Bellwether itself in order: overdue scenarios, alert rules, old results."""

import logging
from datetime import timedelta
from typing import Any

from airflow.sdk import TriggerRule, task
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException

from bellwether.context import SHORT, TRIES_AGAIN, airflow_errors, task_context

log = logging.getLogger(__name__)


@task(execution_timeout=SHORT)
def look() -> None:
    """Alert to problems of the catalogue, to DAG runs that ended silently and to scenarios that should have run.

    Pending messages are delivered. A check that fails does not keep the others from being made.
    """
    from bellwether import alerting

    with airflow_errors():
        alerting.watch(_state_of)


def _state_of(dag_id: str, dag_run_id: str) -> str | None:
    """Return Airflow's state of a DAG run; ``None`` if it was deleted."""
    try:
        return str(task_context()["ti"].get_dagrun_state(dag_id, dag_run_id))
    except AirflowRuntimeError as err:
        log.warning("the state of run %s of %s is unknown: %s", dag_run_id, dag_id, err)
        return None


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.NONE_FAILED, **TRIES_AGAIN)
def write_rules() -> list[str]:
    """Write the alert rules to ``BELLWETHER_RULES`` if they changed, and report the changed limits."""
    from bellwether import alerting
    from bellwether.wiring import airflow_rule_writer, storage
    from include.perf.adapters.wiring.last_catalogue import usable_catalogue
    from include.perf.adapters.wiring.rules import are_rules_wanted
    from include.perf.monitoring.rule_changes import describe_changes

    if not are_rules_wanted():
        raise AirflowSkipException("BELLWETHER_RULES is not set, so no alert rules are written")
    with airflow_errors():
        if problems := usable_catalogue(storage).problems:
            raise AirflowSkipException(f"the alert rules stay as they are until these are fixed: {'; '.join(problems)}")
        writer = airflow_rule_writer()
        if writer.is_current():
            raise AirflowSkipException("the alert rules are up to date")
        changes = list(describe_changes(writer.write(), writer.baselines.read()))
        for change in changes:
            log.info("%s", change)
        if changes:
            alerting.report_limits(changes)
    return changes


@task(execution_timeout=timedelta(hours=2))
def prune() -> dict[str, Any]:
    """Remove raw requests and unfinished runs past their retention; return what was removed and what was kept."""
    from bellwether.wiring import storage
    from include.perf.adapters.wiring.last_catalogue import usable_catalogue
    from include.perf.baselines.promotion import referenced_runs
    from include.perf.model.text import utc_now
    from include.perf.runs.retention import clear, retention_of

    stores = storage()
    with airflow_errors():
        clearance = clear(
            stores.results(),
            retention=retention_of(usable_catalogue(storage).operations),
            referenced=referenced_runs(stores.baselines().read()),
            now=utc_now(),
        )
    for removal in clearance.removed:
        log.info("Removed %s", removal.describe())
    log.info("Removed %s", clearance.describe())
    return clearance.summary()
