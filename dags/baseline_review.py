"""The quarterly review of baselines: what is stale or drifts is told, and what is proposed is asked for."""

from airflow.sdk import dag, task_group
from bellwether import baseline_tasks, rule_tasks
from bellwether.schedules import from_now_on


@task_group
def decide(subject: str, body: str, change: dict[str, str]) -> None:
    """Ask for one proposal, and apply it if it is approved."""
    approved = baseline_tasks.approval(subject=subject, body=body, within=baseline_tasks.REVIEW_WITHIN)
    baseline_tasks.apply(change, approved.output)


@dag(
    dag_display_name="Baseline review",
    description="Stale and drifting baselines, and tighter ones after lasting improvements.",
    schedule=from_now_on("0 9 1 1,4,7,10 *", timezone="Europe/London"),
    catchup=False,
    max_active_runs=1,
    tags=["bellwether", "baselines"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def baseline_review() -> None:
    """Review every baseline."""
    decide.expand_kwargs(baseline_tasks.review()) >> rule_tasks.write_rules()


baseline_review()
