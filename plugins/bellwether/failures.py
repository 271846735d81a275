"""Tells Airflow what an error of Bellwether's means for a task."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.perf.model.errors import BellwetherError, PrometheusUnavailable, RunSkipped


@contextmanager
def told_to_airflow() -> Iterator[None]:
    """Turn errors into Airflow's: skipped is skipped, and only what a retry can mend is retried."""
    try:
        yield
    except RunSkipped as err:
        raise AirflowSkipException(str(err)) from None
    except PrometheusUnavailable as err:
        raise AirflowException(str(err)) from None
    except BellwetherError as err:
        raise AirflowFailException(str(err)) from None
