"""Promotion of a run that is worse or not comparable: question → approval → accept → write_rules."""

from airflow.sdk import Param, dag
from bellwether import baseline_tasks, upkeep_tasks


@dag(
    dag_display_name="Baseline approval",
    description="A person decides whether a run becomes the new baseline.",
    schedule=None,
    catchup=False,
    params={
        "run": Param(
            type="string", minLength=1, title="Run", description="Run id, as shown in the report and in Slack."
        ),
        "reason": Param(
            type="string",
            minLength=1,
            maxLength=500,
            title="Reason",
            description="Why this is the right baseline from now on; stored with it and the approver's name.",
        ),
        "asked_by": Param(
            None,
            type=["null", "string"],
            title="Requested by",
            description="Set by a scenario's run that asks for the approval; otherwise it is you.",
        ),
    },
    tags=["bellwether", "baselines"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def baseline_approval() -> None:
    """Ask for the approval of one run, and promote the run if it is approved."""
    asked = baseline_tasks.question()
    approved = baseline_tasks.approval(
        subject="Make run {{ params.run }} the new baseline?",
        body=asked["body"],
        within=baseline_tasks.ANSWER_WITHIN,
    )
    baseline_tasks.accept(asked["over"], approved.output) >> upkeep_tasks.write_rules()


baseline_approval()
