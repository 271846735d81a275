"""The quarterly review of baselines: log stale and drifting ones, and ask for approval of proposed changes."""

from airflow.sdk import dag, task_group
from bellwether import baseline_tasks, upkeep_tasks
from bellwether.timetable import from_now_on


@task_group
def decide(subject: str, body: str, change: dict[str, str]) -> None:
    """Ask for the approval of one proposed change, and apply the change if it is approved."""
    approved = baseline_tasks.approval(subject=subject, body=body, within=baseline_tasks.REVIEW_WITHIN)
    baseline_tasks.apply(change, approved.output)


@dag(
    dag_display_name="Baseline review",
    description="Finds stale and drifting baselines, and proposes tighter ones after lasting improvements.",
    schedule=from_now_on("0 9 1 1,4,7,10 *", timezone="Europe/London"),
    catchup=False,
    max_active_runs=1,
    tags=["bellwether", "baselines"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def baseline_review() -> None:
    """Review every baseline."""
    decide.expand_kwargs(baseline_tasks.review()) >> upkeep_tasks.write_rules()


baseline_review()
