"""One DAG a scenario of the catalogue: plan → (stage_data → preflight → run_load → scrape → compare → report →
alert, promote) for each service → verdict.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable, dag, task_group
from bellwether import tasks
from bellwether.docs import dag_docs
from bellwether.params import scenario_params

from include.perf.catalogue import Catalogue, load_catalogue
from include.perf.scenario import Scenario


@task_group
def run_service(uri: str) -> None:
    """Do everything for one service."""
    staged = tasks.stage_data(uri)
    loaded = tasks.run_load(tasks.preflight(staged))
    judged = tasks.compare(uri)
    tasks.scrape(loaded) >> judged
    reported = tasks.report(judged)
    tasks.alert(reported)
    tasks.promote(reported)


def scenario_dag(scenario: Scenario, catalogue: Catalogue) -> DAG:
    """Wire the DAG of a scenario."""
    schedule = scenario.schedule

    @dag(
        dag_id=scenario.name,
        dag_display_name=scenario.title,
        description=scenario.description,
        doc_md=dag_docs(scenario, catalogue),
        schedule=CronTriggerTimetable(schedule.cron, timezone=schedule.timezone) if schedule else None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=24),
        params=scenario_params(scenario, catalogue),
        tags=["bellwether", "performance", scenario.name],
        default_args={"owner": "platform-ops", "retries": 0},
    )
    def scenario_run() -> None:
        uris = tasks.plan(scenario.name)
        run_service.expand(uri=uris) >> tasks.verdict(uris)

    return scenario_run()


catalogue = load_catalogue()
for scenario in catalogue.scenarios.values():
    globals()[scenario.name] = scenario_dag(scenario, catalogue)
