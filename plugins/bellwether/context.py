"""What every task needs: its Airflow context, its time limit, and Bellwether's errors turned into Airflow's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from include.perf.model.errors import BellwetherError, ItemError, PrometheusUnavailable, RunSkipped, StoreError

SHORT = timedelta(minutes=15)
"""The execution time-out of every task that sends no load."""

FAILS_AGAIN = RetryRule(
    exception=[Exception, AirflowTaskTimeout], action=RetryAction.FAIL, reason="what failed would fail again"
)


class StoreUnavailableError(AirflowException):
    """A store cannot be used now, so nothing is known of what it holds; another try may help."""


TRIES_AGAIN: Any = {
    "retries": 3,
    "retry_delay": timedelta(seconds=20),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception=StoreUnavailableError,
                action=RetryAction.RETRY,
                retry_delay=timedelta(minutes=1),
                reason="the store may be back",
            ),
            FAILS_AGAIN,
        ]
    ),
}
"""For tasks that can be repeated as a whole: tried again after a kill, and while a store cannot be used."""


def task_context() -> Any:
    """Return the context of the running task, as Airflow defines it."""
    return get_current_context()


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Turn Bellwether's errors into Airflow's, so that Airflow retries only what a retry can fix.

    Raises:
        AirflowSkipException: the run was skipped.
        StoreUnavailableError: a store cannot be used now; see `TRIES_AGAIN`.
        AirflowException: Prometheus does not answer; the task is retried if it has retries.
        AirflowFailException: any other error; the task fails without a retry.
    """
    try:
        yield
    except RunSkipped as err:
        raise AirflowSkipException(str(err)) from None
    except ItemError as err:
        raise AirflowFailException(str(err)) from None
    except StoreError as err:
        raise StoreUnavailableError(str(err)) from None
    except PrometheusUnavailable as err:
        raise AirflowException(str(err)) from None
    except BellwetherError as err:
        raise AirflowFailException(str(err)) from None
