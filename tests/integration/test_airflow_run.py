"""Runs on a real stack: Airflow, Locust, Prometheus, the reference platform and a strict Slack stand-in."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from include.perf.monitoring.rule_groups import RULES_FILE
from include.perf.monitoring.rule_limits import LIMITS_FILE
from tests.integration.conftest import SERVICE, Platform, Run, noise_in
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
    """A service triggered by its short name over REST is measured and promoted, and nobody is alerted."""
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
    """An unchanged service passes, keeps its baseline, and nobody is alerted."""
    assert (second_run.state, second_run.record["verdict"]) == ("success", "PASS")
    assert states_of(second_run) == done()
    assert second_run.messages == []
    assert second_run.record["baseline"]["version"] == 1
    assert second_run.record["deviations"] == []


def test_a_slower_service_is_a_regression(platform: Platform, slow_run: Run) -> None:
    """An increase from 200 to 400 ms is found, the DAG run fails, and the log of its last task says why."""
    record = slow_run.record
    assert (slow_run.state, record["verdict"]) == ("failed", "REGRESSION")
    reruns = {f"rerun_service.{stage}{index}": "success" for stage in STAGES for index in ("", "[1]")}
    assert states_of(slow_run) == done(verdict="failed", **reruns)
    p50 = next(deviation for deviation in record["deviations"] if deviation["metric"] == "latency_p50")
    assert p50["is_worse"] is True
    assert p50["shift"]["absolute"] == pytest.approx(0.2, rel=0.15)
    assert p50["shift"]["ratio"] == pytest.approx(1.0, rel=0.2)
    log = platform.log(slow_run, "verdict")
    assert f"AirflowFailException: REGRESSION · {SERVICE} · market_open – " in log


def test_the_failed_task_links_to_the_summary(platform: Platform, slow_run: Run) -> None:
    """Its button has the address of this run, and the summary is stored with the results."""
    path = f"/dags/market_open/dagRuns/{slow_run.run_id}/taskInstances/verdict/links"
    links = platform.api.call("GET", path)["extra_links"]
    assert links == {"Summary": f"/bellwether/dag-runs/market_open/{quote(slow_run.run_id, safe='')}"}
    folder = slow_run.folder.parents[2] / "summaries" / "market_open" / slow_run.run_id
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith(f"# REGRESSION · market_open · {slow_run.run_id} – 1 run: 1 REGRESSION\n")
    assert all(rerun in summary for rerun in slow_run.record["reruns"])
    assert (folder / "summary.html").is_file()
    assert {"report.html", "junit.xml"} <= {path.name for path in slow_run.folder.iterdir()}


def test_on_call_gets_one_message_with_its_charts(slow_run: Run) -> None:
    """The channel gets one message, with a link to the run and the charts as files in its thread."""
    first, *replies = slow_run.messages
    assert (first["channel_name"], first["thread_ts"]) == ("performance", None)
    assert first["text"].startswith((f":warning: {SERVICE} is slower under market_open: ", ":rotating_light: "))
    assert [reply["thread_ts"] for reply in replies] == [first["ts"]]
    files = [file for reply in replies for file in reply["files"]]
    assert [file["name"] for file in files] == ["comparison.png", "latency.png"]
    assert all(file["size"] == (slow_run.folder / "charts" / file["name"]).stat().st_size for file in files)
    addresses = [button["url"] for block in first["blocks"] for button in block.get("elements", ()) if "url" in button]
    assert any(address.endswith(f"/dags/market_open/runs/{slow_run.run_id}") for address in addresses)


def test_a_suspicious_run_gets_two_re_runs(slow_run: Run) -> None:
    """The medians of the three runs are judged, and the records of the re-runs refer to the first run."""
    record = slow_run.record
    assert sorted(rerun["run_id"] for rerun in slow_run.reruns) == sorted(record["reruns"])
    assert {rerun["rerun_of"] for rerun in slow_run.reruns} == {record["run_id"]}
    # A busy machine can make a re-run invalid. Of two valid runs the better one is judged, of three the median.
    disturbed = [rerun for rerun in slow_run.reruns if rerun["validity"]]
    assert not disturbed or noise_in(disturbed)
    valid = [record, *(rerun for rerun in slow_run.reruns if not rerun["validity"])]
    assert {run["verdict"] for run in valid} == {"REGRESSION"}
    values = sorted(run["metrics"]["latency_p50"]["value"] for run in valid)
    judged = values[(len(values) - 1) // 2]
    assert record["judged"].get("latency_p50", values[0]) == judged
    assert record["deviations"][0]["value"] == judged


def test_the_link_to_prometheus_shows_the_window(slow_run: Run) -> None:
    """The query in the link returns the CPU usage of the service in the measured window."""
    (address,) = [
        button["url"]
        for block in slow_run.messages[0]["blocks"]
        for button in block.get("elements", ())
        if "/graph?" in button.get("url", "")
    ]
    linked = parse_qs(urlsplit(address).query)
    end = datetime.strptime(linked["g0.end_input"][0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    query = {"query": linked["g0.expr"][0], "time": end.timestamp()}
    answer = requests.get(f"{address.partition('/graph?')[0]}/api/v1/query", params=query, timeout=10).json()
    (series,) = answer["data"]["result"]
    assert float(series["value"][1]) > 0


def test_the_format_of_a_record(first_run: Run, second_run: Run, slow_run: Run) -> None:
    """Other tools rely on the fields of run.json and on the files next to it."""
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
    """Check the figures of the load: 10 s × 30/s = 300 requests are due, and all of them are answered."""
    load, window = record["load"], record["window"]
    assert (load["requested_rate_rps"], load["duration_s"], load["warmup_s"]) == (30, 10, 2)
    assert (load["due"], load["finished"], load["failed"]) == (300, 300, 0)
    assert load["achieved_rate_rps"] == pytest.approx(30, rel=0.05)
    assert (moment(window["end"]) - moment(window["start"])).total_seconds() == pytest.approx(10, abs=0.1)
    assert record["metrics"]["throughput"]["value"] == pytest.approx(30, rel=0.05)
    assert record["metrics"]["error_rate"]["value"] == 0


@pytest.mark.usefixtures("slow_run")
def test_loads_of_a_service_never_overlap(platform: Platform) -> None:
    """This includes re-runs."""
    loads = [record for record in platform.records() if record["window"] and record["service"] == SERVICE]
    assert len(loads) >= 5
    assert_one_after_another(loads)


def test_mapped_tasks_are_labelled(platform: Platform, first_run: Run) -> None:
    """The label is the name of the service."""
    listed = platform.api.call("GET", f"/dags/market_open/dagRuns/{first_run.run_id}/taskInstances?limit=200")
    mapped = [task for task in listed["task_instances"] if task["map_index"] >= 0]
    # a task that another task skipped has no label
    labels = {task["rendered_map_index"] for task in mapped if "ask_for_approval" not in task["task_id"]}
    assert labels == {SERVICE}


@pytest.mark.usefixtures("slow_run")
def test_no_secret_is_in_any_log(platform: Platform) -> None:
    """The bot token is in no log of a task and in no file of the results."""
    files = [*(platform.stack.airflow_home / "logs").rglob("*.log"), *platform.stack.results.rglob("*.*")]
    assert len(files) > 10
    assert [path for path in files if path.is_file() and b"xoxb-stand-in" in path.read_bytes()] == []
