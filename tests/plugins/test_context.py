"""Bellwether's errors, turned into Airflow's."""

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from bellwether.context import StoreUnavailableError, airflow_errors

from include.perf.model.errors import (
    BaselineError,
    BellwetherError,
    ConfigurationError,
    DeliveryError,
    ItemError,
    LoadError,
    NoData,
    NotFinished,
    PrometheusUnavailable,
    QueryRejected,
    RunSkipped,
    StoreError,
    TargetError,
)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RunSkipped("load is halted"), AirflowSkipException),
        (PrometheusUnavailable("no answer within 5 s"), AirflowException),  # retried where the task has retries
        (ConfigurationError("duration_s must be at least 10"), AirflowFailException),
        (BaselineError("the run is INVALID"), AirflowFailException),
        (TargetError("health check says 503"), AirflowFailException),
        (LoadError("the load generator left no record"), AirflowFailException),
        (QueryRejected("parse error"), AirflowFailException),
        (NoData("empty"), AirflowFailException),
        (StoreError("stale file handle"), StoreUnavailableError),
        (ItemError("the record is damaged"), AirflowFailException),
        (NotFinished("the run has no record yet"), AirflowFailException),
        (DeliveryError("Slack did not take it"), AirflowFailException),
    ],
)
def test_each_error_becomes_the_right_airflow_error(error: BellwetherError, raised: type[AirflowException]) -> None:
    """Skipped stays skipped, and only errors that a retry can fix are retried; the message stays the same."""
    with pytest.raises(AirflowException) as caught, airflow_errors():
        raise error
    assert type(caught.value) is raised
    assert str(caught.value) == str(error)
    assert caught.value.__suppress_context__


def test_every_problem_is_in_the_message() -> None:
    """All mistakes are reported at once."""
    with pytest.raises(AirflowFailException) as caught, airflow_errors():
        raise ConfigurationError(["rate_rps should be greater than 0", "update_baseline needs a reason"])
    assert str(caught.value) == (
        "2 problems:\n  - rate_rps should be greater than 0\n  - update_baseline needs a reason"
    )


def test_a_bug_is_not_translated() -> None:
    """Only Bellwether's own errors are; others keep their traceback."""
    with pytest.raises(ZeroDivisionError), airflow_errors():
        1 / 0  # noqa: B018


def test_success_passes_through() -> None:
    """Nothing is raised."""
    with airflow_errors():
        result = 6 * 7
    assert result == 42
