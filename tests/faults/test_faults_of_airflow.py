"""Faults of Airflow during a load, on a production stack: two schedulers, PostgreSQL, Redis, Celery.

Whatever is killed or restarted, the service gets one load at a time, every request is accounted for, and the run
finishes without help; its record contains what happened.
"""

import contextlib
import gzip
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from include.perf.runs.results_store import REQUESTS_FILE
from tests.faults.production import SCHEDULERS, Production
from tests.integration.conftest import Run, noise_of
from tests.integration.sending import Sending, last_sign_of, sending
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]

SERVICE = "feature-store-service"
DAG = "market_open"
RATE_RPS = 30
DURATION_S = 15
WARMUP_S = 2
ARRIVALS = RATE_RPS * (DURATION_S + WARMUP_S)
CONF = {"service": SERVICE, "duration": DURATION_S, "rate": RATE_RPS}
STOPPED_WITHIN_S = 5.0
NOT_PUBLISHED = "Celery Task Timeout Error for Workload"
DEFAULT_PUBLICATIONS = 3
"""After so many failures to queue a task, Airflow fails it by default."""
OTHERS = 60
"""At most this many requests are not part of the load: health checks, scrapes, and the deploy version."""


@contextlib.contextmanager
def loading(production: Production) -> Iterator[Sending]:
    """Start a load; end it with the block."""
    platform = production.platform
    run_id = platform.api.trigger(DAG, CONF)
    try:
        yield sending(platform, DAG, run_id, service=SERVICE)
    finally:
        if platform.api.call("GET", f"/dags/{DAG}/dagRuns/{run_id}")["state"] in ("queued", "running"):
            platform.api.call("PATCH", f"/dags/{DAG}/dagRuns/{run_id}", {"state": "failed"})


def followed(production: Production, load: Sending) -> Run:
    """Wait until the run of a load has finished; it may be invalid because the machine was too busy."""
    platform = production.platform
    run = platform.follow(DAG, load.run_id, earlier_messages=len(platform.messages()))
    assert run.record["verdict"] in ("NO_BASELINE", "INVALID")
    assert run.record["verdict"] == "NO_BASELINE" or noise_of(run), run.record["validity"]
    return run


def rows_in(path: Path) -> int:
    """Return the number of requests in a raw record."""
    with gzip.open(path, "rb") as file:
        return sum(1 for _ in file) - 1


def tries_of(production: Production, run: Run, task_id: str) -> int:
    """Return the number of tries of a mapped task."""
    path = f"/dags/{DAG}/dagRuns/{run.run_id}/taskInstances/{task_id}/0"
    return int(production.platform.api.call("GET", path)["try_number"])


def test_without_any_fault(production: Production) -> None:
    """Two schedulers run every task once, and the service gets every request once."""
    before = production.platform.answered(SERVICE)
    with loading(production) as load:
        run = followed(production, load)
    assert run.record["load"]["due"] == RATE_RPS * DURATION_S
    assert rows_in(run.folder / REQUESTS_FILE) == ARRIVALS
    assert ARRIVALS <= production.platform.answered(SERVICE) - before <= ARRIVALS + OTHERS
    assert {tries_of(production, run, f"run_service.{name}") for name in ("stage_data", "run_load", "scrape")} == {1}


@pytest.mark.parametrize(
    ("victim", "number"),
    [("task", signal.SIGKILL), ("supervisor", signal.SIGKILL), ("supervisor", signal.SIGTERM)],
    ids=["task", "supervisor", "worker terminated"],
)
def test_a_killed_task(production: Production, victim: str, number: signal.Signals) -> None:
    """Its load ends within seconds; Airflow retries it; the record has a note and counts no request twice."""
    with loading(production) as load:
        getattr(load, victim).send_signal(number)
        since = time.monotonic()
        assert last_sign_of(production.platform, load) - since <= STOPPED_WITHIN_S
        run = followed(production, load)
    assert tries_of(production, run, "run_service.run_load") == 2
    (note,) = run.record["notes"]
    assert note.startswith("try 1 of this load, started at ")
    assert 0 < rows_in(run.folder / f"aborted-1.{REQUESTS_FILE}") < ARRIVALS
    assert rows_in(run.folder / REQUESTS_FILE) == ARRIVALS
    assert run.record["load"]["due"] == RATE_RPS * DURATION_S


def test_a_scheduler_is_killed(production: Production) -> None:
    """The other scheduler takes over: the load is not disturbed, and no task runs twice."""
    before = production.platform.answered(SERVICE)
    with loading(production) as load:
        production.servers[SCHEDULERS[0]].kill()
        run = followed(production, load)
    production.servers[SCHEDULERS[0]].start()
    assert tries_of(production, run, "run_service.run_load") == 1
    assert rows_in(run.folder / REQUESTS_FILE) == ARRIVALS
    assert production.platform.answered(SERVICE) - before <= ARRIVALS + OTHERS
    assert run.record["notes"] == []


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_a_server_of_airflow_is_restarted(production: Production, name: str) -> None:
    """The load continues meanwhile, and the run finishes normally."""
    before = production.platform.answered(SERVICE)
    with loading(production) as load:
        production.servers[name].stop()
        production.servers[name].start()
        assert load.is_running
        run = followed(production, load)
    assert rows_in(run.folder / REQUESTS_FILE) == ARRIVALS
    assert production.platform.answered(SERVICE) - before <= ARRIVALS + OTHERS
    assert run.record["load"]["due"] == RATE_RPS * DURATION_S


def failed_publications(production: Production) -> int:
    """Return how often the schedulers could not hand a task to Celery."""
    logs = (production.platform.stack.folder / "logs" / f"{name}.log" for name in SCHEDULERS)
    return sum(log.read_text(encoding="utf-8", errors="replace").count(NOT_PUBLISHED) for log in logs)


@contextlib.contextmanager
def without_redis(production: Production) -> Iterator[None]:
    """Stop Redis; start it when Airflow has failed more often than its default allows to queue a task."""
    redis, earlier = production.servers["redis"], failed_publications(production)
    redis.stop()
    try:
        yield
        until(
            lambda: failed_publications(production) - earlier > DEFAULT_PUBLICATIONS,
            within_s=600,
            what="Airflow fails to queue a task",
        )
    finally:
        redis.start()


def test_redis_is_away_while_the_first_task_is_queued(production: Production) -> None:
    """It waits and runs when Redis is back; no task has failed meanwhile."""
    platform = production.platform
    with without_redis(production):
        run_id = platform.api.trigger(DAG, CONF)
    run = followed(production, sending(platform, DAG, run_id, service=SERVICE))
    names = ("stage_data", "preflight", "run_load", "scrape")
    assert {tries_of(production, run, f"run_service.{name}") for name in names} == {1}
    assert rows_in(run.folder / REQUESTS_FILE) == ARRIVALS


def test_redis_is_away_while_the_second_try_of_a_load_is_queued(production: Production) -> None:
    """The load is sent again when Redis is back, and its record says why the first try does not count."""
    with loading(production) as load:
        with without_redis(production):
            load.task.send_signal(signal.SIGKILL)
        run = followed(production, load)
    (note,) = run.record["notes"]
    assert note.startswith("try 1 of this load, started at ")
    assert rows_in(run.folder / REQUESTS_FILE) == ARRIVALS
    assert run.record["load"]["due"] == RATE_RPS * DURATION_S


def test_slack_is_down(production: Production) -> None:
    """The alert stays in the outbox, changes no verdict, and is delivered once by the next watch."""
    platform, slack = production.platform, production.servers["slack"]
    slack.stop()
    run_id = platform.api.trigger("dead_end", {"service": "dead-end-service"})
    until(lambda: platform.api.tasks("dead_end", run_id).get("alert") == "failed", within_s=900, what="alert fails")
    (record,) = (record for record in platform.records() if record["provenance"]["dag_run_id"] == run_id)
    assert record["verdict"] == "INVALID"
    slack.start()
    for _ in range(2):
        platform.run("alert_watch", {})
    answer = requests.get(f"{platform.stack.slack_url}/_standin/messages", timeout=10)
    alerts = [message for message in answer.json()["messages"] if "dead-end-service" in str(message)]
    assert len(alerts) == 1, alerts
