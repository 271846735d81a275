"""Every hour: alert to scenarios that should have run but have not, and deliver pending messages.

It also updates the alert rules after baselines were changed on the page or on the command line.
"""

from airflow.sdk import dag
from bellwether import upkeep_tasks
from bellwether.timetable import from_now_on


@dag(
    dag_display_name="Alert watch",
    description="Alerts to overdue scenarios, and delivers pending messages.",
    schedule=from_now_on("7 * * * *", timezone="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["bellwether", "checks"],
    default_args={"owner": "platform-ops", "retries": 0},
)
def alert_watch() -> None:
    """Check once."""
    upkeep_tasks.look()
    upkeep_tasks.write_rules()


alert_watch()
