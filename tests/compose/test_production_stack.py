"""The production stack on a real engine: built, started, loaded by several Locust workers, broken, and removed."""

import logging
import re
import subprocess
import time
from pathlib import Path

import pytest
import requests
from bellwether.halting import HALT_VARIABLE

from tests.compose.conftest import LOAD, LOCUST_WORKERS, RUN_S, SCENARIO, SERVICE, Compose, ProductionStack
from tests.compose.test_secrets_of_containers import USES
from tests.waiting import until

log = logging.getLogger("compose")

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

DUE = 60 * (20 + 3)
"""60/s in 20 measured seconds and 3 s of warm-up."""

NOISE = ("the generator", "the machine was busy", "Prometheus has")
"""How the reasons begin that make a run INVALID on a busy machine. That is correct, so the test tries again."""
TRIES = 3

APPROVAL = "baseline_approval"

SUSPENDED_AFTER_S = 3.0
"""When the process of a task that waits for a person has ended; Airflow 3.3.2 confuses it with the continued one."""

RESTS_AFTER_S = 10.0
"""A load whose task was killed stops within this time."""


def test_a_missing_secret_is_named(compose: Compose, tmp_path: Path) -> None:
    """Nothing starts without it; the message names the secret and the remedy."""
    lines = compose.env_file.read_text(encoding="utf-8").splitlines()
    without = tmp_path / ".env"
    without.write_text("\n".join(line for line in lines if "AIRFLOW_JWT_SECRET" not in line), encoding="utf-8")

    done = Compose(project=compose.project, env_file=without).tried("up", "--detach")

    assert done.returncode != 0
    assert "AIRFLOW_JWT_SECRET" in done.stderr
    assert "run make env" in done.stderr


def test_nothing_runs_as_root(stack: ProductionStack) -> None:
    """No process of any container does, including those of the images and of compose."""
    listed = stack.compose.run("top")

    users = {line.split()[0] for line in listed.splitlines() if re.match(r"\S+\s+\d+\s+\d+\s", line)}
    assert users
    assert not users & {"root", "0"}


def test_code_cannot_be_changed(stack: ProductionStack) -> None:
    """Neither the project nor the installed packages are writable."""
    for folder in ("/opt/bellwether/dags", "/opt/bellwether/include", "/etc/bellwether", "/home/airflow/.local"):
        done = stack.compose.tried("exec", "-T", "worker-load", "touch", f"{folder}/new")
        assert done.returncode != 0
        assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr


def test_ports_are_open_on_this_machine_only(stack: ProductionStack) -> None:
    """The engine confirms what the file says."""
    published = [
        port
        for container in stack.compose.containers()
        for port in container["Publishers"] or ()
        if port["PublishedPort"]
    ]

    assert len(published) == 3  # Airflow, Prometheus, the Slack stand-in
    assert {port["URL"] for port in published} == {"127.0.0.1"}


def test_pages_need_a_login_and_viewers_change_nothing(stack: ProductionStack, viewer: requests.Session) -> None:
    """Users and roles come from Airflow's database: a Viewer may read, but not trigger."""
    page = f"{stack.airflow_url}/bellwether/problems"
    silence = {"service": SERVICE, "scenario": SCENARIO, "reason": "a release", "days": "1"}

    assert requests.get(page, timeout=30).status_code == 401
    assert viewer.get(page, timeout=30).status_code == 200
    assert "silences" not in re.findall(r'action="[^"]*/(\w+)"', viewer.get(page, timeout=30).text)
    assert viewer.post(f"{stack.airflow_url}/bellwether/silences", data=silence, timeout=30).status_code == 403
    started = viewer.post(
        f"{stack.airflow_url}/api/v2/dags/{SCENARIO}/dagRuns", json={"logical_date": None, "conf": LOAD}, timeout=30
    )
    assert started.status_code == 403


def test_prometheus_scrapes_services_and_our_own_metrics(stack: ProductionStack) -> None:
    """Prometheus has the token, which is in no file of the host."""

    def up() -> bool:
        answer = requests.get(f"{stack.prometheus_url}/api/v1/query", params={"query": "up == 1"}, timeout=30).json()
        return len(answer["data"]["result"]) == 7  # six services, and Bellwether

    until(up, within_s=60, what="seven targets up")


def test_a_load_from_three_workers_gets_a_verdict(stack: ProductionStack) -> None:
    """It is triggered over REST, sent by all workers, counted by the service, and gets a verdict."""
    for _ in range(TRIES):
        before = stack.answered()
        record = stack.finished(stack.trigger())
        if not record["validity"] or not all(reason.startswith(NOISE) for reason in record["validity"]):
            break

    assert record["validity"] == []
    assert record["verdict"] == "NO_BASELINE"
    assert record["load"]["due"] == 60 * 20
    assert record["load"]["failed"] == 0
    assert stack.answered() - before == DUE
    assert record["generator"]["workers"] == LOCUST_WORKERS


def test_a_locust_worker_that_dies_makes_the_run_invalid(stack: ProductionStack) -> None:
    """Its requests are missing, so there is no verdict on the service; the worker restarts."""
    run_id = stack.trigger()
    stack.load_under_way()
    stack.compose.tried("exec", "-T", "locust-worker", "sh", "-c", "kill -KILL -1")  # all processes of the container

    record = stack.finished(run_id)

    assert record["verdict"] == "INVALID"
    assert any("worker" in reason for reason in record["validity"]), record["validity"]
    assert any(f"{SCENARIO}: 1 of 1 service could not be judged" in text for text in stack.messages())
    workers = [item for item in stack.compose.containers() if item["Service"] == "locust-worker"]
    assert [worker["State"] for worker in workers] == ["running"] * LOCUST_WORKERS


def test_a_halt_of_the_database_reaches_tasks_without_its_key(stack: ProductionStack) -> None:
    """The API server decrypts Variables for the workers, which hold neither the key nor access to the database."""
    stack.api.call("POST", "/variables", {"key": HALT_VARIABLE, "value": "a test of the halt"})
    try:
        record = stack.finished(stack.trigger())
    finally:
        stack.api.call("DELETE", f"/variables/{HALT_VARIABLE}")

    assert record["verdict"] == "SKIPPED"
    assert "a test of the halt" in str(record)


def test_workers_cannot_read_the_database_of_airflow(stack: ProductionStack) -> None:
    """Their login is for the results of Celery only, which are there."""
    lines = stack.compose.env_file.read_text(encoding="utf-8").splitlines()
    (password,) = (
        value for name, _, value in (line.partition("=") for line in lines) if name == "CELERY_RESULTS_PASSWORD"
    )

    def queried(database: str, query: str) -> "subprocess.CompletedProcess[str]":
        given = ("exec", "-T", "--env", f"PGPASSWORD={password}", "postgres", "psql", "--host", "127.0.0.1")
        return stack.compose.tried(*given, "--username", "celery", "--dbname", database, "--command", query)

    refused = queried("airflow", "SELECT * FROM connection")
    assert refused.returncode != 0
    assert "permission denied for database" in refused.stderr
    assert queried("celery", "SELECT count(*) FROM celery_taskmeta").returncode == 0


def test_an_approval_is_asked_and_given(stack: ProductionStack) -> None:
    """It waits without a process, and is continued after a person has answered over REST."""
    run = next(record["run_id"] for record in stack.records() if record["verdict"] == "NO_BASELINE")
    stack.api.call("PATCH", f"/dags/{APPROVAL}", {"is_paused": False})
    run_id = stack.api.trigger(APPROVAL, {"run": run, "reason": "the first baseline"})
    until(
        lambda: stack.api.tasks(APPROVAL, run_id).get("approval") == "awaiting_input",
        within_s=RUN_S,
        what="the approval waits for a person",
    )
    time.sleep(SUSPENDED_AFTER_S)
    path = f"/dags/{APPROVAL}/dagRuns/{run_id}/taskInstances/approval/-1/hitlDetails"
    stack.api.call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {}})

    assert stack.api.wait_for(APPROVAL, run_id, timeout_s=RUN_S, on_states=lambda _: None) == "success"


def test_changed_alert_rules_are_loaded_without_a_request(stack: ProductionStack) -> None:
    """Prometheus refuses orders over HTTP; it loads the rules that the worker writes."""
    for order in ("reload", "quit"):
        assert requests.post(f"{stack.prometheus_url}/-/{order}", timeout=30).status_code == 403
    written = stack.compose.run(
        *("exec", "-T", "worker", "python", "-m", "include.perf", "rules", "write", "--reload"), timeout_s=120
    )
    log.info("%s", written)
    groups = requests.get(f"{stack.prometheus_url}/api/v1/rules", timeout=30).json()["data"]["groups"]

    assert any("bellwether" in group["name"].lower() for group in groups)


def test_no_process_has_a_secret_that_its_container_does_not_use(stack: ProductionStack) -> None:
    """As the kernel shows their environments: also children have only what they need."""
    lines = stack.compose.env_file.read_text(encoding="utf-8").splitlines()
    secrets = {name: value for name, _, value in (line.partition("=") for line in lines) if len(value) == 44}
    script = "for file in /proc/[0-9]*/environ; do tr '\\0' '\\n' < $file 2>/dev/null; done; true"
    for container in stack.compose.containers():
        service = container["Service"]
        shown = stack.compose.inside(service, "sh", "-c", script)
        assert {name for name, value in secrets.items() if value in shown} <= USES.get(service, set()), service


def test_no_load_outlives_the_worker_of_its_task(stack: ProductionStack) -> None:
    """Locust workers stop when the container with their master is killed."""
    stack.trigger()
    stack.load_under_way()
    stack.compose.run("kill", "worker-load")
    time.sleep(RESTS_AFTER_S)
    stopped_at = stack.answered()
    time.sleep(5)

    assert stack.answered() == stopped_at
    log.info("no request came %g s after the kill", RESTS_AFTER_S)


def test_no_secret_is_shown(stack: ProductionStack) -> None:
    """Neither the logs nor the process list of any container contain one."""
    lines = stack.compose.env_file.read_text(encoding="utf-8").splitlines()
    secrets = {name: value for name, _, value in (line.partition("=") for line in lines) if len(value) == 44}
    shown = stack.compose.run("logs", "--no-color", timeout_s=120) + stack.compose.run("top")

    assert len(secrets) == 10
    assert [name for name, value in secrets.items() if value in shown] == []
