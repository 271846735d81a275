"""The hourly task: all checks are made, whatever one of them finds."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRuntimeError
from airflow.sdk.execution_time.comms import ErrorResponse
from bellwether import alerting, upkeep_tasks

from include.perf.model.errors import DeliveryError, StoreError
from tests.fakes.failing import raising

CHECKS = ("_write_catalogue", "_write_ended", "_write_overdue", "deliver")


@pytest.mark.parametrize("failing", CHECKS)
@pytest.mark.parametrize(
    ("error", "raised"),
    [(DeliveryError("Slack is down"), AirflowFailException), (StoreError("stale file handle"), AirflowException)],
)
def test_a_check_that_fails_does_not_keep_the_others_from_being_made(
    monkeypatch: pytest.MonkeyPatch, failing: str, error: Exception, raised: type[Exception]
) -> None:
    """The task fails afterwards."""
    made: list[str] = []
    for name in CHECKS:
        monkeypatch.setattr(alerting, name, lambda *_, name=name: made.append(name))
    monkeypatch.setattr(alerting, failing, raising(error))
    with pytest.raises(raised, match=str(error)):
        upkeep_tasks.look.function()
    assert made == [name for name in CHECKS if name != failing]


def test_the_state_of_a_dag_run_that_airflow_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was deleted, or Airflow does not answer: unknown, not ended."""
    found: dict[str, Any] = {"ti": SimpleNamespace(get_dagrun_state=lambda dag_id, run_id: f"{dag_id} {run_id}")}
    monkeypatch.setattr(upkeep_tasks, "task_context", lambda: found)
    assert upkeep_tasks._state_of("market_open", "r1") == "market_open r1"
    found["ti"] = SimpleNamespace(get_dagrun_state=raising(AirflowRuntimeError(ErrorResponse())))
    assert upkeep_tasks._state_of("market_open", "r1") is None
