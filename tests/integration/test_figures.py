"""Runs without Airflow: their records agree with what the service itself counts.

There is one demo service and one Prometheus; the load of each test takes 10 s, the minimum of a scenario.
"""

import contextlib
import dataclasses
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
import psutil
import pytest

from include.perf.load.generator import Progress
from include.perf.runs.stage_files import StageFiles
from tests.integration.measured_service import DUE, Platform, Result, measured_service, run, without_noise

pytestmark = [pytest.mark.integration, pytest.mark.alone]

MIB = 1024**2
ENDPOINTS = {
    "orders": ("POST", "/api/v1/orders", 4),
    "positions": ("GET", "/api/v1/positions", 2),
    "executions": ("GET", "/api/v1/executions", 1),
    "market-data": ("GET", "/api/v1/market-data", 3),
}


def endpoints() -> list[dict[str, Any]]:
    """Return the endpoints of the catalogue."""
    window = {name: f"${name}" for name in ("instrument", "timeframe", "start_time", "end_time")}
    order = {name: f"${name}" for name in ("instrument", "order_type", "side", "quantity", "price", "time_in_force")}
    requests_of: dict[str, dict[str, Any]] = {
        "orders": {"body": order},
        "positions": {"query": {"instrument": "$instrument"}},
        "executions": {"query": {"instrument": "$instrument"}},
        "market-data": {"query": window},
    }
    return [
        {"name": name, "method": method, "path": path, "weight": weight} | requests_of[name]
        for name, (method, path, weight) in ENDPOINTS.items()
    ]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A real service and a real Prometheus, started once for the module."""
    folder = tmp_path_factory.mktemp("platform")
    with measured_service(folder, {"endpoints": endpoints()}, "--with-faults") as found:
        yield found


@pytest.fixture(scope="module")
def healthy(platform: Platform) -> Result:
    """A run without a fault, with which the others are compared."""
    return run(platform)


def test_counts_agree_with_what_the_service_counted(healthy: Result) -> None:
    """Requests by endpoint, responses by status, and observed durations are the same on both sides."""
    load, counted = healthy.record.load, healthy.counted
    assert (load.due, load.sent, load.finished, load.failed, len(healthy.rows)) == (DUE, DUE, DUE, 0, DUE)
    assert load.achieved_rate_rps == pytest.approx(50, rel=0.001)
    by_endpoint = {endpoint.name: endpoint.due for endpoint in healthy.record.endpoints}
    assert by_endpoint == {name: DUE * weight // 10 for name, (_, _, weight) in ENDPOINTS.items()}
    expected = {(method, path): by_endpoint[name] for name, (method, path, _) in ENDPOINTS.items()}
    assert counted.observed == expected
    assert counted.answers == {(method, path, "200"): count for (method, path), count in expected.items()}
    assert (counted.failed, healthy.value("error_rate")) == (0, 0.0)
    # The last one or two responses may arrive after the 10 s.
    assert healthy.value("throughput") == pytest.approx(50, rel=0.02)


def test_the_latency_of_the_client_includes_the_network(healthy: Result) -> None:
    """The client's mean is larger than the service's, by at most 50 ms."""
    service_mean_s = healthy.counted.seconds / DUE
    client_mean_s = float(healthy.rows["latency_s"].mean())
    assert service_mean_s <= client_mean_s <= service_mean_s + 0.05


def test_a_healthy_run_is_valid_and_has_every_metric(healthy: Result) -> None:
    """Only a baseline is missing."""
    record = healthy.record
    assert without_noise(record) == []
    assert record.verdict == ("INVALID" if record.validity else "NO_BASELINE")
    assert [name for name, metric in record.metrics.items() if metric.value is None] == []
    assert record.window is not None
    assert record.window.duration_s == pytest.approx(10, abs=1e-3)
    assert 0 < healthy.value("disk_usage") < 1
    assert 20 * MIB < healthy.value("memory_usage") < 500 * MIB


def test_added_latency_and_memory_are_measured(platform: Platform, healthy: Result) -> None:
    """A uniform delay of 100 ± 50 ms adds 100 ms to p50, 145 to p95, 149 to p99; the process holds 200 MiB more."""
    platform.fault(latency_s=0.1, latency_spread_s=0.05, memory_bytes=200 * MIB)
    try:
        slow = run(platform)
    finally:
        platform.heal()
    assert (slow.record.load.finished, sum(slow.counted.observed.values())) == (DUE, DUE)
    assert slow.rows["latency_s"].min() >= 0.05
    for metric, added_s in (("latency_p50", 0.100), ("latency_p95", 0.145), ("latency_p99", 0.149)):
        assert slow.value(metric) == pytest.approx(healthy.value("latency_p50") + added_s, abs=0.03)
    assert slow.counted.seconds / DUE == pytest.approx(healthy.counted.seconds / DUE + 0.1, abs=0.02)
    held = slow.value("memory_usage") - healthy.value("memory_usage")
    assert held == pytest.approx(200 * MIB, abs=25 * MIB)
    assert slow.value("error_rate") == 0.0


def test_errors_and_added_cpu_usage_are_measured(platform: Platform, healthy: Result) -> None:
    """Exactly a fifth of the responses are 503, and 50/s × 6 ms add 0.3 cores."""
    platform.fault(error_ratio=0.2, cpu_s=0.006)
    try:
        failing = run(platform)
    finally:
        platform.heal()
    load = failing.record.load
    assert (load.due, load.finished, load.failed) == (DUE, 400, 100)
    assert failing.value("error_rate") == pytest.approx(0.2, abs=1e-12)
    assert failing.value("throughput") == pytest.approx(40, rel=0.03)
    assert failing.counted.failed == 100
    paths = {name: (method, path) for name, (method, path, _) in ENDPOINTS.items()}
    client = {paths[group.endpoint]: group.count for group in failing.record.errors}
    service = {(m, path): n for (m, path, status), n in failing.counted.answers.items() if status == "503"}
    assert client == service
    assert {group.kind for group in failing.record.errors} == {"HTTP 503"}
    assert all("injected fault" in group.example for group in failing.record.errors)
    assert failing.value("cpu_usage") - healthy.value("cpu_usage") == pytest.approx(0.3, rel=0.25)


def test_a_stall_is_measured(platform: Platform, healthy: Result) -> None:
    """The service does not respond for 1.5 s: 75 of 500 requests wait, uniformly between 1.5 and 0 s."""
    moments: list[float] = []

    def stall(progress: Progress) -> None:
        if progress.elapsed_s > 3 and not moments:
            moments.append(time.time())
            platform.fault(stall_s=1.5)
            moments.append(time.time())

    try:
        stalled = run(platform, on_progress=stall)
    finally:
        platform.heal()
    assert (stalled.record.load.due, stalled.record.load.finished) == (DUE, DUE)
    assert sum(stalled.counted.observed.values()) == DUE
    # It began between the request for it and the response, and lasted 1.5 s.
    before, after = moments
    due_during = stalled.rows[stalled.rows["due_at"].between(after, before + 1.4)]
    assert len(due_during) == pytest.approx(50 * (before + 1.4 - after), abs=2)
    assert (due_during["due_at"] + due_during["latency_s"] >= before + 1.49).all()
    # The 25 slowest of 500 waited for 1.5 − 0.5 s and more, the 5 slowest for 1.5 − 0.1 s.
    assert stalled.value("latency_p95") == pytest.approx(1.0, abs=0.2)
    assert stalled.value("latency_p99") == pytest.approx(1.4, abs=0.2)
    assert stalled.value("latency_p50") < 0.1 + healthy.value("latency_p50")
    assert stalled.record.load.achieved_rate_rps == pytest.approx(50, rel=0.001)
    assert stalled.value("throughput") == pytest.approx(50, rel=0.02)
    # The record also lists the stall.
    (found,) = stalled.record.stalls
    assert found.duration_s == pytest.approx(1.5, abs=0.1)
    assert stalled.record.started_at.timestamp() + found.start_s == pytest.approx(before, abs=0.2)
    assert healthy.record.stalls == ()


def test_a_finished_run_can_be_read(platform: Platform, healthy: Result) -> None:
    """Its record is the same as after the run, and the temporary files of the stages are removed."""
    record, results = healthy.record, platform.outside.stores.results
    uri = next(uri for uri in results.runs() if record.run_id in uri)
    assert StageFiles(results, uri).read_record() == record
    with results.folder(uri) as folder:
        names = {path.name for path in folder.iterdir()}
        seconds = pd.read_csv(folder / "timeseries.csv")
        distribution, server = pd.read_csv(folder / "distribution.csv"), pd.read_csv(folder / "server.csv")
    assert {"run.json", "report.md", "requests.csv.gz", "timeseries.csv"} <= names
    assert not [name for name in names if name.startswith("stage-")]
    assert (seconds["due"].tolist(), int(seconds["finished"].sum())) == ([50] * 10, DUE)
    assert dataclasses.asdict(record)["load"]["requested_rate_rps"] == 50
    assert int(distribution["count"].sum()) == DUE
    middle_s = distribution["lower_s"][distribution["count"].cumsum() >= DUE / 2].iloc[0]
    assert middle_s == pytest.approx(healthy.value("latency_p50"), rel=0.03)
    # Each value is an average over 2 of the 10 s.
    assert server["second"].tolist() == list(range(1, 10))
    for metric in ("cpu_usage", "memory_usage", "disk_usage"):
        assert server[metric].mean() == pytest.approx(healthy.value(metric), rel=0.3), metric


def test_nothing_of_a_load_is_left(platform: Platform, healthy: Result) -> None:
    """No load process runs, and this process has not imported Locust."""
    commands = []
    for child in psutil.Process(os.getpid()).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end meanwhile, or be a zombie
            commands.append(child.cmdline())
    assert not [command for command in commands if "include.load" in command]
    assert "locust" not in sys.modules
