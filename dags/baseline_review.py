"""The quarterly review of baselines: what is stale or drifts is told, and what is proposed is asked for."""

from datetime import UTC, datetime

from airflow.sdk import CronTriggerTimetable, dag, task_group
from bellwether import baseline_tasks


@task_group
def decide(subject: str, body: str, change: dict[str, str]) -> None:
    """Ask for one proposal, and apply it if it is approved."""
    approved = baseline_tasks.approval(subject=subject, body=body, within=baseline_tasks.REVIEW_WITHIN)
    baseline_tasks.apply(change, approved.output)


@dag(
    dag_display_name="Baseline review",
    description="Stale and drifting baselines, and tighter ones after lasting improvements.",
    schedule=CronTriggerTimetable("0 9 1 1,4,7,10 *", timezone="Europe/London"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["bellwether", "baselines"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def baseline_review() -> None:
    """Review every baseline."""
    decide.expand_kwargs(baseline_tasks.review())


baseline_review()
