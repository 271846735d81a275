"""Accepting a run that is worse, or not comparable, as the new level: question → approval → accept → write_rules."""

from airflow.sdk import Param, dag
from bellwether import baseline_tasks, rule_tasks


@dag(
    dag_display_name="Baseline approval",
    description="Somebody wants to accept a run as the new level, and somebody decides.",
    schedule=None,
    catchup=False,
    params={
        "run": Param(type="string", minLength=1, title="Run", description="Run id, as in the report and in Slack."),
        "reason": Param(
            type="string",
            minLength=1,
            maxLength=500,
            title="Reason",
            description="Why this is the right level from now on; kept with the baseline, with the approver's name.",
        ),
        "asked_by": Param(
            None,
            type=["null", "string"],
            title="Asked by",
            description="Filled in when a scenario's run asks; else it is you.",
        ),
    },
    tags=["bellwether", "baselines"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def baseline_approval() -> None:
    """Ask for the approval of one run, and apply it."""
    asked = baseline_tasks.question()
    approved = baseline_tasks.approval(
        subject="Accept run {{ params.run }} as the new level?",
        body=asked["body"],
        within=baseline_tasks.ANSWER_WITHIN,
    )
    baseline_tasks.accept(asked["over"], approved.output) >> rule_tasks.write_rules()


baseline_approval()
