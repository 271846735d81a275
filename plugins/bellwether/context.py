"""What a task runs within: its context in Airflow, and its time."""

from datetime import timedelta
from typing import Any

from airflow.sdk import get_current_context

SHORT = timedelta(minutes=15)
"""More than enough for everything but a load."""


def task_context() -> Any:
    """Return the context of the running task; its shape is Airflow's."""
    return get_current_context()
