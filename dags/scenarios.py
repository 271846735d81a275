"""One DAG for each scenario of the catalogue.

plan → (stage_data → preflight → run_load → scrape) for each service → plan_reruns → the same for each re-run →
compare → (report → promote, ask_for_approval) for each service → alert, write_rules, verdict, pause_schedule.
"""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, dag, task_group
from bellwether import tasks, upkeep_tasks
from bellwether.context import SHORT
from bellwether.dag_catalogue import dag_catalogue
from bellwether.docs import dag_docs
from bellwether.lateness import deadline_of
from bellwether.links import linked_to_summary
from bellwether.params import scenario_params
from bellwether.timetable import airflow_schedule
from bellwether.wrong_entries import wrong_scenarios

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.operations import slots_of
from include.perf.catalogue.scenario.scenario import Scenario


@task_group
def conclude(uri: str) -> None:
    """Report and promote the run of one service."""
    reported = tasks.report(uri)
    tasks.promote(reported)
    TriggerDagRunOperator(
        task_id="ask_for_approval",
        trigger_dag_id="baseline_approval",
        conf=tasks.approval_wanted(reported),
        execution_timeout=SHORT,
    )


def measuring(group_id: str, scenario: Scenario) -> Any:
    """Return the task group that loads one service and reads its figures."""
    run_load = tasks.run_load.override(
        pool_slots=slots_of(scenario.load.peak_rate_rps), max_active_tis_per_dagrun=scenario.parallel
    )

    @task_group(group_id=group_id)
    def measure(uri: str) -> None:
        """Load one service as soon as the generators have capacity, and read its figures."""
        tasks.scrape(run_load(tasks.preflight(tasks.stage_data(uri))))

    return measure


def scenario_dag(scenario: Scenario, catalogue: Catalogue) -> DAG:
    """Return the DAG of a scenario."""

    @dag(
        dag_id=scenario.name,
        dag_display_name=scenario.title,
        description=scenario.description,
        doc_md=dag_docs(scenario, catalogue),
        schedule=airflow_schedule(scenario.schedule, catalogue.market_hours),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=24),
        deadline=deadline_of(scenario, catalogue),
        params=scenario_params(scenario, catalogue),
        tags=["bellwether", "performance", scenario.name],
        default_args={"owner": "platform-ops", **tasks.RETRIES_AFTER_A_KILL},
    )
    def scenario_run() -> None:
        uris = tasks.plan(scenario.name)
        reruns = tasks.plan_reruns(uris)
        judged = tasks.compare(uris)
        measuring("run_service", scenario).expand(uri=uris) >> reruns
        measuring("rerun_service", scenario).expand(uri=reruns) >> judged
        concluded = conclude.expand(uri=judged)
        last = [tasks.alert(uris), upkeep_tasks.write_rules(), linked_to_summary(tasks.verdict(uris))]
        concluded >> [*last, tasks.pause_schedule(uris)]

    return scenario_run()


catalogue = dag_catalogue()
for scenario in (*catalogue.scenarios.values(), *wrong_scenarios(catalogue)):
    globals()[scenario.name] = scenario_dag(scenario, catalogue)
