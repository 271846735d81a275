"""Approving a regression as the new baseline: a person decides in Airflow, and only an approval changes anything."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.conftest import SERVICE, Platform, Run, replace_at_once
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DAG_ID = "baseline_approval"
REASON = "the new engine is worth it"


@pytest.fixture(autouse=True)
def baselines_kept(platform: Platform, slow_run: Run) -> Iterator[None]:
    """Restore the baselines after each test."""
    assert slow_run.record["verdict"] == "REGRESSION"
    before = platform.stack.baselines.read_bytes()
    yield
    replace_at_once(platform.stack.baselines, before)


def entry_of(platform: Platform) -> dict[str, Any]:
    """Return the baseline of the service."""
    entry: dict[str, Any] = json.loads(platform.stack.baselines.read_bytes())[SERVICE]["market_open"]
    return entry


def request_approval(platform: Platform, run: str) -> str:
    """Request the approval of a run; return the ID of the DAG run once it waits for a person."""
    run_id = platform.api.trigger(DAG_ID, {"run": run, "reason": REASON})
    until(
        lambda: platform.api.tasks(DAG_ID, run_id).get("approval") == "awaiting_input",
        within_s=120,
        what="the approval waits for a person",
    )
    return run_id


def wait_for_suspension() -> None:
    """Wait until the process of the waiting task has ended.

    If the answer comes within milliseconds, Airflow 3.3.2 mistakes the end of that process for the end of the resumed
    task, which then fails. The API does not show when that process has ended.
    """
    time.sleep(3)


def answer(platform: Platform, run_id: str, option: str) -> dict[str, str]:
    """Answer for a person; return the states of the tasks once the run has finished."""
    wait_for_suspension()
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approval/-1/hitlDetails"
    platform.api.call("PATCH", path, {"chosen_options": [option], "params_input": {}})
    assert platform.api.wait_for(DAG_ID, run_id, timeout_s=120, on_states=lambda _: None) == "success"
    return platform.api.tasks(DAG_ID, run_id)


def test_a_rejection_changes_nothing(platform: Platform, slow_run: Run) -> None:
    """The approver sees the comparison and rejects it, and the file stays the same, byte for byte."""
    before = platform.stack.baselines.read_bytes()
    run_id = request_approval(platform, slow_run.record["run_id"])
    details = platform.api.call("GET", f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/approval/-1/hitlDetails")
    assert details["subject"] == f"Make run {slow_run.record['run_id']} the new baseline?"
    assert REASON in details["body"]
    assert "| Latency p50 |" in details["body"]
    assert details["defaults"] == ["Reject"]
    states = answer(platform, run_id, "Reject")
    assert [states[task] for task in ("question", "approval", "accept")] == ["success", "success", "skipped"]
    assert platform.stack.baselines.read_bytes() == before


def test_an_approved_run_becomes_the_baseline(platform: Platform, slow_run: Run) -> None:
    """The new version stores the approver, the requester and the reason."""
    version = entry_of(platform)["version"]
    states = answer(platform, request_approval(platform, slow_run.record["run_id"]), "Approve")
    assert states["accept"] == "success"
    entry = entry_of(platform)
    assert (entry["version"], entry["state"]) == (version + 1, "provisional")
    assert [run["run_id"] for run in entry["runs"]] == [slow_run.record["run_id"]]
    assert (entry["approval"]["by"], entry["approval"]["reason"]) == ("admin", f"{REASON} (requested by admin)")
    assert entry["metrics"]["latency_p50"] == slow_run.record["judged"]["latency_p50"]


def test_the_review_renews_an_expired_baseline(platform: Platform, second_run: Run) -> None:
    """It proposes the latest run that passed, waits for an approval, and promotes the run."""
    document = json.loads(platform.stack.baselines.read_bytes())
    entry = document[SERVICE]["market_open"]
    entry |= {"review_by": "2026-01-01T00:00:00Z", "expires_at": "2026-04-01T00:00:00Z"}
    replace_at_once(platform.stack.baselines, json.dumps(document).encode())
    run_id = platform.api.trigger("baseline_review", {})
    until(
        lambda: platform.api.tasks("baseline_review", run_id).get("decide.approval[0]") == "awaiting_input",
        within_s=120,
        what="the proposal waits for a person",
    )
    path = f"/dags/baseline_review/dagRuns/{run_id}/taskInstances/decide.approval/0/hitlDetails"
    details = platform.api.call("GET", path)
    assert details["subject"] == f"{SERVICE} under market_open: expired"
    assert second_run.record["run_id"] in details["body"]
    wait_for_suspension()
    platform.api.call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})
    assert platform.api.wait_for("baseline_review", run_id, timeout_s=120, on_states=lambda _: None) == "success"
    renewed = entry_of(platform)
    assert (renewed["version"], renewed["approval"]["by"]) == (entry["version"] + 1, "admin")
    assert renewed["approval"]["reason"].startswith("quarterly review: expired, ")
    assert second_run.record["run_id"] in [run["run_id"] for run in renewed["runs"]]
    assert renewed["expires_at"] > "2026-05"


def test_an_unknown_run_fails_before_the_question(platform: Platform) -> None:
    """The task fails with the reason, and no approval is requested."""
    run_id = platform.api.trigger(DAG_ID, {"run": "20200101T000000Z-nobody", "reason": REASON})
    assert platform.api.wait_for(DAG_ID, run_id, timeout_s=120, on_states=lambda _: None) == "failed"
    assert platform.api.tasks(DAG_ID, run_id)["question"] == "failed"
    log = platform.api.log(DAG_ID, run_id, "question")
    assert "there is no finished run '20200101T000000Z-nobody' in the results store" in log
