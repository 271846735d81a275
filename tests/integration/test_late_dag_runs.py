"""Deadlines of DAG runs on a real Airflow. The tests move a deadline into the past; Airflow does the rest."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from tests.integration.conftest import RUN_S, Platform, Run
from tests.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CALLED_WITHIN_S = 180.0


def let_the_deadline_pass(platform: Platform, run_id: str) -> None:
    """Move the deadline of a DAG run into the past, and wait until Airflow has called what it calls then."""
    past = f"{datetime.now(UTC) - timedelta(seconds=1):%Y-%m-%d %H:%M:%S.%f}"
    of_run = "dagrun_id = (SELECT id FROM dag_run WHERE run_id = ?)"
    with closing(_database(platform)) as database:
        with database:
            moved = database.execute(f"UPDATE deadline SET deadline_time = ? WHERE {of_run}", (past, run_id))  # noqa: S608
        assert moved.rowcount == 1

        def is_called() -> bool:
            query = f"SELECT state FROM callback JOIN deadline ON callback_id = callback.id WHERE {of_run}"  # noqa: S608
            (state,) = database.execute(query, (run_id,)).fetchone()
            return state in ("success", "failed")  # a callback may not read the connection of other channels

        until(is_called, within_s=CALLED_WITHIN_S, every_s=0.5, what=f"Airflow calls back for {run_id}")


def _database(platform: Platform) -> sqlite3.Connection:
    return sqlite3.connect(platform.stack.airflow_home / "airflow.db", timeout=60)


def about(platform: Platform, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield the messages to the operators that link to a run, and the replies to them."""
    for first in [message for message in to_operators(platform) if run_id in json.dumps(message)]:
        yield from thread_of(platform, first["ts"])


def thread_of(platform: Platform, ts: str) -> list[dict[str, Any]]:
    """Return a message to the operators, and the replies to it."""
    return [message for message in to_operators(platform) if ts in (message["ts"], message["thread_ts"])]


def to_operators(platform: Platform) -> list[dict[str, Any]]:
    """Return the messages to the operators as they are now; the first of a closed problem was replaced."""
    answer = requests.get(f"{platform.stack.slack_url}/_standin/messages", timeout=10)
    return [message for message in answer.json()["messages"] if message["channel_name"] == "performance-ops"]


def test_a_failed_run_is_not_late(platform: Platform, refused_runs: dict[str, Run]) -> None:
    """Nothing was planned, which was reported; its deadline passes later, and nobody hears of it again."""
    run = refused_runs["overnight_processing"]
    assert run.state == "failed"
    let_the_deadline_pass(platform, run.run_id)
    (message,) = about(platform, run.run_id)
    assert "overnight_processing failed: nothing was measured" in message["text"]


def test_a_run_that_misses_its_deadline_is_late_once(platform: Platform, new_scenario: str) -> None:
    """One message while it runs, and its end in the thread."""
    with platform.loading.shared():
        run_id = platform.api.trigger(new_scenario, {})
        until(
            lambda: platform.api.tasks(new_scenario, run_id).get("plan") == "success",
            within_s=RUN_S,
            every_s=1.0,
            what=f"{run_id} is planned",
        )
        let_the_deadline_pass(platform, run_id)
        (message,) = about(platform, run_id)
        assert f"{new_scenario} is late: it should have finished by " in message["text"]
        platform.api.wait_for(new_scenario, run_id, timeout_s=RUN_S, on_states=lambda _: None)
    first, reply = thread_of(platform, message["ts"])
    assert f"Over: {new_scenario} is late" in first["text"]
    assert "finished after all: " in reply["text"] or "could not be judged" in reply["text"]  # on a busy machine
