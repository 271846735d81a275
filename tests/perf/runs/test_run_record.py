"""``run.json``: the names, units and values that other tools rely on."""

import json
from dataclasses import replace
from typing import Any

import pytest

from include.perf.model.json_files import from_json, to_json
from include.perf.runs.record import RunRecord
from tests.fakes.small_platform import Platform
from tests.records import run_record

DOWN = "orders-service is not reachable: GET http://orders-service:8000/healthz failed"


def document_of(platform: Platform, uri: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(platform.store.runs_by_uri[uri]["run.json"])
    return found


def test_run_json_keeps_the_contract(platform: Platform) -> None:
    """Other tools read these names, units and values at the top level of run.json."""
    platform.with_baseline().generator.latency_s = 0.08
    uri = platform.plan(triggered_by="ana", dag_id="brief", dag_run_id="manual__1", reason="look")
    platform.execute_planned(uri)
    document = document_of(platform, uri)
    assert document["schema_version"] == 1
    assert document["run_id"] == uri.rpartition("/")[2]
    assert (document["service"], document["scenario"], document["environment"]) == (
        "orders-service",
        "brief",
        "staging",
    )
    # 06:30:00 + 5 s warm-up + 10 s + 2 s until the scrape + 60 s = 06:31:17
    assert document["started_at"] == "2026-03-02T06:31:17Z"
    assert document["window"] == {"start": "2026-03-02T06:31:22Z", "end": "2026-03-02T06:31:32Z"}
    assert document["load"] == {
        "requested_rate_rps": 40.0,
        "achieved_rate_rps": 40.0,  # 40/s × 10 s = 400 sent within 10 s
        "duration_s": 10.0,
        "warmup_s": 5.0,
        "due": 400,
        "sent": 400,
        "finished": 400,
        "failed": 0,
        "timed_out": 0,
        "unfinished": 0,
        "requested_curve": [],  # the same rate throughout
    }
    assert {name: metric["unit"] for name, metric in document["metrics"].items()} == {
        "latency_p50": "s",
        "latency_p95": "s",
        "latency_p99": "s",
        "throughput": "1/s",
        "error_rate": "ratio",
        "cpu_usage": "cores",
        "memory_usage": "bytes",
        "disk_usage": "ratio",
    }
    values = {name: metric["value"] for name, metric in document["metrics"].items()}
    assert values["latency_p50"] == pytest.approx(0.081, rel=0.05)  # 80 ms and 1 ms of waiting
    assert values["throughput"] == pytest.approx(40.0, abs=0.3)
    assert (values["error_rate"], values["cpu_usage"]) == (0.0, 1.5)
    assert (values["memory_usage"], values["disk_usage"]) == (512 * 1024**2, 0.40)
    assert list(document["fingerprint"]) == ["load", "limits", "data", "endpoints", "generator", "environment"]
    assert (document["validity"], document["verdict"]) == ([], "REGRESSION")
    worst = document["deviations"][0]
    assert (worst["metric"], worst["unit"], worst["severity"]) == ("latency_p50", "s", "warning")
    assert worst["value"] == values["latency_p50"]
    assert worst["shift"]["absolute"] == pytest.approx(worst["value"] - worst["baseline"])
    assert set(worst["shift"]) == {"ratio", "absolute", "low", "high", "absolute_low", "absolute_high"}
    assert worst["reason"] == document["reasons"][0]
    assert document["provenance"] == {
        "dag_id": "brief",
        "dag_run_id": "manual__1",
        "triggered_by": "ana",
        "update_baseline": False,
        "reason": "look",
        "versions": {"bellwether": "test"},
    }


def test_run_json_of_a_skipped_run(platform: Platform) -> None:
    """The fields are the same; missing values are null, a metric with its reason."""
    platform.halt_reason = "load is halted by ana: release"
    uri = platform.plan()
    platform.execute_planned(uri)
    document = document_of(platform, uri)
    assert (document["verdict"], document["window"], document["deviations"]) == ("SKIPPED", None, [])
    assert document["load"]["requested_rate_rps"] == 40.0
    assert {name for name, value in document["load"].items() if value is None} == {
        "achieved_rate_rps",
        "due",
        "sent",
        "finished",
        "failed",
        "timed_out",
        "unfinished",
    }
    assert document["metrics"]["latency_p95"] == {"value": None, "unit": "s", "reason": "no load was measured"}
    assert document["metrics"]["cpu_usage"] == {"value": None, "unit": "cores", "reason": "Prometheus was not queried"}
    assert document["validity"] == ["load is halted by ana: release"]


def test_a_repeated_run_differs_in_id_and_time_only(platform: Platform) -> None:
    """Data and load are seeded: all values are equal."""
    first, second = platform.execute(), platform.execute()
    assert first.metrics == second.metrics
    assert first.fingerprint == second.fingerprint
    assert first.run_id != second.run_id


def test_execute_returns_what_was_written(platform: Platform) -> None:
    """The returned record equals the stored one."""
    uri = platform.plan()
    (record,) = platform.execute_planned(uri)
    assert platform.record(uri) == record


def test_reported_by_is_read_under_its_former_name() -> None:
    """Records of earlier versions have ``told_by``; new ones have ``reported_by`` only."""
    record = replace(run_record(), reported_by="20260302T063000Z-aaaaaa")
    document = json.loads(to_json(record))
    assert "told_by" not in document
    document["told_by"] = document.pop("reported_by")
    assert from_json(RunRecord, json.dumps(document).encode(), where="run.json") == record
