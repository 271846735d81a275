"""Every hour: tells of scenarios that should have run and have not, and delivers what did not arrive before.

It also lets the alert rules follow baselines that were changed on the page or the command line.
"""

from airflow.sdk import dag
from bellwether import rule_tasks, watch_tasks
from bellwether.schedules import from_now_on


@dag(
    dag_display_name="Alert watch",
    description="Scenarios that should have run, and messages that did not arrive.",
    schedule=from_now_on("7 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["bellwether", "checks"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def alert_watch() -> None:
    """Look once."""
    watch_tasks.look()
    rule_tasks.write_rules()


alert_watch()
