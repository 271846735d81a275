"""All scenarios for the chosen services, one after another, and a summary of all verdicts at the end."""

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import dag, task_group
from bellwether import run_all_tasks
from bellwether.dag_catalogue import dag_catalogue
from bellwether.links import linked_to_summary
from bellwether.params import run_all_params
from bellwether.wrong_entries import wrong_scenarios

from include.perf.pipeline.planning.time_plan import run_order

catalogue = dag_catalogue()


@dag(
    dag_display_name="Run all scenarios",
    description="Runs all scenarios for the chosen services, and summarizes the verdicts.",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=48),
    params=run_all_params(catalogue),
    tags=["bellwether", "performance"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def run_all() -> None:
    """Run the scenarios in the order of `run_order`, and summarize them even if some failed."""
    summary = linked_to_summary(run_all_tasks.summary())
    scenarios = [*run_order(catalogue), *wrong_scenarios(catalogue)]
    before = run_all_tasks.begin([scenario.name for scenario in scenarios])
    for scenario in scenarios:

        @task_group(group_id=scenario.name, tooltip=scenario.description)
        def one(name: str) -> None:
            TriggerDagRunOperator(
                task_id="run",
                trigger_dag_id=name,
                trigger_run_id=run_all_tasks.CHILD_RUN_ID,
                conf=run_all_tasks.chosen(name),
                reset_dag_run=True,
                wait_for_completion=True,
                deferrable=True,
                poke_interval=run_all_tasks.LOOK_EVERY_S,
            )

        group = one(scenario.name)
        before >> group >> summary
        before = group


run_all()
