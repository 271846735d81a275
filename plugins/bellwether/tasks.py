"""The tasks of a scenario's DAG. Each task executes one stage of `include.perf.pipeline` and returns the run's URI.

Imports of the pipeline stand inside the tasks, so that parsing a DAG file imports neither pandas nor Matplotlib.
"""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.configuration import conf
from airflow.sdk import ExceptionRetryPolicy, TriggerRule, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from bellwether.context import FAILS_AGAIN, SHORT, TRIES_AGAIN, airflow_errors, task_context
from include.perf.catalogue.operations import LOAD_POOL
from include.perf.catalogue.scenario.load_profile import MAX_DURATION_S
from include.perf.load.reservations import MAX_WAIT_S
from include.perf.model.cell import RunAddress

if TYPE_CHECKING:
    from include.perf.pipeline.night_stages import NightStages
    from include.perf.pipeline.run_stages import RunStages
    from include.perf.runs.record import RunRecord

log = logging.getLogger(__name__)

LOAD_QUEUE = os.environ.get("BELLWETHER_LOAD_QUEUE") or conf.get("operators", "default_queue")
"""The queue of the workers that run loads, for executors that have queues."""

LONGEST_LOAD = timedelta(seconds=MAX_WAIT_S + 1.5 * MAX_DURATION_S)
"""Includes the wait until the load can start."""

ONLY_AFTER_A_KILL = ExceptionRetryPolicy(rules=[FAILS_AGAIN])
"""A task that never ran or was killed raises nothing, and a terminating worker raises a BaseException, so no rule
applies, and Airflow retries. `include.perf.pipeline.load_tries` decides what becomes of the first try of a load, and
sends a load at most twice."""

RETRIES_AFTER_A_KILL = {"retries": 3, "retry_delay": timedelta(seconds=20), "retry_policy": ONLY_AFTER_A_KILL}
"""For every task of a scenario. A task counts as failed, too, if Airflow cannot hand it to a worker, for example while
Redis is away."""

LABEL = "{{ service_name }}"
NOTHING_PLANNED = "nothing was planned; see the task plan, or its events if it never ran"


@task(execution_timeout=SHORT)
def plan(scenario: str) -> list[str]:
    """Check the parameters and plan a run for each chosen service."""
    from bellwether.dag_catalogue import keep_current_catalogue
    from bellwether.run_requests import request_from
    from bellwether.wiring import airflow_outside
    from include.perf.pipeline.night_stages import NightStages

    with airflow_errors():
        outside = airflow_outside()  # so that a missing connection to Prometheus is reported first of all
        keep_current_catalogue()
        return NightStages(outside.stores).plan(request_from(task_context(), scenario=scenario))


@task(execution_timeout=SHORT, map_index_template=LABEL, **TRIES_AGAIN)
def stage_data(uri: str) -> str:
    """Check the market data and prepare the requests."""
    with airflow_errors():
        _run_stages(uri).stage_data(uri)
    return uri


@task(execution_timeout=SHORT, map_index_template=LABEL, **TRIES_AGAIN)
def preflight(uri: str) -> str:
    """Check that load may start."""
    with airflow_errors():
        _run_stages(uri).preflight(uri)
    return uri


@task(
    execution_timeout=LONGEST_LOAD,
    map_index_template=LABEL,
    pool=LOAD_POOL,
    queue=LOAD_QUEUE,
)
def run_load(uri: str) -> str:
    """Send the load; sent again once if the task was killed or its worker terminated."""
    from bellwether.halting import ended_with_its_worker, halted_or_ended
    from bellwether.run_requests import logged_progress

    is_over = halted_or_ended(task_context()["ti"])
    with ended_with_its_worker() as is_ending, airflow_errors():
        _run_stages(uri, halted=lambda: is_ending() or is_over()).run_load(uri, on_progress=logged_progress())
    return uri


@task(
    execution_timeout=SHORT,
    map_index_template=LABEL,
    retries=3,
    retry_delay=timedelta(seconds=20),
    retry_policy=None,
)
def scrape(uri: str) -> str:
    """Read the service's own figures from Prometheus; safe to retry, because Prometheus keeps them."""
    with airflow_errors():
        _run_stages(uri).scrape(uri)
    return uri


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE, **TRIES_AGAIN)
def plan_reruns(uris: list[str] | None) -> list[str]:
    """Plan two re-runs of each service that looks suspicious, within the scenario's limit and its deadline."""
    if not uris:
        raise AirflowSkipException(NOTHING_PLANNED)
    with airflow_errors():
        return _night_stages(uris).plan_reruns(uris)


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE, **TRIES_AGAIN)
def compare(uris: list[str] | None) -> list[str]:
    """Judge all services of the night together, including runs that failed early."""
    if not uris:
        raise AirflowSkipException(NOTHING_PLANNED)
    with airflow_errors():
        _night_stages(uris).compare(uris)
    return uris


@task(execution_timeout=SHORT, map_index_template=LABEL, **TRIES_AGAIN)
def report(uri: str) -> str:
    """Write the charts, the report and, last, the record."""
    with airflow_errors():
        _label(uri)
        _night_stages([uri]).report(uri)
    return uri


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE, **TRIES_AGAIN)
def alert(uris: list[str] | None) -> None:
    """Notify people of what is new, worse or over, and of runs without a verdict; otherwise send nothing."""
    from bellwether import alerting

    context = task_context()
    where = {"dag_id": context["dag"].dag_id, "dag_run_id": context["dag_run"].run_id}
    with airflow_errors():
        if uris:
            alerting.alert_night(uris, **where)
        else:
            alerting.alert_failed(NOTHING_PLANNED, **where)


@task(execution_timeout=SHORT, map_index_template=LABEL, **TRIES_AGAIN)
def promote(uri: str) -> None:
    """Make the run part of its baseline, if that was requested and needs no approval."""
    from bellwether.wiring import storage
    from include.perf.baselines import promotion
    from include.perf.model.text import utc_now
    from include.perf.reporting.approval import needs_approval

    with airflow_errors():
        record, stores = _record(uri), storage()
        if not record.provenance.update_baseline:
            raise AirflowSkipException("update_baseline was not requested")
        if needs_approval(record):
            raise AirflowSkipException(f"{record.verdict} needs an approval; see the task ask_for_approval")
        approval = promotion.requested_approval(record, at=utc_now())
        promotion.promote(record, approval=approval, force=False, store=stores.results(), baselines=stores.baselines())


@task(execution_timeout=SHORT, map_index_template=LABEL, **TRIES_AGAIN)
def approval_wanted(uri: str) -> Mapping[str, str]:
    """Return the request for an approval: a run that is worse but was requested to become the baseline."""
    from include.perf.reporting.approval import needs_approval

    with airflow_errors():
        record = _record(uri)
    if not (record.provenance.update_baseline and needs_approval(record)):
        raise AirflowSkipException("there is nothing to approve")
    return {
        "run": record.run_id,
        "reason": record.provenance.reason or "",
        "asked_by": record.provenance.triggered_by,
    }


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE, **TRIES_AGAIN)
def verdict(uris: list[str] | None) -> Mapping[str, str]:
    """Fail if a service regressed, is over a limit or has no verdict, so that a bad night is never green."""
    from bellwether.run_all_tasks import fail_if_bad, keep_summary
    from include.perf.runs.phrases import headline

    if not uris:
        raise AirflowFailException(NOTHING_PLANNED)
    results = keep_summary(uris)
    fail_if_bad(results)
    return {record.service: headline(record) for record in results.records.values()}


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.ALL_DONE, **TRIES_AGAIN)
def pause_schedule(uris: list[str] | None) -> None:
    """Succeed if the schedule must pause, because run after run measured nothing; `schedule_pause` then pauses it."""
    from bellwether import alerting
    from bellwether.run_requests import SCHEDULED
    from include.perf.model.errors import DeliveryError

    dag_run = task_context()["dag_run"]
    with airflow_errors():
        if not alerting.pause_is_due(
            uris or [],
            dag_run.dag_id,
            dag_id=dag_run.dag_id,
            dag_run_id=dag_run.run_id,
            is_scheduled=dag_run.run_type == SCHEDULED,
        ):
            raise AirflowSkipException("there is no reason to pause the schedule")
        try:
            alerting.deliver()
        except DeliveryError as err:
            log.warning("the schedule pauses, but the message about it is still pending: %s", err)


def _label(uri: str) -> None:
    """Label a mapped task with its service."""
    task_context()["service_name"] = RunAddress.from_uri(uri).service


def _run_stages(uri: str, *, halted: Callable[[], str | None] | None = None) -> "RunStages":
    from bellwether.wiring import airflow_outside
    from include.perf.pipeline.run_stages import RunStages

    _label(uri)
    return RunStages(airflow_outside(halted=halted, runs=[uri]) if halted else airflow_outside(runs=[uri]))


def _night_stages(uris: Sequence[str]) -> "NightStages":
    from bellwether.wiring import airflow_stores
    from include.perf.pipeline.night_stages import NightStages

    return NightStages(airflow_stores(runs=uris))


def _record(uri: str) -> "RunRecord":
    from bellwether.wiring import storage
    from include.perf.runs.stage_files import StageFiles

    _label(uri)
    return StageFiles(storage().results(), uri).read_record()
