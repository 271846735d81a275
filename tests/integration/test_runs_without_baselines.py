"""Runs that need no baseline: refused, halted, with a dead service, or of a new scenario."""

import pytest
import requests

from tests.integration.conftest import (
    DEAD_SCENARIO,
    DEAD_SERVICE,
    LOAD,
    NEW_SERVICE,
    SHORT_NAME,
    Platform,
    Run,
    noise_of,
)
from tests.integration.finished_runs import STAGES, assert_one_after_another, done, states_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"service": "order-engine"}, "Invalid input for param service: 'order-engine' is not one of ['all', "),
        ({"duration": 5}, "Invalid input for param duration: 5 is less than the minimum of 10"),
        ({"rate": 601}, "Invalid input for param rate: 601 is greater than the maximum of 600"),
        ({"update_baseline": "yes"}, "Invalid input for param update_baseline: 'yes' is not of type 'boolean'"),
    ],
)
def test_a_wrong_parameter_is_refused_at_the_trigger(platform: Platform, conf: dict[str, object], message: str) -> None:
    """REST responds with 400, the value and the violated rule, and there is no run."""
    runs_before = platform.api.call("GET", "/dags/high_volatility/dagRuns")["total_entries"]
    with pytest.raises(requests.HTTPError) as caught:
        platform.api.trigger("high_volatility", conf)
    assert caught.value.response is not None
    assert caught.value.response.status_code == 400
    assert caught.value.response.json()["detail"].startswith(message)
    assert platform.api.call("GET", "/dags/high_volatility/dagRuns")["total_entries"] == runs_before


def test_the_plan_checks_what_airflow_cannot(platform: Platform, refused_runs: dict[str, Run]) -> None:
    """A baseline update without a reason fails in the plan, with the correction in its log, and nothing starts."""
    run = refused_runs["normal_trading"]
    assert (run.state, run.records) == ("failed", {})
    failed = {"plan": "failed", "alert": "success", "verdict": "failed"} | dict.fromkeys(STAGES, "upstream_failed")
    assert states_of(run) == dict.fromkeys(done(), "skipped") | failed
    reason = "update_baseline needs a reason; it is stored with the baseline"
    assert f"AirflowFailException: {reason}\n" in platform.log(run, "plan")
    assert "nothing was planned; see the task plan" in platform.log(run, "verdict")


def test_a_misspelt_parameter_sends_no_load(platform: Platform, refused_runs: dict[str, Run]) -> None:
    """`airflow dags trigger --conf` accepts any name; the plan refuses an unknown one."""
    run = refused_runs["overnight_processing"]
    assert (run.state, run.records) == ("failed", {})
    reason = "parameter 'durations' is unknown; known: service, duration, rate, update_baseline, reason"
    assert reason in platform.log(run, "plan")


def test_a_service_that_is_down_makes_the_run_invalid(platform: Platform, refused_runs: dict[str, Run]) -> None:
    """No load is sent, the record says why, the DAG run fails, and on-call is not alerted."""
    run = refused_runs[DEAD_SCENARIO]
    assert (run.state, run.record["verdict"]) == ("failed", "INVALID")
    assert states_of(run) == done(
        preflight="failed", run_load="upstream_failed", scrape="upstream_failed", verdict="failed"
    )
    (reason,) = run.record["validity"]
    assert reason.startswith(f"{DEAD_SERVICE} is not reachable: GET http://127.0.0.1:")
    assert (run.record["load"]["due"], run.record["window"], run.messages) == (None, None, [])
    assert reason in platform.log(run, "run_service.preflight", map_index=0)
    assert f"INVALID · {DEAD_SERVICE} · {DEAD_SCENARIO}" in platform.log(run, "verdict")


def test_a_halt_skips_the_load(platform: Platform, halted: str) -> None:
    """The run is skipped with the reason, and the DAG run succeeds, because the halt is intended."""
    run = platform.run("high_volatility", LOAD | {"service": SHORT_NAME})
    assert (run.state, run.record["verdict"]) == ("success", "SKIPPED")
    assert states_of(run) == done(preflight="skipped", run_load="skipped", scrape="skipped")
    assert run.record["reasons"] == [f"load is halted: {halted} (to resume, remove the Variable bellwether_halt)"]
    assert (run.record["window"], run.messages) == (None, [])


def test_a_scenario_and_a_service_are_added_as_data(platform: Platform, new_scenario: str) -> None:
    """Two YAML entries and a CSV add a DAG that offers its services, and its runs are measured."""
    params = platform.api.call("GET", f"/dags/{new_scenario}/details")["params"]
    assert params["service"]["schema"]["enum"] == [
        "all",
        NEW_SERVICE,
        "feature-store-service",
        "risk-engine",
        "feature-store",
    ]
    run = platform.run(new_scenario, {})
    assert set(run.records) == {NEW_SERVICE, "feature-store-service"}
    # 10 s × 40/s = 400 requests
    assert [record["load"]["due"] for record in run.records.values()] == [400, 400]
    assert_one_after_another(run.records.values())
    if not noise_of(run):  # a busy machine may disturb one of the loads
        assert run.state == "success"
        assert {record["verdict"] for record in run.records.values()} == {"NO_BASELINE"}
    assert platform.api.import_errors() == []
