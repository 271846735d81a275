"""One DAG a scenario of the catalogue: plan → (stage_data → preflight → run_load → scrape) for each service →
plan_reruns → the same for each that looks suspicious → compare → (report → alert, promote) for each → verdict.
"""

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, dag, task_group
from bellwether import tasks
from bellwether.docs import dag_docs
from bellwether.params import scenario_params
from bellwether.schedules import from_now_on

from include.perf.catalogue import Catalogue, load_catalogue
from include.perf.scenario import Scenario


def measure(uri: str) -> None:
    """Load one service and read its figures."""
    tasks.scrape(tasks.run_load(tasks.preflight(tasks.stage_data(uri))))


run_service = task_group(group_id="run_service")(measure)
rerun_service = task_group(group_id="rerun_service")(measure)


@task_group
def conclude(uri: str) -> None:
    """Write down, tell and promote what was found of one service."""
    reported = tasks.report(uri)
    tasks.alert(reported)
    tasks.promote(reported)
    TriggerDagRunOperator(
        task_id="ask_for_approval",
        trigger_dag_id="baseline_approval",
        conf=tasks.approval_wanted(reported),
        execution_timeout=tasks.SHORT,
    )


def scenario_dag(scenario: Scenario, catalogue: Catalogue) -> DAG:
    """Wire the DAG of a scenario."""
    schedule = scenario.schedule

    @dag(
        dag_id=scenario.name,
        dag_display_name=scenario.title,
        description=scenario.description,
        doc_md=dag_docs(scenario, catalogue),
        schedule=from_now_on(schedule.cron, timezone=schedule.timezone) if schedule else None,
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=24),
        params=scenario_params(scenario, catalogue),
        tags=["bellwether", "performance", scenario.name],
        default_args={"owner": "platform-ops", "retries": 0},
    )
    def scenario_run() -> None:
        uris = tasks.plan(scenario.name)
        reruns = tasks.plan_reruns(uris)
        judged = tasks.compare(uris)
        run_service.expand(uri=uris) >> reruns
        rerun_service.expand(uri=reruns) >> judged
        conclude.expand(uri=judged) >> tasks.verdict(uris)

    return scenario_run()


catalogue = load_catalogue()
for scenario in catalogue.scenarios.values():
    globals()[scenario.name] = scenario_dag(scenario, catalogue)
