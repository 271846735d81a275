"""Tells Slack when a DAG is late. Airflow runs this by itself when a deadline has passed."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback  # type: ignore[attr-defined]  # not in its stub

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.pipeline.planning.time_plan import time_plan

log = logging.getLogger(__name__)

SLACK_OF_TIME = timedelta(minutes=20)
"""Staging, judging and reporting, and a busy machine."""


def deadline_of(scenario: Scenario, catalogue: Catalogue) -> DeadlineAlert:
    """Return when a run of a scenario's DAG is late: it takes longer than all runs and re-runs may take."""
    plan = time_plan(scenario, catalogue)
    return DeadlineAlert(
        name="late",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=plan.needed + plan.reruns_needed + SLACK_OF_TIME,
        callback=SyncCallback(tell_late, kwargs={"scenario": scenario.name}),
    )


def tell_late(context: Mapping[str, Any], scenario: str) -> None:
    """Send one message to the channel of the pipeline itself."""
    from bellwether import alerting

    run = context["dag_run"]
    if (run.get("conf") or {}).get("duration"):
        log.info("run %s was asked for with another duration, so nobody knows whether it is late", run["dag_run_id"])
        return
    late_since = moment_of(context["deadline"]["deadline_time"])
    alerting.tell_late(late_since, dag_id=run["dag_id"], dag_run_id=run["dag_run_id"])
    log.warning("run %s of %s is late; Slack was told", run["dag_run_id"], scenario)


def moment_of(given: datetime | str) -> datetime:
    """Return a moment, which comes as text where it went through the database."""
    return given if isinstance(given, datetime) else datetime.fromisoformat(given)
