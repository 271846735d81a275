"""Alert when a DAG run is late. Airflow calls this when a deadline has passed."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback  # type: ignore[attr-defined]  # not in its stub

from include.perf.alerts.dag_run_alerts import ALLOWANCE
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.pipeline.planning.time_plan import time_plan

log = logging.getLogger(__name__)


def deadline_of(scenario: Scenario, catalogue: Catalogue) -> DeadlineAlert:
    """Return the deadline of a scenario's DAG runs: the time that all runs and re-runs may take, with an allowance."""
    plan = time_plan(scenario, catalogue)
    return DeadlineAlert(
        name="expected end",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=plan.needed + plan.reruns_needed + ALLOWANCE,
        callback=SyncCallback(alert_late, kwargs={"scenario": scenario.name}),
    )


def alert_late(context: Mapping[str, Any], scenario: str) -> None:
    """Send one message to the pipeline's own channel, unless the DAG run has ended.

    Airflow keeps the deadline of a DAG run that failed, and calls this when it has passed.
    """
    from bellwether import alerting

    run = context["dag_run"]
    if run["state"] in alerting.ENDED:
        log.info("run %s ended (%s) and is not late", run["dag_run_id"], run["state"])
        return
    if (run.get("conf") or {}).get("duration"):
        log.info("run %s has a requested duration, so the scenario's deadline does not apply", run["dag_run_id"])
        return
    late_since = moment_of(context["deadline"]["deadline_time"])
    alerting.alert_late(late_since, dag_id=run["dag_id"], dag_run_id=run["dag_run_id"])
    log.warning("run %s of %s missed its deadline", run["dag_run_id"], scenario)


# Airflow stores the path of a callback with each DAG run: runs created by earlier versions call this name.
tell_late = alert_late


def moment_of(given: datetime | str) -> datetime:
    """Return a moment, which is text where it went through Airflow's database."""
    return given if isinstance(given, datetime) else datetime.fromisoformat(given)
