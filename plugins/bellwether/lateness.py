"""Tells Slack when a DAG is late. Airflow runs this by itself when a deadline has passed."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback  # type: ignore[attr-defined]  # not in its stub

from include.perf.catalogue import Catalogue
from include.perf.scenario import Scenario
from include.perf.time_plan import time_plan

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
    from bellwether.notifier import send
    from bellwether.wiring import run_links
    from include.perf.adapters.slack_ops import late_message
    from include.perf.catalogue import load_catalogue

    run = context["dag_run"]
    if (run.get("conf") or {}).get("duration"):
        log.info("run %s was asked for with another duration, so nobody knows whether it is late", run["dag_run_id"])
        return
    message = late_message(
        scenario=scenario,
        run=run["dag_run_id"],
        late_since=moment_of(context["deadline"]["deadline_time"]),
        links=run_links(run["dag_id"], run["dag_run_id"]),
    )
    send(message, channel=load_catalogue().operations.ops_channel, charts=[])
    log.warning("run %s of %s is late; Slack was told", run["dag_run_id"], scenario)


def moment_of(given: datetime | str) -> datetime:
    """Return a moment, which comes as text where it went through the database."""
    return given if isinstance(given, datetime) else datetime.fromisoformat(given)
