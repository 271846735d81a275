"""What a DAG run asks for, and how its load tells of its progress."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from bellwether.requests import logged_progress, request_from

from include.perf.errors import ConfigurationError
from include.perf.ports import Progress
from include.perf.request import RunRequest

RUN_ID = "manual__2026-03-02T06:30:00+00:00"
PARAMS = {"service": "trading-gateway", "duration": 60, "rate": 30.5, "update_baseline": False, "reason": None}


def context(params: dict[str, Any] | None = None, *, person: str | None = "alice") -> dict[str, Any]:
    """Return what a task is given of its DAG run."""
    dag_run = SimpleNamespace(run_id=RUN_ID, run_type=DagRunType.SCHEDULED, triggering_user_name=person)
    return {"params": PARAMS | (params or {}), "dag_run": dag_run, "dag": SimpleNamespace(dag_id="market_open")}


def test_a_request_is_what_the_parameters_say() -> None:
    """Every parameter and the DAG run are carried over."""
    changes = {"update_baseline": True, "reason": "release 2.4"}
    assert request_from(context(changes), scenario="market_open") == RunRequest(
        scenario="market_open",
        service="trading-gateway",
        duration_s=60,
        rate_rps=30.5,
        update_baseline=True,
        reason="release 2.4",
        triggered_by="alice",
        dag_id="market_open",
        dag_run_id=RUN_ID,
    )


def test_a_schedule_is_named_where_no_person_asked() -> None:
    """A record always says who or what began it."""
    assert request_from(context(person=None), scenario="market_open").triggered_by == "airflow (scheduled)"


def test_a_misspelt_parameter_is_refused() -> None:
    """Airflow takes any; ``durations: 10`` would otherwise send the scenario's whole load."""
    with pytest.raises(ConfigurationError) as caught:
        request_from(context({"durations": 10, "Rate": 1}), scenario="market_open")
    known = "service, duration, rate, update_baseline, reason"
    assert caught.value.problems == (
        f"parameter 'durations' is unknown; there are {known}",
        f"parameter 'Rate' is unknown; there are {known}",
    )


def test_progress_is_one_line_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """25 looks, one a second, are three lines: at 0, 10 and 20 s."""
    listener = logged_progress()
    with caplog.at_level(logging.INFO, logger="bellwether.requests"):
        for second in range(25):
            listener(
                Progress(
                    elapsed_s=float(second),
                    total_s=25.0,
                    rate_rps=30.0,
                    due=30 * second,
                    finished=30 * second,
                    failed=0,
                    in_flight=0,
                    latency_p50_s=0.003,
                    latency_p95_s=0.005,
                    latency_p99_s=0.009,
                    lag_p99_s=0.001,
                )
            )
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[0] for line in lines] == ["0", "10", "20"]
    assert all("30.0/s" in line and "p95 5.00 ms" in line for line in lines)
