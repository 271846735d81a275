"""What an error of Bellwether's means for a task of Airflow's."""

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from bellwether.context import airflow_errors

from include.perf.model.errors import (
    BaselineError,
    BellwetherError,
    ConfigurationError,
    DeliveryError,
    LoadError,
    NoData,
    PrometheusUnavailable,
    QueryRejected,
    RunSkipped,
    StoreError,
    TargetError,
)


@pytest.mark.parametrize(
    ("error", "told_as"),
    [
        (RunSkipped("load is halted"), AirflowSkipException),
        (PrometheusUnavailable("no answer within 5 s"), AirflowException),  # retried where the task has retries
        (ConfigurationError("duration_s must be at least 10"), AirflowFailException),
        (BaselineError("the run is INVALID"), AirflowFailException),
        (TargetError("health check says 503"), AirflowFailException),
        (LoadError("the load generator left no record"), AirflowFailException),
        (QueryRejected("parse error"), AirflowFailException),
        (NoData("empty"), AirflowFailException),
        (StoreError("disk full"), AirflowFailException),
        (DeliveryError("Slack did not take it"), AirflowFailException),
    ],
)
def test_each_error_has_its_meaning(error: BellwetherError, told_as: type[AirflowException]) -> None:
    """Skipped is skipped, and only what a retry can mend is retried; the words stay the same."""
    with pytest.raises(AirflowException) as caught, airflow_errors():
        raise error
    assert type(caught.value) is told_as
    assert str(caught.value) == str(error)
    assert caught.value.__suppress_context__


def test_every_problem_is_in_the_message() -> None:
    """Two mistakes are told at once, so that nobody triggers a third time."""
    with pytest.raises(AirflowFailException) as caught, airflow_errors():
        raise ConfigurationError(["rate_rps should be greater than 0", "update_baseline needs a reason"])
    assert str(caught.value) == (
        "2 problems:\n  - rate_rps should be greater than 0\n  - update_baseline needs a reason"
    )


def test_a_mistake_in_the_code_stays_what_it_is() -> None:
    """Only errors raised on purpose are translated; anything else keeps its traceback."""
    with pytest.raises(ZeroDivisionError), airflow_errors():
        1 / 0  # noqa: B018


def test_success_passes_through() -> None:
    """Nothing happens where nothing went wrong."""
    with airflow_errors():
        result = 6 * 7
    assert result == 42
