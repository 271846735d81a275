"""The production stack for real: built, started, loaded from several Locust workers, hurt, and removed."""

import logging
import re
import time
from pathlib import Path

import pytest
import requests

from tests.compose.conftest import LOAD, LOCUST_WORKERS, SCENARIO, SERVICE, Compose, ProductionStack
from tests.waiting import until

log = logging.getLogger("compose")

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]

DUE = 60 * (20 + 3)
"""60/s in 20 s measured and 3 s of warm-up."""

NOISE = ("the generator", "the machine was busy", "Prometheus has")
"""How the reasons begin for which a busy machine makes a run INVALID. That is right of it, so we ask again."""
TRIES = 3

RESTS_AFTER_S = 10.0
"""Within this the last request of a load is out whose task was killed."""


def test_a_missing_secret_is_named(compose: Compose, tmp_path: Path) -> None:
    """Nothing starts without it, and the message says which it is and what makes it."""
    lines = compose.env_file.read_text(encoding="utf-8").splitlines()
    without = tmp_path / ".env"
    without.write_text("\n".join(line for line in lines if "AIRFLOW_JWT_SECRET" not in line), encoding="utf-8")

    done = Compose(project=compose.project, env_file=without).tried("up", "--detach")

    assert done.returncode != 0
    assert "AIRFLOW_JWT_SECRET" in done.stderr
    assert "run make env" in done.stderr


def test_nothing_runs_as_root(stack: ProductionStack) -> None:
    """Not one process of any container, what compose and the images start beside ours included."""
    listed = stack.compose.run("top")

    users = {line.split()[0] for line in listed.splitlines() if re.match(r"\S+\s+\d+\s+\d+\s", line)}
    assert users
    assert not users & {"root", "0"}


def test_code_cannot_be_changed(stack: ProductionStack) -> None:
    """Neither the project's nor the installed packages'."""
    for folder in ("/opt/bellwether/dags", "/opt/bellwether/include", "/etc/bellwether", "/home/airflow/.local"):
        done = stack.compose.tried("exec", "-T", "worker-load", "touch", f"{folder}/new")
        assert done.returncode != 0
        assert "Read-only file system" in done.stderr or "Permission denied" in done.stderr


def test_ports_are_open_on_this_machine_only(stack: ProductionStack) -> None:
    """As the engine says, not only as the file does."""
    published = [
        port for each in stack.compose.containers() for port in each["Publishers"] or () if port["PublishedPort"]
    ]

    assert len(published) == 3  # Airflow, Prometheus, the Slack stand-in
    assert {port["URL"] for port in published} == {"127.0.0.1"}


def test_pages_need_a_login_and_viewers_change_nothing(stack: ProductionStack, viewer: requests.Session) -> None:
    """With users and roles in Airflow's database: Viewer and Admin differ as reading and triggering do."""
    page = f"{stack.airflow_url}/bellwether/problems"
    silence = {"service": SERVICE, "scenario": SCENARIO, "reason": "a release", "hours": "1"}

    assert requests.get(page, timeout=30).status_code == 401
    assert viewer.get(page, timeout=30).status_code == 200
    assert "silences" not in re.findall(r'action="[^"]*/(\w+)"', viewer.get(page, timeout=30).text)
    assert viewer.post(f"{stack.airflow_url}/bellwether/silences", data=silence, timeout=30).status_code == 403
    started = viewer.post(
        f"{stack.airflow_url}/api/v2/dags/{SCENARIO}/dagRuns", json={"logical_date": None, "conf": LOAD}, timeout=30
    )
    assert started.status_code == 403


def test_prometheus_scrapes_services_and_our_own_metrics(stack: ProductionStack) -> None:
    """With the token, which is in no file of the host."""

    def up() -> bool:
        answer = requests.get(f"{stack.prometheus_url}/api/v1/query", params={"query": "up == 1"}, timeout=30).json()
        return len(answer["data"]["result"]) == 7  # six services, and Bellwether

    until(up, within_s=60, what="seven targets up")


def test_a_load_from_three_workers_gets_a_verdict(stack: ProductionStack) -> None:
    """Triggered over REST, sent by all workers, counted by the service itself, and told with its reasons."""
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
    """Its requests are missing, so nothing is said about the service; the worker comes back by itself."""
    run_id = stack.trigger()
    stack.load_under_way()
    stack.compose.tried("exec", "-T", "locust-worker", "sh", "-c", "kill -KILL -1")  # all that runs there, itself too

    record = stack.finished(run_id)

    assert record["verdict"] == "INVALID"
    assert any("worker" in reason for reason in record["validity"]), record["validity"]
    assert any(f"{SCENARIO}: 1 of 1 service could not be judged" in text for text in stack.messages())
    workers = (each for each in stack.compose.containers() if each["Service"] == "locust-worker")
    assert [each["State"] for each in workers] == ["running"] * LOCUST_WORKERS


def test_no_load_outlives_the_worker_of_its_task(stack: ProductionStack) -> None:
    """The container with the task is killed, and the requests stop; Locust workers elsewhere notice by themselves."""
    stack.trigger()
    stack.load_under_way()
    stack.compose.run("kill", "worker-load")
    time.sleep(RESTS_AFTER_S)
    rested = stack.answered()
    time.sleep(5)

    assert stack.answered() == rested
    log.info("no request came %g s after the kill", RESTS_AFTER_S)


def test_no_secret_is_shown(stack: ProductionStack) -> None:
    """Not in the logs of any container, and not in any list of processes."""
    lines = stack.compose.env_file.read_text(encoding="utf-8").splitlines()
    secrets = {name: value for name, _, value in (line.partition("=") for line in lines) if len(value) == 44}
    shown = stack.compose.run("logs", "--no-color", timeout_s=120) + stack.compose.run("top")

    assert len(secrets) == 9
    assert [name for name, value in secrets.items() if value in shown] == []
