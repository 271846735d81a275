"""The tasks of a run. Each does one stage of `include.perf.pipeline.pipeline` and hands on the run's address.

Imports of the pipeline stand inside the tasks: Airflow parses the DAGs again and again, and must not pay for
pandas and matplotlib each time.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.context import SHORT, task_context
from bellwether.failures import told_to_airflow
from include.perf.catalogue.operations import LOAD_POOL
from include.perf.catalogue.scenario.load_profile import MAX_DURATION_S
from include.perf.load.reservations import MAX_WAIT_S

if TYPE_CHECKING:
    from include.perf.pipeline.pipeline import Pipeline

LOAD_QUEUE = os.environ.get("BELLWETHER_LOAD_QUEUE") or conf.get("operators", "default_queue")
"""Whose workers run the loads, where the executor knows queues."""

LONGEST_LOAD = timedelta(seconds=MAX_WAIT_S + 1.5 * MAX_DURATION_S)
"""Includes the wait until the load can start."""


def _pipeline(uri: str | None = None, **wiring: Any) -> "Pipeline":
    """Return the pipeline, and label a mapped task with its service."""
    from bellwether.wiring import airflow_pipeline

    if uri is not None:
        task_context()["service_name"] = uri.rstrip("/").split("/")[-3]
    with told_to_airflow():
        return airflow_pipeline(**wiring)


ONLY_AFTER_A_KILL = ExceptionRetryPolicy(
    rules=[RetryRule(exception=Exception, action=RetryAction.FAIL, reason="what failed would fail again")]
)
"""Who was killed raised nothing, and whose worker ends no Exception, so no rule says a word of it;
`include.perf.pipeline.load_tries` looks at what was left."""

LABEL = "{{ service_name }}"
NOTHING_PLANNED = "nothing was planned; see the task plan"


@task(execution_timeout=SHORT)
def plan(scenario: str) -> list[str]:
    """Check the parameters and plan a run for each chosen service."""
    from bellwether.requests import request_from

    with told_to_airflow():
        return _pipeline().plan(request_from(task_context(), scenario=scenario))


@task(execution_timeout=SHORT, map_index_template=LABEL)
def stage_data(uri: str) -> str:
    """Check the market data and make the requests ready."""
    with told_to_airflow():
        _pipeline(uri).stage_data(uri)
    return uri


@task(execution_timeout=SHORT, map_index_template=LABEL)
def preflight(uri: str) -> str:
    """Make sure that load may start."""
    with told_to_airflow():
        _pipeline(uri).preflight(uri)
    return uri


@task(
    execution_timeout=LONGEST_LOAD,
    map_index_template=LABEL,
    retries=1,
    retry_delay=timedelta(seconds=10),
    retry_policy=ONLY_AFTER_A_KILL,
    pool=LOAD_POOL,
    queue=LOAD_QUEUE,
)
def run_load(uri: str) -> str:
    """Drive the load; tried once more where the task was killed, or its worker asked to end."""
    from bellwether.halting import ended_with_its_worker, halted_or_ended
    from bellwether.requests import logged_progress

    is_over = halted_or_ended(task_context()["ti"])
    with ended_with_its_worker() as is_ending, told_to_airflow():
        _pipeline(uri, halted=lambda: is_ending() or is_over()).run_load(uri, on_progress=logged_progress())
    return uri


@task(execution_timeout=SHORT, map_index_template=LABEL, retries=3, retry_delay=timedelta(seconds=20))
def scrape(uri: str) -> str:
    """Read the service's own figures; Prometheus keeps them, so this may be tried again."""
    with told_to_airflow():
        _pipeline(uri).scrape(uri)
    return uri


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE)
def plan_reruns(uris: list[str] | None) -> list[str]:
    """Plan two more runs of each service that looks suspicious, as far as the scenario allows and time permits."""
    if not uris:
        raise AirflowSkipException(NOTHING_PLANNED)
    with told_to_airflow():
        return _pipeline().plan_reruns(uris)


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE)
def compare(uris: list[str] | None) -> list[str]:
    """Judge the services of the night together, however far each run came."""
    if not uris:
        raise AirflowSkipException(NOTHING_PLANNED)
    with told_to_airflow():
        _pipeline().compare(uris)
    return uris


@task(execution_timeout=SHORT, map_index_template=LABEL)
def report(uri: str) -> str:
    """Write the report, the charts and, last, the record."""
    with told_to_airflow():
        _pipeline(uri).report(uri)
    return uri


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE)
def alert(uris: list[str] | None) -> None:
    """Tell people what is new, worse or over, and what could not be judged; silence otherwise."""
    from bellwether import alerting

    context = task_context()
    where = {"dag_id": context["dag"].dag_id, "dag_run_id": context["dag_run"].run_id}
    with told_to_airflow():
        if uris:
            alerting.alert_night(uris, **where)
        else:
            alerting.alert_failed(NOTHING_PLANNED, **where)


@task(execution_timeout=SHORT, map_index_template=LABEL)
def promote(uri: str) -> None:
    """Make the run part of its baseline, where that was asked for and needs no approval."""
    from include.perf.reporting.approval import needs_approval

    pipeline = _pipeline(uri)
    with told_to_airflow():
        record = pipeline.record(uri)
        if not record.provenance.update_baseline:
            raise AirflowSkipException("update_baseline was not asked for")
        if needs_approval(record):
            raise AirflowSkipException(f"{record.verdict} needs an approval; see the task ask_for_approval")
        pipeline.promote(uri)


@task(execution_timeout=SHORT, map_index_template=LABEL)
def approval_wanted(uri: str) -> Mapping[str, str]:
    """Say what must be approved: a run that is worse, and was asked to become the baseline all the same."""
    from include.perf.reporting.approval import needs_approval

    with told_to_airflow():
        record = _pipeline(uri).record(uri)
    if not (record.provenance.update_baseline and needs_approval(record)):
        raise AirflowSkipException("there is nothing to approve")
    return {
        "run": record.run_id,
        "reason": record.provenance.reason or "",
        "asked_by": record.provenance.triggered_by,
    }


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE)
def verdict(uris: list[str] | None) -> Mapping[str, str]:
    """Sum up: fails when any service regressed or could not be judged, so that no grid is green by mistake."""
    from bellwether.summing_up import fail_if_bad, keep_summary
    from include.perf.runs.phrases import headline

    if not uris:
        raise AirflowFailException(NOTHING_PLANNED)
    results = keep_summary(uris)
    fail_if_bad(results)
    return {record.service: headline(record) for record in results.records.values()}
