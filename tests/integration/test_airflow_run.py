"""Runs on real parts: Airflow, Locust, Prometheus, the reference platform and a strict Slack stand-in."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from include.perf.monitoring.rule_groups import RULES_FILE
from include.perf.monitoring.rule_limits import LIMITS_FILE
from tests.integration.conftest import SERVICE, Platform, Run
from tests.integration.finished_runs import STAGES, assert_one_after_another, done, moment, states_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

METRICS = {
    "latency_p50": "s",
    "latency_p95": "s",
    "latency_p99": "s",
    "throughput": "1/s",
    "error_rate": "ratio",
    "cpu_usage": "cores",
    "memory_usage": "bytes",
    "disk_usage": "ratio",
}


def test_the_first_run_has_no_baseline_and_becomes_one(platform: Platform, first_run: Run) -> None:
    """Asked for by short name over REST, it is measured, judged and promoted, and nobody is told."""
    assert (first_run.state, first_run.record["verdict"]) == ("success", "NO_BASELINE")
    assert first_run.record["service"] == SERVICE
    assert states_of(first_run) == done(promote="success")
    assert first_run.messages == []
    assert {LIMITS_FILE, RULES_FILE} <= {path.name for path in platform.stack.rules.iterdir()}
    baselines = json.loads(platform.stack.baselines.read_bytes())
    entry = baselines[SERVICE]["market_open"]
    assert (entry["version"], [run["run_id"] for run in entry["runs"]]) == (1, [first_run.record["run_id"]])
    assert (entry["approval"]["by"], entry["approval"]["reason"]) == ("admin", "first run")


def test_the_same_load_again_passes(platform: Platform, second_run: Run) -> None:
    """A service that did not change passes, its baseline stays, and nobody is told."""
    assert (second_run.state, second_run.record["verdict"]) == ("success", "PASS")
    assert states_of(second_run) == done()
    assert second_run.messages == []
    assert second_run.record["baseline"]["version"] == 1
    assert second_run.record["deviations"] == []


def test_a_slower_service_is_a_regression(platform: Platform, slow_run: Run) -> None:
    """200 ms more on 200 ms is found, the run is red, and its last log line says why."""
    record = slow_run.record
    assert (slow_run.state, record["verdict"]) == ("failed", "REGRESSION")
    again = {f"rerun_service.{stage}{index}": "success" for stage in STAGES for index in ("", "[1]")}
    assert states_of(slow_run) == done(verdict="failed", **again)
    p50 = next(each for each in record["deviations"] if each["metric"] == "latency_p50")
    assert p50["is_worse"] is True
    assert p50["shift"]["absolute"] == pytest.approx(0.2, rel=0.15)
    assert p50["shift"]["ratio"] == pytest.approx(1.0, rel=0.2)
    log = platform.log(slow_run, "verdict")
    assert f"AirflowFailException: REGRESSION · {SERVICE} · market_open – " in log


def test_the_red_task_leads_to_the_summary(platform: Platform, slow_run: Run) -> None:
    """Its button has the address of this very run, and the summary lies with the results."""
    path = f"/dags/market_open/dagRuns/{slow_run.run_id}/taskInstances/verdict/links"
    links = platform.api.call("GET", path)["extra_links"]
    assert links == {"Summary": f"/bellwether/dag-runs/market_open/{quote(slow_run.run_id, safe='')}"}
    folder = slow_run.folder.parents[2] / "summaries" / "market_open" / slow_run.run_id
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith(f"# REGRESSION · market_open · {slow_run.run_id} – 1 run: 1 REGRESSION\n")
    assert all(rerun in summary for rerun in slow_run.record["reruns"])
    assert (folder / "summary.html").is_file()
    assert {"report.html", "junit.xml"} <= {each.name for each in slow_run.folder.iterdir()}


def test_on_call_gets_one_message_with_its_charts(slow_run: Run) -> None:
    """Exactly one message in the channel; the charts are files in its thread; it links to the run."""
    first, *replies = slow_run.messages
    assert (first["channel_name"], first["thread_ts"]) == ("performance", None)
    assert first["text"].startswith((f":warning: {SERVICE} is slower under market_open: ", ":rotating_light: "))
    assert [reply["thread_ts"] for reply in replies] == [first["ts"]]
    files = [file for reply in replies for file in reply["files"]]
    assert [file["name"] for file in files] == ["comparison.png", "latency.png"]
    assert all(file["size"] == (slow_run.folder / "charts" / file["name"]).stat().st_size for file in files)
    addresses = [button["url"] for block in first["blocks"] for button in block.get("elements", ()) if "url" in button]
    assert any(address.endswith(f"/dags/market_open/runs/{slow_run.run_id}") for address in addresses)


def test_what_looks_suspicious_is_measured_twice_more(slow_run: Run) -> None:
    """The grid shows both re-runs; the median of the three is judged, and each record points to the first."""
    record = slow_run.record
    assert sorted(each["run_id"] for each in slow_run.reruns) == sorted(record["reruns"])
    assert {(each["rerun_of"], each["verdict"]) for each in slow_run.reruns} == {(record["run_id"], "REGRESSION")}
    values = sorted(each["metrics"]["latency_p50"]["value"] for each in (record, *slow_run.reruns))
    assert record["judged"]["latency_p50"] == values[1]
    assert record["deviations"][0]["value"] == values[1]


def test_the_link_to_prometheus_shows_the_window(slow_run: Run) -> None:
    """The message's query answers with the service's CPU in the run's own window."""
    (address,) = [
        button["url"]
        for block in slow_run.messages[0]["blocks"]
        for button in block.get("elements", ())
        if "/graph?" in button.get("url", "")
    ]
    asked = parse_qs(urlsplit(address).query)
    end = datetime.strptime(asked["g0.end_input"][0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    query = {"query": asked["g0.expr"][0], "time": end.timestamp()}
    answer = requests.get(f"{address.partition('/graph?')[0]}/api/v1/query", params=query, timeout=10).json()
    (series,) = answer["data"]["result"]
    assert float(series["value"][1]) > 0


def test_a_record_keeps_its_contract(first_run: Run, second_run: Run, slow_run: Run) -> None:
    """Other tools rely on what run.json holds, and on the files beside it."""
    for run in (first_run, second_run, slow_run):
        record = run.record
        assert record["schema_version"] == 1
        assert run.folder.parts[-3:] == (SERVICE, "market_open", record["run_id"])
        assert (record["environment"], record["validity"]) == ("staging", [])
        assert_load(record)
        assert {name: value["unit"] for name, value in record["metrics"].items()} == METRICS
        assert all(value["value"] is not None for value in record["metrics"].values())
        assert set(record["fingerprint"]) >= {"load", "data"}
        provenance = record["provenance"]
        assert (provenance["dag_id"], provenance["dag_run_id"]) == ("market_open", run.run_id)
        assert (provenance["triggered_by"], provenance["versions"]["airflow"][:2]) == ("admin", "3.")
        names = {path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*") if path.is_file()}
        assert names >= {"run.json", "report.md", "requests.csv.gz", "timeseries.csv", "charts/latency.png"}
        assert not [name for name in names if name.startswith("stage-")]


def assert_load(record: dict[str, Any]) -> None:
    """10 s × 30/s = 300 requests are due within a window of 10 s, and all of them are answered."""
    load, window = record["load"], record["window"]
    assert (load["requested_rate_rps"], load["duration_s"], load["warmup_s"]) == (30, 10, 2)
    assert (load["due"], load["finished"], load["failed"]) == (300, 300, 0)
    assert load["achieved_rate_rps"] == pytest.approx(30, rel=0.05)
    assert (moment(window["end"]) - moment(window["start"])).total_seconds() == pytest.approx(10, abs=0.1)
    assert record["metrics"]["throughput"]["value"] == pytest.approx(30, rel=0.05)
    assert record["metrics"]["error_rate"]["value"] == 0


@pytest.mark.usefixtures("slow_run")
def test_loads_go_one_after_another(platform: Platform) -> None:
    """No two loads of a service ever overlapped, re-runs included."""
    loads = [record for record in platform.records() if record["window"] and record["service"] == SERVICE]
    assert len(loads) >= 5
    assert_one_after_another(loads)


def test_a_person_sees_which_service_a_mapped_task_is(platform: Platform, first_run: Run) -> None:
    """Every mapped task is labelled with its service's name."""
    listed = platform.api.call("GET", f"/dags/market_open/dagRuns/{first_run.run_id}/taskInstances?limit=200")
    mapped = [task for task in listed["task_instances"] if task["map_index"] >= 0]
    # what was skipped by the task before it never had a name
    labels = {task["rendered_map_index"] for task in mapped if "ask_for_approval" not in task["task_id"]}
    assert labels == {SERVICE}


@pytest.mark.usefixtures("slow_run")
def test_no_secret_is_in_any_log(platform: Platform) -> None:
    """The bot's token is in no file that a task wrote, and in no record."""
    logs = [*(platform.stack.airflow_home / "logs").rglob("*.log"), *platform.stack.results.rglob("*.*")]
    assert len(logs) > 10
    assert [path for path in logs if path.is_file() and b"xoxb-stand-in" in path.read_bytes()] == []
