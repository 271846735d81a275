"""The task that looks whether the pipeline itself still runs."""

from datetime import timedelta

from airflow.sdk import task

from bellwether.failures import told_to_airflow


@task(execution_timeout=timedelta(minutes=15))
def look() -> None:
    """Tell which scenarios should have run, and deliver what waits."""
    from bellwether import alerting

    with told_to_airflow():
        alerting.alert_overdue()
