"""From the parameters of a DAG run to a request, and the progress in the task log."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import DagRunType
from bellwether.params import dry_run_params, scenario_params
from bellwether.run_requests import logged_progress, preview_requests, request_from

from include.perf.catalogue.reading import load_catalogue
from include.perf.load.generator import Progress
from include.perf.model.errors import ConfigurationError
from include.perf.pipeline.planning.request import RunRequest
from tests.catalogues import catalogue_folder
from tests.fakes.generator import recent

RUN_ID = "manual__2026-03-02T06:30:00+00:00"
PARAMS = {
    "service": "trading-gateway",
    "duration": 60,
    "rate": 30.5,
    "update_baseline": False,
    "reason": None,
    "asked_by": None,
}
DUE_AT = datetime(2026, 3, 2, 3, 50, tzinfo=UTC)


def context(
    params: dict[str, Any] | None = None, *, person: str | None = "alice", run_type: DagRunType = DagRunType.MANUAL
) -> dict[str, Any]:
    """Return the context of a task."""
    catalogue = load_catalogue()
    return {
        "params": PARAMS | (params or {}),
        "dag_run": SimpleNamespace(run_id=RUN_ID, run_type=run_type, triggering_user_name=person, logical_date=DUE_AT),
        "dag": SimpleNamespace(
            dag_id="market_open", params=scenario_params(catalogue.scenario("market_open"), catalogue)
        ),
    }


def test_a_request_has_all_parameters() -> None:
    """Every parameter and the DAG run are carried over; a person's run has no due time."""
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


def test_a_scheduled_run_is_due_when_its_schedule_says() -> None:
    """A late start does not move its deadline."""
    request = request_from(context(person=None, run_type=DagRunType.SCHEDULED), scenario="market_open")
    assert (request.due_at, request.triggered_by) == (DUE_AT, "airflow (scheduled)")


@pytest.mark.parametrize("run_type", [kind for kind in DagRunType if kind is not DagRunType.SCHEDULED])
def test_other_runs_have_no_due_time(run_type: DagRunType) -> None:
    """By hand, over REST, or by another DAG: the logical date, if any, is the time of the trigger."""
    assert request_from(context(run_type=run_type), scenario="market_open").due_at is None


@pytest.mark.parametrize(
    ("person", "asked_by", "triggered_by"),
    [
        ("alice", None, "alice"),
        ("alice", "mallory", "alice"),  # whom Airflow knows counts before whom anybody names
        (None, "bob", "bob"),
        (None, None, "airflow (manual)"),
        (None, "", "airflow (manual)"),
    ],
)
def test_a_record_has_who_or_what_triggered_it(person: str | None, asked_by: str | None, triggered_by: str) -> None:
    """The person, else the person that another DAG names, else the kind of run."""
    given = context({"asked_by": asked_by}, person=person)
    assert request_from(given, scenario="market_open").triggered_by == triggered_by


def test_a_misspelt_parameter_is_refused() -> None:
    """Airflow accepts any name; ``durations: 10`` would send the full load."""
    with pytest.raises(ConfigurationError) as caught:
        request_from(context({"durations": 10, "Rate": 1}), scenario="market_open")
    known = "service, duration, rate, update_baseline, reason, asked_by"
    assert caught.value.problems == (
        f"parameter 'durations' is unknown; known: {known}",
        f"parameter 'Rate' is unknown; known: {known}",
    )


# A dry run


def previewed(folder: Path, **params: Any) -> list[RunRequest]:
    """Return the requests of a dry run on the small catalogue, where storm loads only the engine."""
    catalogue = load_catalogue(catalogue_folder(folder))
    given = {"scenario": "all", "service": "all", "duration": None, "rate": None} | params
    dag = SimpleNamespace(dag_id="dry_run", params=dry_run_params(catalogue))
    return preview_requests({"params": given, "dag": dag}, catalogue=catalogue)


def test_a_dry_run_is_of_one_scenario_or_of_all(tmp_path: Path) -> None:
    """In run order: storm is shorter by 25 s of warm-up."""
    assert previewed(tmp_path) == [RunRequest(scenario="storm"), RunRequest(scenario="calm")]
    assert previewed(tmp_path, scenario="calm", service="orders", duration=60, rate=30.5) == [
        RunRequest(scenario="calm", service="orders", duration_s=60, rate_rps=30.5)
    ]


def test_a_dry_run_of_all_scenarios_leaves_out_those_that_do_not_load_the_service(tmp_path: Path) -> None:
    """Like run_all; a named scenario that does not load it is refused by the plan."""
    assert previewed(tmp_path, service="orders") == [RunRequest(scenario="calm", service="orders")]
    assert [request.scenario for request in previewed(tmp_path, service="engine")] == ["storm", "calm"]
    assert previewed(tmp_path, scenario="storm", service="orders") == [RunRequest(scenario="storm", service="orders")]


def test_a_misspelt_parameter_of_a_dry_run_is_refused(tmp_path: Path) -> None:
    """As in every DAG."""
    with pytest.raises(ConfigurationError, match=r"^parameter 'rates' is unknown; known: scenario, service, "):
        previewed(tmp_path, rates=5)


# Progress


def test_progress_is_one_line_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """25 reports, one per second, make three lines: at 0, 10 and 20 s."""
    listener = logged_progress()
    with caplog.at_level(logging.INFO, logger="bellwether.run_requests"):
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
                    interval=recent(),
                )
            )
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[0] for line in lines] == ["0", "10", "20"]
    assert all("30.0/s" in line and "p95 5.00 ms" in line for line in lines)
