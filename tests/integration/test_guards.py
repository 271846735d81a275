"""What stops a load and what prevents one, on a real stack: a halt, Airflow, and the end of its processes."""

import contextlib
import gzip
import re
import signal
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest
import requests

from include.perf.catalogue.operations import LOAD_POOL, LOAD_POOL_DESCRIPTION
from include.perf.runs.results_store import RECORD_FILE, REPORT_FILE, REQUESTS_FILE
from tests.integration.conftest import DEAD_SERVICE, NEW_SCENARIO, NEW_SERVICE, Platform, Run
from tests.integration.sending import START_S, Sending, is_there, last_sign_of, load_processes, sending
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SERVICE = "feature-store-service"
FAULTY = "ml-integration-service"
MEASURED_S = 60
RATE_RPS = 40
STOPPED_WITHIN_S = 5.0
RUN_LOAD = "run_service.run_load"
HALT = '{"by": "mara", "reason": "incident 4711", "at": "2026-03-02T06:30:00+00:00"}'
HALTED = (
    "load is halted by mara since 2026-03-02 06:30:00 UTC: incident 4711 "
    "(to resume, remove the Variable bellwether_halt)"
)


def trigger(platform: Platform, dag_id: str, **changes: Any) -> str:
    """Start a load, by default of a minute; return the ID of its run."""
    conf = {"service": SERVICE, "duration": MEASURED_S, "rate": RATE_RPS}
    return platform.api.trigger(dag_id, conf | changes)


@contextlib.contextmanager
def running(platform: Platform, dag_id: str) -> Iterator[Sending]:
    """Start a load and wait until it sends requests; end its run with the block."""
    with platform.loading.shared():
        run_id = trigger(platform, dag_id)
        try:
            yield sending(platform, dag_id, run_id, service=SERVICE)
        finally:
            end(platform, dag_id, run_id)


def end(platform: Platform, dag_id: str, run_id: str) -> None:
    """Mark a run as failed, which ends its tasks, and wait for the end of its load."""
    if platform.api.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"] in ("queued", "running"):
        platform.api.call("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", {"state": "failed"})
    folders = platform.planned(run_id)
    until(lambda: not any(map(load_processes, folders)), within_s=30, what=f"the end of the load of {dag_id}")


def recorded(platform: Platform, load: Sending) -> dict[str, Any]:
    """Wait for the record of a load, and return it."""
    path = load.folder / RECORD_FILE
    until(path.exists, within_s=START_S, what=f"the record of {load.dag_id}")
    return platform.record(load.folder)


def assert_partial(load: Sending, record: Mapping[str, Any]) -> None:
    """Check that the run is invalid, and that its partial results were kept and reported."""
    assert record["verdict"] == "INVALID"
    assert 0 < load.rows < RATE_RPS * MEASURED_S
    assert "INVALID" in (load.folder / REPORT_FILE).read_text(encoding="utf-8")


# Stopping a running load


@pytest.mark.usefixtures("only_load")
def test_a_halt_stops_a_running_load(platform: Platform) -> None:
    """The load ends within five seconds; the record says who halted it and why, and keeps the partial results."""
    with running(platform, "normal_trading") as load:
        with platform.halting(HALT):
            since = time.monotonic()
            assert last_sign_of(platform, load) - since <= STOPPED_WITHIN_S
        run = platform.follow(load.dag_id, load.run_id, earlier_messages=len(platform.messages()))
    assert_partial(load, run.record)
    assert run.state == "failed"
    assert f"the load ended early: stopped: {HALTED}; start a new run" in run.record["validity"]
    assert run.record["load"]["due"] < RATE_RPS * MEASURED_S
    assert f"the load is stopped: {HALTED}" in platform.log(run, RUN_LOAD, map_index=0)


def test_marking_its_task_as_failed_stops_a_load(platform: Platform) -> None:
    """Users can do so in the grid."""
    with running(platform, "high_volatility") as load:
        path = f"/dags/{load.dag_id}/dagRuns/{load.run_id}/taskInstances/{RUN_LOAD}/0"
        platform.api.call("PATCH", path, {"new_state": "failed"})
        since = time.monotonic()
        assert last_sign_of(platform, load) - since <= STOPPED_WITHIN_S
        assert_partial(load, recorded(platform, load))
        assert platform.api.tasks(load.dag_id, load.run_id)[f"{RUN_LOAD}[0]"] == "failed"


def test_killing_the_task_stops_its_load_and_a_retry_sends_it_again(platform: Platform) -> None:
    """SIGKILL also ends processes when memory runs out; the raw requests of the first try are kept."""
    with running(platform, "overnight_processing") as load:
        load.task.send_signal(signal.SIGKILL)
        since = time.monotonic()
        assert last_sign_of(platform, load) - since <= STOPPED_WITHIN_S
        until(lambda: load_processes(load.folder), within_s=START_S, what="the load of the second try")
        with gzip.open(load.folder / f"aborted-1.{REQUESTS_FILE}", "rb") as file:
            assert 0 < sum(1 for _ in file) - 1 < RATE_RPS * MEASURED_S
        log = platform.api.log(load.dag_id, load.run_id, RUN_LOAD, map_index=0, try_number=2)
        assert "try 1 of the load was killed or stopped; it is marked as aborted, and the load starts again" in log


def test_killing_the_supervisor_of_the_task_stops_its_load_and_blocks_no_other(
    platform: Platform, new_scenario: str
) -> None:
    """Airflow notices minutes later, but the load ends at once, and the next load need not wait."""
    with running(platform, new_scenario) as load:
        assert " ".join(load.supervisor.cmdline()).startswith("airflow worker -- LocalExecutor")
        load.supervisor.send_signal(signal.SIGKILL)
        since = time.monotonic()
        assert last_sign_of(platform, load) - since <= STOPPED_WITHIN_S
        until(lambda: not is_there(load.task), within_s=30, what="the end of the task without a supervisor")
        assert load.rows > 0
        with running(platform, "normal_trading") as following:
            log = platform.api.log(following.dag_id, following.run_id, RUN_LOAD, map_index=0)
            assert "waits until its load can start" not in log


# Keeping loads apart


def test_the_pool_is_created(platform: Platform) -> None:
    """Its size is the total rate of the load generators, and no manual step is needed."""
    pool = platform.api.call("GET", f"/pools/{LOAD_POOL}")
    assert (pool["slots"], pool["description"], pool["include_deferred"]) == (600, LOAD_POOL_DESCRIPTION, False)


def test_two_scenarios_never_load_one_service_at_once(platform: Platform) -> None:
    """The second load waits, logs for which run, and starts after the first."""
    earlier = len(platform.messages())
    with platform.loading.shared():
        started = {dag_id: trigger(platform, dag_id, duration=10) for dag_id in ("normal_trading", "high_volatility")}
        runs = [platform.follow(dag_id, run_id, earlier_messages=earlier) for dag_id, run_id in started.items()]
    first, second = sorted(runs, key=lambda run: str(run.record["started_at"]))
    assert measured_until(first) <= datetime.fromisoformat(second.record["started_at"])
    waited = re.search(r"waits until its load can start: (.*)", platform.log(second, RUN_LOAD, map_index=0))
    assert waited is not None
    address = platform.stack.service_url(SERVICE).removeprefix("http://")
    assert waited[1].startswith(
        f"{address} is under load by run {first.record['run_id']} ({first.dag_id} on {SERVICE}, since "
    )
    assert "waits until its load can start" not in platform.log(first, RUN_LOAD, map_index=0)


def measured_until(run: Run) -> datetime:
    """Return when the load of a run ended; check its warm-up and its duration."""
    load, window = run.record["load"], run.record["window"]
    start, end = datetime.fromisoformat(window["start"]), datetime.fromisoformat(window["end"])
    started = datetime.fromisoformat(run.record["started_at"])
    assert (start - started).total_seconds() == pytest.approx(load["warmup_s"], abs=0.1)
    assert (end - start).total_seconds() == pytest.approx(load["duration_s"], abs=0.1)
    return end


# Checks before a load


def test_a_dry_run_lists_the_requests_and_sends_none(platform: Platform) -> None:
    """The list is in the log and in the return value; the service gets no request, and there is no run."""
    results = platform.stack.results / SERVICE
    answered, folders = platform.answered(SERVICE), sorted(results.glob("*/*"))
    run = platform.run("dry_run", {"scenario": "market_open", "service": "feature-store", "duration": 60, "rate": 50})
    assert (run.state, run.tasks) == ("success", {"preview": "success"})
    shown = platform.returned(run, "preview")
    lines = shown.splitlines()
    url = platform.stack.service_url(SERVICE)
    assert lines[0] == f"market_open · {SERVICE} (staging): would be sent"
    assert lines[1] == f"  to       {url} (127.0.0.1)"
    # 60 s × 50/s, and 2 s of warm-up: 3100 requests, divided by weight
    assert lines[3].endswith(": 3,100 requests")
    assert [line.split()[:3] for line in lines[4:]] == [
        ["1,550", "POST", "/api/v1/features"],
        ["620", "GET", lines[5].split()[2]],
        ["310", "GET", lines[6].split()[2]],
        ["620", "POST", "/api/v1/calculations"],
    ]
    assert f"A run would send:\n{shown}" in platform.log(run, "preview")
    assert platform.answered(SERVICE) == answered
    assert sorted(results.glob("*/*")) == folders
    assert platform.planned(run.run_id) == []


def test_a_smoke_run_fails_for_the_faulty_services_only(platform: Platform, new_scenario: str) -> None:
    """Each service has its own task; the log of a failed task shows the endpoint and its response."""
    assert new_scenario
    platform.set_fault({"error_ratio": 1.0, "for_s": 300}, service=FAULTY)
    try:
        with platform.catalogue.shared():
            run = platform.run("smoke", {})
    finally:
        platform.end_fault(service=FAULTY)
    listed = platform.api.call("GET", f"/dags/smoke/dagRuns/{run.run_id}/taskInstances?limit=100")["task_instances"]
    tried = {task["rendered_map_index"]: task for task in listed if task["task_id"] == "try_service"}
    assert set(tried) == {*platform.stack.services, NEW_SERVICE, DEAD_SERVICE}
    failed = {service for service, task in tried.items() if task["state"] != "success"}
    assert (run.state, failed) == ("failed", {FAULTY, DEAD_SERVICE})

    log = platform.log(run, "try_service", map_index=tried[FAULTY]["map_index"])
    assert f"not every endpoint of {FAULTY} answers as it should:" in log
    assert re.search(rf"\| {FAULTY} \| predictions +\| 3 of 3 failed \|", log)
    assert "POST /api/v1/predictions: HTTP 503: " in log
    log = platform.log(run, "try_service", map_index=tried[DEAD_SERVICE]["map_index"])
    assert f"{DEAD_SERVICE} is not reachable: " in log
    log = platform.log(run, "try_service", map_index=tried[SERVICE]["map_index"])
    assert f"Every endpoint of {SERVICE} answers as it should:" in log


@pytest.mark.parametrize(
    ("dag_id", "conf", "message"),
    [
        ("market_open", {"rate": 600.5}, "Invalid input for param rate: 600.5 is greater than the maximum of 600"),
        ("dry_run", {"scenario": "market_opn"}, "Invalid input for param scenario: 'market_opn' is not one of "),
        ("smoke", {"service": "order-engine"}, "Invalid input for param service: 'order-engine' is not one of "),
        ("run_all", {"service": "order-engine"}, "Invalid input for param service: 'order-engine' is not one of "),
        ("run_all", {"duration": 9}, "Invalid input for param duration: 9 is "),
    ],
)
def test_a_wrong_parameter_is_refused_by_every_dag(
    platform: Platform, dag_id: str, conf: Mapping[str, Any], message: str
) -> None:
    """REST responds with 400 and the violated rule, and there is no run."""
    before = platform.api.call("GET", f"/dags/{dag_id}/dagRuns")["total_entries"]
    with pytest.raises(requests.HTTPError) as caught:
        platform.api.trigger(dag_id, conf)
    assert caught.value.response is not None
    assert caught.value.response.status_code == 400
    assert caught.value.response.json()["detail"].startswith(message)
    assert platform.api.call("GET", f"/dags/{dag_id}/dagRuns")["total_entries"] == before


def test_a_misspelt_parameter_is_reported_and_nothing_is_sent(platform: Platform) -> None:
    """Airflow accepts any name, but the first task refuses an unknown one."""
    answered = platform.answered(SERVICE)
    earlier = len(platform.messages())
    started = {dag_id: platform.api.trigger(dag_id, {"servise": SERVICE}) for dag_id in ("dry_run", "smoke")}
    for (dag_id, run_id), task in zip(started.items(), ("preview", "services"), strict=True):
        run = platform.follow(dag_id, run_id, earlier_messages=earlier)
        assert run.state == "failed"
        assert "parameter 'servise' is unknown; known: " in platform.log(run, task)
    assert platform.answered(SERVICE) == answered


# All scenarios


def test_run_all_runs_the_chosen_scenarios_one_after_another(platform: Platform, new_scenario: str) -> None:
    """Each has a run of its DAG, the others are skipped, and the summary has one row with both verdicts."""
    assert new_scenario
    details = "/dags/run_all/details"
    platform.await_dags(
        lambda _: NEW_SCENARIO in platform.api.call("GET", details)["params"]["scenarios"]["schema"]["items"]["enum"],
        what="run_all offers the added scenario",
    )
    chosen = (NEW_SCENARIO, "normal_trading")  # in the order of their loads: 12 s, 15 s
    run = platform.run("run_all", {"service": SERVICE, "scenarios": [*chosen], "duration": 10})
    assert {task for task, state in run.tasks.items() if state != "skipped"} == {
        "begin",
        "summary",
        *(f"{scenario}.{part}" for scenario in chosen for part in ("chosen", "run")),
    }

    children = [platform.api.call("GET", f"/dags/{dag_id}/dagRuns/run_all__{run.run_id}") for dag_id in chosen]
    assert children[0]["end_date"] <= children[1]["start_date"]
    assert {child["state"] for child in children} <= {"success", "failed"}
    assert {child["triggering_user_name"] for child in children} <= {None, "admin"}
    records = [platform.record(platform.finished(child["dag_run_id"], child["dag_id"])) for child in children]
    assert {(record["service"], record["load"]["duration_s"]) for record in records} == {(SERVICE, 10)}
    assert {record["provenance"]["triggered_by"] for record in records} == {"admin"}
    log = platform.log(run, "summary")
    head, _, row = log.partition("## All verdicts\n\n")[2].splitlines()[:3]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert [cell.strip() for cell in head.strip("|").split("|")] == ["Service", *chosen]
    assert cells[0] == SERVICE
    assert cells[1:] == [record["verdict"] for record in records]
