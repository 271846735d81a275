"""What every task needs: its Airflow context, its time limit, and Bellwether's errors turned into Airflow's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.perf.model.errors import BellwetherError, PrometheusUnavailable, RunSkipped

SHORT = timedelta(minutes=15)
"""The execution time-out of every task that sends no load."""


def task_context() -> Any:
    """Return the context of the running task, as Airflow defines it."""
    return get_current_context()


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Turn Bellwether's errors into Airflow's, so that Airflow retries only what a retry can fix.

    Raises:
        AirflowSkipException: the run was skipped.
        AirflowException: Prometheus does not answer; the task is retried if it has retries.
        AirflowFailException: any other error; the task fails without a retry.
    """
    try:
        yield
    except RunSkipped as err:
        raise AirflowSkipException(str(err)) from None
    except PrometheusUnavailable as err:
        raise AirflowException(str(err)) from None
    except BellwetherError as err:
        raise AirflowFailException(str(err)) from None
